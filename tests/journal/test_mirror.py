import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moto.server import ThreadedMotoServer
from safetensors.numpy import save_file

from cnnlib.journal.events import Journal, journal_exists, read_events
from cnnlib.journal.mirror import Mirror
from cnnlib.storage.buckets import Bucket, RemoteFolder
from cnnlib.storage.folder_lock import NAME, FolderLock, LockedError
from cnnlib.storage.training_files import StorageError, TrialFiles, prune_bucket
from cnnlib.training.trial import is_pair
from tests.events import begin
from tests.storage.test_buckets import put


@pytest.fixture(params=["disk", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """A storage: a folder that plays one, or a bucket."""
    return request.getfixturevalue("disk" if request.param == "disk" else "bucket")


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited 20 s"
        time.sleep(0.05)


def begun(folder: Path, count: int = 3, driver: str = "a") -> Journal:
    is_new = not journal_exists(folder)
    journal = Journal(folder, driver)
    if is_new:
        begin(journal)
    for number in range(count):
        journal.append("note", number=number)
    return journal


def numbers(folder: Path) -> list[int]:
    return [event["number"] for event in read_events(folder) if event["event"] == "note"]


def test_a_journal_is_there_seconds_after_it_is_written(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.journal.mirror.PAUSE", 0.1)
    here, elsewhere = tmp_path / "here" / "s", tmp_path / "elsewhere" / "s"
    mirror = Mirror(url, here)
    assert not mirror.exists()
    journal = begun(here)
    mirror.know([])
    wait_for(mirror.exists)
    mirror.see(journal.append("note", number=3))

    def fetched() -> bool:  # by another machine, while the first one is at work
        Mirror(url, elsewhere).fetch()
        return numbers(elsewhere) == [0, 1, 2, 3]

    wait_for(fetched)
    assert mirror.close() is None
    journal.close()


def test_it_looks_for_what_is_new_after_an_event_and_a_sign_of_life(
    tmp_path: Path, url: str
) -> None:
    here = tmp_path / "here" / "s"
    journal, mirror = begun(here), Mirror(url, here)
    assert mirror._send()
    assert not mirror._is_due()
    mirror.see(journal.append("note", number=3))
    assert mirror._is_due()
    journal.close()
    other = Mirror(url, here)
    lock = FolderLock(here)
    assert other._is_due()
    assert other._send()
    lock.release()
    assert other._is_due(), "that the driver has ended is told too"


def test_what_is_deleted_here_is_deleted_there(url: str, tmp_path: Path) -> None:
    here = tmp_path / "here" / "s"
    begun(here).close()
    weights = here / "checkpoints" / "0001" / "last.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"1")
    weights.with_suffix(".7.part").write_bytes(b"half")
    mirror = Mirror(url, here)
    assert mirror._send()
    assert set(mirror._bucket.files()) == {"journal/000001-a.jsonl", "checkpoints/0001/last.pt"}
    weights.unlink()
    assert mirror._send()
    assert set(mirror._bucket.files()) == {"journal/000001-a.jsonl"}


def test_what_is_deleted_before_it_is_sent_is_no_trouble(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here" / "s"
    begun(here).close()
    mirror = Mirror(url, here)
    names = mirror._names
    monkeypatch.setattr(mirror, "_names", lambda: [*names(), "checkpoints/0001/last.pt"])
    assert mirror._send()
    monkeypatch.setattr(mirror, "_names", names)
    assert mirror._send()
    assert set(mirror._bucket.files()) == {"journal/000001-a.jsonl"}


def test_what_is_ahead_is_kept_here_and_fetched_there(url: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    begun(one).close()
    (one / "note").write_text("old")
    assert Mirror(url, one)._send()
    Mirror(url, two).fetch()
    begun(two, 1).close()  # the second machine goes on
    (two / "note").write_text("new")
    Mirror(url, two).fetch()
    assert numbers(two) == [0, 1, 2, 0], "what was not sent yet is not lost"
    assert (two / "note").read_text() == "new"
    assert Mirror(url, two)._send()
    Mirror(url, one).fetch()
    assert numbers(one) == [0, 1, 2, 0]
    assert (one / "note").read_text() == "new"


def test_a_driver_elsewhere_keeps_its_claim(url: str, tmp_path: Path) -> None:
    here = tmp_path / "here" / "s"
    begun(here).close()
    FolderLock(here).release()
    now = time.time()
    lock = {"host": "elsewhere", "pid": 7, "since": now - 100, "alive": now - 5}
    (here / NAME).write_text(json.dumps(lock))
    assert Mirror(url, here)._send()
    with pytest.raises(LockedError, match=r"/s is being written by process 7 on elsewhere"):
        Mirror(url, tmp_path / "other" / "s").fetch()
    (here / NAME).write_text(json.dumps(lock | {"alive": now - 100}))
    assert Mirror(url, here)._send()
    Mirror(url, tmp_path / "other" / "s").fetch()


def test_a_driver_here_in_another_folder_keeps_its_claim(url: str, tmp_path: Path) -> None:
    here, other = tmp_path / "here" / "s", tmp_path / "other" / "s"
    begun(here).close()
    lock, mirror = FolderLock(here), Mirror(url, here)
    assert mirror._send()
    with pytest.raises(LockedError, match=r"/s is being written by process \d+ on"):
        Mirror(url, other).fetch()
    Mirror(url, here).fetch()  # as after a kill: what is here is that driver's own
    lock.release()
    assert mirror._send()
    Mirror(url, other).fetch()


def test_what_is_written_while_it_is_compared_is_not_taken_for_another_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    here, url = tmp_path / "here" / "s", disk
    journal = begun(here)
    mirror = Mirror(url, here)
    assert mirror._send()
    files = mirror._bucket.files()
    journal.append("note", number=9)
    assert mirror._send()
    monkeypatch.setattr(mirror._bucket, "files", lambda: files)  # the sizes of a moment ago
    mirror.fetch()
    journal.append("note", number=10)  # into the same file as before
    journal.close()
    assert numbers(here)[-2:] == [9, 10]


def test_the_journal_tells_of_nothing_that_has_not_arrived_and_the_claim_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    here, url = tmp_path / "here" / "s", disk
    journal, mirror = begun(here), Mirror(url, here)
    (here / "checkpoints").mkdir()
    for number in range(3):
        (here / "checkpoints" / f"{number}.pt").write_bytes(b"1" * 100)
    lock = here / NAME
    lock.write_text("null")
    sent, send = list[str](), mirror._bucket.send

    def slowly(path: Path, name: str) -> None:
        sent.append(name)
        send(path, name)
        if name.endswith(".pt"):
            assert not mirror.exists()
            journal.append("note", number=9)
            lock.write_text("null " * len(sent))  # a sign of life

    monkeypatch.setattr(mirror._bucket, "send", slowly)
    assert mirror._send()
    assert [name for name in sent if name != NAME] == [f"checkpoints/{n}.pt" for n in range(3)]
    assert sent[::2] == [NAME] * 4
    there = tmp_path / "there" / "s"
    assert numbers(there) == [0, 1, 2], "as it was when the files were listed"
    assert mirror._send()
    journal.close()
    assert numbers(there) == [0, 1, 2, 9, 9, 9]


def test_a_storage_that_does_not_answer_costs_a_line_and_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, disk: str
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr("cnnlib.journal.mirror.PAUSE", 0.05)
    monkeypatch.setattr("cnnlib.journal.mirror.CLOSING", 0.2)
    (tmp_path / "there").write_text("a file where the bucket should be")
    here = tmp_path / "here" / "s"
    mirror = Mirror(disk, here)
    journal = begun(here)
    mirror.know([])
    wait_for(lambda: "this is tried again" in caplog.text)
    time.sleep(0.3)
    said = mirror.close()
    assert said is not None
    assert said.endswith(f"does not answer; all is in {here}: --resume sends it")
    assert len(caplog.records) == 1, "one line, however often it is tried"
    (tmp_path / "there").unlink()
    assert mirror.close() is None
    assert "answers again" in caplog.text
    elsewhere = tmp_path / "elsewhere" / "s"
    Mirror(disk, elsewhere).fetch()
    assert numbers(elsewhere) == [0, 1, 2]
    journal.close()


def test_a_server_that_is_away_for_a_while_costs_a_line_and_nothing_else(
    server: ThreadedMotoServer,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr("cnnlib.journal.mirror.PAUSE", 0.1)
    here, there = tmp_path / "here" / "s", tmp_path / "there" / "s"
    mirror, journal = Mirror(bucket, here), begun(here)
    mirror.know([])
    wait_for(mirror.exists)
    server.stop()
    number = 2
    while "this is tried again" not in caplog.text:  # pyarrow itself tries for six seconds
        number += 1
        mirror.see(journal.append("note", number=number))  # the sweep goes on all the while
        time.sleep(0.1)
    server.start()
    wait_for(lambda: "answers again, all is sent" in caplog.text)
    assert mirror.close() is None
    journal.close()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2, "one when it is away, one when it is back"
    assert lines[0].startswith(f"{bucket}/s: curlCode: 7, Could not connect to server")
    Mirror(bucket, there).fetch()
    assert numbers(there) == list(range(number + 1)), "what was written meanwhile is there too"


def test_an_unknown_kind_of_storage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="--storage: ftp://x/s is no storage; give a folder, s3://"
    ):
        Mirror("ftp://x", tmp_path / "s")


def test_on_a_cluster_the_checkpoints_are_the_nodes_own(url: str, tmp_path: Path) -> None:
    here = tmp_path / "here" / "s"
    begun(here).close()
    mirror = Mirror(url, here, nodes=True)
    assert mirror.machines_url == f"{url}/s"
    node = tmp_path / "node"
    node.mkdir()
    for name in ("best.safetensors", "last.pt"):
        (node / name).write_bytes(b"1")
    for trial_id in ("0001", "0002", "0003"):
        TrialFiles(f"{mirror.machines_url}/checkpoints/{trial_id}", node).send()
    assert mirror._send()
    needed = {("0002", "best.safetensors"), ("0003", "best.safetensors"), ("0003", "last.pt")}
    prune_bucket(f"{mirror.machines_url}/checkpoints", lambda *file: file in needed)
    assert set(mirror._bucket.files("checkpoints")) == {
        "checkpoints/0002/best.safetensors",
        "checkpoints/0003/best.safetensors",
        "checkpoints/0003/last.pt",
    }
    elsewhere = tmp_path / "elsewhere" / "s"
    Mirror(url, elsewhere, nodes=True).fetch()
    assert not (elsewhere / "checkpoints").exists()
    Mirror(url, tmp_path / "laptop" / "s").fetch()
    assert (tmp_path / "laptop" / "s" / "checkpoints" / "0003" / "last.pt").exists()


def test_a_node_waits_for_the_storage_and_then_says_that_it_is_not_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    monkeypatch.setattr("cnnlib.storage.training_files.PAUSE", 0.05)
    monkeypatch.setattr("cnnlib.storage.training_files.PATIENCE", 0.2)
    (tmp_path / "there").write_text("a file where the bucket should be")
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "last.pt").touch()
    shelf = TrialFiles(f"{disk}/0001", tmp_path / "trial")
    with pytest.raises(StorageError, match="there/0001 does not answer: "):
        shelf.send()
    (tmp_path / "there").unlink()
    shelf.send()
    assert (tmp_path / "there" / "0001" / "last.pt").exists()


def stopped_after(monkeypatch: pytest.MonkeyPatch, method: str, count: int) -> None:
    """The connection breaks for good after so many calls of a Bucket's method."""
    act, calls = getattr(Bucket, method), iter(range(count))

    def breaking(self: Bucket, *arguments: object) -> object:
        if next(calls, None) is None:
            raise OSError("the network is gone")
        return act(self, *arguments)

    monkeypatch.setattr(Bucket, method, breaking)


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("count", range(5))
def test_a_fetch_is_whole_or_not_at_all_and_can_be_done_again(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    begun(one).close()
    for name in ("sweep.json", "trials.csv", "report/index.html"):
        (one / name).parent.mkdir(exist_ok=True)
        (one / name).write_text("old")
    assert Mirror(disk, one)._send()
    Mirror(disk, two).fetch()
    begun(one, 1, "b").close()
    (one / "sweep.json").write_text("new")
    assert Mirror(disk, one)._send()
    (two / "mine").write_text("only here")
    before = content(two)
    with monkeypatch.context() as patch:
        stopped_after(patch, "fetch", count)
        with pytest.raises(OSError, match="the network is gone"):
            Mirror(disk, two).fetch()
    assert content(two) == before
    assert [path.name for path in two.parent.iterdir()] == ["s"], "no half of it is left"
    Mirror(disk, two).fetch()
    assert content(two) == content(one) | {"mine": b"only here"}


@pytest.mark.parametrize("moved", [0, 1, 2, 3])
def test_a_kill_while_what_was_fetched_is_moved_is_made_up_for(
    moved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    begun(one).close()
    for name in ("a.csv", "sweep.json", "trials.csv"):
        (one / name).write_text("old")
    assert Mirror(disk, one)._send()
    Mirror(disk, two).fetch()
    begun(one, 1, "b").close()
    for name in ("a.csv", "sweep.json", "trials.csv"):
        (one / name).write_text("newer")
    assert Mirror(disk, one)._send()
    replace, done = Path.replace, 0

    def die(self: Path, target: Path) -> Path:
        nonlocal done
        if target.is_relative_to(two):
            done += 1
            if done > moved:
                raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", die)
        Mirror(disk, two).fetch()
    Mirror(disk, two).fetch()
    assert content(two) == content(one)


def test_a_file_that_comes_short_is_told_and_nothing_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    begun(one).close()
    (one / "sweep.json").write_text("{}")
    assert Mirror(disk, one)._send()

    def fetch_half(self: Bucket, name: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content(name)[:-1])

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "fetch", fetch_half)
        with pytest.raises(OSError, match=r"s/.* has [\d,]+ bytes and had [\d,]+; try again"):
            Mirror(disk, two).fetch()
    assert not two.exists()


def test_what_an_older_version_left_half_fetched_is_completed(tmp_path: Path, disk: str) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    begun(one).close()
    (one / "sweep.json").write_text("{}")
    assert Mirror(disk, one)._send()
    shutil.copytree(one / "journal", two / "journal")
    Mirror(disk, two).fetch()
    assert content(two) == content(one)


def test_where_both_have_gone_on_nothing_is_overwritten(url: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    begun(one).close()
    assert Mirror(url, one)._send()
    Mirror(url, two).fetch()
    begun(one, 2, "b").close()
    begun(two, 5, "c").close()
    assert Mirror(url, two)._send()
    before = content(one)
    said = "have both gone on: 6 events here, 9 there, 4 in both. Nothing is overwritten: move"
    with pytest.raises(ValueError, match=f"^--resume: {one} and {url}/s {said} {one} away"):
        Mirror(url, one).fetch()
    assert content(one) == before


def test_a_torn_line_here_is_not_another_way_to_go_on(tmp_path: Path, disk: str) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    begun(one).close()
    assert Mirror(disk, one)._send()
    Mirror(disk, two).fetch()
    with (one / "journal" / "000001-a.jsonl").open("a") as file:
        file.write('{"event": "epo')
    Journal(one, "x").close()
    begun(two, 1, "b").close()
    assert Mirror(disk, two)._send()
    Mirror(disk, one).fetch()
    assert numbers(one) == [0, 1, 2, 0]


def test_a_damaged_journal_there_is_a_line_and_changes_nothing(tmp_path: Path, disk: str) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    for driver in "ab":
        begun(one, 1, driver).close()
    assert Mirror(disk, one)._send()
    Bucket(f"{disk}/s").delete("journal/000001-a.jsonl")
    with pytest.raises(ValueError, match=r"^s3://there/s/journal: 000001\.jsonl .* is missing"):
        Mirror(disk, two).fetch()
    Bucket(f"{disk}/s").delete("journal/000002-b.jsonl")
    Bucket(f"{disk}/s").write("trials.csv", b"trial_id\n")
    with pytest.raises(ValueError, match=r"s/journal/000001\*\.jsonl is missing, but trials\.csv"):
        Mirror(disk, two).fetch()
    assert not two.exists() or not content(two)


def test_names_that_lead_out_of_the_folder_are_left_out(
    bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = tmp_path / "x" / "here" / "s", tmp_path / "x" / "there" / "s"
    begun(here).close()
    assert Mirror(bucket, here)._send()
    for key in ("../../evil", "checkpoints/0001/../../../../evil", "./evil", "a//evil", "b/./evil"):
        put(f"{bucket}/s/{key}")
    Mirror(bucket, there).fetch()
    RemoteFolder(f"{bucket}/s").fetch(there.parent / "remote")
    assert not list(tmp_path.rglob("evil"))
    assert content(there) == content(here) == content(there.parent / "remote")
    assert "is no name of a file below a folder, and is left out" in caplog.text
    prune_bucket(f"{bucket}/s/checkpoints", lambda *_: False)
    assert "evil" in "".join(key_names(bucket)), "and left alone"


def key_names(bucket: str) -> list[str]:
    there = Bucket(f"{bucket}/s")
    there.states()
    return sorted(there.foreign)


def test_foreign_files_below_checkpoints_are_no_trouble_and_stay(
    url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = Bucket(f"{url}/s/checkpoints")
    names = ["0001/best.safetensors", "0001/last.pt", "note", "0001/a/b/last.txt", "0001/mine.txt"]
    for name in names:
        there.write(name, b"1")
    prune_bucket(f"{url}/s/checkpoints", lambda folder, name: name != "last.pt")
    assert sorted(there.files()) == sorted(set(names) - {"0001/last.pt"})
    shelf = TrialFiles(f"{url}/s/checkpoints/0001", tmp_path / "scratch")
    shelf.fetch()
    assert set(content(tmp_path / "scratch")) == {"best.safetensors"}
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("first", ["best.safetensors", "last.pt"])
def test_of_a_pair_that_is_sent_halfway_the_other_machine_learns_it(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    monkeypatch.setattr("cnnlib.storage.training_files.PATIENCE", 0.0)
    here, there = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    rows = [{"epoch": 1, "val_acc": 0.1}, {"epoch": 2, "val_acc": 0.2}]
    shelf = TrialFiles(f"{disk}/0001", here)
    for epoch in (1, 2):
        weights = {"w": np.full(3, epoch)}
        save_file(weights, here / "best.safetensors", {"epoch": str(epoch)})
        (here / "last.pt").write_text(json.dumps(rows[:epoch]))
        if epoch == 1:
            shelf.send()
    with monkeypatch.context() as patch:
        listed = [here / first, here / ({"best.safetensors", "last.pt"} - {first}).pop()]
        patch.setattr("cnnlib.storage.training_files.sorted", lambda paths: listed, raising=False)
        stopped_after(patch, "send", 1)
        with pytest.raises(StorageError):
            shelf.send()
    other = TrialFiles(f"{disk}/0001", there)
    other.fetch()
    assert not is_pair(there / "best.safetensors", json.loads((there / "last.pt").read_text()))
    shelf.send()
    other.fetch()
    assert is_pair(there / "best.safetensors", json.loads((there / "last.pt").read_text()))
    assert other._sent.keys() == {"best.safetensors", "last.pt"}


def test_what_was_fetched_is_not_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    Bucket(f"{disk}/0001").write("last.pt", b"1")
    shelf = TrialFiles(f"{disk}/0001", tmp_path / "scratch")
    shelf.fetch()
    monkeypatch.setattr(Bucket, "send", None)  # which nobody calls
    shelf.send()


def test_the_journal_there_tells_why_before_anything_is_deleted_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    here = tmp_path / "here" / "s"
    journal, mirror = begun(here), Mirror(disk, here)
    weights = here / "checkpoints" / "0001" / "last.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"1")
    assert mirror._send()
    journal.append("note", number=9)
    weights.unlink()
    journal.close()
    told = list[list[int]]()
    delete = Bucket.delete

    def deleting(self: Bucket, name: str) -> None:
        told.append(numbers(tmp_path / "there" / "s"))
        delete(self, name)

    monkeypatch.setattr(Bucket, "delete", deleting)
    assert mirror._send()
    assert told == [[0, 1, 2, 9]]


def test_who_wakes_after_another_has_taken_the_sweep_over_sends_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop, desk = tmp_path / "laptop" / "s", tmp_path / "desk" / "s"
    journal, mirror = begun(laptop), Mirror(url, laptop)
    first = FolderLock(laptop, mirror.lost)
    assert mirror._send()
    first.check()
    monkeypatch.setattr("cnnlib.storage.folder_lock.EXPIRES", 0.0)  # it sleeps
    there = Mirror(url, desk)
    there.fetch()
    monkeypatch.setattr("cnnlib.storage.folder_lock.EXPIRES", 60.0)
    begun(desk, 2, "b").close()
    second = FolderLock(desk)
    assert there._send()
    before = content(desk)

    journal.append("note", number=77)  # it wakes
    (laptop / "trials.csv").write_text("of the laptop")
    monkeypatch.setattr("cnnlib.storage.folder_lock.HEARTBEAT", -1.0)
    assert mirror._send()
    assert f"{url}/s was taken over by" in str(mirror.close()), "nobody else would tell it"
    with pytest.raises(LockedError, match=rf"^{url}/s was taken over by .*; this one ends$"):
        first.check()
    assert mirror.close() is None, "the driver knows"
    first.release()
    journal.close()
    RemoteFolder(f"{url}/s").fetch(tmp_path / "copy")
    assert content(tmp_path / "copy") == before
    second.release()


def test_who_sleeps_between_two_files_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    laptop = tmp_path / "laptop" / "s"
    begun(laptop).close()
    lock, mirror = FolderLock(laptop), Mirror(disk, laptop)
    for name in "abc":
        (laptop / name).write_text("of the laptop")
    send, now = Bucket.send, time.time()

    def sleeping(self: Bucket, path: Path, name: str) -> None:
        send(self, path, name)
        if name == "a":
            other = {"host": "desk", "pid": 7, "since": now, "alive": now + 100}
            self.write(NAME, json.dumps(other).encode())
            monkeypatch.setattr("cnnlib.journal.mirror.time.time", lambda: now + 100)

    monkeypatch.setattr(Bucket, "send", sleeping)
    assert mirror._send()
    assert set(Bucket(f"{disk}/s").files()) == {NAME, "a"}
    assert (mirror.lost(False) or "").startswith(f"{disk}/s was taken over by desk (process 7) at")
    monkeypatch.undo()
    lock.release()


def test_of_two_that_begin_at_once_one_ends(tmp_path: Path, disk: str) -> None:
    one, two = tmp_path / "one" / "s", tmp_path / "two" / "s"
    mirrors = [Mirror(disk, folder) for folder in (one, two)]
    for folder in (one, two):
        begun(folder, 1, folder.parent.name).close()
    locks = [FolderLock(folder) for folder in (one, two)]
    assert all(mirror._send() for mirror in mirrors)
    assert [mirror.lost(False) is None for mirror in mirrors] == [True, False]
    assert set(Bucket(f"{disk}/s").files("journal")) == {"journal/000001-one.jsonl"}
    for lock in locks:
        lock.release()


def test_a_claim_that_is_deleted_there_is_written_again(tmp_path: Path, disk: str) -> None:
    here = tmp_path / "here" / "s"
    begun(here).close()
    lock, mirror = FolderLock(here), Mirror(disk, here)
    assert mirror._send()
    Bucket(f"{disk}/s").delete(NAME)
    assert mirror.lost(True) is None
    assert mirror._send()
    assert NAME in Bucket(f"{disk}/s").files()
    lock.release()


def test_a_thread_that_fails_of_whatever_says_so_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, disk: str
) -> None:
    monkeypatch.setattr("cnnlib.journal.mirror.PAUSE", 0.01)
    here = tmp_path / "here" / "s"
    begun(here).close()
    mirror, tried = Mirror(disk, here), threading.Semaphore(0)

    def fails() -> list[str]:
        tried.release()
        raise RuntimeError("no idea")

    with monkeypatch.context() as patch:
        patch.setattr(mirror, "_names", fails)
        mirror.know([])
        for _ in range(4):
            assert tried.acquire(timeout=60)
    wait_for(mirror.exists)
    assert mirror.close() is None
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == [
        f"{disk}/s: no idea; the sweep goes on, and this is tried again",
        f"{disk}/s: answers again, all is sent",
    ]


@pytest.mark.parametrize("goes", ["a folder", "a file"])
def test_what_goes_while_the_folder_is_listed_is_no_trouble(
    goes: str, disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials end, and what they kept is pruned, at any moment."""
    here = tmp_path / "here" / "s"
    begun(here).close()
    for trial in ("0001", "0002"):
        (here / "checkpoints" / trial).mkdir(parents=True)
        (here / "checkpoints" / trial / "last.pt").write_bytes(b"1")
    scan, is_file = os.scandir, Path.is_file

    def scan_late(place: Any = ".") -> Any:
        if goes == "a folder" and Path(place).name == "0001":
            os.rename(place, tmp_path / "gone")
        return scan(place)

    def look_late(self: Path) -> bool:
        if goes == "a file" and self.parent.name == "0001":
            self.unlink(missing_ok=True)
        return is_file(self)

    mirror = Mirror(disk, here)
    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", scan_late)
        patch.setattr(Path, "is_file", look_late)
        names = mirror._names()
    assert names == ["checkpoints/0002/last.pt"]
    assert mirror._send()


def test_what_goes_while_the_storage_is_pruned_is_no_trouble(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Bucket(f"{disk}/s")
    for name in ("0001/last.pt", "0002/last.pt"):
        bucket.write(name, b"1")
    delete, asked = Bucket.delete, list[str]()

    def delete_late(self: Bucket, name: str) -> None:
        asked.append(name)
        delete(self, name)
        if len(asked) == 1:
            delete(self, name)  # as another one would have

    monkeypatch.setattr(Bucket, "delete", delete_late)
    prune_bucket(f"{disk}/s", lambda *_: False)
    assert sorted(asked) == ["0001/last.pt", "0002/last.pt"]
    assert bucket.files() == {}


@pytest.mark.parametrize("content", [b"", b'{"event": "swe'])
def test_a_journal_without_a_whole_event_is_no_sweep_there(
    tmp_path: Path, url: str, content: bytes
) -> None:
    there = Bucket(f"{url}/s")
    there.write("journal/000001-laptop.jsonl", content)
    assert not Mirror(url, tmp_path / "s").exists()
    there.write("journal/000001-laptop.jsonl", b'{"event": "sweep"}\n')
    assert Mirror(url, tmp_path / "s").exists()
