from pathlib import Path
from typing import Any

import pytest

from cnnlib.journal.__main__ import main
from cnnlib.journal.events import Journal, read_events
from cnnlib.journal.replay import event_lines, replay
from tests.events import begin, propose
from tests.journal.test_ledger import Sweep, finished


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    sweep = Sweep()
    sweep.begin()
    sweep.run()
    return sweep.events


def test_every_event_is_a_line(events: list[dict[str, Any]]) -> None:
    lines = list(event_lines(events))
    assert len(lines) == len(events)
    assert lines[0].endswith("sweep     12 trials of up to 6 epochs at 32 px by tpe, seed 3")
    assert lines[1].startswith("2026-11-24 00:00:00  trial 0001 proposed  first_layer_filters ")
    assert any(" epoch     1: val_acc 0." in line and ": go on" in line for line in lines)
    audited = finished(1.0).events
    assert next(event_lines(audited)).endswith("by tpe, seed 3, audit 100%")
    assert any(": would stop, goes on as an audit" in line for line in event_lines(audited))
    assert any(" stopped   at epoch 1, below the cutoff 0." in line for line in lines)


def test_the_story_of_one_trial_is_asked_for_by_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path)
    begin(journal)
    propose(journal, "0001")
    propose(journal, "0002")
    journal.append("failed", trial_id="0002", error="ValueError: x", traceback="Traceback\n  x\n")
    journal.close()
    monkeypatch.setattr("sys.argv", ["journal", str(tmp_path), "--trial", "0002"])
    assert main() == 0
    assert capsys.readouterr().out.endswith("trial 0002 failed    ValueError: x\nTraceback\n  x\n")
    monkeypatch.setattr("sys.argv", ["journal", str(tmp_path), "--trial", "3"])
    assert main() == 2
    assert "--trial: no trial 3 in" in capsys.readouterr().err


def test_a_journal_replays_to_the_decisions_it_holds(events: list[dict[str, Any]]) -> None:
    difference, checked = replay(events)
    assert difference is None
    assert checked.startswith("12 proposals, ")


def changed(events: list[dict[str, Any]], index: int, **content: Any) -> list[dict[str, Any]]:
    return [*events[:index], events[index] | content, *events[index + 1 :]]


def test_every_kind_of_difference_is_found(events: list[dict[str, Any]]) -> None:
    def first(kind: str, **content: Any) -> int:
        wanted = {"event": kind, **content}
        return next(i for i, e in enumerate(events) if wanted.items() <= e.items())

    other = events[first("proposed")]["config"] | {"dropout": 0.7}
    index = first("proposed", trial_id="0008")
    difference, _ = replay(changed(events, index, config=other))
    assert difference is not None
    assert difference.startswith(f"event {index + 1} (proposed, trial 0008): derived ")

    index = first("epoch")
    decision = events[index]["decision"]
    difference, _ = replay(changed(events, index, decision=decision | {"stop": True}))
    assert difference is not None and "written Decision(stop=True, " in difference
    difference, _ = replay(changed(events, index, epoch=2))
    assert difference is not None and "epoch 2 follows epoch 0" in difference
    difference, _ = replay([*events[: index + 1], *events[index:]])
    assert difference is not None and "epoch 1 follows epoch 1" in difference

    difference, _ = replay(changed(events, first("stopped"), event="finished"))
    assert difference is not None and "derived stopped" in difference
    difference, _ = replay([*events, {"event": "started", "trial_id": "0001"}])
    assert difference is not None and "the trial had " in difference
    difference, _ = replay(events[1:])
    assert difference is not None and "there is no sweep before it" in difference


def test_the_command_line_tells_and_replays(
    events: list[dict[str, Any]], tmp_path: Any, monkeypatch: Any, capsys: Any
) -> None:
    journal = Journal(tmp_path)
    for event in events:
        journal.append(**{name: value for name, value in event.items() if name != "time"})
    journal.close()

    def call(*flags: str) -> int:
        monkeypatch.setattr("sys.argv", ["journal", str(tmp_path), *flags])
        return main()

    assert call() == 0
    assert len(capsys.readouterr().out.splitlines()) == len(events)
    assert call("--replay") == 0
    assert capsys.readouterr().out.startswith("every decision follows from the journal: 12 ")

    [segment] = (tmp_path / "journal").iterdir()
    segment.write_text(segment.read_text().replace('"stop": true', '"stop": false'))
    assert call("--replay") == 1
    assert capsys.readouterr().out.startswith("event ")
    assert len(list(read_events(tmp_path))) == len(events)

    monkeypatch.setattr("sys.argv", ["journal", str(tmp_path / "nothing")])
    assert main() == 2


def test_a_segment_that_cannot_be_read_is_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal" / "000001.jsonl").mkdir(parents=True)
    monkeypatch.setattr("sys.argv", ["journal", str(tmp_path)])
    assert main() == 2
    assert capsys.readouterr().err.startswith("IsADirectoryError: ")
