"""What a hyperparameter says of itself: type, default, what is valid, help; one line in a class."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_type_hints

from cnnlib.networks.words import plain
from cnnlib.system.units import short

Value = bool | int | float | str
MOST_LAYERS = 20  # of a list with a number for each
SQUARE = r"[\[(]?\s*(\d+)\s*[x,*×]\s*\1\s*[\])]?"  # 3x3, (3, 3)
SWITCHES: dict[str, Value] = {
    "true": True, "yes": True, "on": True, "1": True, "y": True, "t": True, "enabled": True,
    "false": False, "no": False, "off": False, "0": False, "n": False, "f": False, "none": False,
    "disabled": False,
}  # fmt: skip


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
    quiet: bool = False  # in no event or table of a sweep that does not search it
    aliases: tuple[str, ...] = ()  # other names of it, as words in any order and spelling
    perhaps: tuple[str, ...] = ()  # names that it has too where the values fit nobody else
    words: Mapping[str, Value] = field(default_factory=dict)  # what people write for a value
    squares: bool = False  # whether [3, 3] is 3
    alike: bool = False  # whether [2, 2, 2] is 2: one for each layer, of which there is only one
    layered: bool = False  # whole numbers within the bounds, one for each layer: 32-64-128
    of_a_layer: tuple[str, ...] = ()  # names of one layer's number, without the layer's
    one: str = ""  # of a list for each layer: whose a number for a single layer is
    grows: str = ""  # of such a list: who says by a word how one grows
    telling: tuple[str, ...] = ()  # values that say whose a name is that nobody has
    switched: bool = False  # whether true and false beside its share say if there is any
    # Of the dense layers', where another name says that it is: whose the plain name is then.
    of_convolutions: str = ""

    @property
    def rule(self) -> str:
        """The values that are valid at all, in words."""
        if self.type is bool:
            return "true or false"
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.layered:
            return f"whole numbers from {self.low:g} to {self.high:g}, one for each layer"
        if self.type is str:
            return "a text"
        kind = "a whole number" if self.type is int else "a number"
        return kind if self.low is None else f"{kind} from {self.low:g} to {self.high:g}"

    @property
    def has_rule(self) -> bool:
        """Whether it says what its values can be, so that they can be searched unasked."""
        return bool(self.choices) or self.type is bool or self.low is not None

    def parse(self, raw: object) -> Value:
        """The value that `raw` means, from YAML, JSON or a flag: '1e-3' is 0.001, 'True' is True.

        Words are taken as people write them: nn.ReLU is relu, Yes is true, double is 2.0. Raises
        ValueError with field, value, rule and the nearest valid value.
        """
        single = raw if self.layered else self._single(raw)
        value = self._listed(raw) if self.layered else _converted(single, self.type)
        if value is None or not self.allows(value):
            value = self.meanings.get(plain(single))
        elif self.type is str and not self.choices and not self.layered:
            value = self.meanings.get(plain(single), value)  # ResNet50 is resnet50
        if value is None:
            if self.choices and isinstance(raw, bool):
                raise ValueError(f"{self.name}: {raw} does not say which: write {self.rule}")
            if self.alike and isinstance(raw, Sequence) and not isinstance(raw, str):
                alone = f"{self.name}: {short(raw)} is not one for all layers, as it has to be here"
                raise ValueError(f"{alone}: {self.rule}")
            near = nearest(raw, self.choices or self.words)
            raise ValueError(f"{self.name}: {short(raw)} is not {self.rule}{near}")
        return value

    def _single(self, raw: object) -> object:
        """3 for [3, 3], where it is a side; and for [3, 3, 3] where all layers have the same."""
        if self.squares and isinstance(raw, str) and (square := re.fullmatch(SQUARE, raw)):
            return square[1]
        if not isinstance(raw, Sequence) or isinstance(raw, str) or len(raw) < 2:
            return raw
        if any(part != raw[0] for part in raw):
            return raw
        if self.alike:
            return self._single(raw[0])
        return raw[0] if self.squares and len(raw) == 2 else raw

    def _listed(self, raw: object) -> str | None:
        """32-64-128 for [32, 64, 128], for the same as text, and for itself."""
        if isinstance(raw, str):
            raw = re.findall(r"\d+", raw) if re.fullmatch(r"[\[(]?[\d\s,-]+[\])]?", raw) else None
        elif isinstance(raw, int | float):
            raw = [raw]
        if not isinstance(raw, Sequence) or not raw:
            return None
        counts = []
        for part in raw:
            if isinstance(part, Sequence) and len(set(part)) == 1 and not isinstance(part, str):
                part = part[0]  # [3, 3] for a square kernel
            count = _converted(part, int)
            if count is None or not self.low <= count <= self.high:  # type: ignore[operator]
                return None
            counts.append(str(count))
        return "-".join(counts) if len(counts) <= MOST_LAYERS else None

    @property
    def meanings(self) -> dict[str, Value]:
        """What a word in its plain form means."""
        if self.type is bool:
            return SWITCHES | {plain(word): value for word, value in self.words.items()}
        return {plain(value): value for value in (*self.choices, *self.default_word)} | {
            plain(word): value for word, value in self.words.items()
        }

    @property
    def default_word(self) -> tuple[Value, ...]:
        """The word of lists for a layer that says that there are none."""
        return (self.default,) if self.layered else ()

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


def text(default: str, *, help: str, **more: Any) -> Any:
    """A field that is any text."""
    return field(default=default, metadata={"help": help, **more})


def switch(default: bool, *, help: str, **more: Any) -> Any:
    """A field that is true or false."""
    return field(default=default, metadata={"help": help, **more})


def number(default: float, low: float, high: float, *, help: str, **more: Any) -> Any:
    """A field that is a number within bounds; whole where its type is int."""
    return field(default=default, metadata={"low": low, "high": high, "help": help, **more})


def layered(default: str, low: float, high: float, *, help: str, **more: Any) -> Any:
    """A field that is a text of whole numbers, one for each layer, or a word for none."""
    bounds = {"low": low, "high": high, "layered": True, "optional": True, "quiet": True}
    return field(default=default, metadata={"help": help, **bounds, **more})


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
