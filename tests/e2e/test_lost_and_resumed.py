"""A real Ray: a worker is killed in the search, the driver between the finals; both go on."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch

from cnnlib.champion.champion import read_champion
from cnnlib.journal.events import journal_exists, read_events
from cnnlib.journal.replay import replay
from cnnlib.journal.scores import read_seed_scores
from cnnlib.journal.tables import read_results
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from tests.commands import Command, run
from tests.conftest import wait_until, write_photos
from tests.long.chaos import WORKER, descendants, kill

ROOT = Path(__file__).parents[2]


def count(sweep: Path, kind: str) -> int:
    return sum(e["event"] == kind for e in read_events(sweep)) if journal_exists(sweep) else 0


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep with a worker killed in its first trial, and the driver in the finals.

    Each trial has so many epochs that the first one does not end while its worker is looked for.
    """
    folder = tmp_path_factory.mktemp("finals")
    write_photos(folder / "photos", train=20)
    settings = ["first_layer_filters=2,4", "conv_layers=2,3", "num_neurons_dense=8"]
    settings += ["learning_rate=0.01", "batch_size=32", "use_augmentation=false"]
    command = [
        str(ROOT / "jobs" / "tune.py"), "--data", str(folder / "photos"),
        "--storage", str(folder), "--name", "one", "--trials", "4", "--max-epochs", "60",
        "--patience", "0", "--max-concurrent", "1", "--image-size", "8", "--wandb", "off",
        "--finalists", "2", "--seeds", "2",
        *(flag for text in settings for flag in ("--set", text)),
    ]  # fmt: skip
    driver = Command(*command)
    wait_until(lambda: count(folder / "one", "epoch") >= 5, driver)
    workers = [pid for pid, name in descendants(driver.pid).items() if name.startswith(WORKER)]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: count(folder / "one", "final"), driver)
    kill(driver.pid)
    (folder / "said").write_text(driver.ended().stdout)
    assert count(folder / "one", "champion") == 0
    answer = run(*command, "--resume")
    assert answer.returncode == 0, answer.stderr
    assert not answer.stderr
    assert " on new seeds, test " in answer.stdout.splitlines()[-1]
    return folder / "one"


def test_a_trial_whose_worker_is_killed_goes_on_from_its_last_epoch(sweep: Path) -> None:
    assert "trial 0001 lost its worker after epoch " in (sweep.parent / "said").read_text()
    results = read_results(sweep)
    assert set(results.trials["status"]) <= {"completed", "stopped"}
    assert not results.epochs.duplicated(["trial_id", "epoch"]).any()
    started = [event for event in read_events(sweep) if event["event"] == "started"]
    assert [event["trial_id"] for event in started] == ["0001", "0001", "0002", "0003", "0004"]
    first, again, *others = [event["after_epoch"] for event in started]
    assert first == sum(others) == 0
    assert again >= 5


def test_each_final_ended_once_and_the_choice_follows_from_them(sweep: Path) -> None:
    events = list(read_events(sweep))
    finals = [(e["trial_id"], e["seed"]) for e in events if e["event"] == "final"]
    assert len(finals) == len(set(finals)) == 6, "two finalists and the reference on two seeds"
    assert {seed for _, seed in finals} == {43, 44}
    assert count(sweep, "champion") == 1
    assert count(sweep, "retrained") == 2
    assert replay(events)[0] is None
    assert len(read_results(sweep).trials) == 4


def test_champion_and_reference_are_there_and_nothing_else_is_kept(sweep: Path) -> None:
    [choice] = [e for e in read_events(sweep) if e["event"] == "champion"]
    champion, reference = read_champion(sweep), read_champion(sweep / "champion" / "reference")
    assert (champion.trial_id, champion.origin) == (choice["trial_id"], "retrained")
    assert champion.val_acc == choice["mean"]
    assert reference.config.conv_layers == 3, "nearest to the study's at 8 px"
    assert len(read_seed_scores(sweep / "champion" / "finals.csv")) == 3
    images = torch.zeros(1, 3, 8, 8)
    assert CustomCNN.from_champion(sweep)(images).shape == reference.model()(images).shape
    kept = [path.name for path in (sweep / "finals").rglob("*") if path.is_file()]
    assert kept == ["best.safetensors"] * 5, "of three, and two retrained"
    metrics = json.loads((sweep / "champion" / "metrics.json").read_text())
    assert metrics["test_n"] == 9
    assert "The finals" in (sweep / "report" / "report.md").read_text()
