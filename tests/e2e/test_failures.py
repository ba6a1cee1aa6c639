"""What a sweep survives: a worker that dies, and trials that raise."""

import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cnnlib.journal.events import Journal, read_events
from cnnlib.journal.replay import replay
from cnnlib.journal.tables import read_results
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.settings import Settings
from cnnlib.running.sweep import run
from cnnlib.system.surroundings import cache_folder
from tests.conftest import HANG, wait_until, write_photos
from tests.long.chaos import WORKER, descendants

ROOT = Path(__file__).parents[2]
SMALL = ["first_layer_filters=2,4", "conv_layers=2", "num_neurons_dense=8", "learning_rate=0.01"]


def test_a_trial_whose_worker_is_killed_goes_on_from_its_last_epoch(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    sets = [flag for text in SMALL for flag in ("--set", text)]
    driver = subprocess.Popen(
        [
            sys.executable, str(ROOT / "jobs" / "tune.py"), "--data", str(tmp_path / "photos"),
            "--storage", str(tmp_path), "--name", "killed", "--trials", "2", "--max-epochs", "60",
            "--patience", "0", "--image-size", "8", "--wandb", "off", "--max-concurrent", "1",
            "--finalists", "0",
            *sets,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    sweep = tmp_path / "killed"

    def num_epochs() -> int:
        events = list(read_events(sweep)) if (sweep / "journal").is_dir() else []
        return sum(event["event"] == "epoch" for event in events)

    wait_until(lambda: num_epochs() >= 5, driver)
    workers = [
        pid for pid, command in descendants(driver.pid).items() if command.startswith(WORKER)
    ]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    said, complained = driver.communicate(timeout=HANG)
    assert driver.returncode == 0, complained
    assert "trial 0001 lost its worker after epoch " in said
    results = read_results(sweep)
    assert set(results.trials["status"]) <= {"completed", "stopped"}
    assert not results.epochs.duplicated(["trial_id", "epoch"]).any()
    starts = [event["trial_id"] for event in read_events(sweep) if event["event"] == "started"]
    assert sorted(starts) == ["0001", "0001", "0002"]
    again = [e["after_epoch"] for e in read_events(sweep) if e["event"] == "started"]
    assert again[0] == again[2] == 0
    assert again[1] >= 5
    assert replay(read_events(sweep))[0] is None


def test_a_trial_that_kills_every_worker_fails_and_the_sweep_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadly(config: dict, task: object, checkpoints: Path) -> None:
        os._exit(1)

    monkeypatch.setattr("cnnlib.running.tuning.ray_trial", deadly)
    monkeypatch.setattr("cnnlib.running.recorder.MAX_WORKER_LOSSES", 1)
    plan = make_plan(Settings(
        data=write_photos(tmp_path / "photos"), storage=tmp_path, name="deadly", set=SMALL,
        trials=2, max_epochs=2, image_size=8, wandb="off", finalists=0,
    ))  # fmt: skip
    result = run(plan)
    assert list(result.trials["status"]) == ["failed", "failed"]
    for error in result.trials["error"]:
        assert error.startswith("its worker was lost 2 times, the last time by ")
        assert "NoneType" not in error
    events = [event["event"] for event in read_events(result.folder)]
    assert events.count("started") == 4


def test_trials_that_raise_are_recorded_with_their_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = write_photos(tmp_path / "photos")
    plan = make_plan(Settings(
        data=photos, storage=tmp_path, name="failed", set=SMALL, trials=2, max_epochs=2,
        image_size=8, wandb="off", finalists=0,
    ))  # fmt: skip
    for file in [*photos.rglob("*.png"), *(cache_folder() / "pixels").glob("*-8px-*")]:
        file.unlink()
    result = run(plan)
    assert list(result.trials["status"]) == ["failed", "failed"]
    assert result.champion is None
    assert all("photographs cannot be decoded" in error for error in result.trials["error"])
    said = capsys.readouterr().out
    assert said.count(" failed  ") == 2
    command = f"python -m cnnlib.journal {result.folder} --trial 0001"
    assert command in said
    log = subprocess.run([sys.executable, *command.split()[1:]], capture_output=True, text=True)
    assert "Traceback (most recent call last):" in log.stdout
    assert "trial 0002" not in log.stdout


def test_a_disk_that_fills_ends_the_sweep_in_a_line_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        data=write_photos(tmp_path / "photos"), storage=tmp_path, name="full", set=SMALL,
        trials=2, max_epochs=4, patience=0, image_size=8, max_concurrent=1, wandb="off",
        finalists=0,
    )  # fmt: skip
    append, space = Journal.append, iter(range(6))

    def full(self: Journal, event: str, **content: object) -> dict:
        if next(space, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(self, event, **content)

    with monkeypatch.context() as patch:
        patch.setattr("cnnlib.journal.events.Journal.append", full)
        result = run(make_plan(settings))
    assert result.trouble == "OSError: [Errno 28] No space left on device"
    assert len(list(read_events(result.folder))) == 6

    result = run(make_plan(replace(settings, resume=True)))
    assert result.trouble is None
    assert list(result.trials["status"]) == ["completed", "completed"]
    assert list(result.epochs["epoch"]) == [1, 2, 3, 4] * 2
    assert replay(read_events(result.folder))[0] is None
