"""How quantities and values are written for people: times, sizes, counts, a value in a message."""

import reprlib
from numbers import Real


def clock(seconds: float) -> str:
    """0:07, 12:30 or 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def byte_size(num_bytes: float) -> str:
    """1.4 GB or 0.3 MB."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.1f} MB"


def counted(number: int, noun: str) -> str:
    """1 trial, 2 trials, 12,000 trials."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(value: object, most: int = 60) -> str:
    """A value as messages show it: one line of at most so many letters, whatever it holds."""
    if isinstance(value, str | Exception):
        text = str(value)
    elif isinstance(value, int) and value.bit_length() > 3 * most:  # Python refuses to write some
        return f"a number of about {int(value.bit_length() * 0.30103) + 1:,} digits"
    elif isinstance(value, Real) or value is None:  # numpy's too
        text = str(value)
    else:
        text = _few.repr(value)
    text = " ".join(text[: 10 * most].split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


_few = reprlib.Repr()
_few.maxlist = _few.maxtuple = _few.maxdict = 20
