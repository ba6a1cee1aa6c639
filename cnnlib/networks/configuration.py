"""Configurations: the class that those of a family extend, and what all networks have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

from cnnlib.networks.hyperparameter import (
    choice,
    hyperparameter_named,
    hyperparameters,
    number,
    switch,
)


@dataclass(frozen=True)
class Configuration:
    """One point of a search space: a frozen dataclass whose fields are hyperparameters."""

    def __post_init__(self) -> None:
        for name, hyperparameter in hyperparameters(type(self)).items():
            object.__setattr__(self, name, hyperparameter.parse(getattr(self, name)))

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> Self:
        """The configuration with these values and defaults elsewhere.

        Raises ValueError for an unknown name, with the nearest known one.
        """
        for name in values:
            hyperparameter_named(cls, name)
        return cls(**values)

    @classmethod
    def unchecked(cls, values: Mapping[str, Any]) -> Self:
        """The same of values that were checked before, fast enough for a million of them."""
        config = object.__new__(cls)
        config.__dict__.update(_defaults(cls))  # type: ignore[arg-type]
        config.__dict__.update(values)
        return config


@cache
def _defaults(config_type: Any) -> dict[str, Any]:
    return {name: h.default for name, h in hyperparameters(config_type).items()}


@dataclass(frozen=True)
class Batches(Configuration):
    """How photographs come to a network, whatever it is and however it learns."""

    batch_size: int = number(32, 1, 65536, scale="log", help="images per optimiser step")
    use_augmentation: bool = switch(True, help="random crops, flips and colours in training")
    augmentation: str = choice(
        "standard", "light", "strong", optional=True,
        help="standard: random resized crop, flip, colour; light: random crop and flip; "
        "strong: standard with small rotations and shifts",
    )  # fmt: skip


@dataclass(frozen=True)
class Recipe(Batches):
    """How a network is trained that brings no optimiser of its own."""

    learning_rate: float = number(1e-3, 1e-8, 10.0, scale="log", help="step size at its highest")
    optimizer: str = choice(
        "adam", "adamw", "sgd", optional=True, help="optimiser; sgd has Nesterov momentum of 0.9"
    )
    weight_decay: float = number(
        0.0, 0.0, 1.0, optional=True,
        help="decay of the weights: as L2 penalty in adam and sgd, apart from gradients in adamw",
    )  # fmt: skip
    learning_rate_schedule: str = choice(
        "constant", "one_cycle", "cosine", "step", optional=True,
        help="the step size over the epochs; step is a tenth after each third of them",
    )  # fmt: skip
    label_smoothing: float = number(
        0.0, 0.0, 0.9, optional=True,
        help="share of each training label that is spread over all classes",
    )  # fmt: skip
    ema: float = number(
        0.0, 0.0, 0.9999, optional=True,
        help="decay of the weights' exponential moving average, less in the first steps; 0 is none",
    )  # fmt: skip
