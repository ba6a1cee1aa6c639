import math

import numpy as np
import pytest

from cnnlib.halving import Halving, Rungs


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
        decision = rungs.report(str(number), 1, score)
        assert decision is not None
        if number:
            cutoff = np.percentile(scores[:number], 100 * (1 - 1 / 3))
            assert decision.cutoff == pytest.approx(cutoff)
            assert decision.stop == (score < cutoff)


def test_the_first_trial_at_a_rung_goes_on() -> None:
    decision = Rungs(Halving(9, 1, 3.0)).report("a", 1, 0.0)
    assert decision is not None
    assert not decision.stop
    assert decision.cutoff is None


@pytest.mark.parametrize("score", [math.nan, -math.inf, math.inf])
def test_a_score_that_is_not_finite_is_the_worst(score: float) -> None:
    rungs = Rungs(Halving(9, 1, 3.0))
    rungs.report("good", 1, 0.1)
    decision = rungs.report("bad", 1, score)
    assert decision is not None
    assert decision.stop


def test_a_trial_is_judged_by_its_best_epoch_so_far() -> None:
    rungs = Rungs(Halving(9, 2, 3.0))
    rungs.report("other", 2, 0.5)
    rungs.report("a", 1, 0.6)
    decision = rungs.report("a", 2, 0.4)
    assert decision is not None
    assert not decision.stop
    assert rungs.scores[2]["a"] == 0.6


def test_between_rungs_and_twice_nothing_is_decided() -> None:
    rungs = Rungs(Halving(9, 2, 3.0))
    assert rungs.report("a", 1, 0.5) is None
    assert rungs.report("a", 2, 0.5) is not None
    assert rungs.report("a", 2, 0.1) is None, "a retried trial does not count twice"


def test_a_late_epoch_does_not_fill_an_early_rung() -> None:
    rungs = Rungs(Halving(9, 1, 3.0))
    rungs.report("resumed", 3, 0.9)
    decision = rungs.report("new", 1, 0.1)
    assert decision is not None
    assert not decision.stop
