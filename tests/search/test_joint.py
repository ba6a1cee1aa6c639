"""The joint search: what it finds where it looks at all hyperparameters together."""

import math
from collections.abc import Callable
from statistics import mean

from cnnlib.networks.cnn.family import CNN, TrialConfig
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.searcher import Outcome
from cnnlib.search.searchers import SEARCHERS

SPACE: Space = {
    "learning_rate": Interval(1e-5, 1e-1, log=True),
    "weight_decay": Interval(1e-5, 1e-1, log=True),
    "first_layer_filters": Choice((16, 32, 64, 128)),
    "activation": Choice(("relu", "gelu", "silu", "mish")),
}
Seen = Callable[[int, TrialConfig], Outcome]


def together(config: TrialConfig) -> float:
    """A ridge: only the product of two hyperparameters matters, which no one of them shows."""
    return -abs(math.log10(config.learning_rate * config.weight_decay) + 6)


def search(name: str, seen: Seen, trials: int, seed: int) -> list[TrialConfig]:
    made = SEARCHERS[name](space=SPACE, image_size=32, num_initial=10, seed=seed, family=CNN)
    outcomes: list[Outcome] = []
    for number in range(1, trials + 1):
        config = made.propose(number, outcomes)
        assert config is not None
        made.seen(config)
        outcomes.append(seen(number, config))
    return [outcome.config for outcome in outcomes]


def test_it_finds_what_only_two_hyperparameters_together_show() -> None:
    def seen(number: int, config: TrialConfig) -> Outcome:
        return Outcome(config, together(config), 9)

    def late(name: str) -> float:
        return mean(together(c) for seed in (1, 2) for c in search(name, seen, 40, seed)[25:])

    assert late("joint") > max(late("random"), late("tpe")) + 0.3


def test_early_values_are_not_taken_for_late_ones() -> None:
    """What was judged after its first epoch has a lower score, wherever it lies."""

    def seen(number: int, config: TrialConfig) -> Outcome:
        early = number % 4 != 0
        return Outcome(config, together(config) - 8 * early, 1 if early else 9)

    found = [together(c) for seed in (1, 2) for c in search("joint", seen, 40, seed)[25:]]
    drawn = [together(c) for seed in (1, 2) for c in search("random", seen, 40, seed)[25:]]
    assert mean(found) > mean(drawn) + 0.3


def test_the_cheaper_is_tried_first() -> None:
    def seconds(config: TrialConfig) -> float:
        return config.first_layer_filters**2 / 256

    def seen(number: int, config: TrialConfig) -> Outcome:
        return Outcome(config, together(config), 9, seconds(config))

    configs = search("joint", seen, 22, 1)
    assert mean(map(seconds, configs[10:])) < mean(map(seconds, configs[:10])) / 2


def test_what_runs_is_not_proposed_again_nor_what_lies_beside_it() -> None:
    def seen(number: int, config: TrialConfig) -> Outcome:
        return Outcome(config, None if number > 12 else together(config), 9)

    late = search("joint", seen, 16, 3)[12:]
    rates = sorted(math.log10(c.learning_rate) for c in late)
    assert len(set(late)) == 4 and rates[-1] - rates[0] > 0.3
