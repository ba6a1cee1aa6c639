"""Several sweeps side by side: who is ahead, how surely, and what changed."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.plots.several import by_hours, by_number
from analysis.report import main
from analysis.statistics.claims import SHIPPED, read_claims
from analysis.statistics.differences import paired_difference, unpaired_difference
from analysis.statistics.several import compare_sweeps, sweeps_in
from analysis.statistics.verdicts import SUPPORTED

N = 200  # test photographs


def write_sweep(folder: Path, right: np.ndarray, *, root: str = "/a", **settings: object) -> Path:
    """A sweep in which batch norm adds five points, with a champion that is `right` there."""
    rng = np.random.default_rng(0)
    trials = pd.DataFrame({
        "trial_id": [f"{i:04d}" for i in range(40)],
        "status": "completed",
        "batch_norm": rng.choice([True, False], 40),
        "started": pd.date_range("2026-01-01", periods=40, freq="min").map(lambda t: t.isoformat()),
        "seconds": 30.0,
    })  # fmt: skip
    trials["val_acc"] = 0.3 + 0.05 * trials["batch_norm"] + rng.normal(0, 0.01, 40)
    champion = folder / "champion"
    champion.mkdir(parents=True)
    trials.to_csv(folder / "trials.csv", index=False)
    (folder / "epochs.csv").write_text("trial_id,epoch\n")
    data = {"source": root, "fingerprint": settings.pop("fingerprint", "f0")}
    about = {"seed": 0, "data": data, "versions": {"torch": "2.1"}} | settings
    (folder / "sweep.json").write_text(json.dumps(about))
    config = {"trial_id": "0001", "config": {"activation": "relu", "dropout": settings["seed"]}}
    (champion / "config.json").write_text(json.dumps(config))
    order = np.random.default_rng(settings["seed"]).permutation(N)
    rows = [(f"{root}/cat/{i:03d}.jpg", "cat", "cat" if right[i] else "dog", 0.5) for i in order]
    table = pd.DataFrame(rows, columns=["file", "label", "predicted", "confidence"])
    table.to_csv(champion / "test_predictions.csv", index=False)
    return folder


def right(num: int, shift: int = 0) -> np.ndarray:
    return np.roll(np.arange(N) < num, shift)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two sweeps; the second's champion is right about 20 photographs more, and wrong about 2."""
    write_sweep(tmp_path / "first", right(100), seed=1)
    write_sweep(tmp_path / "second", right(118, 2), root="/b/photos", seed=2, max_epochs=9)
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_two_champions_are_compared_photograph_by_photograph(results: Path) -> None:
    compared = compare_sweeps(sweeps_in(results), read_claims(SHIPPED))
    (duel,) = compared.duels
    found = duel.difference
    assert duel.is_paired and (found.only_first, found.only_second) == (2, 20)
    assert found.effect == pytest.approx(-0.09) and found.high < 0
    assert list(compared.scores) == ["second", "first"]
    verdicts = {name: verdicts[1].verdict for name, verdicts in compared.verdicts.items()}
    assert verdicts == {"first": SUPPORTED, "second": SUPPORTED}


@pytest.mark.parametrize("fingerprint, num", [("other photographs", N), ("f0", N - 1)])
def test_champions_on_different_photographs_are_not_paired(
    results: Path, fingerprint: str, num: int
) -> None:
    table = pd.read_csv(results / "second" / "champion" / "test_predictions.csv").head(num)
    about = json.loads((results / "second" / "sweep.json").read_text())
    about["data"]["fingerprint"] = fingerprint
    (results / "second" / "sweep.json").write_text(json.dumps(about))
    table.to_csv(results / "second" / "champion" / "test_predictions.csv", index=False)
    (duel,) = compare_sweeps(sweeps_in(results), []).duels
    assert not duel.is_paired and duel.difference.low < -0.09 < duel.difference.high


