"""How configurations are proposed: the searchers by name, and what each of them must do.

`--search NAME` chooses one. tests/search/test_searchers.py holds every member of SEARCHERS to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cnnlib.networks.configuration import Configuration


@dataclass(frozen=True)
class Outcome:
    """A configuration that was tried, and how well it did."""

    config: Configuration
    score: float | None  # None while it runs


class Searcher(Protocol):
    """Made by `space`, `image_size`, `num_initial` (outcomes before a model begins), `seed`, `family`."""

    def propose(self, number: int, outcomes: Sequence[Outcome]) -> Configuration | None:
        """The configuration of trial `number`, or None when nothing new is left.

        It can exist at the image size, was not `seen`, and follows from the seed, the number and
        the outcomes alone: a replay and a sweep that goes on ask again and expect the same.
        """

    def seen(self, config: Configuration) -> None:
        """This configuration has been proposed: it is not proposed again."""


def _tpe(**made_by: Any) -> Searcher:
    from cnnlib.search.tpe import Tpe  # HyperOpt takes a while to load

    return Tpe(**made_by)


def _random(**made_by: Any) -> Searcher:
    from cnnlib.search.tpe import Random

    return Random(**made_by)


SEARCHERS: dict[str, Callable[..., Searcher]] = {"tpe": _tpe, "random": _random}
