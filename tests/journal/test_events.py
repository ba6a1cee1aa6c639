import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlib.journal.__main__ import main
from cnnlib.journal.event_shapes import EventOrder
from cnnlib.journal.events import (
    SEGMENT_BYTES,
    Journal,
    JournalTail,
    journal_exists,
    read_events,
    segments,
)
from cnnlib.journal.replay import event_lines
from cnnlib.journal.terms import Terms
from cnnlib.storage.folder_lock import LockedError
from tests.events import begin, propose
from tests.journal.test_ledger import TERMS

ROOT = Path(__file__).parents[2]


def test_events_come_back_in_their_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal)
    propose(journal, "0001")
    journal.append("failed", trial_id="0001", error="no\nmemory é")
    events = list(read_events(tmp_path))  # before it is closed: each line is written at once
    journal.close()
    assert [event["event"] for event in events] == ["sweep", "proposed", "started", "failed"]
    assert events[1]["config"] == {"dropout": 0.2}
    assert events[3]["error"] == "no\nmemory é"
    assert events[0]["time"] <= events[3]["time"]


def test_a_line_torn_by_a_kill_is_not_an_event_and_the_next_writer_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal)
    journal.close()
    [segment] = (tmp_path / "journal").iterdir()
    with segment.open("a") as file:
        file.write('{"event": "epo')
    assert [event["event"] for event in read_events(tmp_path)] == ["sweep"]
    journal = Journal(tmp_path)
    journal.append("closed", reason="x")
    journal.close()
    assert [event["event"] for event in read_events(tmp_path)] == ["sweep", "closed"]


def test_a_damaged_line_is_named_rather_than_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal)
    journal.close()
    [segment] = (tmp_path / "journal").iterdir()
    segment.write_bytes(b"\0\0\0\n" + segment.read_bytes())
    with pytest.raises(ValueError, match=r"000001-\w+\.jsonl: line 1 is not an event"):
        list(read_events(tmp_path))


def test_a_long_journal_has_several_segments_of_bounded_size(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal)
    for number in range(40):
        journal.append("note", number=number, text="x" * 20_000)
    journal.close()
    segments = sorted((tmp_path / "journal").iterdir())
    assert len(segments) > 2
    assert all(segment.stat().st_size <= SEGMENT_BYTES for segment in segments)
    assert [event["number"] for event in list(read_events(tmp_path))[1:]] == list(range(40))


def test_nothing_written_is_written_again_or_to(tmp_path: Path) -> None:
    assert not journal_exists(tmp_path)
    Journal(tmp_path, "c").close()
    assert journal_exists(tmp_path)
    Journal(tmp_path, "b").close()
    names = sorted(path.name for path in (tmp_path / "journal").iterdir())
    assert names == ["000001-c.jsonl", "000002-b.jsonl"]


FILLED = """if True:
    import pathlib, resource, sys
    from cnnlib.journal.events import Journal
    from tests.events import begin
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    journal, written = Journal(pathlib.Path(sys.argv[1])), 1
    begin(journal)
    for _ in range(2):
        try:
            while True:
                journal.append("note", number=written)
                written += 1
        except OSError as error:
            print(written, error.errno)
"""


