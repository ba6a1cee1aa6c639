"""A report by another metric: the lowest loss is the best, and is told in the user's words."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from analysis.convert import main as convert
from analysis.page.sections.audit import audit_section
from analysis.page.sections.finals import final_section
from analysis.page.sending import summary_of
from analysis.plots.colouring import ORDERED, linked
from analysis.plots.curves import curve_figures
from analysis.plots.effects import effects_figure, pair_figure
from analysis.plots.parallel import parallel_figure
from analysis.plots.style import BLUE, VIRIDIS
from analysis.plots.trials import history_figure
from analysis.reading.folder import SweepFolder, read_folder
from analysis.reading.workload import cost_of, thinned
from analysis.report import main, write_report
from analysis.statistics.claims import SHIPPED, read_claims
from analysis.statistics.findings import Findings, find
from cnnlib.journal.scores import Final, row_of, seed_scores
from cnnlib.networks.metric import Metric
from cnnlib.search.sweep_file import read_sweep_file

LOSS = Metric("val_loss", "minimize", "valid/loss")
LEVELS = {0.2: 1.0, 0.3: 1.3, 0.4: 1.9}  # of the loss, by dropout
EPOCHS = 6


def write_sweep(folder: Path, metric: Metric | None = LOSS, *, column: str = "val_loss") -> Path:
    """48 trials: the more dropout the higher the loss, but the higher the accuracy too."""
    random = np.random.default_rng(5)
    trials, epochs = [], []
    for number in range(48):
        dropout, batch_norm = float(random.choice([*LEVELS])), bool(random.integers(2))
        level = LEVELS[dropout] + 0.25 * (not batch_norm) + random.normal(0, 0.04)
        accuracy = 0.4 + 0.3 * dropout + random.normal(0, 0.01)
        own = {"trial_id": f"{number:04d}"}
        ends = 3 if level > 1.9 else EPOCHS
        told = [
            {"epoch": e, column: level + 0.6 / e, "val_acc": accuracy - 0.2 / e}
            for e in range(1, ends + 1)
        ]
        epochs += [own | row for row in told]
        trials.append(
            own
            | {"status": "completed" if ends == EPOCHS else "stopped", "dropout": dropout}
            | {"batch_norm": batch_norm, "epochs": ends, "best_epoch": ends, "seconds": 9.0 * ends}
            | {name: told[-1][name] for name in ("val_acc", column)}
        )
    folder.mkdir(parents=True)
    pd.DataFrame(trials).to_csv(folder / "trials.csv", index=False)
    pd.DataFrame(epochs).to_csv(folder / "epochs.csv", index=False)
    about: dict[str, Any] = {"max_epochs": EPOCHS, "image_size": 32, "reduction_factor": 3}
    if metric:
        about["metric"] = asdict(metric)
    (folder / "sweep.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("losses") / "sweep")


@pytest.fixture(scope="module")
def sweep(folder: Path) -> SweepFolder:
    return read_folder(folder)


@pytest.fixture(scope="module")
def found(sweep: SweepFolder) -> Findings:
    return find(sweep, read_claims(SHIPPED))


def test_the_page_of_a_loss_speaks_of_the_loss_and_points_to_the_lower(folder: Path) -> None:
    page = write_report(folder)
    text = (page.parent / "report.md").read_text()
    trials = pd.read_csv(folder / "trials.csv")
    lowest = trials["val_loss"].min()
    best = trials.set_index("trial_id")["val_loss"].idxmin()
    assert best != trials.set_index("trial_id")["val_acc"].idxmax(), "the two metrics disagree"
    assert text.startswith(f"# 48 CNNs, best valid/loss {lowest:.4g}")
    assert f"- **{lowest:.4g}** valid/loss of trial {best:04d}, the best of 48 and so" in text
    assert f"The best is trial {best:04d}: dropout 0.2, batch_norm true." in text
    assert "it was picked because it came out low" in text
    assert "Its val_acc at that epoch was " in text, "the accuracy is still shown"
    assert "dropout: 0.2 reaches 0.8" in text and "less valid/loss than 0.4 by epoch 3" in text
    assert "| trial_id | status | valid/loss | dropout" in text and "val_acc |" in text
    first = text.split("| trial_id | status |")[1].splitlines()[2]
    assert first.startswith(f"| {best:04d} | completed | {lowest:.4g} |"), "best first"
    for said in ("validation accuracy of", "an accuracy", "points", "Accuracy against"):
        assert said not in text, said
    per_cent = [line for line in text.splitlines() if "%" in line and "valid/loss" in line]
    allowed = ("95% interval", "of the variance", "val_acc at that epoch")
    assert all(any(words in line for words in allowed) for line in per_cent)
    assert "metric | valid/loss, minimize" in text


def test_tables_hold_values_and_the_next_sweep_minimises_them(folder: Path) -> None:
    report = write_report(folder).parent
    effects = pd.read_csv(report / "tables" / "effects.csv")
    rows = effects[effects["hyperparameter"] == "dropout"]
    above = {
        rows["reference"].iloc[0]: 0.0,
        **dict(zip(rows["value"], rows["effect"], strict=True)),
    }
    assert above["0.2"] < above["0.4"] - 0.8, "less loss"
    assert ((effects["low"] < effects["effect"]) & (effects["effect"] < effects["high"])).all()
    trials = pd.read_csv(report / "tables" / "trials.csv")
    assert trials["val_loss"].is_monotonic_increasing and "val_acc" in trials
    claims = pd.read_csv(report / "tables" / "claims.csv").set_index("claim")
    assert claims.loc["Batch normalisation improves validation accuracy.", "effect"] < -0.2
    assert claims.loc["Batch normalisation improves validation accuracy.", "verdict"] == "supported"
    assert claims.loc["Dropout 0.3 beats 0.2.", "verdict"] == "contradicted"
    content = yaml.safe_load((report / "next_sweep.yaml").read_text())
    assert content["metric"] == {"name": "valid/loss", "goal": "minimize"}
    assert content["parameters"]["dropout"] == {"values": [0.1, 0.2]}, "lower losses are there"
    assert content["parameters"]["batch_norm"] == {"value": True}
    assert read_sweep_file(str(report / "next_sweep.yaml")).metric == LOSS


def test_figures_show_values_with_the_lower_as_the_better(
    sweep: SweepFolder, found: Findings
) -> None:
    drawn = history_figure(sweep, sweep.trials)
    assert drawn["layout"]["yaxis"]["title"]["text"] == "valid/loss"
    best = next(trace for trace in drawn["data"] if trace.get("name") == "best so far")
    assert best["y"] == sorted(best["y"], reverse=True) and best["y"][-1] == pytest.approx(
        sweep.trials["val_loss"].min(), rel=1e-4
    )
    drawn = effects_figure(found.effects.effects, found.effects.importance, "", sweep.measure)
    assert "difference of valid/loss" in drawn["layout"]["xaxis"]["title"]["text"]
    lower = next(trace for trace in drawn["data"] if trace.get("name") == "surely lower")
    assert max(lower["x"]) < 0 and lower["marker"]["color"] == BLUE
    links = linked(sweep, sweep.trials, [])
    assert links.colourings[0].name == "valid/loss"
    lines = parallel_figure(sweep.measured, ["dropout", "batch_norm"], None, links, sweep.measure)
    darkest = [trace for trace in lines["data"] if trace["line"]["color"] == ORDERED[-1]]
    assert darkest[0]["customdata"][0] == 0, "the best, which is the first, is the darkest"
    assert lines["layout"]["meta"]["axes"][-1]["name"] == "valid/loss", "as the table's heading"
    cells = pd.DataFrame({"first": ["a"], "second": ["b"], "mean": [1.5], "n": [3]})
    [heat] = pair_figure(cells, "one", "other", sweep.measure)["data"]
    assert heat["colorscale"][0][1] == VIRIDIS[-1], "the lowest is the darkest"
    assert heat["text"] == [["1.5<br>n = 3"]]
    curves = curve_figures(sweep, sweep.epochs, sweep.trials, ["val_loss", "val_acc"], links)
    assert curves[0]["layout"]["title"]["text"].startswith("<b>valid/loss, n = 48")


def test_what_is_drawn_of_many_and_what_is_cheap_follow_the_loss(sweep: SweepFolder) -> None:
    cost = cost_of(sweep.trials, sweep.measure)
    assert cost is not None
    assert cost.front["val_loss"].is_monotonic_decreasing, "who takes longer has to be lower"
    many = pd.concat([sweep.trials] * 30, ignore_index=True)
    many["trial_id"] = [str(number) for number in range(len(many))]
    many["val_loss"] = np.linspace(9, 1, len(many))
    assert len(thinned(many, None, sweep.measure)) == len(many), "each was the best when it came"


def test_finals_of_a_loss_have_no_per_cent_and_luck_is_a_loss_that_was_too_low(
    tmp_path: Path,
) -> None:
    folder = write_sweep(tmp_path / "sweep")
    (folder / "champion").mkdir()
    table = seed_scores(
        {
            (trial_id, seed): Final(trial_id, seed, 6, 5, 0.5, value)
            for trial_id, values in {"0008": (1.2, 1.3), "0017": (1.5, 1.6)}.items()
            for seed, value in enumerate(values)
        },
        {"0008": 1.1, "0017": 1.2},
        LOSS,
    )
    rows = [row_of(final, candidate) for candidate in table for final in candidate.finals]
    pd.DataFrame(rows).to_csv(folder / "champion" / "finals.csv", index=False)
    said, finals, luck = final_section(read_folder(folder)).blocks
    assert "the lowest mean of valid/loss" in said.text  # type: ignore[union-attr]
    assert finals.rows[0][:5] == ["0008", "1.1", "1.2", "1.3", "1.25"]  # type: ignore[union-attr]
    assert finals.rows[0][-1] == "+0.15", "it had been too low"  # type: ignore[union-attr]
    assert "%" not in str(finals.rows) and "points" not in luck.text  # type: ignore[union-attr]


def test_an_audit_asks_who_ended_below_the_best(tmp_path: Path) -> None:
    folder = write_sweep(tmp_path / "sweep")
    trials = pd.read_csv(folder / "trials.csv", dtype={"trial_id": str})
    best = trials["val_loss"].idxmin()
    trials.loc[best, "audited"] = 3
    trials.to_csv(folder / "trials.csv", index=False)
    said, shares, _, one = audit_section(read_folder(folder)).blocks
    second = trials["val_loss"].drop(best).min()
    assert "that rose above a cutoff stopped there" in said.text  # type: ignore[union-attr]
    assert shares.rows[0][:2] == (  # type: ignore[union-attr]
        f"ended below the best trial that was not audited ({second:.4g})",
        "1 of 1",
    )
    assert one.head[2] == "valid/loss then"  # type: ignore[union-attr]
    assert one.rows[0][3] == f"{trials.loc[best, 'val_loss']:.4g}"  # type: ignore[union-attr]


def test_sweeps_by_one_metric_are_compared_by_it_and_others_are_not_mixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        write_sweep(tmp_path / "same" / name)
    write_sweep(tmp_path / "mixed" / "one")
    write_sweep(tmp_path / "mixed" / "two", None)
    assert main([str(tmp_path / "same")]) == main([str(tmp_path / "mixed")]) == 0
    same, mixed = (
        (tmp_path / name / "comparison" / "report.md").read_text() for name in ("same", "mixed")
    )
    assert "** lowest valid/loss: one" in same and "## valid/loss against trials and time" in same
    assert "by valid/loss; two by val_acc. There is no common axis." in mixed
    lowest = pd.read_csv(tmp_path / "mixed" / "one" / "trials.csv")["val_loss"].min()
    assert f"{lowest:.4g}" in mixed and "highest val_acc" not in mixed


def test_wandb_is_told_the_users_name(sweep: SweepFolder) -> None:
    told = summary_of(sweep, pd.DataFrame({"claim": [], "verdict": []}))
    assert told["valid/loss"] == sweep.trials["val_loss"].min()
    assert told["val_acc"] == sweep.trials["val_acc"].iloc[0]


def test_a_share_of_the_users_is_in_per_cent_and_a_number_of_their_own_is_not(
    tmp_path: Path,
) -> None:
    f1 = Metric("val_f1", "maximize", "macro_f1")
    own = Metric("my_score", "maximize", "my_score")
    texts = []
    for metric in (f1, own):
        folder = write_sweep(tmp_path / metric.said, metric, column=metric.name)
        assert read_folder(folder).hyperparameters == ["dropout", "batch_norm"]
        texts.append((write_report(folder).parent / "report.md").read_text())
    title, *rest = texts[0].splitlines()
    assert title.endswith("% macro_f1") and not any("% macro_f1" in line for line in rest)
    assert "points more macro_f1 than" in texts[0]
    assert "%** macro_f1 of trial" in texts[0] and "the best of 48" in texts[0]
    highest = pd.read_csv(tmp_path / "my_score" / "trials.csv")["my_score"].max()
    assert f"- **{highest:.4g}** my_score of trial" in texts[1]
    assert "0.4 reaches" in texts[1] and "more my_score than 0.2" in texts[1]


@pytest.mark.parametrize("wrong", ["val_loss", {"name": "val_loss"}, {"name": 1, "goal": "up"}])
def test_a_metric_of_another_form_is_a_line(
    tmp_path: Path, wrong: object, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_sweep(tmp_path / "sweep")
    (folder / "sweep.json").write_text(json.dumps({"metric": wrong}))
    assert main([str(folder)]) == 2
    line = capsys.readouterr().err
    assert "metric" in line and "goal" in line and line.count("\n") == 1


def test_converted_tables_have_the_epoch_of_the_lowest_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs.csv").write_text("Name,lr,valid/loss\na,0.1,0.7\nb,0.2,0.4\n")
    (tmp_path / "history.csv").write_text(
        "name,epoch,valid/loss,val_acc\na,1,0.9,0.9\na,2,0.5,0.3\na,3,0.8,0.5\nb,1,0.6,0.2\n"
    )
    out = tmp_path / "out"
    files = [str(tmp_path / name) for name in ("runs.csv", "history.csv")]
    assert convert([*files, "--metric", "valid/loss", "--out", str(out)]) == 0
    assert "1 runs the table's val_loss is lower than the best" in capsys.readouterr().out
    trials = pd.read_csv(out / "trials.csv").set_index("trial_id")
    assert trials.loc["a", ["best_epoch", "val_loss", "val_acc"]].tolist() == [2, 0.5, 0.3]
    assert trials.loc["b", "val_loss"] == 0.4
    sweep = read_folder(out)
    assert sweep.measure.said == "valid/loss" and sweep.trials["trial_id"].tolist() == ["b", "a"]
    assert sweep.hyperparameters == ["lr"]
