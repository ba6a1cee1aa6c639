"""Balanced random proposals: of each hyperparameter every value equally often, in random order.

What an analysis of a sweep needs (`--explore`), as a search itself leaves bad values out.
"""

import random
from collections.abc import Sequence

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.hyperparameter import Value
from cnnlib.networks.values import Choice, Interval
from cnnlib.search.searcher import Outcome
from cnnlib.search.tpe import Random

STRATA = 8  # of an interval: of so many proposals one lies in each eighth
TRIES = 30  # draws of a proposal of which all were tried or cannot exist


class Balanced(Random):
    """Draws each hyperparameter's values in rounds, each value once a round."""

    def propose(self, number: int, outcomes: Sequence[Outcome]) -> Configuration | None:
        """The configuration of proposal `number`, or None when nothing new is left."""
        for again in range(TRIES):
            config = self._config(
                {name: self._drawn(name, v, number, again) for name, v in self._searched.items()}
            )
            if self._is_new(config):
                return config
        return super().propose(number, ())

    def _drawn(self, name: str, values: Choice | Interval, number: int, again: int) -> Value:
        size = len(values.values) if isinstance(values, Choice) else STRATA
        turn, place = divmod(number - 1, size)
        seed = f"balanced-{self.seed}-{name}-{again}"
        order = random.Random(f"{seed}-{turn}").sample(range(size), size)
        if isinstance(values, Choice):
            return values.values[order[place]]
        share = (order[place] + random.Random(f"{seed}-{number}").random()) / size
        return values.quantile(share)
