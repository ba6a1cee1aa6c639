"""A family: one kind of network that can be tuned, as an object; nothing else knows its fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.hyperparameter import Hyperparameter
from cnnlib.networks.said import Said

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule


def _always(config: Any, image_size: int) -> None:
    """Why no network of a configuration can exist: there is no such reason."""


@dataclass(frozen=True)
class Family:
    """A kind of network: what can be chosen about it, how it is built, and what cannot exist."""

    name: str  # in the journal, config.json and the table
    config: type[Configuration]  # a frozen dataclass; its fields say type, default, rule and help
    # (config, num_classes, image_size) -> the network, untrained; imports torch when called
    build: Callable[[Any, int, int], "LightningModule"]
    # (config, image_size) -> why no such network can exist, or None
    impossible: Callable[[Any, int], str | None] = _always
    shapes: tuple[str, ...] = ()  # fields that the shapes of the weights depend on
    image_size: int | None = None  # px, where nobody says one
    # (config) -> None, on each machine before it trains one: fetches what the network needs
    prepare: Callable[[Any], None] | None = None
    # (network, batches of photographs, autocast) -> the batches that it trains on, where others
    batches: Callable[[Any, Any, Any], Any] | None = None
    # network -> the part of it that runs once on each photograph and not in each epoch, or None
    once: Callable[[Any], Any] | None = None
    # Fields that mean something only where another has one of these values: k_layers where the
    # strategy is freeze_partial. Elsewhere a space has only the first of their values.
    conditions: Mapping[str, tuple[str, tuple[Any, ...]]] = field(default_factory=dict)
    face: str = ""  # the class that notebooks import from cnnlib, where there is one
    # config -> what a champion's card says of where its weights began
    origin: Callable[[Any], Mapping[str, str]] | None = None
    # Fields that `impossible` depends on: 1 where more of it never makes a network impossible,
    # -1 where less never does, 0 where there is no such order. None: any of `shapes`, without one.
    limited: Mapping[str, int] | None = None
    heavier: tuple[str, ...] = ()  # those of `shapes` of which more always makes more weights
    reference: Configuration | None = None  # what a champion is compared with, if all of it fits
    short_names: Mapping[str, str] = field(default_factory=dict)  # for runs, in this order
    # Of a sweep file: what follows from what it says, beside the recipe's; hyperparameters that
    # only it may have, which this takes out of the space; and fields that only this kind of
    # network has, with whether a value is known. The first and another show that a file is of it.
    reconcile: Callable[[Said], None] | None = None
    said_only: tuple[Hyperparameter, ...] = ()
    signs: Mapping[str, Callable[[Any], bool]] = field(default_factory=dict)
    code: Any = None  # the user's own, from which it is made in other processes

    def __reduce_ex__(self, protocol: Any) -> Any:
        return super().__reduce_ex__(protocol) if self.code is None else (self.code.family, ())

    @property
    def digest(self) -> str | None:
        """Of the user's own code; None of what is part of this package."""
        return None if self.code is None else self.code.digest

    @property
    def limits(self) -> dict[str, int]:
        """The fields that can make a network impossible, with the order of each."""
        if self.limited is not None:
            return dict(self.limited)
        return {} if self.impossible is _always else dict.fromkeys(self.shapes, 0)

    def configuration(self, values: Mapping[str, object]) -> Any:
        """The configuration with these values; ValueError as in Configuration.from_mapping."""
        return self.config.from_mapping(values)
