"""Trainings as tasks of Ray, by a Ray that trains nothing."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.running import finals as pool
from cnnlib.storage.folder_lock import LockedError
from cnnlib.training.final import Job


class FakeRay:
    """Tasks that end when they are asked for, as many at a time as `ends` says."""

    def __init__(self, ends: list[int]) -> None:
        self.ends = ends
        self.started: list[Job] = []
        self.cancelled: list[Job] = []

    def remote(self, **_: Any) -> Any:
        return lambda train: SimpleNamespace(remote=self._start)

    def _start(self, task: Any, job: Job, bucket: str | None) -> Job:
        self.started.append(job)
        return job

    def put(self, task: Any) -> Any:
        return task

    def wait(self, running: list[Job], timeout: float) -> tuple[list[Job], list[Job]]:
        assert 0 < timeout <= pool.CHECKS
        count = self.ends.pop(0)
        return running[:count], running[count:]

    def get(self, job: Job) -> dict[str, Any]:
        return {"rows": [], "error": job.trial_id}

    def cancel(self, job: Job, *, force: bool) -> None:
        self.cancelled.append(job)


JOBS = [Job(f"{number:04d}", TrialConfig(), 1, Path("x")) for number in (1, 2, 3)]


def execute(check: Any) -> Any:
    resources = {"cpu": 1.0, "gpu": 0.0}
    task: Any = None
    return pool.on_ray(task, resources, bucket=None, slots=2, retries=3, seconds=None, check=check)(
        JOBS, lambda job: None
    )


def test_a_driver_that_may_not_go_on_ends_while_finals_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked too while nothing ends, and takes with it what runs."""
    ray, looks = FakeRay([0, 1, 0, 0]), 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise LockedError("taken over")

    monkeypatch.setattr(pool, "ray", ray)
    answers = execute(check)
    assert next(answers) == (JOBS[0], {"rows": [], "error": "0001"})
    with pytest.raises(LockedError, match="taken over"):
        next(answers)
    assert looks == 3 and ray.ends == [0]
    assert ray.cancelled == JOBS[1:]


def test_jobs_are_trained_some_at_once_and_each_has_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ray = FakeRay([1, 1, 1])
    monkeypatch.setattr(pool, "ray", ray)
    answers = execute(lambda: None)
    next(answers)
    assert ray.started == JOBS[:2]
    assert [job for job, _ in answers] == JOBS[1:]
    assert ray.cancelled == []
