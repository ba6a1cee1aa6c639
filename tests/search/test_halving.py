import math

import numpy as np
import pytest

from cnnlib.networks.metric import VAL_ACC
from cnnlib.search.decision import Decision
from cnnlib.search.halving import Halving, Rungs, expected


def report(rungs: Rungs, trial_id: str, epoch: int, score: float) -> Decision | None:
    decision = rungs.decide(trial_id, epoch, score)
    if decision:
        rungs.add(trial_id, decision, score)
    return decision


def test_rungs_grow_by_the_factor_and_end_before_the_last_epoch() -> None:
    assert Halving(50, 3, 3.0).rungs == (3, 9, 27)
    assert Halving(9, 1, 3.0).rungs == (1, 3)
    assert Halving(2, 2, 3.0).rungs == ()
    assert Halving.by_default(12, 3.0).rungs == (1, 4), "none at three quarters of the way"
    assert Halving.by_default(20, 3.0).rungs == (2, 7)


def test_a_grace_longer_than_the_trial_is_refused() -> None:
    with pytest.raises(ValueError, match="min_iter 2 epochs of grace do not fit into 1"):
        Halving(1, 2, 3.0)


def test_named_rungs_are_kept_and_none_follows() -> None:
    assert Halving(50, 3, 3.0, named=(3, 9)).rungs == (3, 9)
    assert Halving(9, 3, 3.0, named=(3, 9)).rungs == (3,), "the last epoch is none"
    with pytest.raises(ValueError, match="max_iter 3 epochs of grace do not fit into 2"):
        Halving(2, 3, 3.0, named=(3, 9))


def test_a_factor_near_one_and_many_trials_end() -> None:
    assert len(Halving(1_000_000, 1, 1 + 1e-9).rungs) == 1
    epochs, reached = expected(Halving(9, 1, 3.0), 1_000_000)
    assert epochs == pytest.approx(100 * expected(Halving(9, 1, 3.0), 10_000)[0])
    assert 0 < reached < 1_000_000 / 5


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
    assert rungs.scores[1]["bad"] == VAL_ACC.worst


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


def contest(audit: float, trials: int = 300) -> tuple[dict[tuple[str, int], Decision], Rungs]:
    """What is decided on trials with random scores, one after the other."""
    rungs, generator = Rungs(Halving(9, 1, 3.0), audit, seed=5), np.random.default_rng(1)
    decisions = {}
    for number in range(trials):
        for epoch, score in zip((1, 3), generator.random(2), strict=True):
            decision = report(rungs, str(number), epoch, score)
            if decision:
                decisions[str(number), epoch] = decision
            if decision and decision.stop:
                break
    return decisions, rungs


def test_an_audit_lets_a_share_go_on_and_changes_nothing_for_the_others() -> None:
    plain, plain_rungs = contest(0.0)
    audited, rungs = contest(0.2)
    assert rungs.scores == plain_rungs.scores, "no cutoff is distorted"
    assert audited.keys() == plain.keys(), "an audited trial is not judged again"
    drawn = {key for key, decision in audited.items() if decision.audited}
    assert rungs.audited == {trial_id for trial_id, _ in drawn}
    below = {key for key, decision in plain.items() if decision.stop}
    assert drawn < below
    assert 0.1 < len(drawn) / len(below) < 0.3
    for key, decision in audited.items():
        assert (decision.rung, decision.cutoff) == (plain[key].rung, plain[key].cutoff)
        assert decision.stop == (plain[key].stop and not decision.audited)


def test_who_is_audited_follows_from_seed_trial_and_rung() -> None:
    def drawn(seed: int, rung: int, names: list[str]) -> set[str]:
        rungs = Rungs(Halving(9, 1, 3.0), 0.5, seed)
        for name in names:
            report(rungs, f"good {name}", rung, 0.9)
        for name in names:
            report(rungs, name, rung, 0.1)
        return rungs.audited

    names = [str(number) for number in range(20)]
    assert drawn(1, 1, names) == drawn(1, 1, names[::-1])
    assert drawn(1, 1, names) != drawn(2, 1, names)
    assert drawn(1, 1, names) != drawn(1, 3, names)


def test_the_plan_counts_the_audit() -> None:
    plan = Halving(9, 1, 3.0)
    (epochs, reached), (more, also) = expected(plan, 200), expected(plan, 200, 0.2)
    assert also - reached == pytest.approx(0.2 * (200 - reached), rel=0.1)
    assert 6 < (more - epochs) / (also - reached) < 8, "epochs after rung 3 and 1"
    assert expected(plan, 200, 1.0) == (1800, 200)
