"""How far something is that takes longer than some seconds: a bar with its rate on a terminal.

In a log it is a line every half minute; what ends sooner says nothing there.
"""

import sys
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

from cnnlib.system.units import clock

EVERY = 30.0  # seconds between two lines of a log


class Progress:
    """Progress of `what`, from `done` to `total` of a `unit`; B is bytes. `total` may be unknown.

    A context: what is shown ends with it.
    """

    def __init__(self, what: str, total: int | None, unit: str, *, done: int = 0) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._first = self._done = done
        self._began = self._told = time.monotonic()
        self._bar: tqdm | None = None
        if sys.stderr is not None and sys.stderr.isatty() and total != done:
            self._bar = tqdm(
                desc=what, total=total, initial=done, unit=unit, unit_scale=unit == "B",
                dynamic_ncols=True,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, number: int = 1) -> None:
        """So many more are done."""
        self._done += number
        if self._bar is not None:
            self._bar.update(number)
        elif (now := time.monotonic()) - self._told >= EVERY:
            self._told = now
            print(self._line(now - self._began), file=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        """Such as "decoding to 64 px: 12,000 of 90,000 photos, 400/s, 3:15 left"."""
        rate = (self._done - self._first) / max(seconds, 1e-9)
        scale, unit = (1e6, "MB") if self._unit == "B" else (1, f"{self._unit}s")
        of = "" if self._total is None else f" of {self._total / scale:,.0f}"
        line = f"{self._what}: {self._done / scale:,.0f}{of} {unit}, {rate / scale:,.1f}/s"
        if self._total is None or not rate:
            return line
        return f"{line}, {clock((self._total - self._done) / rate)} left"
