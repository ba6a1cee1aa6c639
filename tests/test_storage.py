import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from cnnlib.claim import NAME, Claim, ClaimedError
from cnnlib.journal import Journal, read_events
from cnnlib.storage import Mirror, Shelf, StorageError, prune_storage


@pytest.fixture(params=["disk", "s3"])
def url(request: pytest.FixtureRequest) -> str:
    """A storage: a folder that plays one, or a bucket."""
    return request.getfixturevalue("disk" if request.param == "disk" else "bucket")


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited 20 s"
        time.sleep(0.05)


def begun(folder: Path, count: int = 3) -> Journal:
    journal = Journal(folder)
    for number in range(count):
        journal.append("epoch", number=number)
    return journal


def numbers(folder: Path) -> list[int]:
    return [event["number"] for event in read_events(folder)]


def test_a_journal_is_there_seconds_after_it_is_written(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnlib.storage.PAUSE", 0.1)
    here, elsewhere = tmp_path / "here" / "s", tmp_path / "elsewhere" / "s"
    mirror = Mirror(url, here)
    assert not mirror.exists()
    journal = begun(here)
    mirror.start()
    wait_for(mirror.exists)
    journal.append("epoch", number=3)

    def fetched() -> bool:  # by another machine, while the first one is at work
        Mirror(url, elsewhere).fetch()
        return numbers(elsewhere) == [0, 1, 2, 3]

    wait_for(fetched)
    assert mirror.close() is None
    journal.close()


def test_what_is_deleted_here_is_deleted_there(url: str, tmp_path: Path) -> None:
    here = tmp_path / "here" / "s"
    begun(here).close()
    weights = here / "checkpoints" / "0001" / "last.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"1")
    weights.with_suffix(".7.part").write_bytes(b"half")
    mirror = Mirror(url, here)
    assert mirror._send()
    assert set(mirror._bucket.files()) == {"journal/000001.jsonl", "checkpoints/0001/last.pt"}
    weights.unlink()
    assert mirror._send()
    assert set(mirror._bucket.files()) == {"journal/000001.jsonl"}


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
    assert set(mirror._bucket.files()) == {"journal/000001.jsonl"}


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
    Claim(here).release()
    now = time.time()
    claim = {"host": "elsewhere", "pid": 7, "since": now - 100, "alive": now - 5}
    (here / NAME).write_text(json.dumps(claim))
    assert Mirror(url, here)._send()
    with pytest.raises(ClaimedError, match=r"/s is being written by process 7 on elsewhere"):
        Mirror(url, tmp_path / "other" / "s").fetch()
    (here / NAME).write_text(json.dumps(claim | {"alive": now - 100}))
    assert Mirror(url, here)._send()
    Mirror(url, tmp_path / "other" / "s").fetch()


def test_a_driver_here_in_another_folder_keeps_its_claim(url: str, tmp_path: Path) -> None:
    here, other = tmp_path / "here" / "s", tmp_path / "other" / "s"
    begun(here).close()
    claim = Claim(here)
    assert Mirror(url, here)._send()
    with pytest.raises(ClaimedError, match=r"/s is being written by process \d+ on"):
        Mirror(url, other).fetch()
    Mirror(url, here).fetch()  # as after a kill: what is here is that driver's own
    claim.release()
    assert Mirror(url, here)._send()
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
    claim = here / NAME
    claim.write_text("null")
    sent, send = list[str](), mirror._bucket.send

    def slowly(path: Path, name: str) -> None:
        sent.append(name)
        send(path, name)
        if name.endswith(".pt"):
            assert not mirror.exists()
            journal.append("epoch", number=9)
            claim.write_text("null " * len(sent))  # a sign of life

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
    monkeypatch.setattr("cnnlib.storage.PAUSE", 0.05)
    monkeypatch.setattr("cnnlib.storage.CLOSING", 0.2)
    (tmp_path / "there").write_text("a file where the bucket should be")
    here = tmp_path / "here" / "s"
    mirror = Mirror(disk, here)
    journal = begun(here)
    mirror.start()
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
    monkeypatch.setattr("cnnlib.storage.PAUSE", 0.1)
    here, there = tmp_path / "here" / "s", tmp_path / "there" / "s"
    mirror, journal = Mirror(bucket, here), begun(here)
    mirror.start()
    wait_for(mirror.exists)
    server.stop()
    number = 2
    while "this is tried again" not in caplog.text:  # pyarrow itself tries for six seconds
        number += 1
        journal.append("epoch", number=number)  # the sweep goes on all the while
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
    with pytest.raises(ValueError, match="--storage: ftp://x/s is no storage: "):
        Mirror("ftp://x", tmp_path / "s")


def test_on_a_cluster_the_checkpoints_are_the_nodes_own(url: str, tmp_path: Path) -> None:
    here = tmp_path / "here" / "s"
    begun(here).close()
    mirror = Mirror(url, here, nodes=True)
    assert mirror.kept == f"{url}/s"
    node = tmp_path / "node"
    node.mkdir()
    for name in ("best.safetensors", "last.pt"):
        (node / name).write_bytes(b"1")
    for trial_id in ("0001", "0002", "0003"):
        Shelf(f"{mirror.kept}/checkpoints/{trial_id}", node).send()
    assert mirror._send()
    needed = {("0002", "best.safetensors"), ("0003", "best.safetensors"), ("0003", "last.pt")}
    prune_storage(f"{mirror.kept}/checkpoints", lambda *file: file in needed)
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
    monkeypatch.setattr("cnnlib.storage.PAUSE", 0.05)
    monkeypatch.setattr("cnnlib.storage.PATIENCE", 0.2)
    (tmp_path / "there").write_text("a file where the bucket should be")
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "last.pt").touch()
    shelf = Shelf(f"{disk}/0001", tmp_path / "trial")
    with pytest.raises(StorageError, match="there/0001 does not answer: "):
        shelf.send()
    (tmp_path / "there").unlink()
    shelf.send()
    assert (tmp_path / "there" / "0001" / "last.pt").exists()
