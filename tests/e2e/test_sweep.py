"""The whole way on real files: photographs in, champion, W&B records and report out.

And the same sweep killed and gone on with; `make chaos` does it more often, to more of its parts.
"""

import json
import os
import re
import signal
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from cnnlib.journal.events import read_events
from cnnlib.journal.ledger import read_ledger
from cnnlib.journal.replay import replay
from cnnlib.journal.tables import openings, read_results
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.families import told
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.search.space import searched
from cnnlib.storage.training_files import BEST, epoch_of
from tests.commands import Command, run
from tests.conftest import wait_until, write_photos
from tests.long.chaos import check_same, num_events
from tests.wandb_files import read_offline_runs

ROOT = Path(__file__).parents[2]
SWEEP = """
method: bayes
metric: {name: val_acc, goal: maximize}
early_terminate: {type: hyperband, min_iter: 1, eta: 2}
run_cap: 10
parameters:
  first_layer_filters: {values: [2, 4, 8]}
  filter_org: {values: [1.0, 0.25]}
  conv_layers: {values: [2, 3]}
  num_neurons_dense: {value: 8}
  batch_size: {value: 8}
  learning_rate: {values: [1e-8, 1e-7, 1e-2, 2e-2]}  # nothing is learnt with two of them
  dropout: {distribution: uniform, min: 0.1, max: 0.3}
  max_epochs: {value: 4}
  image_size: {value: 8}
"""


