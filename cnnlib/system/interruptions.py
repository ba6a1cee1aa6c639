"""Ctrl-C and SIGTERM, which end a job between two steps of it and not in the midst of one.

Python raises KeyboardInterrupt wherever it is: also where a library has just taken a lock, which
nobody gives back then (subprocess.Popen.poll, say, for which wait waits without end).
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interrupted_between_steps() -> Iterator[Callable[[], None]]:
    """Takes note of a signal; what is given raises KeyboardInterrupt for it, and so does the end.

    A second signal raises at once, for a step that does not end. Signals that nobody handles, and
    all of them where this is not the main thread, are left as they are.
    """
    noted: list[int] = []

    def note(number: int, frame: Any) -> None:
        noted.append(number)
        if len(noted) > 1:
            raise KeyboardInterrupt

    def check() -> None:
        if noted:
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS if is_main}
    handled = {number: handler for number, handler in before.items() if callable(handler)}
    for number in handled:
        signal.signal(number, note)
    try:
        yield check
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
    check()
