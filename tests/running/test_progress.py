import io
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cnnlib.running.progress import Progress
from cnnlib.search.decision import Decision
from cnnlib.system.units import clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def story(stream: io.StringIO) -> Progress:
    progress = Progress(4, slots=2, stream=stream)
    progress.started("0001", "relu")
    progress.started("0002", "gelu")
    progress.epoch("0001", 0.4)
    progress.epoch("0002", float("nan"))
    progress.ended("0002", "stopped", "at epoch 1")
    progress.started("0003", "silu")
    progress.ended("0003", "failed", "no memory")
    progress.ended("0001", "completed", "3 epochs")
    return progress


def test_the_line_says_how_far_the_sweep_is() -> None:
    line = story(io.StringIO()).line
    pattern = (
        r"3/4 done, 0 running, 1 stopped, 1 failed, best val_acc 0\.400 \(trial 0001\), "
        r"about \d+:\d\d left"
    )
    assert re.fullmatch(pattern, line)


def test_while_finals_run_the_line_is_theirs() -> None:
    progress = story(io.StringIO())
    progress.finals(0, 3)
    assert progress.line == "finals: 0 of 3 trainings done"
    progress.finals(1, 3)
    assert re.fullmatch(r"finals: 1 of 3 trainings done, about \d+:\d\d left", progress.line)
    progress.finals(3, 3)
    assert progress.line.startswith("3/4 done")


def test_each_event_is_one_short_line() -> None:
    stream = io.StringIO()
    story(stream)
    events = [line for line in stream.getvalue().splitlines() if "trial 000" in line]
    events = [line for line in events if "/4 done" not in line]
    assert [line.split()[2:4] for line in events] == [
        ["0001", "started"], ["0002", "started"], ["0002", "stopped"], ["0003", "started"],
        ["0003", "failed"], ["0001", "completed"],
    ]  # fmt: skip


def test_into_a_file_progress_lines_are_few_and_the_last_is_complete() -> None:
    stream = io.StringIO()
    story(stream).close()
    lines = [line for line in stream.getvalue().splitlines() if "/4 done" in line]
    assert len(lines) == 2
    assert "3/4 done" in lines[-1]
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_the_progress_line_is_rewritten_in_place() -> None:
    stream = Terminal()
    story(stream).close()
    last = stream.getvalue().rstrip("\n").split("\n")[-1]
    parts = last.split("\r\x1b[K")
    assert len(parts) > 1
    assert parts[-1].startswith("3/4 done")


def test_a_best_that_is_not_a_number_is_no_best() -> None:
    progress = Progress(1, stream=io.StringIO())
    progress.epoch("0001", float("nan"))
    progress.epoch("0002", 0.3)
    assert progress.best == (0.3, "0002")
    progress.epoch("0003", 0.9)
    progress.epoch("0003", float("nan"))
    assert progress.best == (0.3, "0002"), "what has diverged is out of the contest"


def test_times_are_read_as_on_a_clock() -> None:
    assert [clock(s) for s in (7, 750, 3723)] == ["0:07", "12:30", "1:02:03"]


def test_a_screen_that_nobody_reads_any_more_ends_nothing() -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    progress = Progress(2, stream=Closed())
    progress.started("0001", "a")
    progress.ended("0001", "completed", "4 epochs")
    progress.close()
    assert progress.counts["completed"] == 1


SPACE = {"dropout": {"values": [0.1, 0.2]}, "activation": {"values": ["relu"]}}


def event(kind: str, trial: int = 0, **content: Any) -> dict[str, Any]:
    return {"event": kind, "time": "now", **content} | ({"trial_id": f"{trial}"} if trial else {})


def proposed(trial: int) -> dict[str, Any]:
    return event("proposed", trial, config={"dropout": 0.1, "activation": "relu"}, max_epochs=3)


