"""How a hyperparameter's values are written, and where they lie on an axis; draws nothing."""

import math
import numbers
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cnnlib.system.units import short

NOT_LOGGED = "not logged"
LOG_FROM_RATIO = 100.0  # two decades
MAX_GROUPS = 8


def is_missing(value: object) -> bool:
    """Whether a table's cell holds nothing."""
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    return isinstance(value, float) and math.isnan(value)


def shown(value: object, digits: int = 4) -> str:
    """A value as a reader writes it: 64.0 is 64, True is true, nothing is a dash."""
    if is_missing(value):
        return "\u2013"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, numbers.Real):
        try:
            number = float(value)
        except OverflowError:  # a whole number of more than 308 digits
            return short(value)
        if number.is_integer() and abs(number) < 1e15:
            return str(int(number))
        return f"{number:.{digits}g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(shown(item) for item in value)
    return str(value)


def texts_of(values: pd.Series) -> pd.Series:
    """Each as `shown`, nothing where there is none."""
    if values.dtype == object:  # True and 1 are equal there, and no list is in a dictionary
        return values.map(shown, na_action="ignore")
    return values.map({value: shown(value) for value in values.dropna().unique()})


def signed(share: float) -> str:
    """A difference of accuracies in points, with its sign: +0.0 where it is too small for one."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def signed_interval(low: float, high: float) -> str:
    """Both ends of an interval of such a difference: -1.2 to +3.4."""
    return f"{signed(low)} to {signed(high)}"


def shortened(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis, in at most `length` characters."""
    if len(text) > length:
        text = text.strip("[]").replace(", ", ",")  # a list of numbers says as much without
    return text if len(text) <= length else text[: length - 1].rstrip(" ,_-") + "…"


def numbers_of(values: pd.Series) -> pd.Series | None:
    """The values as finite floats (NaN where unknown), or None if they are names or booleans."""
    known = values.dropna()
    if known.empty or pd.api.types.is_bool_dtype(known):
        return None
    is_mixed = not pd.api.types.is_numeric_dtype(known)
    if is_mixed and known.map(lambda value: isinstance(value, bool | np.bool_ | str)).any():
        return None
    as_numbers = pd.to_numeric(values, errors="coerce").astype(float)
    return as_numbers.where(np.isfinite(as_numbers))


def is_log(values: pd.Series) -> bool:
    """Whether positive numbers span two decades or more."""
    known = values.dropna()
    if known.empty:
        return False
    low, high = float(known.min()), float(known.max())
    return low > 0 and high >= LOG_FROM_RATIO * low  # a quotient may be too large for a number


def varied(trials: pd.DataFrame, names: list[str]) -> list[str]:
    """The hyperparameters with at least two known values."""
    return [name for name in names if len({*map(shown, trials[name].dropna().unique())}) > 1]


def constant(trials: pd.DataFrame, names: list[str]) -> list[str]:
    """The hyperparameters that say nothing of how trials differ; none if there is one trial."""
    varying = varied(trials, names)
    return [] if len(trials) < 2 else [name for name in names if name not in varying]


@dataclass(frozen=True)
class Scale:
    """Where values lie on an axis from 0 to 1 (NaN where unknown), and the labels along it."""

    positions: pd.Series
    ticks: tuple[tuple[float, str], ...]
    is_shared: bool
    """Whether there are so few values that trials share them."""


def scale_of(values: pd.Series) -> Scale:
    """Names evenly spread, numbers to scale, and on a log scale if they span two decades."""
    as_numbers = numbers_of(values)
    if as_numbers is None:
        return _category_scale(values)
    if as_numbers.dropna().empty:
        return Scale(as_numbers, (), False)
    log = is_log(as_numbers)
    line = as_numbers.map(math.log10, na_action="ignore") if log else as_numbers
    low, span = line.min(), line.max() - line.min()
    positions = (line - low) / span if span else line * 0 + 0.5
    is_shared = as_numbers.nunique() <= MAX_GROUPS
    return Scale(positions, _number_ticks(as_numbers, positions, log), is_shared)


def _category_scale(values: pd.Series) -> Scale:
    texts = texts_of(values)
    names = sorted(texts.dropna().unique())
    steps = [0.5] if len(names) == 1 else [i / (len(names) - 1) for i in range(len(names))]
    positions = texts.map(dict(zip(names, steps, strict=True))).astype(float)
    return Scale(positions, tuple(zip(steps, names, strict=True)), True)


def _number_ticks(values: pd.Series, positions: pd.Series, log: bool) -> tuple:
    pairs = sorted(set(zip(positions.dropna(), values.dropna(), strict=True)))
    if len(pairs) <= MAX_GROUPS:
        return tuple((position, shown(value, 3)) for position, value in pairs)
    low, high = values.min(), values.max()
    steps = np.linspace(0, 1, 4)
    between = low * (high / low) ** steps if log else low + (high - low) * steps
    texts = [shown(float(f"{value:.3g}")) for value in between]
    return tuple(zip(steps.tolist(), texts, strict=True))


@dataclass(frozen=True)
class Groups:
    """Trials side by side by value: x per trial, and (left, right, label) of each group."""

    positions: pd.Series
    members: pd.Series  # the number of the group of each trial
    spans: tuple[tuple[float, float, str], ...]
    is_category: bool
    log: bool = False


def groups_of(values: pd.Series) -> Groups:
    """One group per value; many different numbers become four groups of equal size."""
    as_numbers = numbers_of(values)
    if as_numbers is not None and as_numbers.nunique() > MAX_GROUPS:
        return _number_groups(as_numbers)
    if as_numbers is not None:
        order = [shown(value) for value in sorted(as_numbers.dropna().unique())]
        texts = texts_of(as_numbers)
    else:
        texts = rare_merged(texts_of(values))
        order = sorted(texts.dropna().unique(), key=lambda text: (text.startswith("other ("), text))
    order = list(dict.fromkeys(order))
    if texts.isna().any():
        order.append(NOT_LOGGED)
        texts = texts.fillna(NOT_LOGGED)
    members = texts.map({text: number for number, text in enumerate(order)}).astype(int)
    spans = tuple((i - 0.3, i + 0.3, text) for i, text in enumerate(order))
    return Groups(members.astype(float), members, spans, True)


def rare_merged(texts: pd.Series) -> pd.Series:
    """The names, of more than MAX_GROUPS the rare ones as one: other (5)."""
    counts = texts.value_counts()
    if len(counts) <= MAX_GROUPS:
        return texts
    rare = counts.index[MAX_GROUPS - 1 :]
    return texts.where(~texts.isin(rare), f"other ({len(rare)})")


def _number_groups(values: pd.Series) -> Groups:
    members = pd.qcut(values, 4, labels=False, duplicates="drop")
    spans = []
    for _, group in values.groupby(members):
        low, high = float(group.min()), float(group.max())
        spans.append((low, high, f"{shown(low, 2)} to {shown(high, 2)}"))
    return Groups(values, members.fillna(-1).astype(int), tuple(spans), False, is_log(values))
