"""How small and how large the numbers of a sweep may be, said by a flag or by a sweep file."""

import math
from numbers import Integral, Real
from typing import Any

from cnnlib.system.units import short

LARGEST_SEED = 2**32 - 1  # numpy's, and so Lightning's
LIMITS = {
    "trials": (1, 1_000_000),
    "max_epochs": (1, 1_000_000),
    "image_size": (1, 16_384),  # px
    "gpus_per_trial": (0, 1_024),
    "cpus_per_trial": (1, 65_536),
    "max_concurrent": (1, 1_000_000),
    "audit": (0, 1),
    "explore": (0, 1),
    "patience": (0, 1_000_000),
    "finalists": (0, 1_000_000),
    "seeds": (0, 10_000),
    "seed": (0, LARGEST_SEED),
}
FRACTIONS = ("gpus_per_trial", "audit", "explore")


def checked(name: str, value: object, *, said: str | None = None) -> int | float:
    """The number, if it lies within the limits of this name; ValueError says which it broke.

    `said` is what the user calls it, the name if it is not given.
    """
    said = said or name
    whole = name not in FRACTIONS
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise ValueError(f"{said}: {short(value)} is not a {'whole ' * whole}number")
    number: Any = value
    least, most = LIMITS[name]
    if not number >= least:  # true for NaN too
        raise ValueError(f"{said}: {short(value)} is not at least {least}")
    if most == 1 and number > 1:
        raise ValueError(f"{said}: {short(value)} is not a share between 0 and 1")
    if number > most:
        raise ValueError(f"{said}: {short(value)} is more than {most:,}")
    return int(number) if whole else float(number)


def real(said: str, value: object) -> float:
    """The number that a file's value means, text like '1e-3' too; ValueError where it is none."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"{said}: {short(value)} is not a number")
    return number


def whole(said: str, raw: object, name: str) -> int:
    """A number of the file within the limits that the flag of this name has."""
    least, _ = LIMITS[name]
    if isinstance(raw, bool) or not isinstance(raw, Integral) or int(raw) < least:
        raise ValueError(f"{said}: {short(raw)} is not a whole number of at least {least}")
    return int(checked(name, raw, said=said))
