"""Sweeps that are killed and go on; `make chaos` does it more often and to more of their parts."""

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cnnlib.journal.events import read_events
from cnnlib.journal.ledger import read_ledger
from cnnlib.journal.replay import replay
from cnnlib.journal.tables import read_results
from cnnlib.networks.families import told
from cnnlib.search.space import searched
from tests.conftest import HANG, wait_until, write_photos
from tests.long.chaos import check_same, kill, num_events
from tests.wandb_files import read_offline_runs

ROOT = Path(__file__).parents[2]
SWEEP = """
method: bayes
early_terminate: {type: hyperband, min_iter: 2, eta: 2}
run_cap: 6
parameters:
  first_layer_filters: {values: [2, 4]}
  conv_layers: {values: [2, 3]}
  num_neurons_dense: {value: 8}
  batch_size: {value: 8}
  learning_rate: {values: [1e-4, 1e-2]}
  dropout: {min: 0.1, max: 0.3}
  max_epochs: {value: 5}
  image_size: {value: 8}
"""


def command(folder: Path, name: str, *flags: str) -> list[str]:
    return [
        sys.executable, str(ROOT / "jobs" / "tune.py"), "--data", str(folder / "photos"),
        "--sweep", str(folder / "sweep.yaml"), "--storage", str(folder), "--name", name,
        "--max-concurrent", "1", "--wandb", "offline", "--finalists", "0", *flags,
    ]  # fmt: skip


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an unbroken sweep `a`, and `b`, the same killed twice and resumed."""
    folder = tmp_path_factory.mktemp("resume")
    write_photos(folder / "photos", train=20)
    (folder / "sweep.yaml").write_text(SWEEP)
    answer = run(*command(folder, "a"))
    assert answer.returncode == 0, answer.stderr
    flags: list[str] = []
    for goal in (9, 27):  # events: in the second trial, and some trials later
        driver = subprocess.Popen(command(folder, "b", *flags), stdout=subprocess.DEVNULL)
        wait_until(lambda goal=goal: num_events(folder / "b") >= goal, driver)
        kill(driver.pid)
        driver.wait()
        assert num_events(folder / "b") < num_events(folder / "a")
        flags = ["--resume"]
    answer = run(*command(folder, "b", "--resume"))
    assert answer.returncode == 0, answer.stderr
    assert not answer.stderr
    return folder


def test_a_killed_sweep_ends_as_the_unbroken_one_to_the_last_digit(folder: Path) -> None:
    one, two = (list(read_events(folder / name)) for name in "ab")
    assert sum(event["event"] == "resumed" for event in two) == 2
    check_same(two, one)
    weights = [load_file(folder / n / "champion" / "weights.safetensors") for n in "ab"]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_its_journal_replays_and_tells_what_happened(folder: Path) -> None:
    story = run(sys.executable, "-m", "cnnlib.journal", str(folder / "b"))
    assert story.stdout.count(" resumed  ") == 2
    answer = run(sys.executable, "-m", "cnnlib.journal", str(folder / "b"), "--replay")
    assert answer.returncode == 0, answer.stdout
    assert answer.stdout.startswith("every decision follows from the journal: 6 proposals, ")


def test_wandb_holds_each_trial_and_each_epoch_once(folder: Path) -> None:
    ledger = read_ledger(read_events(folder / "b"), write=lambda event, **content: {})
    epochs = read_results(folder / "b").epochs
    runs = {n.rpartition("-")[2]: run for n, run in read_offline_runs(folder / "b").items()}
    assert sorted(runs) == list(ledger.trials)
    for trial_id, trial in ledger.trials.items():
        curve = epochs[epochs["trial_id"] == trial_id].drop(columns="trial_id")
        run = runs[trial_id]
        assert run.history == curve.to_dict("records")
        assert run.config == told(asdict(trial.config), searched(ledger.terms.space))
        assert (run.summary["status"], run.exit_code) == (trial.status, 0)
        assert run.summary["best_epoch"] == trial.best_epoch


def test_what_no_trial_needs_is_not_kept(folder: Path) -> None:
    best = read_results(folder / "b").best()
    assert best is not None
    kept = [path.relative_to(folder / "b") for path in (folder / "b").rglob("checkpoints/*/*")]
    assert kept == [Path("checkpoints", best["trial_id"], "best.safetensors")]


def test_a_finished_sweep_is_extended_and_another_one_refused(folder: Path) -> None:
    before = [e for e in read_events(folder / "b") if e["event"] == "started"]
    answer = run(*command(folder, "b", "--resume", "--trials", "7"))
    assert answer.returncode == 0, answer.stderr
    assert "going on: 6 trials ended, 0 were interrupted" in answer.stdout
    started = [e["trial_id"] for e in read_events(folder / "b") if e["event"] == "started"]
    assert started == [e["trial_id"] for e in before] + ["0007"]

    refused = run(*command(folder, "b", "--resume", "--set", "conv_layers=2"))
    assert refused.returncode == 2
    assert refused.stderr == (
        "ValueError: --resume: this is another sweep: conv_layers was 2 or 3 and is now 2\n"
    )


def test_the_sweeps_of_make_chaos_run_and_replay(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    fake = str(ROOT / "tests" / "e2e" / "fake_sweep.py")
    few = ["--trials", "3", "--epochs", "2", "--audit", "0.3"]
    answer = run(sys.executable, fake, str(tmp_path / "photos"), str(tmp_path), "one", *few)
    assert answer.returncode == 0, answer.stderr
    assert len((tmp_path / "one" / "computed").read_text().split("\n")) > 3
    assert set(read_results(tmp_path / "one").trials["status"]) <= {"completed", "stopped"}
    assert replay(read_events(tmp_path / "one"))[0] is None
