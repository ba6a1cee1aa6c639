import math

import pytest
from ray.tune.search import Searcher

from cnnlib.config import TrialConfig, impossible
from cnnlib.space import Choice, Interval, Space
from cnnlib.tpe import Tpe

SPACE: Space = {
    "first_layer_filters": Choice((8, 16, 32)),
    "conv_layers": Choice((2, 3, 4)),
    "dropout": Choice((0.1, 0.2, 0.3, 0.4)),
    "batch_norm": Choice((True,)),
}


def search(space: Space, *, seed: int = 0, search: str = "tpe", image_size: int = 32) -> Tpe:
    return Tpe(
        space,
        image_size=image_size,
        num_initial=8,
        search=search,
        seed=seed,
        on_propose=lambda trial_id, config: None,
    )


def trials(tpe: Tpe, count: int, score: object = None) -> list[TrialConfig]:
    """Proposes, scores by `score(config)` and completes trials one after the other."""
    configs = []
    for number in range(count):
        answer = tpe.suggest(f"ray{number}")
        if answer == Searcher.FINISHED:
            break
        assert isinstance(answer, dict)
        assert answer.pop("trial_id") == f"{number + 1:04d}"
        configs.append(TrialConfig.from_mapping(answer))
        value = score(configs[-1]) if callable(score) else 0.5
        tpe.on_trial_complete(f"ray{number}", {"val_acc": value})
    return configs


def test_the_whole_space_is_proposed_once_and_then_the_search_ends() -> None:
    configs = trials(search(SPACE), 100)
    assert len(configs) == len(set(configs)) == 36


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


def test_a_space_too_large_to_list_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("batch_size", "num_neurons_dense")
    tpe = search({name: Choice(tuple(range(1, 1002))) for name in names})
    answers = iter([(1, 1)] * 40 + [(2, 1)])
    monkeypatch.setattr(
        tpe, "_ask_hyperopt", lambda *_: dict(zip(names, next(answers), strict=True))
    )
    monkeypatch.setattr(tpe, "_one_of_the_rest", lambda *_: pytest.fail("a million were listed"))
    assert [config.batch_size for config in trials(tpe, 2)] == [1, 2]


def test_failed_trials_are_avoided_rather_than_forgotten() -> None:
    def late_failures(seed: int) -> int:
        space: Space = {"learning_rate": Choice((0.1, 0.01)), "dropout": Interval(0.0, 0.9)}
        tpe, failures = search(space, seed=seed), 0
        for number in range(30):
            answer = tpe.suggest(f"ray{number}")
            assert isinstance(answer, dict)
            fails = answer["learning_rate"] == 0.1
            failures += fails and number >= 10
            tpe.on_trial_complete(
                f"ray{number}", {"error": "no memory"} if fails else {"val_acc": 0.3}
            )
        return failures

    assert sum(map(late_failures, range(4))) < 0.35 * 4 * 20


@pytest.mark.parametrize("scores", [[0.2, 0.6, 0.4], [0.6, math.nan], [0.6]])
def test_a_trial_counts_with_its_best_epoch(scores: list[float]) -> None:
    tpe = search(SPACE)
    tpe.suggest("ray0")
    for epoch, score in enumerate(scores):
        tpe.on_trial_result("ray0", {"epoch": epoch + 1, "val_acc": score})
    tpe.on_trial_complete("ray0", error=True)
    assert tpe.score("ray0") == 0.6
