import math

import numpy as np
import pytest

from cnnlib.halving import WORST, Decision, Halving, Rungs, expected


def report(rungs: Rungs, trial_id: str, epoch: int, score: float) -> Decision | None:
    decision = rungs.decide(trial_id, epoch, score)
    rungs.add(trial_id, epoch, score)
    return decision


def test_rungs_grow_by_the_factor_and_end_before_the_last_epoch() -> None:
    assert Halving(50, 3, 3.0).rungs == (3, 9, 27)
    assert Halving(9, 1, 3.0).rungs == (1, 3)
    assert Halving(2, 2, 3.0).rungs == ()


def test_a_grace_longer_than_the_trial_is_refused() -> None:
    with pytest.raises(ValueError, match="min_iter 2 epochs of grace do not fit into 1"):
        Halving(1, 2, 3.0)


def test_the_cutoff_is_numpys_percentile_of_the_scores_before() -> None:
    rungs = Rungs(Halving(9, 1, 3.0))
    scores = np.random.default_rng(0).random(40)
    for number, score in enumerate(scores):
        decision = report(rungs, str(number), 1, score)
        assert decision is not None
        if number:
            cutoff = np.percentile(scores[:number], 100 * (1 - 1 / 3))
            assert decision.cutoff == pytest.approx(cutoff)
            assert decision.stop == (score < cutoff)


def test_the_first_trial_at_a_rung_goes_on() -> None:
    assert Rungs(Halving(9, 1, 3.0)).decide("a", 1, 0.0) == Decision(False, 1, None)


@pytest.mark.parametrize("score", [math.nan, -math.inf, math.inf])
def test_a_score_that_is_not_finite_is_the_worst(score: float) -> None:
    rungs = Rungs(Halving(9, 1, 3.0))
    report(rungs, "good", 1, 0.1)
    decision = report(rungs, "bad", 1, score)
    assert decision is not None
    assert decision.stop
    assert rungs.scores[1]["bad"] == WORST


def test_between_rungs_and_twice_nothing_is_decided() -> None:
    rungs = Rungs(Halving(9, 2, 3.0))
    assert report(rungs, "a", 1, 0.5) is None
    assert report(rungs, "a", 2, 0.5) is not None
    assert rungs.decide("a", 2, 0.1) is None, "a retried trial does not count twice"


def test_a_late_epoch_does_not_fill_an_early_rung() -> None:
    rungs = Rungs(Halving(9, 1, 3.0))
    report(rungs, "resumed", 3, 0.9)
    assert rungs.decide("new", 1, 0.1) == Decision(False, 1, None)


def test_the_plan_of_many_trials_is_near_one_third_at_each_rung() -> None:
    epochs, reached = expected(Halving(9, 1, 3.0), 1000)
    assert 80 < reached < 180  # one in nine, and those that came while the rungs were empty
    assert 1000 * (1 + 2 / 3 + 6 / 9) * 0.9 < epochs < 1000 * (1 + 2 / 3 + 6 / 9) * 1.3
    assert expected(Halving(9, 1, 3.0), 1) == (9, 1)
