"""What a sweep does between its parts; the whole way is in tests/e2e."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnlib.journal.finals import read_finals
from cnnlib.journal.mirror import Mirror
from cnnlib.planning.plan import Plan
from cnnlib.running import sweep as running
from cnnlib.running.sweep import _fetch_weights, run
from cnnlib.storage.folder_lock import NAME, LockedError
from cnnlib.storage.training_files import BEST, TrialFiles
from tests.running.test_finals import Executor, hold, plan, searched  # noqa: F401


def test_who_crowns_on_another_machine_has_the_weights_that_others_trained(
    plan: Plan,  # noqa: F811
    tmp_path: Path,
    disk: str,
) -> None:
    sweep = searched()
    hold(plan, sweep, Executor())
    bucket = f"{disk}/s"
    for folder in (plan.folder / "finals").iterdir():
        TrialFiles(f"{bucket}/finals/{folder.name}", folder).send()
    other = replace(plan, folder=tmp_path / "other" / "s", mirror=Mirror(bucket, tmp_path / "s"))
    finals = read_finals(sweep.events, sweep.ledger)
    _fetch_weights(other, bucket, "0001", finals)
    for entrant in (finals.winner, finals.reference):
        assert entrant is not None
        taken = finals.taken(other.folder, entrant, retrained=True)
        content = (taken.folder / BEST).read_text()
        assert entrant.trial_id in content and "on all photographs" in content


@pytest.mark.parametrize("then", [KeyboardInterrupt(), OSError("the disk is gone"), None])
def test_who_is_taken_over_ends_no_run_of_the_others_and_writes_no_table(
    then: BaseException | None,
    plan: Plan,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[str] = []
    now = time.time()
    theirs = {"host": "elsewhere", "pid": 7, "driver": "x", "since": now, "alive": now}

    class Tracking:
        def __init__(self, *_: Any, check: Any, **__: Any) -> None:
            self._check = check

        def know(self, events: Any) -> None:
            pass

        def close(self) -> None:
            with pytest.raises(LockedError, match="was taken over by elsewhere"):
                self._check()
            ended.append("not the other's")

    @contextmanager
    def session(verbose: bool) -> Iterator[None]:
        fresh = plan.folder / "fresh"
        fresh.write_text(json.dumps(theirs))
        os.replace(fresh, plan.folder / NAME)
        if then:
            raise then
        yield

    monkeypatch.setattr(running, "Tracking", Tracking)
    monkeypatch.setattr(running, "session", session)
    monkeypatch.setattr(running, "task_of", lambda *_: (None, {"cpu": 1, "gpu": 0}))
    with pytest.raises(LockedError, match="was taken over by elsewhere"):
        run(plan)
    assert ended == ["not the other's"]
    assert not (plan.folder / "trials.csv").exists()
    assert json.loads((plan.folder / NAME).read_text()) == theirs
