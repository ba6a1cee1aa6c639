import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from cnnlib.system.interruptions import SIGNALS, interrupted_between_steps


@pytest.fixture(autouse=True)
def raising() -> Iterator[None]:
    """Both signals raise KeyboardInterrupt, as in jobs/tune.py."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_raised_by_the_next_check_and_not_before(number: int) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), interrupted_between_steps() as check:
        check()
        signal.raise_signal(number)
        steps.append("ended")
        check()
        steps.append("next")
    assert steps == ["ended"]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_is_raised_at_once(number: int) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), interrupted_between_steps():
        signal.raise_signal(signal.SIGTERM)
        steps.append("goes on")
        signal.raise_signal(number)
        steps.append("goes on again")
    assert steps == ["goes on"]


def test_a_signal_of_the_last_step_is_raised_at_the_end() -> None:
    with pytest.raises(KeyboardInterrupt), interrupted_between_steps():
        signal.raise_signal(signal.SIGINT)


def test_what_a_step_raises_is_not_hidden_by_a_signal() -> None:
    with pytest.raises(OSError, match="the disk"), interrupted_between_steps():
        signal.raise_signal(signal.SIGINT)
        raise OSError("the disk")


def test_afterwards_signals_are_whose_they_were() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with interrupted_between_steps() as check:
        signal.raise_signal(signal.SIGTERM)  # nobody's: as it was
        check()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_thread_has_no_signals_to_take_note_of() -> None:
    answers: list[bool] = []

    def work() -> None:
        with interrupted_between_steps() as check:
            check()
            answers.append(signal.getsignal(signal.SIGINT) is signal.default_int_handler)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [True]


class Interrupted:
    """A lock whose user is interrupted just when it has been taken."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def acquire(self, blocking: bool = True) -> bool:
        taken = self._lock.acquire(blocking)
        signal.raise_signal(signal.SIGTERM)
        return taken

    def release(self) -> None:
        self._lock.release()

    def is_free(self) -> bool:
        return not self._lock.locked()


def test_a_lock_that_a_library_takes_is_given_back() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        lock, ours = process._waitpid_lock, Interrupted()  # type: ignore[attr-defined]
        process._waitpid_lock = ours  # type: ignore[attr-defined]
        try:
            with pytest.raises(KeyboardInterrupt), interrupted_between_steps() as check:
                process.poll()
                assert ours.is_free()
                check()
        finally:
            process._waitpid_lock = lock  # type: ignore[attr-defined]
