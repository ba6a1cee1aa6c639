"""What every searcher must do; a new member of SEARCHERS is tested by being there."""

import pytest

from cnnlib.networks.cnn.family import CNN, TrialConfig
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.searcher import Outcome, Searcher
from cnnlib.search.searchers import SEARCHERS

SMALL: Space = {
    "first_layer_filters": Choice((8, 16)),
    "conv_layers": Choice((2, 3, 4)),
    "dropout": Choice((0.1, 0.2)),
    "batch_norm": Choice((True,)),
}
LARGE: Space = {**SMALL, "dropout": Interval(0.0, 0.5), "learning_rate": Interval(1e-4, 1e-1)}

pytestmark = pytest.mark.parametrize("name", SEARCHERS)


def searcher(name: str, space: Space, *, image_size: int = 32, seed: int = 3) -> Searcher:
    return SEARCHERS[name](space=space, image_size=image_size, num_initial=4, seed=seed, family=CNN)


def score(config: TrialConfig) -> float:
    return config.dropout + config.conv_layers / 10


def trials(search: Searcher, count: int) -> list[TrialConfig]:
    """Proposed one after the other; one fails, and one is never known to end."""
    outcomes: list[Outcome] = []
    while len(outcomes) < count:
        number = len(outcomes) + 1
        config = search.propose(number, outcomes)
        if config is None:
            break
        search.seen(config)
        scores = {2: -1.0, 3: None}
        outcomes.append(Outcome(config, scores.get(number, score(config))))
    return [outcome.config for outcome in outcomes]


def test_a_small_space_is_proposed_whole_without_repeats_and_then_the_search_ends(
    name: str,
) -> None:
    configs = trials(searcher(name, SMALL), 50)
    assert len(configs) == len(set(configs)) == 12


def test_what_cannot_exist_is_not_proposed(name: str) -> None:
    configs = trials(searcher(name, SMALL, image_size=8), 50)
    assert len(configs) == 8
    assert all(CNN.impossible(config, 8) is None for config in configs)


def test_constants_and_bounds_hold(name: str) -> None:
    for config in trials(searcher(name, LARGE), 15):
        assert config.batch_norm and config.conv_layers in (2, 3, 4)
        assert 0 <= config.dropout <= 0.5 and 1e-4 <= config.learning_rate <= 1e-1


def test_the_same_seed_proposes_the_same_and_another_seed_something_else(name: str) -> None:
    first, again = (trials(searcher(name, LARGE), 12) for _ in range(2))
    assert first == again
    assert trials(searcher(name, LARGE, seed=4), 12) != first


def test_a_proposal_follows_from_number_and_outcomes_whatever_was_asked_before(name: str) -> None:
    configs = trials(searcher(name, LARGE), 12)
    scores = {2: -1.0, 3: None}
    for number in (1, 3, 8, 12):
        fresh, before = searcher(name, LARGE), configs[: number - 1]
        for config in before:
            fresh.seen(config)
        outcomes = [Outcome(c, scores.get(n, score(c))) for n, c in enumerate(before, 1)]
        assert fresh.propose(number, outcomes) == configs[number - 1]
        assert fresh.propose(number, outcomes) == configs[number - 1], "asking changes nothing"


def test_outcomes_of_another_sweep_are_taken(name: str) -> None:
    known = [Outcome(c, score(c)) for c in trials(searcher(name, LARGE, seed=9), 12)]
    assert searcher(name, LARGE).propose(1, known) is not None