def test_a_disk_that_is_full_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    said = subprocess.run(
        [sys.executable, "-c", FILLED, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    written = len(list(read_events(tmp_path)))
    assert written > 5
    assert said == [f"{written} {errno.EFBIG}", f"{written} None"], "and it stays refused"
    [segment] = (tmp_path / "journal").iterdir()
    assert not segment.read_bytes().endswith(b"\n"), "the line that did not fit is torn"


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_an_os_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        Journal(tmp_path)


def test_lines_are_plain_json(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = journal.append("sweep", space={"dropout": {"values": (0.1, 0.2)}})
    journal.close()
    [segment] = (tmp_path / "journal").iterdir()
    assert json.loads(segment.read_text()) == json.loads(json.dumps(entry))


def test_a_tail_reads_each_event_once_and_waits_for_the_end_of_a_line(tmp_path: Path) -> None:
    tail = JournalTail(tmp_path)
    assert tail.new() == []
    journal = Journal(tmp_path)
    journal.append("proposed")
    journal.append("started")
    assert [event["event"] for event in tail.new()] == ["proposed", "started"]
    [segment] = (tmp_path / "journal").iterdir()
    with segment.open("ab") as file:
        file.write(b'{"event": "ep')
        file.flush()
        assert tail.new() == []
        file.write(b'och"}\n')
    journal.close()
    journal = Journal(tmp_path)
    journal.append("resumed")
    journal.close()
    assert [event["event"] for event in tail.new()] == ["epoch", "resumed"]
    assert tail.new() == []
    with segment.open("ab") as file:
        file.write(b"nothing\n")
    with pytest.raises(ValueError, match=r"000001.*jsonl: a line after byte \d+ is no event"):
        tail.new()


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    for driver in "abc":
        journal = Journal(tmp_path, driver)
        if driver == "a":
            begin(journal)
        journal.append("closed", reason=driver)
        journal.close()
    names = ["000001-a.jsonl", "000002-b.jsonl", "000003-c.jsonl"]
    assert [path.name for path in segments(tmp_path / "journal")] == names
    for name, number in zip(names, ("000001", "000002"), strict=False):
        aside = (tmp_path / "journal" / name).rename(tmp_path / name)
        with pytest.raises(ValueError, match=rf"journal: {number}\.jsonl \(or .* is missing, bef"):
            list(read_events(tmp_path))
        aside.rename(tmp_path / "journal" / name)
    assert [e["reason"] for e in list(read_events(tmp_path))[1:]] == ["a", "b", "c"]
    (tmp_path / "journal" / "000001-a.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"line 1 is not an event .*: there is no `sweep`"):
        list(read_events(tmp_path))


def test_segments_of_older_versions_are_read_as_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a")
    begin(journal)
    journal.close()
    (tmp_path / "journal" / "000001-a.jsonl").rename(tmp_path / "journal" / "000001.jsonl")
    journal = Journal(tmp_path, "b")
    journal.append("closed", reason="x")
    journal.close()
    assert [event["event"] for event in read_events(tmp_path)] == ["sweep", "closed"]


def test_two_drivers_of_one_segment_are_told_apart(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "a")
    begin(journal)
    journal.close()
    folder = tmp_path / "journal"
    (folder / "000002-b.jsonl").write_bytes(b"")  # it ended before it wrote anything
    closed = b'{"event": "closed", "time": "2026-01-01T00:00:00+00:00", "reason": "x"}\n'
    (folder / "000002-c.jsonl").write_bytes(closed)
    assert [event["event"] for event in read_events(tmp_path)] == ["sweep", "closed"]
    (folder / "000002-b.jsonl").write_bytes(closed)
    with pytest.raises(
        ValueError, match=r"000002-b\.jsonl and 000002-c\.jsonl were written by two"
    ):
        list(read_events(tmp_path))


def test_nothing_is_written_by_a_driver_that_may_not(tmp_path: Path) -> None:
    may = True

    def check() -> None:
        if not may:
            raise LockedError("taken over")

    journal = Journal(tmp_path, "a", check)
    begin(journal)
    may = False
    with pytest.raises(LockedError):
        journal.append("closed", reason="x")
    journal.close()
    assert [event["event"] for event in read_events(tmp_path)] == ["sweep"]


TIME = '"time": "2026-01-01T00:00:00+00:00"'


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        *((text, "it has no kind `event`") for text in ("5", "null", "[]", '"x"', "{}", '{"a":1}')),
        ('{"event": "closed", "reason": "x"}', "time: None"),
        ('{"event": "new"}', "time: None"),
        ('{"event": "closed", "time": "2026-01-01", "reason": "x"}', "time: '2026-01-01'"),
        (f'{{"event": "closed", {TIME}}}', "`closed` without reason"),
        (f'{{"event": "sweep", {TIME}}}', "`sweep` without space"),
        (f'{{"event": "resumed", {TIME}, "trials": "3"}}', "`resumed` with trials: '3'"),
        (f'{{"event": "resumed", {TIME}, "trials": true}}', "`resumed` with trials: True"),
        (f'{{"event": "finished", {TIME}, "trial_id": "7"}}', "trial 7 was not proposed"),
        (f'{{"event": "finished", {TIME}, "trial_id": "../x"}}', "`finished` with trial_id"),
        (f'{{"event": "proposed", {TIME}, "trial_id": "7"}}', "`proposed` without config"),
        *(
            (
                f'{{"event": "epoch", {TIME}, "trial_id": "1", {text}}}',
                f"`epoch` with {fault}",
            )
            for text, fault in (
                ('"val_acc": 0.5, "epoch": 1.5', "epoch: 1.5"),
                ('"val_acc": 0.5, "epoch": 1e300', "epoch: 1e\\+300"),
                ('"val_acc": 0.5, "epoch": [1]', "epoch: a list"),
                ('"val_acc": "0.5", "epoch": 1', "val_acc: '0.5'"),
                ('"val_acc": 0.5, "epoch": 1, "decision": null', "decision: None"),
                ('"val_acc": 0.5, "epoch": 1, "class_counts": [1]', "class_counts: a list"),
                ('"val_acc": 0.5, "epoch": 1, "class_counts": {"a": [1]}', "class_counts: a dict"),
            )
        ),
    ],
)  # fmt: skip
def test_an_event_of_another_shape_is_named_with_its_line(
    line: str,
    fault: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    journal = Journal(tmp_path, "a")
    begin(journal)
    propose(journal, "1")
    journal.close()
    with (tmp_path / "journal" / "000001-a.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=f"line 4 is not an event of this version: {fault}"):
        list(read_events(tmp_path))
    for flags in ([], ["--replay"]):
        monkeypatch.setattr("sys.argv", ["journal", str(tmp_path), *flags])
        assert main() == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1 and "000001-a.jsonl: line 4 is not an event" in said


def test_nesting_without_end_is_no_event(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "000001.jsonl").write_text("[" * 100_000 + "\n")
    with pytest.raises(ValueError, match=r"000001\.jsonl: line 1 is not an event"):
        list(read_events(tmp_path))


def test_events_of_later_versions_are_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal)
    journal.append("merged", trial_id=["a"], to={"rung": 3})
    journal.append("closed", reason="x", because="of more")
    journal.close()
    assert [event["event"] for event in read_events(tmp_path)] == ["sweep", "merged", "closed"]
    assert len(list(event_lines(read_events(tmp_path)))) == 3


def test_an_experience_of_another_shape_is_named() -> None:
    terms = json.loads(json.dumps(TERMS.as_event()))
    event = {"event": "sweep", "time": "2026-01-01T00:00:00+00:00", **terms}
    assert EventOrder().fault(event | {"experience": None}) is None
    fault = EventOrder().fault(event | {"experience": [1]})
    assert fault is not None and "`sweep` with experience" in fault
    with pytest.raises(ValueError, match=r"none of this version: experience"):
        Terms.from_event(event | {"experience": {"trends": 3}})
