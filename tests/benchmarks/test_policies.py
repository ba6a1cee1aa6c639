"""Searches replayed over a table: the clock against reckoning by hand, ours, peers, the figures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import policies
from benchmarks.experience import without
from benchmarks.replay.clock import LONGEST, Job, replay
from benchmarks.replay.ours import Ours
from benchmarks.replay.tables import Curves, find_tables, read_curves
from cnnlib.networks.values import Choice, Interval
from cnnlib.search.experience import Experience


def curves(count: int = 30, epochs: int = 9) -> Curves:
    """Configurations of which the one with the rate nearest to 0.01 is best, a second an epoch."""
    rates = np.exp(np.linspace(np.log(1e-4), np.log(1.0), count))
    ends = 0.9 - 0.1 * np.abs(np.log(rates / 0.01))
    scores = ends[:, None] * (1 - 0.5 ** np.arange(1, epochs + 1))
    values = {"h0": rates.tolist(), "h1": ["a", "b"] * (count // 2)}
    return Curves("toy-1", values, scores, np.ones((count, epochs)))


def test_ours_is_not_told_of_the_table_that_it_is_judged_by() -> None:
    """What was learned from a table gives way to what the other ones say."""
    tables = [replace(curves(), name=f"lcbench-{n}", values=curves().values) for n in (1, 2, 3)]
    for table in tables:
        object.__setattr__(table, "values", {"learning_rate": table.values["h0"]})
    told = Experience("such", 3, 90, {}, tables=("lcbench-1", "lcbench-2"))
    [others] = without(tables[0], [told], tables)
    assert others.tables == ("lcbench-2", "lcbench-3") and others.trials == 60
    assert list(others.trends) == ["learning_rate"]
    assert [early.part for early in others.early] == [0.111, 0.333], "of 9 epochs 1 and 3"
    assert all(early.foretells == 1.0 for early in others.early), "these curves never cross"
    assert without(tables[2], [told], tables) == [told], "it was never seen"


class InOrder:
    """Trains the rows one after the other in full."""

    def __init__(self, table: Curves) -> None:
        self.jobs = [
            Job(str(row), {name: column[row] for name, column in table.values.items()})
            for row in range(len(table))
        ]
        self.told: list[tuple[str, int, float]] = []

    def ask(self, seconds: float) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def tell(self, trial: str, epoch: int, score: float, seconds: float) -> bool:
        self.told.append((trial, epoch, score))
        return True


@pytest.mark.parametrize("workers", [1, 2])
def test_the_clock_counts_the_seconds_of_every_epoch(workers: int) -> None:
    table = curves()
    regret = table.regret(table.scores)
    row, epoch = next((r, e) for r in range(len(table)) for e in range(9) if regret[r, e] <= 0.05)
    result = replay(table, InOrder(table), workers)
    begun = row // workers * 9  # seconds, as all trainings take equally long
    assert result.reached and result.to_target == pytest.approx((begun + epoch + 1) / 9 * workers)
    within = table.scores[: 2 // workers * workers].max()  # two trainings, whoever ran them
    assert result.regrets[0] == pytest.approx(min(1.0, table.regret(within)))


def test_a_trial_that_goes_on_pays_only_for_its_later_epochs() -> None:
    table = curves()

    class Pauses(InOrder):
        def ask(self, seconds: float) -> Job | None:
            if self.told and self.told[-1][:2] == ("0", 4):
                return Job("0", {}, after=4)
            return super().ask(seconds)

        def tell(self, trial: str, epoch: int, score: float, seconds: float) -> bool:
            super().tell(trial, epoch, score, seconds)
            return (trial, epoch) != ("0", 4)

    whole, paused = InOrder(table), Pauses(table)
    assert replay(table, whole, 1) == replay(table, paused, 1)
    assert paused.told == whole.told


def test_the_nearest_row_is_by_gower_and_tried_once() -> None:
    table = curves()
    assert isinstance(table.space["h0"], Interval) and table.space["h0"].log
    assert table.space["h1"] == Choice(("a", "b"))
    values = {"h0": table.values["h0"][4], "h1": "a"}
    untried = np.ones(len(table), bool)
    assert table.nearest(values, untried) == 4
    untried[4] = False
    assert table.nearest(values, untried) in (2, 6), "of those alike in h1 the nearest rate"


@pytest.mark.parametrize("search", ["random", "tpe", "curves"])
@pytest.mark.parametrize("stopping", ["asha", "promote"])
def test_ours_tries_no_row_twice_and_comes_to_the_target(search: str, stopping: str) -> None:
    table = curves()
    ours = Ours(table, 2, 3, search, stopping)
    result = replay(table, ours, 2)
    assert result.reached and result.regrets[-1] <= 0.05
    assert result.trials == len({trial.config for trial in ours.ledger.trials.values()})
    assert result == replay(table, Ours(table, 2, 3, search, stopping), 2)
    if stopping == "promote":
        assert any(trial.has_paused for trial in ours.ledger.trials.values())


def test_rays_search_and_scheduler_are_asked_as_ray_does() -> None:
    table = curves()
    policy = policies.POLICIES["ray"](table, 1, 0)
    result = replay(table, policy, 1)
    assert result.reached and result.epochs < 9 * result.trials, "ASHA stops some"


def write(table: Curves, folder: Path) -> None:
    folder.mkdir(parents=True)
    ids = [f"t{n}" for n in range(len(table))]
    trials = pd.DataFrame(
        {"trial_id": ids, "learning rate": table.values["h0"], "same": 1, "kind": "none"}
    )
    trials.loc[::2, "kind"] = "b"
    trials.assign(status="completed", val_acc=0.5).to_csv(folder / "trials.csv", index=False)
    rows = [
        (trial, epoch + 1, table.scores[row, epoch], table.seconds[row, epoch])
        for row, trial in enumerate(ids)
        for epoch in range(table.num_epochs)
    ]
    columns = ["trial_id", "epoch", "val_acc", "seconds"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "epochs.csv.gz", index=False)


def test_a_folder_of_tables_is_read_without_what_does_not_vary(tmp_path: Path) -> None:
    write(curves(), tmp_path / "all" / "toy-2")
    [table] = find_tables([tmp_path / "all"])
    assert (table.name, table.family, len(table), table.num_epochs) == ("toy-2", "toy", 30, 9)
    assert [type(domain) for domain in table.space.values()] == [Interval, Choice]
    assert np.allclose(table.scores, curves().scores)
    assert read_curves(tmp_path / "all" / "toy-2").space == table.space


def test_a_curve_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    write(curves(), tmp_path / "toy")
    epochs = pd.read_csv(tmp_path / "toy" / "epochs.csv.gz")
    epochs.iloc[:-1].to_csv(tmp_path / "toy" / "epochs.csv.gz", index=False)
    with pytest.raises(ValueError, match="not every trial has every epoch"):
        read_curves(tmp_path / "toy")


def test_the_command_writes_a_row_for_each_search_and_prints_the_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(curves(), tmp_path / "toy")
    out = tmp_path / "out.csv"
    flags = f"--workers 1 2 --seeds 2 --policies ours today random --out {out}"
    monkeypatch.setattr("sys.argv", ["policies.py", str(tmp_path / "toy"), *flags.split()])
    policies.main()
    rows = pd.read_csv(out)
    assert len(rows) == 2 * 2 * 3 and set(rows["policy"]) == {"ours", "today", "random"}
    printed = capsys.readouterr().out
    assert "2 workers, 1 tables, 2 seeds" in printed and "ours by theirs" in printed


def rows(**seconds: tuple[float, ...]) -> pd.DataFrame:
    """Times to the target by policy, one a seed, the same in two tables of two families."""
    return pd.DataFrame(
        [
            {"family": family, "table": f"{family}-1", "policy": name, "seed": seed,
             "to_target": time, "reached": time < LONGEST, **dict.fromkeys(policies.REGRETS, 0.5)}
            for family in ("a", "b")
            for name, times in seconds.items()
            for seed, time in enumerate(times)
        ]
    )  # fmt: skip


def test_ratios_are_geometric_means_with_an_interval_over_the_seeds() -> None:
    table = rows(ours=(1.0, 4.0), ray=(2.0, 8.0), random=(8.0, 8.0))
    found = policies.ratios(table)
    assert found.loc["all", "ray"] == "0.50 (0.50 to 0.50)"
    assert found.loc["a", "random"].startswith("0.25 (")
    means = policies.means(table)
    assert means.loc[("all", "ours"), "to_target"] == pytest.approx(2.0)
    assert means.loc[("a", "ray"), "regret_10"] == pytest.approx(50)
