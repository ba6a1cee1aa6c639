import math
from collections import Counter

import pytest

from cnnlib.networks.cnn.family import TrialConfig, impossible
from cnnlib.networks.metric import VAL_ACC
from cnnlib.networks.values import Choice, Interval, Space, Weighted
from cnnlib.search.searcher import Outcome, num_initial
from cnnlib.search.tpe import GAMMA, HISTORY, Random, Tpe, _told

SPACE: Space = {
    "first_layer_filters": Choice((8, 16, 32)),
    "conv_layers": Choice((2, 3, 4)),
    "dropout": Choice((0.1, 0.2, 0.3, 0.4)),
    "batch_norm": Choice((True,)),
}


def search(
    space: Space, *, seed: int = 0, search: str = "tpe", image_size: int = 32, initial: int = 8
) -> Random:
    made = {"tpe": Tpe, "random": Random}[search]
    return made(space, image_size=image_size, num_initial=initial, seed=seed)


def trials(tpe: Random, count: int, score: object = None) -> list[TrialConfig]:
    """Proposes, scores by `score(config)` and ends trials one after the other."""
    outcomes: list[Outcome] = []
    for number in range(1, count + 1):
        config = tpe.propose(number, outcomes)
        if config is None:
            break
        tpe.seen(config)
        outcomes.append(Outcome(config, score(config) if callable(score) else 0.5))
    return [outcome.config for outcome in outcomes]


def test_the_whole_space_is_proposed_once_and_then_the_search_ends() -> None:
    configs = trials(search(SPACE), 100)
    assert len(configs) == len(set(configs)) == 36


def test_a_space_of_rounded_numbers_ends_too() -> None:
    space: Space = {"dropout": Interval(0.1, 0.3, step=0.1)}
    assert {round(c.dropout, 9) for c in trials(search(space, search="random"), 9)} == {
        0.1,
        0.2,
        0.3,
    }


def test_what_cannot_exist_is_never_proposed() -> None:
    configs = trials(search(SPACE, image_size=8), 100)
    assert len(configs) == 24
    assert all(impossible(config, 8) is None for config in configs)


def test_constants_stand_in_every_proposal() -> None:
    assert all(config.batch_norm for config in trials(search(SPACE), 5))


def test_a_space_of_constants_has_one_trial() -> None:
    assert trials(search({"dropout": Choice((0.1,))}), 5) == [TrialConfig(dropout=0.1)]


def test_the_same_seed_proposes_the_same() -> None:
    assert trials(search(SPACE, seed=3), 20) == trials(search(SPACE, seed=3), 20)
    assert trials(search(SPACE, seed=3), 20) != trials(search(SPACE, seed=4), 20)


def accuracy(config: TrialConfig) -> float:
    distance = abs(math.log10(config.learning_rate) + 3) + abs(config.dropout - 0.3)
    return max(0.0, 0.9 - 0.2 * distance)


REAL: Space = {
    "learning_rate": Interval(1e-6, 1.0, log=True),
    "dropout": Interval(0.0, 0.9),
    "conv_layers": Interval(2, 5, step=1),
}


def test_tpe_ends_nearer_the_optimum_than_random_search() -> None:
    def last(kind: str, seed: int) -> float:
        configs = trials(search(REAL, seed=seed, search=kind), 40, accuracy)
        return sum(map(accuracy, configs[20:])) / 20

    seeds = range(5)
    gain = [last("tpe", seed) - last("random", seed) for seed in seeds]
    assert sum(gain) / len(gain) > 0.1


def test_intervals_are_respected() -> None:
    for config in trials(search(REAL), 30, accuracy):
        assert 1e-6 <= config.learning_rate <= 1.0
        assert 0.0 <= config.dropout <= 0.9
        assert config.conv_layers in (2, 3, 4, 5)


def test_multiples_are_drawn_as_often_as_each_other_wherever_the_ends_lie() -> None:
    searched: Space = {
        "filter_org": Interval(0.25, 4, step=1),
        "learning_rate": Interval(1e-6, 1.0),
    }
    drawn = Counter(config.filter_org for config in trials(search(searched, search="random"), 400))
    assert set(drawn) == {1, 2, 3, 4}
    assert all(70 < number < 130 for number in drawn.values())