def test_p_values_are_corrected_for_the_number_of_pairs(results: Path) -> None:
    before = compare_sweeps(sweeps_in(results), []).duels[0]
    write_sweep(results / "third", right(100), seed=3)
    duels = {(d.first, d.second): d for d in compare_sweeps(sweeps_in(results), []).duels}
    assert duels["first", "second"].p_adjusted == pytest.approx(3 * before.p_adjusted)
    assert duels["first", "third"].p_adjusted == 1


def test_the_page_says_who_is_ahead_and_what_changed(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "broken").mkdir()
    (results / "broken" / "trials.csv").write_text("no,id\n")
    assert main([str(results)]) == 0
    page = results / "comparison" / "index.html"
    assert capsys.readouterr().out == f"{page}\n"
    text = page.read_text("utf-8")
    for words in (
        "The champion of second is right most often on test photographs: 59.0%",
        "It is 9.0 points ahead of first&#x27;s, a difference that chance does not explain.",
        "<td>first</td><td>second</td><td>-9.0</td>",
        "broken is left out: ",
        "The seeds differ",
        "<td>20 min</td>",
        "Batch normalisation improves validation accuracy. Supported by first, second.",
        "<td>max_epochs</td><td>–</td><td>9</td>",
        "<td>dropout</td>",
        "\nversions: torch: 2.1</pre>",
    ):
        assert words in text
    assert text.count("<img") == 2 and "<td>versions: torch</td>" not in text
    claims = pd.read_csv(results / "comparison" / "tables" / "claims.csv")
    assert len(claims) == 18 and set(claims["sweep"]) == {"first", "second"}
    markdown = (results / "comparison" / "report.md").read_text("utf-8")
    assert "](figures/claims.png)" in markdown and "](figures/progress.png)" in markdown
    assert main([str(results)]) == 0, "the comparison itself is no sweep"


def test_one_sweep_is_no_comparison(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "first" / "trials.csv").unlink()
    assert main([str(results)]) == 2
    error = capsys.readouterr().err
    assert f"report it: python analysis/report.py {results / 'second'}\n" in error
    assert main([str(results), "--wandb"]) == 2
    assert "--watch and --wandb take one" in capsys.readouterr().err


def test_sweeps_that_know_nothing_are_compared(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trials.csv").write_text("trial_id\n")
        (tmp_path / name / "epochs.csv").write_text("trial_id,epoch\n")
    assert main([str(tmp_path)]) == 0


def test_intervals_of_differences_are_newcombes() -> None:
    unpaired = unpaired_difference((56, 70), (48, 80))  # examples of his papers
    assert [unpaired.low, unpaired.high] == pytest.approx([0.0524, 0.3339], abs=1e-4)
    first = np.repeat([True, True, False], [36, 12, 2])
    second = np.repeat([True, False, True], [36, 12, 2])
    paired = paired_difference(first, second)
    assert [paired.low, paired.high] == pytest.approx([0.0569, 0.3404], abs=1e-4)
    assert paired.p_value == pytest.approx(0.0129, abs=1e-4)
    lady = paired_difference(np.arange(10) < 9, np.arange(10) >= 9)
    assert lady.p_value == pytest.approx(2 * (1 + 10) / 2**10)  # of the binomial distribution
    same = paired_difference(first, first)
    assert (same.effect, same.p_value) == (0, 1) and same.low < 0 < same.high


def test_progress_is_the_best_so_far_by_number_and_by_the_end_of_training() -> None:
    trials = pd.DataFrame({
        "val_acc": [0.3, 0.4, np.nan, 0.2],
        "started": ["2026-01-01T00:00:00", "2026-01-01T00:00:00", None, "2026-01-01T01:00:00"],
        "seconds": [7200.0, 3600.0, 1.0, 1800.0],
    }, index=[1, 0, 2, 3])  # fmt: skip
    assert by_number(trials).to_numpy().tolist() == [[1, 0.4, 0.4], [2, 0.3, 0.4], [4, 0.2, 0.4]]
    hours = by_hours(trials)
    assert hours["x"].tolist() == [1.0, 1.5, 2.0] and hours["best"].tolist() == [0.4] * 3
    assert by_hours(trials.drop(columns="seconds")).empty
