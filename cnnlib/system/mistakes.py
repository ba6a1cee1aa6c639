"""Several mistakes of the user's at once: each is a line, and all are told together."""

from collections.abc import Iterator
from contextlib import contextmanager


class MistakesError(ValueError):
    """What is wrong, a line each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(*lines)

    @property
    def lines(self) -> list[str]:
        return [str(line) for line in self.args]

    def __str__(self) -> str:
        return "\n".join(self.lines)


class Collected:
    """Gathers mistakes as they are found: `with found: check()`, and `raise_any()` at the end."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keeps a mistake that is raised inside for later."""
        try:
            yield
        except ValueError as error:
            self.lines += lines_of(error)

    def raise_any(self) -> None:
        if self.lines:
            raise MistakesError(list(dict.fromkeys(self.lines)))


def lines_of(error: Exception) -> list[str]:
    """The lines of a mistake, one of any exception but MistakesError."""
    return error.lines if isinstance(error, MistakesError) else [str(error)]


def each(error: Exception) -> list[Exception]:
    """An exception by itself, or several mistakes as a ValueError each."""
    return (
        [ValueError(line) for line in error.lines] if isinstance(error, MistakesError) else [error]
    )