def test_it_follows_a_journal_and_shows_each_event_in_a_line() -> None:
    stream = io.StringIO()
    progress = Progress(5, stream=stream, folder=Path("results/s"))
    progress.know([event("sweep", space=SPACE), proposed(1), event("finished", 1), proposed(2)])
    assert stream.getvalue() == ""
    stop, audited = Decision(True, 1, 0.5), Decision(False, 1, 0.5, True)
    for seen in (
        event("resumed", trials=4, max_epochs=3),
        event("machines", unit="CPU core"),
        event("started", 2, after_epoch=1),
        event("epoch", 2, epoch=2, val_acc=0.4, decision=asdict(audited)),
        event("lost", 2, error="x", preempted=False),
        event("epoch", 2, epoch=3, val_acc=0.3),
        event("finished", 2),
        proposed(3),
        event("started", 3, after_epoch=0),
        event("epoch", 3, epoch=1, val_acc=float("nan"), decision=asdict(stop)),
        event("stopped", 3, rung=1, cutoff=0.5),
        proposed(4),
        event("started", 4, after_epoch=0),
        event("failed", 4, error="ValueError: x"),
        proposed(5),
        event("epoch", 5, epoch=1, val_acc=float("nan")),
        event("failed", 5, error="diverged: x"),
        event("final_started", 2, seed=1),
        event("closed", reason="all trials ended"),
    ):
        progress.see(seen)
    said = [line[9:] for line in stream.getvalue().splitlines() if "/5 done" not in line]
    assert said == [
        "going on: 1 trials ended, 1 were interrupted",
        "trial 2 started    drop-0.1  from epoch 2",
        "trial 2 audited    at epoch 1, below the cutoff 0.500, goes on all the same",
        "trial 2 lost its worker after epoch 2 and goes on",
        "trial 2 completed  val_acc 0.400  3 epochs",
        "trial 3 started    drop-0.1",
        "trial 3 stopped    at epoch 1, below the cutoff 0.500",
        "trial 4 started    drop-0.1",
        "trial 4 failed     ValueError: x; its log: python -m cnnlib.journal results/s --trial 4",
        "trial 5 failed     diverged: x",
        "all trials ended",
    ]
    assert progress.line == (
        "5/5 done, 0 running, 1 stopped, 2 failed, 1 audited, best val_acc 0.400 (trial 2)"
    )


def test_an_interrupt_is_told_by_who_was_interrupted() -> None:
    stream = io.StringIO()
    Progress(1, stream=stream).see(event("closed", reason="interrupted"))
    assert stream.getvalue() == ""


def test_what_waits_is_told_and_counted_until_it_goes_on() -> None:
    stream = io.StringIO()
    progress = Progress(3, stream=stream)
    waits = Decision(False, 1, 0.5, pause=True)
    progress.know([event("sweep", space=SPACE), proposed(1), event("paused", 1, rung=1)])
    for seen in (
        event("resumed", trials=3, max_epochs=3),
        proposed(2),
        event("started", 2, after_epoch=0),
        event("epoch", 2, epoch=1, val_acc=0.4, decision=waits.as_event()),
        event("paused", 2, rung=1),
    ):
        progress.see(seen)
    assert progress.line.startswith("0/3 done, 0 running, 2 paused, 0 stopped")
    for seen in (
        event("promoted", 2, rung=1),
        event("started", 2, after_epoch=1),
        event("stopped", 1, rung=1, cutoff=None),
    ):
        progress.see(seen)
    assert progress.line.startswith("1/3 done, 1 running, 1 stopped")
    said = [line[9:] for line in stream.getvalue().splitlines() if "/3 done" not in line]
    assert said == [
        "going on: 0 trials ended, 1 are paused, 0 were interrupted",
        "trial 2 started    drop-0.1",
        "trial 2 paused     val_acc 0.400  at epoch 1",
        "trial 2 started    drop-0.1  from epoch 2",
        "trial 1 stopped    at epoch 1",
    ]
