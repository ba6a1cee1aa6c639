"""Configurations: the class that those of a family extend, and what all networks have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, Self

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

    code: ClassVar[Any] = None  # of a user's own network, from which other processes make it

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
    def given(cls, config: Self | None, values: Mapping[str, object]) -> Self:
        """What a constructor was given: a whole configuration, or hyperparameters by name."""
        if config is None:
            return cls.from_mapping(values)
        if values:
            raise ValueError(f"give a {cls.__name__} or {', '.join(values)}, not both")
        return config

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A class that was made of a signature is made again where it arrives."""
        if self.code is None:
            return super().__reduce_ex__(protocol)
        return self.code.configuration, ({f.name: getattr(self, f.name) for f in fields(self)},)

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

    batch_size: int = number(
        32, 1, 65536, scale="log", help="images per optimiser step",
        aliases=("batch", "mini batch size", "mini batch", "train batch size", "batch size train",
                 "device train batch size", "bsz", "batch sz"),
    )  # fmt: skip
    use_augmentation: bool = switch(
        True, help="random crops, flips and colours in training",
        aliases=("augment", "data augment", "image augment", "train augment", "augment train"),
    )  # fmt: skip
    augmentation: str = choice(
        "standard", "light", "strong", optional=True,
        help="standard: random resized crop, flip, colour; light: random crop and flip; "
        "strong: standard with small rotations and shifts",
        aliases=("data augment", "augment level", "augment strength", "augment policy",
                 "augment strategy", "augment mode", "augment intensity", "data augment level",
                 "data augment strength", "data augment policy", "data augment strategy"),
        words={"weak": "light", "mild": "light", "medium": "standard", "default": "standard",
               "basic": "light", "normal": "standard", "moderate": "standard", "heavy": "strong",
               "hard": "strong", "aggressive": "strong", "simple": "light", "advanced": "strong"},
    )  # fmt: skip


