"""The hyperparameters of a trial, each declared once: everything else is derived from here."""

import difflib
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, get_type_hints

from cnnlib.system.units import short

Value = bool | int | float | str


@dataclass(frozen=True)
class Hyperparameter:
    """What a field of TrialConfig says of itself."""

    name: str
    type: type
    default: Value
    help: str
    choices: tuple[Value, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: str = "linear"  # or "log": how its axis is drawn

    @property
    def rule(self) -> str:
        """The values that are valid at all, in words."""
        if self.type is bool:
            return "true or false"
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        kind = "a whole number" if self.type is int else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def parse(self, raw: object) -> Value:
        """The value that `raw` means, from YAML, JSON or a flag: '1e-3' is 0.001, 'True' is True.

        Raises ValueError with field, value, rule and the nearest valid value.
        """
        value = _converted(raw, self.type)
        valid = value is not None and (
            value in self.choices
            if self.choices
            else self.type is bool or self.low <= value <= self.high  # type: ignore[operator]
        )
        if not valid:
            near = nearest(raw, self.choices)
            raise ValueError(f"{self.name}: {short(raw)} is not {self.rule}{near}")
        return value  # type: ignore[return-value]


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


def choice(default: Value, *others: Value, help: str) -> Any:
    return field(default=default, metadata={"choices": (default, *others), "help": help})


def switch(default: bool, *, help: str) -> Any:
    return field(default=default, metadata={"help": help})


def number(default: float, low: float, high: float, *, help: str, scale: str = "linear") -> Any:
    return field(default=default, metadata={"low": low, "high": high, "help": help, "scale": scale})


@dataclass(frozen=True)
class StudyConfig:
    """The study's ten hyperparameters, with its best as defaults."""

    first_layer_filters: int = number(
        128, 1, 4096, scale="log", help="filters of the first convolution"
    )
    filter_org: float = number(
        1.0, 0.25, 4.0, scale="log", help="filters of a layer over those of the layer before"
    )
    conv_layers: int = number(5, 1, 10, help="blocks of convolution, activation and pooling")
    activation: str = choice(
        "relu", "gelu", "silu", "mish", "elu", "selu", "leaky_relu", "tanh",
        help="activation after each convolution and the dense layer",
    )  # fmt: skip
    dropout: float = number(0.3, 0.0, 0.95, help="share of dense activations dropped in training")
    batch_norm: bool = switch(True, help="batch normalisation after each convolution")
    batch_size: int = number(32, 1, 65536, scale="log", help="images per optimiser step")
    learning_rate: float = number(1e-3, 1e-8, 10.0, scale="log", help="step size at its highest")
    use_augmentation: bool = switch(True, help="random crops, flips and colours in training")
    num_neurons_dense: int = number(
        256, 1, 65536, scale="log", help="neurons of the dense layer before the classes"
    )


@dataclass(frozen=True)
class TrialConfig(StudyConfig):
    """One point of the search space: the study's ten and a recipe for training, off by default."""

    optimizer: str = choice(
        "adam", "adamw", "sgd", help="optimiser; sgd has Nesterov momentum of 0.9"
    )
    weight_decay: float = number(
        0.0, 0.0, 1.0,
        help="decay of the weights: as L2 penalty in adam and sgd, apart from gradients in adamw",
    )  # fmt: skip
    learning_rate_schedule: str = choice(
        "constant", "one_cycle", "cosine", "step",
        help="the step size over the epochs; step is a tenth after each third of them",
    )  # fmt: skip
    label_smoothing: float = number(
        0.0, 0.0, 0.9, help="share of each training label that is spread over all classes"
    )
    kernel_size: int = choice(3, 5, 7, help="side of the convolutions, in pixels")
    head: str = choice(
        "flatten", "gap", help="before the dense layer; gap is global average pooling"
    )
    ema: float = number(
        0.0, 0.0, 0.9999,
        help="decay of the weights' exponential moving average, less in the first steps; 0 is none",
    )  # fmt: skip
    augmentation: str = choice(
        "standard", "light", "strong",
        help="standard: random resized crop, flip, colour; light: random crop and flip; "
        "strong: standard with small rotations and shifts",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, hyperparameter in hyperparameters().items():
            object.__setattr__(self, name, hyperparameter.parse(getattr(self, name)))

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> "TrialConfig":
        """The configuration with these values and defaults elsewhere.

        Raises ValueError for an unknown name, with the nearest known one.
        """
        for name in values:
            hyperparameter_named(name)
        return cls(**values)  # type: ignore[arg-type]


@cache
def hyperparameters() -> dict[str, Hyperparameter]:
    """Every hyperparameter by name, in the order of declaration."""
    types = get_type_hints(TrialConfig)
    return {
        f.name: Hyperparameter(f.name, types[f.name], default=f.default, **f.metadata)  # type: ignore[arg-type]
        for f in fields(TrialConfig)
    }


def hyperparameter_named(name: str) -> Hyperparameter:
    """The hyperparameter of this name; ValueError names the nearest known one."""
    known = hyperparameters()
    if name not in known:
        near = nearest(name, known) or f"; known are {', '.join(known)}"
        raise ValueError(f"{short(name)}: no such hyperparameter{near}")
    return known[name]


def is_off(name: str, value: object) -> bool:
    """Whether this is a part of the recipe that is left as the study had it."""
    study = {f.name for f in fields(StudyConfig)}
    known = hyperparameters()
    return name in known and name not in study and value == known[name].default


def told(config: Mapping[str, Any], searched: Container[str] = ()) -> dict[str, Any]:
    """What to show of a configuration: of the recipe only what is searched or not off."""
    return {n: v for n, v in config.items() if n in searched or not is_off(n, v)}


def filter_counts(config: TrialConfig) -> list[int]:
    """Channels out of each convolution: 32 filters and filter_org 2.0 give 32, 64, 128."""
    return _counts(config.first_layer_filters, config.filter_org, config.conv_layers)


def _counts(first: int, ratio: float, layers: int) -> list[int]:
    counts = [first]
    while len(counts) < layers:
        counts.append(int(counts[-1] * ratio))
    return counts


def can_exist(first: int, ratio: float, layers: int, image_size: int) -> bool:
    """Whether a network of these filters, ratio of filters and layers can exist.

    As `impossible` says it, and fast enough to be asked a million times. Where one can, so can one
    of more filters, of a larger ratio, or of fewer layers.
    """
    return image_size >> layers > 0 and _counts(first, ratio, layers)[-1] > 0


def impossible(config: TrialConfig, image_size: int) -> str | None:
    """Why no network of this configuration can exist for images of this size, or None."""
    if image_size >> config.conv_layers == 0:
        return (
            f"conv_layers: {config.conv_layers} poolings leave nothing of {image_size} px; "
            f"at most {image_size.bit_length() - 1} fit, or take a larger image size"
        )
    if 0 in filter_counts(config):
        return (
            f"filter_org: {config.filter_org:g} leaves no filter in layer "
            f"{filter_counts(config).index(0) + 1} of {config.conv_layers} when the first has "
            f"{config.first_layer_filters}; take more filters or fewer layers"
        )
    return None
