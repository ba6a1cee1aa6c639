from pathlib import Path

import pytest

from cnnlib.journal import Journal, journal_exists, read_events


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


def test_a_line_torn_by_a_kill_is_not_an_event(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("started", trial_id="0001")
    journal.close()
    [segment] = (tmp_path / "journal").iterdir()
    with segment.open("a") as file:
        file.write('{"event": "epo')
    assert [event["event"] for event in read_events(tmp_path)] == ["started"]


def test_a_journal_is_never_overwritten(tmp_path: Path) -> None:
    assert not journal_exists(tmp_path)
    Journal(tmp_path).close()
    assert journal_exists(tmp_path)
    with pytest.raises(FileExistsError):
        Journal(tmp_path)
