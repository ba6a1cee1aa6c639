import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cnnlib.storage.folder_lock import EXPIRES, NAME, FolderLock, LockedError, read_lock

ROOT = Path(__file__).parents[2]
HOLDER = """if True:
    import pathlib, sys, time
    from cnnlib.storage.folder_lock import FolderLock
    lock = FolderLock(pathlib.Path(sys.argv[1]))
    print("claimed", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has claimed tmp_path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "claimed\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_driver_is_refused_with_the_firsts_host_and_age(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    lock = read_lock(tmp_path / NAME)
    assert lock is not None
    message = rf"written by process {holder.pid} on {lock['host']}, for \d+ s, last seen \d s ago"
    with pytest.raises(LockedError, match=message):
        FolderLock(tmp_path)
    assert read_lock(tmp_path / NAME) == lock


def test_the_claim_of_a_killed_process_expires_at_once(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    FolderLock(tmp_path).release()


def test_a_released_claim_is_free(tmp_path: Path) -> None:
    FolderLock(tmp_path).release()
    assert read_lock(tmp_path / NAME) is None
    FolderLock(tmp_path).release()


def test_another_machines_driver_lives_as_long_as_it_shows(tmp_path: Path) -> None:
    def write(silent: float) -> None:
        now = time.time()
        lock = {"host": "elsewhere", "pid": 7, "since": now - 500, "alive": now - silent}
        (tmp_path / NAME).write_text(json.dumps(lock))

    write(EXPIRES - 5)
    with pytest.raises(LockedError, match="process 7 on elsewhere, for 500 s, last seen 55 s ago"):
        FolderLock(tmp_path)
    write(EXPIRES + 5)
    FolderLock(tmp_path).release()


def test_signs_of_life_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnlib.storage.folder_lock.HEARTBEAT", 0.01)
    lock = FolderLock(tmp_path)
    first = read_lock(tmp_path / NAME)
    deadline = time.monotonic() + 10
    while read_lock(tmp_path / NAME) == first and time.monotonic() < deadline:
        time.sleep(0.01)
    last = read_lock(tmp_path / NAME)
    lock.release()
    assert first is not None and last is not None
    assert last["alive"] > first["alive"] and last["since"] == first["since"]


def taken(folder: Path, **changes: object) -> dict[str, object]:
    """Another machine's driver writes its lock over the one that is there."""
    now = time.time()
    lock = {"host": "desk", "pid": 7, "driver": "b", "since": now, "alive": now} | changes
    (folder / NAME).write_text(json.dumps(lock))
    return lock


def test_who_was_taken_over_learns_it_and_writes_nothing_over_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.storage.folder_lock.HEARTBEAT", 0.01)
    lock = FolderLock(tmp_path)
    lock.check()
    other = taken(tmp_path, since=1.8e9)
    said = r"was taken over by desk \(process 7\) at 2027-01-15 \d\d:\d\d:\d\d; this one ends"
    with pytest.raises(LockedError, match=said):
        lock.check()
    lock._thread.join()  # it gives no sign of life any more
    (tmp_path / NAME).write_text("")  # and the other one has ended
    with pytest.raises(LockedError, match=said):
        lock.check()
    taken(tmp_path, since=1.8e9, alive=other["alive"])
    lock.release()
    assert read_lock(tmp_path / NAME) == other


def test_who_was_taken_over_by_one_that_has_ended_learns_it_too(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    (tmp_path / NAME).write_text("")
    with pytest.raises(LockedError, match="taken over by another driver, which has ended"):
        lock.check()
    lock.release()


def test_a_claim_that_was_deleted_is_nobodys_else(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    (tmp_path / NAME).unlink()
    lock.check()
    lock.release()


def test_who_has_slept_asks_where_the_copy_is_before_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[bool]()

    def elsewhere(ask: bool) -> str | None:
        asked.append(ask)
        return "s3://x was taken over" if ask else None

    lock = FolderLock(tmp_path, elsewhere)
    lock.check()
    now = time.time()
    monkeypatch.setattr("cnnlib.storage.folder_lock.time.time", lambda: now + EXPIRES + 1)
    with pytest.raises(LockedError, match="s3://x was taken over"):
        lock.check()
    assert asked == [False, True]
    lock.release()


@pytest.mark.parametrize("content", ["[]", "5", "{}", '"x"', "[" * 100_000, '{"host": "x"}'])
def test_a_claim_of_another_shape_is_a_line(content: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(content)
    with pytest.raises(LockedError, match=r"claim\.json: line 1 is not a lock of this version"):
        FolderLock(tmp_path)
    (tmp_path / NAME).write_bytes(b"\0" * 300)  # of a power cut
    FolderLock(tmp_path).release()


def test_a_thread_that_fails_says_so_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cnnlib.storage.folder_lock.HEARTBEAT", 0.01)
    tried = threading.Semaphore(0)

    def fails(self: FolderLock) -> None:
        tried.release()
        raise RuntimeError("no idea")

    lock = FolderLock(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(FolderLock, "_write", fails)
        for _ in range(4):
            assert tried.acquire(timeout=60)
    first = read_lock(tmp_path / NAME)
    while read_lock(tmp_path / NAME) == first:
        time.sleep(0.01)
    lock.release()
    assert [r.getMessage() for r in caplog.records].count(
        f"{tmp_path / NAME}: no sign of life could be given (no idea); this is tried again"
    ) == 1