def test_a_space_too_large_to_list_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("batch_size", "num_neurons_dense")
    tpe = search({name: Choice(tuple(range(1, 1002))) for name in names})
    answers = iter([(1, 1)] * 400 + [(2, 1)])
    monkeypatch.setattr(
        tpe, "_question", lambda *_: lambda *_: dict(zip(names, next(answers), strict=True))
    )
    monkeypatch.setattr(tpe, "_one_of_the_rest", lambda *_: pytest.fail("a million were listed"))
    assert [config.batch_size for config in trials(tpe, 2)] == [1, 2]


def test_failed_trials_are_avoided_rather_than_forgotten() -> None:
    space: Space = {"learning_rate": Choice((0.1, 0.01)), "dropout": Interval(0.0, 0.9)}

    def late_failures(seed: int) -> int:
        def score(config: TrialConfig) -> float:
            return VAL_ACC.worst if config.learning_rate == 0.1 else 0.3

        configs = trials(search(space, seed=seed), 30, score)
        return sum(score(config) == VAL_ACC.worst for config in configs[10:])

    assert sum(map(late_failures, range(4))) < 0.35 * 4 * 20


def test_a_proposal_follows_from_its_number_and_the_outcomes_alone() -> None:
    first = search(REAL)
    configs = trials(first, 20, accuracy)
    outcomes = [Outcome(config, accuracy(config)) for config in configs]
    for number in (3, 12, 20):
        fresh = search(REAL)
        fresh._seen = set(configs[: number - 1])
        assert fresh.propose(number, outcomes[: number - 1]) == configs[number - 1]


def test_running_trials_do_not_end_the_random_beginning() -> None:
    tpe = search(REAL, initial=3)
    by_chance = search(REAL, search="random")
    running = [Outcome(TrialConfig(dropout=n / 10), None) for n in range(5)]
    assert tpe.propose(6, running) == by_chance.propose(6, running)
    ended = [Outcome(outcome.config, 0.5) for outcome in running]
    assert tpe.propose(6, ended) != by_chance.propose(6, ended)


def test_a_long_history_is_told_by_its_best_and_its_latest() -> None:
    outcomes = [Outcome(TrialConfig(), n % 997 / 1000) for n in range(3 * HISTORY)]
    told, gamma = _told(outcomes)
    assert len(told) == HISTORY
    num_good = math.ceil(GAMMA * math.sqrt(len(outcomes)))
    assert math.ceil(gamma * math.sqrt(len(told))) == num_good, "as many good ones as of all"
    good = sorted(range(len(outcomes)), key=lambda n: -(outcomes[n].score or 0))[:num_good]
    assert set(good) <= {number for number, _ in told}
    assert [number for number, _ in told][-100:] == list(range(3 * HISTORY - 100, 3 * HISTORY))
    told, gamma = _told(outcomes[:HISTORY])
    assert told == list(enumerate(outcomes[:HISTORY]))
    assert math.ceil(gamma * math.sqrt(HISTORY)) == math.ceil(GAMMA * math.sqrt(HISTORY))


def test_of_a_million_points_those_left_are_drawn_without_making_a_list_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("batch_size", "num_neurons_dense")
    tpe = search({name: Choice(tuple(range(1, 1001))) for name in names})
    monkeypatch.setattr(tpe, "_ideas", lambda *_: iter(()))
    made = 0
    config_of = tpe._config

    def counted(values: dict) -> TrialConfig:
        nonlocal made
        made += 1
        return config_of(values)

    monkeypatch.setattr(tpe, "_config", counted)
    assert len(set(trials(tpe, 20))) == 20
    assert made == 20


def test_what_is_left_is_all_that_is_left() -> None:
    tpe = search(SPACE, image_size=8)
    tpe._ideas = lambda *_: iter(())  # type: ignore[method-assign]
    assert len(set(trials(tpe, 100))) == 24


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_probabilities_say_what_is_tried_first(kind: str) -> None:
    space: Space = {"dropout": Weighted((0.1, 0.2, 0.3), (0.05, 0.05, 0.9))}
    first = [trials(search(space, seed=seed, search=kind), 1)[0].dropout for seed in range(40)]
    assert first.count(0.3) > 30
    assert len(trials(search(space, search=kind), 9)) == 3, "and all are tried in the end"


@pytest.mark.parametrize(
    ("trials", "slots", "expected"),
    [(60, 2, 20), (300, 2, 20), (40, 2, 20), (30, 2, 15), (20, 2, 10), (8, 2, 4), (24, 8, 16)],
)
def test_half_is_at_random_at_first(trials: int, slots: int, expected: int) -> None:
    assert num_initial(trials, slots) == expected
