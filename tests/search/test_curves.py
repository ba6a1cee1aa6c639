"""The model of curves: what it finds where it looks at all hyperparameters together."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from statistics import mean

import numpy as np
import pytest

from cnnlib.networks.cnn.family import CNN, TrialConfig
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.curves import Curves, log_improvement, scaled
from cnnlib.search.experience import NOTHING, Early, Experience
from cnnlib.search.searcher import Outcome
from cnnlib.search.searchers import SEARCHERS
from cnnlib.search.trends import Trend, Trends

SPACE: Space = {
    "learning_rate": Interval(1e-5, 1e-1, log=True),
    "weight_decay": Interval(1e-5, 1e-1, log=True),
    "first_layer_filters": Choice((16, 32, 64, 128)),
    "activation": Choice(("relu", "gelu", "silu", "mish")),
}
BASE = TrialConfig()
Seen = Callable[[int, TrialConfig], Outcome]


def together(config: TrialConfig) -> float:
    """A ridge: only the product of two hyperparameters matters, which no one of them shows."""
    return -abs(math.log10(config.learning_rate * config.weight_decay) + 6)


def search(
    name: str, seen: Seen, trials: int, seed: int, known: Experience = NOTHING
) -> list[TrialConfig]:
    made_by = {"space": SPACE, "image_size": 32, "num_initial": 10, "family": CNN}
    made = SEARCHERS[name](**made_by, seed=seed, experience=known)
    outcomes: list[Outcome] = []
    for number in range(1, trials + 1):
        config = made.propose(number, outcomes)
        assert config is not None
        made.seen(config)
        outcomes.append(seen(number, config))
    return [outcome.config for outcome in outcomes]


def found(trends: Trends, *early: Early) -> Experience:
    return Experience("networks", 1, 100, trends, early=early)


def test_it_finds_what_only_two_hyperparameters_together_show() -> None:
    def seen(number: int, config: TrialConfig) -> Outcome:
        return Outcome(config, together(config), 9)

    def late(name: str) -> float:
        return mean(together(c) for seed in (1, 2) for c in search(name, seen, 40, seed)[25:])

    assert late("curves") > max(late("random"), late("tpe")) + 0.3


def test_early_values_are_not_taken_for_late_ones() -> None:
    """What was judged after its first epoch has a lower score, wherever it lies."""

    def seen(number: int, config: TrialConfig) -> Outcome:
        early = number % 4 != 0
        return Outcome(config, together(config) - 8 * early, 1 if early else 9)

    found = [together(c) for seed in (1, 2) for c in search("curves", seen, 40, seed)[25:]]
    drawn = [together(c) for seed in (1, 2) for c in search("random", seen, 40, seed)[25:]]
    assert mean(found) > mean(drawn) + 0.3


def test_the_cheaper_is_tried_first() -> None:
    def seconds(config: TrialConfig) -> float:
        return config.first_layer_filters**2 / 256

    def seen(number: int, config: TrialConfig) -> Outcome:
        return Outcome(config, together(config), 9, seconds(config))

    configs = search("curves", seen, 22, 1)
    assert mean(map(seconds, configs[10:])) < mean(map(seconds, configs[:10])) / 2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_earlier_sweeps_found_is_tried_first_and_ever_less_often_chance(seed: int) -> None:
    trends = {
        "learning_rate": Trend((1e-5, 1e-3, 1e-1), (-1.0, 1.0, -1.0)),
        "activation": Trend(("relu", "gelu", "silu", "mish"), (1.0, -1.0, -1.0, -1.0)),
    }
    runs = search("curves", lambda number, c: Outcome(c, None), 8, seed, found(trends))
    drawn = search("balanced", lambda number, c: Outcome(c, None), 3, seed)
    assert [runs[1], runs[3], runs[7]] == drawn
    others = [config for config in runs if config not in drawn]
    assert {config.activation for config in others} == {"relu"}
    assert all(1e-4 < config.learning_rate < 1e-2 for config in others)
    assert len({config.first_layer_filters for config in others}) > 1, "not beside what runs"


def test_what_trials_say_is_not_counted_twice_beside_what_was_known() -> None:
    """Where trials are as bad as was thought, beside them nothing worse is expected than that."""
    high, low = (replace(BASE, learning_rate=rate) for rate in (1e-2, 1e-4))
    told = [replace(c, dropout=d / 40) for d in range(8) for c in (high, low)]
    outcomes = [Outcome(c, float(c.learning_rate == 1e-4) + c.dropout / 10, 9) for c in told]
    wrong = {"learning_rate": Trend((1e-4, 1e-2), (-1.5, 1.5))}
    space = {"learning_rate": SPACE["learning_rate"], "dropout": Interval(0.0, 0.5)}
    made = Curves(space, image_size=32, num_initial=10, seed=1, experience=found(wrong))
    of_high, of_low = made._gains([replace(c, dropout=0.21) for c in (high, low)], outcomes)
    assert of_low > of_high


def test_what_runs_tells_what_a_trend_is_worth_before_anything_is_known() -> None:
    """What is expected of it counts as seen, so less can be gained where the same trend speaks."""
    known = found({"activation": Trend(("relu", "gelu"), (6.0, -6.0))})
    made = Curves(SPACE, 32, 10, 1, CNN, known)
    runs = replace(BASE, activation="relu", learning_rate=1e-5, weight_decay=1e-5)
    far = [replace(runs, activation=a, learning_rate=1e-1) for a in ("relu", "mish")]
    of_relu, of_mish = made._gains(far, []) - made._gains(far, [Outcome(runs, None)])
    assert of_relu > of_mish + 0.5


def test_who_is_known_to_begin_badly_is_not_held_back_by_a_bad_begin() -> None:
    """What lies as low at the first epoch as earlier sweeps saw it is as good as they found it."""
    low, high = (replace(BASE, learning_rate=rate) for rate in (1e-4, 1e-2))
    space = {"learning_rate": SPACE["learning_rate"], "dropout": Interval(0.0, 0.5)}
    told = [replace(c, dropout=d / 40) for d in range(8) for c in (high, low)]
    outcomes = [
        Outcome(c, float(c.learning_rate == 1e-2) + c.dropout / 10, 1, max_epochs=27) for c in told
    ]
    at_end, then = (Trend((1e-4, 1e-2), (-sign, sign)) for sign in (-0.5, 1.0))
    late = found({"learning_rate": at_end}, Early(1 / 27, 0.5, {"learning_rate": then}))
    gains = {}
    for known in (late, replace(late, early=())):
        made = Curves(space, image_size=32, num_initial=10, seed=1, experience=known)
        of_low, of_high = made._gains([replace(c, dropout=0.21) for c in (low, high)], outcomes)
        gains[bool(known.early)] = of_low - of_high
    assert gains[True] > max(0.0, gains[False])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_wrong_belief_washes_out(seed: int) -> None:
    """The trials say that mish is best; earlier sweeps found it worst."""
    wrong = {"activation": Trend(("relu", "gelu", "silu", "mish"), (1.0, 0.0, 0.0, -1.0))}

    def seen(number: int, config: TrialConfig) -> Outcome:
        return Outcome(config, float(config.activation == "mish") + together(config) / 10, 9)

    configs = search("curves", seen, 60, seed, found(wrong))
    assert configs[0].activation == "relu"
    late = configs[40:]
    assert mean(config.activation == "mish" for config in late) > 0.5


@pytest.mark.parametrize("seed", range(6))
def test_where_nothing_is_learnt_what_earlier_sweeps_hold_bad_is_tried_soon(seed: int) -> None:
    """With two of four learning rates networks stay at chance, and earlier sweeps prefer these."""
    rates = Choice((1e-8, 1e-7, 1e-2, 2e-2))
    space: Space = {"learning_rate": rates, "dropout": Interval(0.1, 0.3)}
    trends = {
        "learning_rate": Trend((1e-5, 1e-3, 1e-2), (-0.1, 0.4, -0.7)),
        "dropout": Trend((0.1, 0.2, 0.3), (-0.1, 0.1, -0.1)),
    }
    made = Curves(space, image_size=32, num_initial=10, seed=seed, experience=found(trends))
    luck, outcomes = random.Random(seed), list[Outcome]()
    for number in range(1, 17):
        config = made.propose(number, outcomes)
        assert config is not None
        made.seen(config)
        score = 0.9 if config.learning_rate > 1e-3 else luck.choice([0.33, 0.33, 0.39])
        outcomes.append(Outcome(config, score, 1, max_epochs=9))
    assert max(outcome.score or 0.0 for outcome in outcomes[:8]) == 0.9
    assert mean(outcome.score == 0.9 for outcome in outcomes[8:]) > 0.5


def test_what_runs_is_not_proposed_again() -> None:
    def seen(number: int, config: TrialConfig) -> Outcome:
        return Outcome(config, None if number > 12 else together(config), 9)

    assert len(set(search("curves", seen, 16, 3))) == 16


def test_less_is_expected_to_be_gained_beside_what_runs() -> None:
    configs = search("random", lambda number, c: Outcome(c, together(c), 9), 30, 5)
    known = [Outcome(c, together(c), 9) for c in configs[:20]]
    made = SEARCHERS["curves"](space=SPACE, image_size=32, num_initial=10, seed=5, family=CNN)
    assert isinstance(made, Curves)
    runs = configs[20]
    beside = replace(runs, weight_decay=runs.weight_decay * 1.05)
    candidates = [runs, beside, *configs[21:]]
    lost = made._gains(candidates, known) - made._gains(candidates, [*known, Outcome(runs, None)])
    assert lost[0] > 0 and lost[1] > 0 and lost[:2].min() > np.median(lost[2:])


def test_a_trial_s_own_luck_is_not_taken_for_its_configuration_s() -> None:
    """Two rungs a trial: what they have in common is luck, which its neighbours do not share."""

    def seen(number: int, config: TrialConfig) -> Outcome:
        luck = 2.0 * (-1) ** number
        early = together(config) + luck - 4
        return Outcome(config, together(config) + luck, 9, earlier=((1, early), (3, early + 2)))

    found = [together(c) for seed in (1, 2) for c in search("curves", seen, 40, seed)[25:]]
    drawn = [together(c) for seed in (1, 2) for c in search("random", seen, 40, seed)[25:]]
    assert mean(found) > mean(drawn) + 0.3


def test_the_curves_model_begins_after_three_and_tells_costs_to_the_end() -> None:
    def seen(number: int, config: TrialConfig) -> Outcome:
        return Outcome(config, together(config), 9, float(config.first_layer_filters**3))

    early = search("curves", seen, 12, 1)[4:]
    late = search("curves", seen, 60, 1)[50:]
    for configs in (early, late):
        assert mean(c.first_layer_filters for c in configs) < 40, "drawn at random it is 60"


def test_scaled_scores_keep_distances_at_the_top_and_squeeze_those_below() -> None:
    found = scaled(np.array([0.5, 0.6, 0.7, 0.8, -1e300, 0.1]))
    assert np.isfinite(found).all() and found.std() == pytest.approx(1)
    assert found[3] - found[2] == pytest.approx(found[2] - found[1])
    assert found[0] - found[5] < 3 * (found[1] - found[0])
    assert (np.argsort(found) == [4, 5, 0, 1, 2, 3]).all()
    assert (scaled(np.full(3, 0.5)) == 0).all()


def test_the_logarithm_of_an_improvement_holds_far_below() -> None:
    steps = np.random.default_rng(0).normal(size=400_000)
    for z in (-1.0, 0.0, 2.0):
        told = float(log_improvement(np.array([z]))[0])
        assert told == pytest.approx(math.log(np.maximum(z + steps, 0).mean()), abs=0.03)
    far = log_improvement(np.array([-1e9, -50.0, -20.0, -5.0, 0.0, 50.0]))
    assert np.isfinite(far).all() and (np.diff(far) > 0).all()
    assert far[1] == pytest.approx(-1250 - math.log(math.sqrt(2 * math.pi) * 2500), abs=0.01)
