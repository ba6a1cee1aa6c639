import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlib.journal import SEGMENT_BYTES, Journal, journal_exists, read_events

ROOT = Path(__file__).parent.parent


def test_events_come_back_in_their_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("proposed", trial_id="0001", config={"dropout": 0.1})
    journal.append("failed", trial_id="0001", error="no\nmemory é")
    events = list(read_events(tmp_path))  # before it is closed: each line is written at once
    journal.close()
    assert [event["event"] for event in events] == ["proposed", "failed"]
    assert events[0]["config"] == {"dropout": 0.1}
    assert events[1]["error"] == "no\nmemory é"
    assert events[0]["time"] <= events[1]["time"]


def test_a_line_torn_by_a_kill_is_not_an_event_and_the_next_writer_goes_on(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("started", trial_id="0001")
    journal.close()
    [segment] = (tmp_path / "journal").iterdir()
    with segment.open("a") as file:
        file.write('{"event": "epo')
    assert [event["event"] for event in read_events(tmp_path)] == ["started"]
    journal = Journal(tmp_path)
    journal.append("epoch", epoch=1)
    journal.close()
    assert [event["event"] for event in read_events(tmp_path)] == ["started", "epoch"]


def test_a_damaged_line_is_named_rather_than_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("started", trial_id="0001")
    journal.close()
    [segment] = (tmp_path / "journal").iterdir()
    segment.write_bytes(b"\0\0\0\n" + segment.read_bytes())
    with pytest.raises(ValueError, match=r"000001\.jsonl: line 1 is not an event"):
        list(read_events(tmp_path))


def test_a_long_journal_has_several_segments_of_bounded_size(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(40):
        journal.append("epoch", number=number, text="x" * 20_000)
    journal.close()
    segments = sorted((tmp_path / "journal").iterdir())
    assert len(segments) > 2
    assert all(segment.stat().st_size <= SEGMENT_BYTES for segment in segments)
    assert [event["number"] for event in read_events(tmp_path)] == list(range(40))


def test_nothing_written_is_written_again_or_to(tmp_path: Path) -> None:
    assert not journal_exists(tmp_path)
    Journal(tmp_path).close()
    assert journal_exists(tmp_path)
    Journal(tmp_path).close()
    names = sorted(path.name for path in (tmp_path / "journal").iterdir())
    assert names == ["000001.jsonl", "000002.jsonl"]


FILLED = """if True:
    import pathlib, resource, sys
    from cnnlib.journal import Journal
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
    journal, written = Journal(pathlib.Path(sys.argv[1])), 0
    for _ in range(2):
        try:
            while True:
                journal.append("epoch", number=written)
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
