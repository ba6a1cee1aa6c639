import io
import re

from cnnlib.progress import Progress, clock


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
