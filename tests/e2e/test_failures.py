"""What a sweep survives: trials that raise or kill their workers, and a disk that fills."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnlib import CustomDataModule, Sweep
from cnnlib.journal.events import Journal, read_events
from cnnlib.journal.replay import replay
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.settings import Settings
from cnnlib.running.sweep import run
from tests.conftest import write_photos

SMALL = ["first_layer_filters=2,4", "conv_layers=2", "num_neurons_dense=8", "learning_rate=0.01"]


def faulty(config: dict, task: Any, checkpoints: Path, bucket: str | None) -> None:
    """What Ray runs in place of a trial: the first has broken photographs, the second kills."""
    from cnnlib.running import tuning

    if config["trial_id"] == "0002":
        os._exit(1)
    if config["trial_id"] == "0001":
        train = replace(
            task.dataset.train, files=[Path("gone.png")] * len(task.dataset.train.files)
        )
        task = replace(task, dataset=replace(task.dataset, train=train, fingerprint="another"))
    tuning.ray_trial(config, task, checkpoints, bucket)


def test_trials_that_fail_and_a_disk_that_fills_cost_no_others_and_a_notebook_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {
        "data": write_photos(tmp_path / "photos"), "storage": tmp_path, "name": "full",
        "set": SMALL, "trials": 3, "max_epochs": 4, "patience": 0, "image_size": 8,
        "max_concurrent": 1, "wandb": "off", "finalists": 0,
    }  # fmt: skip
    append, is_full = Journal.append, False

    def filling(self: Journal, event: str, **content: Any) -> dict:
        nonlocal is_full
        is_full |= content.get("epoch") == 3
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return append(self, event, **content)

    with monkeypatch.context() as patch:
        patch.setattr("cnnlib.running.tuning.ray_trial", faulty)
        patch.setattr("cnnlib.running.recorder.MAX_WORKER_LOSSES", 1)
        patch.setattr("cnnlib.journal.events.Journal.append", filling)
        result = run(make_plan(Settings(**settings)))
    assert result.trouble == "OSError: [Errno 28] No space left on device"
    events = list(read_events(result.folder))
    assert (events[-1]["trial_id"], events[-1]["epoch"]) == ("0003", 2)
    started = [event["trial_id"] for event in events if event["event"] == "started"]
    assert started == ["0001", "0002", "0002", "0003"]
    said = capsys.readouterr().out
    assert said.count(" failed  ") == 2
    command = f"python -m cnnlib.journal {result.folder} --trial 0001"
    assert command in said
    log = subprocess.run([sys.executable, *command.split()[1:]], capture_output=True, text=True)
    assert "Traceback (most recent call last):" in log.stdout
    assert "trial 0002" not in log.stdout

    result = Sweep(**settings, resume=True).run()
    assert result.trouble is None
    assert list(result.trials["status"]) == ["failed", "failed", "completed"]
    raised, lost = result.trials["error"][:2]
    assert "photographs cannot be decoded" in raised
    assert lost.startswith("its worker was lost 2 times, the last time by ")
    assert "NoneType" not in lost
    assert list(result.epochs["epoch"]) == [1, 2, 3, 4]
    assert replay(read_events(result.folder))[0] is None
    assert set(result.epochs["trial_id"]) == {"0003"}
    assert result.champion is not None
    assert result.champion.val_acc == result.trials["val_acc"].max()
    photos = settings["data"] / "train"
    [images, _] = next(iter(CustomDataModule(photos, image_size=8).val_dataloader()))
    assert result.champion.model()(images).shape == (len(images), 3)
