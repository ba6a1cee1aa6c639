"""What a sweep survives: trials that raise or kill their workers, and a disk that fills."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cnnlib import CustomDataModule, Sweep
from cnnlib.journal.events import Journal, read_events
from cnnlib.journal.replay import replay
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.settings import Settings
from cnnlib.running.sweep import run
from cnnlib.system.surroundings import cache_folder
from tests.conftest import write_photos

SMALL = ["first_layer_filters=2,4", "conv_layers=2", "num_neurons_dense=8", "learning_rate=0.01"]


def test_trials_that_raise_or_kill_every_worker_fail_and_the_sweep_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadly(config: dict, task: Any, checkpoints: Path, bucket: str | None) -> None:
        if config["trial_id"] == "0002":
            os._exit(1)
        from cnnlib.running.tuning import ray_trial

        ray_trial(config, task, checkpoints, bucket)

    monkeypatch.setattr("cnnlib.running.tuning.ray_trial", deadly)
    monkeypatch.setattr("cnnlib.running.recorder.MAX_WORKER_LOSSES", 1)
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
    raised, lost = result.trials["error"]
    assert "photographs cannot be decoded" in raised
    assert lost.startswith("its worker was lost 2 times, the last time by ")
    assert "NoneType" not in lost
    started = [e["trial_id"] for e in read_events(result.folder) if e["event"] == "started"]
    assert sorted(started) == ["0001", "0002", "0002"]
    said = capsys.readouterr().out
    assert said.count(" failed  ") == 2
    command = f"python -m cnnlib.journal {result.folder} --trial 0001"
    assert command in said
    log = subprocess.run([sys.executable, *command.split()[1:]], capture_output=True, text=True)
    assert "Traceback (most recent call last):" in log.stdout
    assert "trial 0002" not in log.stdout


def test_a_disk_that_fills_ends_the_sweep_in_a_line_and_a_notebook_goes_on_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {
        "data": write_photos(tmp_path / "photos"), "storage": tmp_path, "name": "full",
        "set": SMALL, "trials": 2, "max_epochs": 4, "patience": 0, "image_size": 8,
        "max_concurrent": 1, "wandb": "off", "finalists": 0,
    }  # fmt: skip
    append, space = Journal.append, iter(range(6))

    def full(self: Journal, event: str, **content: object) -> dict:
        if next(space, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(self, event, **content)

    with monkeypatch.context() as patch:
        patch.setattr("cnnlib.journal.events.Journal.append", full)
        result = run(make_plan(Settings(**settings)))
    assert result.trouble == "OSError: [Errno 28] No space left on device"
    assert len(list(read_events(result.folder))) == 6

    result = Sweep(**settings, resume=True).run()
    assert result.trouble is None
    assert list(result.trials["status"]) == ["completed", "completed"]
    assert list(result.epochs["epoch"]) == [1, 2, 3, 4] * 2
    assert replay(read_events(result.folder))[0] is None
    assert set(result.epochs["trial_id"]) == set(result.trials["trial_id"])
    assert result.champion is not None
    assert result.champion.val_acc == result.trials["val_acc"].max()
    photos = settings["data"] / "train"
    [images, _] = next(iter(CustomDataModule(photos, image_size=8).val_dataloader()))
    assert result.champion.model()(images).shape == (len(images), 3)