@dataclass(frozen=True)
class Recipe(Batches):
    """How a network is trained that brings no optimiser of its own."""

    learning_rate: float = number(
        1e-3, 1e-8, 10.0, scale="log", help="step size at its highest",
        aliases=("first learning rate", "max learning rate", "learning rate value", "learning",
                 "adam learning rate", "peak learning rate", "learning rate 0", "l rate"),
    )  # fmt: skip
    optimizer: str = choice(
        "adam", "adamw", "sgd", "nadam", "rmsprop", "nag", "momentum", "adagrad", "adamax",
        "adadelta", "radam", optional=True,
        help="optimiser; sgd and nag have Nesterov momentum of 0.9, momentum has that without "
        "Nesterov's step",
        words={"nesterov": "nag", "sgd_momentum": "momentum", "momentum_gd": "momentum",
               "sgd_nesterov": "nag", "rms": "rmsprop", "adam_w": "adamw",
               "stochastic_gradient_descent": "sgd"},
        telling=("adam", "adamw", "sgd", "rmsprop", "nadam"),
    )  # fmt: skip
    weight_decay: float = number(
        0.0, 0.0, 1.0, optional=True,
        help="decay of the weights: as L2 penalty in adam and sgd, apart from gradients in adamw",
        aliases=("l 2", "l 2 regularization", "l 2 penalty", "l 2 lambda", "l 2 weight", "l 2 norm",
                 "l 2 decay", "l 2 strength", "weight decay l 2", "l 2 coef", "weight decay rate",
                 "regularization", "regularization strength", "regularization rate"),
        words={"none": 0.0, "false": 0.0},
    )  # fmt: skip
    learning_rate_schedule: str = choice(
        "constant", "one_cycle", "cosine", "step", "plateau", "exponential", "linear",
        "cosine_restarts", optional=True,
        help="the step size over the epochs; step is a tenth after each third of them, plateau a "
        "tenth where val_loss falls no more, exponential ends at a hundredth, linear at nothing, "
        "cosine_restarts falls three times",
        aliases=("schedule", "learning rate decay schedule", "schedule policy", "schedule kind",
                 "learning rate policy", "learning rate strategy", "schedule strategy",
                 "learning rate schedule mode", "learning rate decay"),
        words={"none": "constant", "false": "constant", "fixed": "constant", "off": "constant",
               "no": "constant", "constantlr": "constant", "cosineannealing": "cosine",
               "cosineannealinglr": "cosine", "cosinelr": "cosine", "cosinedecay": "cosine",
               "onecyclelr": "one_cycle", "1cycle": "one_cycle", "steplr": "step",
               "one_cycle_lr": "one_cycle", "stepdecay": "step", "cos": "cosine",
               "reducelronplateau": "plateau", "reduce_on_plateau": "plateau",
               "reduce_lr": "plateau", "exponentiallr": "exponential", "exp": "exponential",
               "exponential_decay": "exponential", "explr": "exponential",
               "linear_decay": "linear", "linearlr": "linear",
               "cosineannealingwarmrestarts": "cosine_restarts",
               "cosine_warm_restarts": "cosine_restarts", "warm_restarts": "cosine_restarts",
               "cosine_annealing_warm_restarts": "cosine_restarts", "sgdr": "cosine_restarts",
               "cosine_with_restarts": "cosine_restarts", "disabled": "constant"},
    )  # fmt: skip
    label_smoothing: float = number(
        0.0, 0.0, 0.9, optional=True,
        help="share of each training label that is spread over all classes",
        aliases=("smoothing", "label smooth", "smooth", "label smoothing factor"),
        words={"none": 0.0, "false": 0.0},
    )  # fmt: skip
    class_weights: str = choice(
        "none", "balanced", optional=True,
        help="balanced: in the training loss a class of few photographs weighs as much as one of "
        "many",
        aliases=("class weight", "balance weights", "weighted loss", "class balance",
                 "balanced weights", "balance class", "class balancing", "class weighting",
                 "loss weights", "weighted cross entropy", "weighted ce", "balanced loss",
                 "class weighted loss", "loss class weights", "balance classes", "classes weights",
                 "weighted classes", "balanced class weights"),
        words={"true": "balanced", "yes": "balanced", "1": "balanced", "false": "none",
               "no": "none", "0": "none", "off": "none", "uniform": "none", "equal": "none",
               "inverse": "balanced", "inverse_frequency": "balanced", "auto": "balanced"},
    )  # fmt: skip
    ema: float = number(
        0.0, 0.0, 0.9999, optional=True,
        help="decay of the weights' exponential moving average, less in the first steps; 0 is none",
        aliases=("ema decay", "ema weight"), words={"none": 0.0, "false": 0.0},
    )  # fmt: skip
    momentum: float = number(
        0.9, 0.0, 0.9999, optional=True, quiet=True,
        help="momentum of sgd, nag and momentum; 0 is none",
        aliases=("sgd momentum", "optimizer momentum"), words={"none": 0.0, "false": 0.0},
    )  # fmt: skip
    nesterov: bool = switch(
        True, optional=True, quiet=True, help="whether sgd's momentum is Nesterov's",
        aliases=("nesterov momentum", "sgd nesterov"),
    )  # fmt: skip
    beta1: float = number(
        0.9, 0.0, 0.9999, optional=True, quiet=True,
        help="decay of the mean gradient in adam and its kin",
        aliases=("beta 1", "adam beta 1", "b 1", "optimizer beta 1"),
    )  # fmt: skip
    beta2: float = number(
        0.999, 0.0, 0.99999, optional=True, quiet=True,
        help="decay of the mean squared gradient in adam and its kin",
        aliases=("beta 2", "adam beta 2", "b 2", "optimizer beta 2"),
    )  # fmt: skip
    eps: float = number(
        0.0, 0.0, 1.0, optional=True, quiet=True,
        help="added to a divisor of the optimiser's; 0 is the optimiser's own",
        aliases=("adam eps", "optimizer eps"),
    )  # fmt: skip
    warm_up: float = number(
        0.0, 0.0, 1000.0, optional=True, quiet=True,
        help="how long the step size rises at first: below 1 a share of the training, from 1 on "
        "epochs",
        aliases=("warmup", "warmup epoch", "warm up epoch", "num warmup epoch", "warmup ratio",
                 "warm up ratio", "warmup proportion", "warmup fraction",
                 "learning rate warmup epoch", "schedule warmup epoch", "warmup length"),
        words={"none": 0.0, "false": 0.0},
    )  # fmt: skip
    decay_factor: float = number(
        0.0, 0.0, 1.0, optional=True, quiet=True,
        help="what the schedules step, plateau and exponential (each epoch) take the step size "
        "times; 0: the schedule's own",
        aliases=("gamma", "learning rate gamma", "schedule gamma", "step gamma", "schedule factor",
                 "learning rate factor", "learning rate decay factor", "learning rate decay rate",
                 "learning rate decay gamma", "plateau factor", "decay gamma",
                 "learning rate reduction factor", "reduce learning rate factor"),
    )  # fmt: skip
    decay_epochs: int = number(
        0, 0, 100_000, optional=True, quiet=True,
        help="epochs between the falls of step (a third of all) and exponential (1), of a cycle of "
        "cosine_restarts (a third), or that plateau waits for a lower val_loss (3); 0: those",
        aliases=("step size", "schedule step size", "learning rate step size", "decay epoch",
                 "learning rate decay epoch", "learning rate decay step", "decay step size",
                 "schedule patience", "plateau patience", "learning rate patience",
                 "t 0", "schedule t 0", "reduce learning rate patience", "learning rate step",
                 "schedule step", "decay every"),
    )  # fmt: skip
    gradient_clip_val: float = number(
        0.0, 0.0, 1e6, optional=True, quiet=True,
        help="norm of all gradients above which they are scaled down to it; 0 is none",
        aliases=("gradient clip", "grad clip", "gradient clipping", "grad clipping",
                 "gradient clip norm", "grad clip norm", "clip grad norm", "clip gradient norm",
                 "max grad norm", "max gradient norm", "clip norm", "clip grad", "clip gradient",
                 "grad clip val", "grad norm clip", "clip", "grad clip max norm", "max norm",
                 "clipnorm", "grad norm", "gradient norm", "clip val"),
        words={"none": 0.0, "false": 0.0},
    )  # fmt: skip
