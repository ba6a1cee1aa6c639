"""What a searcher is told and must do: it proposes the configurations that are tried."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cnnlib.networks.configuration import Configuration


@dataclass(frozen=True)
class Outcome:
    """A configuration that was tried, and how well it did."""

    config: Configuration
    score: float | None  # None while it runs and nothing is known of it
    epochs: int = 0  # after which it has this score; 0: not known, as many as there are
    seconds: float | None = None  # of one of its epochs, the mean
    earlier: tuple[tuple[int, float], ...] = ()  # rungs that it has passed, its best score there
    max_epochs: int = 0  # after which its training ends; 0: not known


class Searcher(Protocol):
    """Made by `space`, `image_size`, `seed`, `family`, `num_initial`, which counts the outcomes
    that a model waits for, and `experience`: what earlier sweeps found, which it may begin with.
    """

    def propose(self, number: int, outcomes: Sequence[Outcome]) -> Configuration | None:
        """The configuration of trial `number`, or None when nothing new is left.

        It can exist at the image size, was not `seen`, and follows from the seed, the number and
        the outcomes alone: a replay and a sweep that goes on ask again and expect the same.
        """

    def seen(self, config: Configuration) -> None:
        """This configuration has been proposed: it is not proposed again."""


def num_initial(trials: int, slots: int) -> int:
    """How many proposals are at random before a model's: half of the trials, at most 20.

    It is at least twice what runs at once, so that a model has seen outcomes when it begins.
    """
    return max(min(20, trials // 2), 2 * slots)


def is_explored(number: int, share: float) -> int:
    """Which of the explored proposals this one is, from 1; 0 where it is the searcher's.

    The explored ones are spread evenly, so that any part of a sweep holds its share of them.
    """
    now, before = math.floor(number * share + 1e-9), math.floor((number - 1) * share + 1e-9)
    return now if now > before else 0
