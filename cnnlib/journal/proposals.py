"""What a sweep tries next: first what a person asks for, then chance's share and the searcher's."""

from collections.abc import Iterable, Sequence

from cnnlib.journal.terms import Terms
from cnnlib.networks.configuration import Configuration
from cnnlib.search.experience import NOTHING
from cnnlib.search.priors import believed
from cnnlib.search.searcher import Outcome, Searcher, is_explored
from cnnlib.search.searchers import SEARCHERS

FIRST, EXPLORE, SEARCH = "first", "explore", "search"  # who proposes


class Proposals:
    """The proposals of a sweep's terms; what they are follows from what was `seen` and is told."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._seen: set[Configuration] = set()
        self._searchers: dict[str, Searcher] = {SEARCH: self._made(terms.search)}
        if terms.explore:
            self._searchers[EXPLORE] = self._made("balanced")

    def _made(self, name: str) -> Searcher:
        return SEARCHERS[name](
            space=self._terms.space,
            image_size=self._terms.image_size,
            num_initial=self._terms.num_initial,
            seed=self._terms.seed,
            family=self._terms.family,
            experience=self._terms.experience or NOTHING,
        )

    def seen(self, config: Configuration) -> None:
        """This configuration has been proposed: it is not proposed again."""
        self._seen.add(config)
        for searcher in self._searchers.values():
            searcher.seen(config)

    def proposer(self, number: int) -> str:
        """Who proposes trial `number`: a person, chance, or the search."""
        after = number - len(self._terms.first)
        if after < 1:
            return FIRST
        return EXPLORE if is_explored(after, self._terms.explore) else SEARCH

    def propose(self, number: int, outcomes: Iterable[Outcome]) -> Configuration | None:
        """The configuration of trial `number`, None where nothing new is left."""
        terms, who = self._terms, self.proposer(number)
        if who == FIRST:
            return terms.first[number - 1]
        if who == EXPLORE:
            explored = is_explored(number - len(terms.first), terms.explore)
            return self._searchers[EXPLORE].propose(explored, ())
        told: Sequence[Outcome] = [*terms.known, *outcomes]
        config = self._searchers[SEARCH].propose(number, told)
        if config is None:
            return None
        space, seed = terms.space, terms.seed
        return believed(
            config, terms.priors, space=space, number=number, seed=seed, possible=self._is_new
        )

    def _is_new(self, config: Configuration) -> bool:
        fault = self._terms.family.impossible(config, self._terms.image_size)
        return config not in self._seen and fault is None
