from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.running.tuning import ray_trial
from cnnlib.training.trial import disk_is_full
from tests.training.test_trial import SMALL, task


def test_a_full_disk_is_known_from_other_errors() -> None:
    full = OSError(28, "No space left on device")
    wrapped = RuntimeError("write failed")
    wrapped.__cause__ = full
    assert disk_is_full(full)
    assert disk_is_full(wrapped)
    assert disk_is_full(OSError(30, "Read-only file system"))
    assert not disk_is_full(FileNotFoundError(2, "No such file or directory"))
    assert not disk_is_full(RuntimeError("CUDA out of memory"))


@pytest.fixture
def dashboard(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Ray's dashboard would be told."""
    told: list[str] = []
    monkeypatch.setattr("cnnlib.running.tuning._name_process", told.append)
    monkeypatch.setattr("cnnlib.running.tuning._show_epoch", lambda trial, row: told.append(trial))
    return told


def test_a_trial_that_raises_reports_the_reason_in_one_line(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dashboard: list[str]
) -> None:
    reports: list[dict[str, Any]] = []
    monkeypatch.setattr("ray.tune.report", reports.append)
    (tmp_path / "file").touch()
    config = {
        "trial_id": "0001", "name": "small", "max_epochs": 3, "after_epoch": 0,
        **asdict(TrialConfig(**SMALL)),
    }  # fmt: skip
    ray_trial(config, task(photos), tmp_path / "file")
    [report] = reports
    assert report["error"].startswith("NotADirectoryError: ")
    assert "\n" not in report["error"]
    assert not report["disk"]


def test_only_epochs_that_are_not_known_are_reported(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dashboard: list[str]
) -> None:
    reports: list[dict[str, Any]] = []
    monkeypatch.setattr("ray.tune.report", reports.append)
    own = {"trial_id": "0001", "name": "small", "max_epochs": 4}
    config = TrialConfig(**SMALL)
    ray_trial({**own, "after_epoch": 0, **asdict(config)}, task(photos, max_epochs=9), tmp_path)
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4]
    assert set(dashboard) == {"0001 small"}
    reports.clear()
    ray_trial({**own, "after_epoch": 2, **asdict(config)}, task(photos, max_epochs=9), tmp_path)
    assert [report["epoch"] for report in reports] == [3, 4]


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), [1]),
        (torch.OutOfMemoryError("CUDA out of memory"), []),
    ],
)
def test_a_broken_gpu_ends_the_process_before_the_next_trial_gets_it(
    error: Exception, ends: list[int], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    reports: list[dict[str, Any]] = []
    ended: list[int] = []
    monkeypatch.setattr("ray.tune.report", reports.append)
    monkeypatch.setattr("cnnlib.running.tuning.train", fails)
    monkeypatch.setattr("cnnlib.running.tuning.os._exit", ended.append)
    own = {"trial_id": "0001", "name": "small", "max_epochs": 3, "after_epoch": 0}
    ray_trial({**own, **asdict(TrialConfig(**SMALL))}, task(photos), tmp_path)
    assert ended == ends
    assert len(reports) == 1 - len(ends), "Ray starts lost workers again, and they go on"
