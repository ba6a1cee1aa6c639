"""What a hyperparameter says of itself: type, default, what is valid, help; one line in a class."""

import difflib
import math
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_type_hints

from cnnlib.system.units import short

Value = bool | int | float | str


@dataclass(frozen=True)
class Hyperparameter:
    """What a field of a configuration says of itself."""

    name: str
    type: type
    default: Value
    help: str
    choices: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: str = "linear"  # or "log": how its axis is drawn
    optional: bool = False  # not shown where it has its default

    @property
    def rule(self) -> str:
        """The values that are valid at all, in words."""
        if self.type is bool:
            return "true or false"
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.type is str:
            return "a text"
        kind = "a whole number" if self.type is int else "a number"
        return kind if self.low is None else f"{kind} from {self.low:g} to {self.high:g}"

    def parse(self, raw: object) -> Value:
        """The value that `raw` means, from YAML, JSON or a flag: '1e-3' is 0.001, 'True' is True.

        Raises ValueError with field, value, rule and the nearest valid value.
        """
        value = _converted(raw, self.type)
        if value is None or not self.allows(value):
            near = nearest(raw, self.choices)
            raise ValueError(f"{self.name}: {short(raw)} is not {self.rule}{near}")
        return value

    def allows(self, value: Any) -> bool:
        """Whether a value of this type is valid; where no rule was declared any finite one is."""
        if self.choices:
            return value in self.choices
        if self.type in (bool, str):
            return True
        if self.low is None or self.high is None:
            return math.isfinite(value)
        return self.low <= value <= self.high


def _converted(raw: object, kind: type) -> Any:
    """`raw` as `kind`, or None where it is not one. True is no number and 2.5 no whole number."""
    if getattr(raw, "ndim", None) == 0:  # a number of numpy's or pandas', out of a table
        raw = raw.item()  # type: ignore[attr-defined]
    if kind is bool:
        return {"true": True, "false": False}.get(short(raw).lower())
    if isinstance(raw, bool):
        return None
    if kind is str:
        return raw if isinstance(raw, str) else None
    try:
        number = float(raw)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    if kind is float:
        return number
    return int(number) if number.is_integer() else None


def nearest(word: object, known: object) -> str:
    """'; did you mean relu?', or nothing where nothing is near."""
    names = [str(name) for name in known]  # type: ignore[attr-defined]
    close = difflib.get_close_matches(short(word), names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def choice(default: Value, *others: Value, help: str, **more: Any) -> Any:
    """A field that has one of these values."""
    return field(default=default, metadata={"choices": (default, *others), "help": help, **more})


def switch(default: bool, *, help: str, **more: Any) -> Any:
    """A field that is true or false."""
    return field(default=default, metadata={"help": help, **more})


def number(default: float, low: float, high: float, *, help: str, **more: Any) -> Any:
    """A field that is a number within bounds; whole where its type is int."""
    return field(default=default, metadata={"low": low, "high": high, "help": help, **more})


def hyperparameters(config_type: Any) -> dict[str, Hyperparameter]:
    """Every hyperparameter of a class of configurations by name, in the order of declaration."""
    return _declared(config_type)


@cache
def _declared(config_type: Any) -> dict[str, Hyperparameter]:
    types = get_type_hints(config_type)
    return {
        f.name: Hyperparameter(f.name, types[f.name], default=f.default, **f.metadata)  # type: ignore[arg-type]
        for f in fields(config_type)
    }


def hyperparameter_named(config_type: Any, name: str) -> Hyperparameter:
    """The hyperparameter of this name; ValueError names the nearest known one."""
    known = hyperparameters(config_type)
    if name not in known:
        near = nearest(name, known) or f"; known are {', '.join(known)}"
        raise ValueError(f"{short(name)}: no such hyperparameter{near}")
    return known[name]