def command(folder: Path, name: str, *flags: str) -> list[str]:
    return [
        str(ROOT / "jobs" / "tune.py"), "--data", str(folder / "photos"),
        "--sweep", str(folder / "sweep.yaml"), "--storage", str(folder / "results"),
        "--name", name, "--finalists", "0", "--max-concurrent", "1", *flags,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("e2e")
    write_photos(folder / "photos", train=30)
    (folder / "sweep.yaml").write_text(SWEEP)
    return folder


@pytest.fixture(scope="module")
def sweep(folder: Path) -> tuple[Path, str]:
    """A finished sweep's folder, and what it printed; one trial at a time, so it is repeatable."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("WANDB")}
    answer = run(*command(folder, "one", "--wandb", "offline"), env=environment)
    assert answer.returncode == 0, answer.stderr
    assert not answer.stderr, "no noise of the libraries"
    return folder / "results" / "one", answer.stdout


def test_each_trials_best_epoch_has_its_recall_by_class(sweep: tuple[Path, str]) -> None:
    results = read_results(sweep[0])
    counted = results.class_recalls.groupby("trial_id").size()
    assert set(counted.index) == set(results.trials["trial_id"])
    assert set(counted % 3) == {0}, "three classes, at each epoch that was the best so far"


def test_the_first_line_says_what_will_happen_and_the_last_what_came_of_it(
    sweep: tuple[Path, str],
) -> None:
    path, said = sweep
    lines = said.splitlines()
    assert lines[0].startswith("10 trials of endless configurations (5 hyperparameters, tpe) on ")
    assert lines[0].endswith(f"-> {path}")
    assert re.fullmatch(
        rf"champion: trial \d{{4}}, val_acc [\d.]+, test [\d.]+ \([\d.]+ to [\d.]+, 9 photographs\)"
        rf"; report: {path}/report/index\.html",
        lines[-1],
    )
    assert len([line for line in lines if " started " in line]) == 10
    assert "10/10 done, 0 running" in said


def test_every_trial_is_in_the_tables_and_asha_stopped_some(sweep: tuple[Path, str]) -> None:
    results = read_results(sweep[0])
    assert list(results.trials["trial_id"]) == [f"{n:04d}" for n in range(1, 11)]
    assert set(results.trials["status"]) == {"completed", "stopped"}
    shown = [n for n, h in hyperparameters(TrialConfig).items() if not h.quiet]
    assert results.hyperparameters == shown
    assert results.trials.set_index("trial_id")["epochs"].to_dict() == (
        results.epochs.groupby("trial_id").size().to_dict()
    )
    written = pd.read_csv(sweep[0] / "trials.csv", dtype={"trial_id": str})
    pd.testing.assert_series_equal(written["val_acc"], results.trials["val_acc"])
    assert not results.trials.duplicated(results.hyperparameters).any()


def test_a_stopped_trial_was_below_its_cutoff(sweep: tuple[Path, str]) -> None:
    epochs = read_results(sweep[0]).epochs
    stops = [event for event in read_events(sweep[0]) if event["event"] == "stopped"]
    assert stops
    for stop in stops:
        curve = epochs[epochs["trial_id"] == stop["trial_id"]]
        assert curve["epoch"].max() == stop["rung"]
        assert curve["val_acc"].max() < stop["cutoff"]


def test_the_champion_is_the_best_trial_and_its_weights_are_there(sweep: tuple[Path, str]) -> None:
    path = sweep[0]
    best = read_results(path).best()
    assert best is not None
    config = json.loads((path / "champion" / "config.json").read_text())
    assert config["trial_id"] == best["trial_id"]
    assert config["val_acc"] == best["val_acc"]
    weights = load_file(path / "champion" / "weights.safetensors")
    assert weights["network.0.weight"].shape[0] == best["first_layer_filters"]
    kept = [folder.name for folder in (path / "checkpoints").iterdir()]
    assert kept == [best["trial_id"]], "the weights of the others are gone"
    metrics = json.loads((path / "champion" / "metrics.json").read_text())
    assert metrics["test_n"] == 9


def test_wandbs_offline_files_hold_every_trials_curves(sweep: tuple[Path, str]) -> None:
    results = read_results(sweep[0])
    runs = {name.rpartition("-")[2]: each for name, each in read_offline_runs(sweep[0]).items()}
    assert len(runs) == len(results.trials)
    for row in results.trials.to_dict("records"):
        sent = runs[row["trial_id"]]
        assert sent.group == "one"
        assert sent.config == told({name: row[name] for name in results.hyperparameters})
        curve = results.epochs[results.epochs["trial_id"] == row["trial_id"]]
        assert [point["val_acc"] for point in sent.history] == list(curve["val_acc"])
        assert [point["epoch"] for point in sent.history] == list(curve["epoch"])


def test_sweep_json_says_how_it_was_run(sweep: tuple[Path, str]) -> None:
    about = json.loads((sweep[0] / "sweep.json").read_text())
    assert about["rungs"] == [1, 2]
    assert about["data"]["classes"] == ["blue", "green", "red"]
    assert about["data"]["test"] == 9
    assert about["seconds"] > 0
    assert {"torch", "ray", "hyperopt"} <= about["versions"].keys()


def test_the_report_is_written_again_on_request(sweep: tuple[Path, str]) -> None:
    page = sweep[0] / "report" / "index.html"
    assert page.is_file()
    page.unlink()
    answer = run(ROOT / "analysis" / "report.py", sweep[0])
    assert answer.returncode == 0, answer.stderr
    assert page.is_file()
    assert answer.stdout.splitlines()[-1].endswith("index.html")


def test_an_existing_sweep_is_not_touched(folder: Path, sweep: tuple[Path, str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in sweep[0].rglob("*") if p.is_file()}
    answer = run(*command(folder, "one"))
    assert answer.returncode == 2
    assert "one exists; nothing is overwritten" in answer.stderr
    assert {p: p.stat().st_mtime_ns for p in sweep[0].rglob("*") if p.is_file()} == before


def interrupted(folder: Path, name: str, by: int, *flags: str, epochs: int) -> tuple[Path, str]:
    """A sweep that gets a signal after so many epochs: its folder, and what it printed."""
    process = Command(*command(folder, name, "--max-epochs", "400", "--patience", "0", *flags))
    sweep = folder / "results" / name

    def has_begun() -> bool:
        return sum(event["event"] == "epoch" for event in _events(sweep)) > epochs

    wait_until(has_begun, process)
    process.send_signal(by)
    answer = process.ended()
    assert answer.returncode == 130, answer.stderr
    return sweep, answer.stdout


def test_ctrl_c_ends_soon_and_leaves_usable_results(folder: Path) -> None:
    flags = ["--wandb", "offline", "--set", "dropout=0.1"]
    journal, said = interrupted(folder, "interrupted", signal.SIGINT, *flags, epochs=20)
    assert "interrupted; go on by the same command with --resume; what was reached: " in said
    results = read_results(journal)
    assert "running" in set(results.trials["status"])
    assert (journal / "trials.csv").is_file()
    best = results.best()
    assert best is not None
    # A worker may have saved an epoch that the driver was not told any more.
    is_known = epoch_of(journal / "checkpoints" / best["trial_id"] / BEST) == best["best_epoch"]
    assert (journal / "champion" / "weights.safetensors").is_file() == is_known
    answer = run(ROOT / "analysis" / "report.py", journal)
    assert answer.returncode == 0, answer.stderr
    assert ("the sweep has not ended, so its champion is not tested" in answer.stderr) == is_known
    assert not openings(journal)


def _events(path: Path) -> list[dict]:
    return list(read_events(path)) if (path / "journal").is_dir() else []


@pytest.fixture(scope="module")
def resumed(folder: Path, sweep: tuple[Path, str]) -> Path:
    """The same sweep, killed, gone on with, stopped as a job is, and gone on with to its end."""
    path = folder / "results" / "two"
    flags = ["--wandb", "offline"]
    for goal, by in ((9, signal.SIGKILL), (27, signal.SIGTERM)):  # events: in some early trials
        driver = Command(*command(folder, "two", *flags))
        wait_until(lambda goal=goal: num_events(path) >= goal, driver)
        driver.send_signal(by)
        answer = driver.ended()
        assert num_events(path) < num_events(sweep[0])
        flags = ["--wandb", "offline", "--resume"]
    assert answer.returncode == 130
    assert "interrupted; go on by the same command with --resume" in answer.stdout
    assert _events(path)[-1] | {"time": ""} == {
        "event": "closed",
        "reason": "interrupted",
        "time": "",
    }
    answer = run(*command(folder, "two", *flags))
    assert answer.returncode == 0, answer.stderr
    assert not answer.stderr
    return path


def test_a_killed_sweep_ends_as_the_unbroken_one_to_the_last_digit(
    sweep: tuple[Path, str], resumed: Path
) -> None:
    one, two = list(read_events(sweep[0])), list(read_events(resumed))
    assert sum(event["event"] == "resumed" for event in two) == 2
    check_same(two, one)
    weights = [load_file(p / "champion" / "weights.safetensors") for p in (sweep[0], resumed)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_its_journal_replays_and_tells_what_happened(resumed: Path) -> None:
    story = run("-m", "cnnlib.journal", str(resumed))
    assert story.stdout.count(" resumed  ") == 2
    answer = run("-m", "cnnlib.journal", str(resumed), "--replay")
    assert answer.returncode == 0, answer.stdout
    assert answer.stdout.startswith("every decision follows from the journal: 10 proposals, ")


def test_wandb_holds_each_trial_and_each_epoch_of_it_once(resumed: Path) -> None:
    ledger = read_ledger(read_events(resumed), write=lambda event, **content: {})
    epochs = read_results(resumed).epochs
    runs = {n.rpartition("-")[2]: each for n, each in read_offline_runs(resumed).items()}
    assert sorted(runs) == list(ledger.trials)
    for trial_id, trial in ledger.trials.items():
        curve = epochs[epochs["trial_id"] == trial_id].drop(columns="trial_id")
        sent = runs[trial_id]
        assert sent.history == curve.to_dict("records")
        assert sent.config == told(asdict(trial.config), searched(ledger.terms.space))
        assert (sent.summary["status"], sent.exit_code) == (trial.status, 0)
        assert sent.summary["best_epoch"] == trial.best_epoch


def test_what_no_trial_needs_is_not_kept(resumed: Path) -> None:
    best = read_results(resumed).best()
    assert best is not None
    kept = [path.relative_to(resumed) for path in resumed.rglob("checkpoints/*/*")]
    assert kept == [Path("checkpoints", best["trial_id"], "best.safetensors")]


def test_a_finished_sweep_is_extended_and_another_one_refused(folder: Path, resumed: Path) -> None:
    before = [e for e in read_events(resumed) if e["event"] == "started"]
    flags = ["--wandb", "offline", "--resume"]
    answer = run(*command(folder, "two", *flags, "--trials", "11"))
    assert answer.returncode == 0, answer.stderr
    assert "going on: 10 trials ended, 0 were interrupted" in answer.stdout
    started = [e["trial_id"] for e in read_events(resumed) if e["event"] == "started"]
    assert started == [e["trial_id"] for e in before] + ["0011"]

    refused = run(*command(folder, "two", *flags, "--set", "conv_layers=2"))
    assert refused.returncode == 2
    assert refused.stderr == (
        "ValueError: --resume: this is another sweep: conv_layers was 2 or 3 and is now 2\n"
    )


def test_the_sweeps_of_make_chaos_run_and_replay(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    fake = str(ROOT / "tests" / "e2e" / "fake_sweep.py")
    few = ["--trials", "3", "--epochs", "2", "--audit", "0.3"]
    answer = run(fake, str(tmp_path / "photos"), str(tmp_path), "one", *few)
    assert answer.returncode == 0, answer.stderr
    assert len((tmp_path / "one" / "computed").read_text().split("\n")) > 3
    assert set(read_results(tmp_path / "one").trials["status"]) <= {"completed", "stopped"}
    assert replay(read_events(tmp_path / "one"))[0] is None


def test_one_configuration_is_trained_from_a_champions_file(
    folder: Path, sweep: tuple[Path, str], tmp_path: Path
) -> None:
    out = tmp_path / "trained"
    answer = run(
        ROOT / "jobs" / "train.py", "--data", folder / "photos",
        "--config", sweep[0] / "champion" / "config.json", "--image-size", "8",
        "--max-epochs", "4", "--out", out, "--wandb", "offline",
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    config = json.loads((sweep[0] / "champion" / "config.json").read_text())
    assert json.loads((out / "config.json").read_text())["config"] == config["config"]
    assert (out / "best_model.ckpt").is_file()
    assert CustomCNN.from_champion(out).image_size == 8
    assert "# Trained network" in (out / "MODEL_CARD.md").read_text()
    epochs = pd.read_csv(out / "epochs.csv")
    assert json.loads((out / "metrics.json").read_text())["val_acc"] == epochs["val_acc"].max()
    assert answer.stdout.startswith("layer ")
    assert answer.stdout.count("epoch ") >= len(epochs)
    [tracked] = read_offline_runs(out).values()
    assert [point["epoch"] for point in tracked.history] == list(epochs["epoch"])
    assert re.search(r"best: val_acc [\d.]+ at epoch \d+; weights: ", answer.stdout)
