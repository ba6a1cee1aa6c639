"""What every stopping rule must do; a new member of STOPPING is tested by being there."""

import math
import random

import pytest

from cnnlib.search.decision import Decision
from cnnlib.search.halving import Halving
from cnnlib.search.stopping import STOPPING, StoppingRule

EPOCHS = 9

pytestmark = pytest.mark.parametrize("name", STOPPING)


def rule(name: str, audit: float = 0.0) -> StoppingRule:
    halving = Halving(EPOCHS, 1, 3.0)
    return STOPPING[name](max_epochs=EPOCHS, halving=halving, trials=60, audit=audit, seed=5)


Told = list[tuple[str, int, float, Decision | None]]


def sweep(stopping: StoppingRule, trials: int = 60) -> Told:
    """Each trial in turn up to where it stops or waits, then who waits: what was asked, and the
    answers.
    """
    draw, told = random.Random(0), Told()
    stopping.extend(EPOCHS, trials, more=True)
    proposed, after = 0, dict[str, int]()
    while (trial_id := stopping.pick()) or proposed < trials:
        if trial_id:
            stopping.leave(trial_id)
        else:
            trial_id, proposed = f"{proposed:04d}", proposed + 1
            stopping.extend(EPOCHS, trials, more=proposed < trials)
        for epoch in range(after.get(trial_id, 0) + 1, EPOCHS + 1):
            score = math.nan if trial_id == "0007" else draw.random()
            decision = stopping.decide(trial_id, epoch, score) if epoch < EPOCHS else None
            told.append((trial_id, epoch, score, decision))
            after[trial_id] = epoch
            if decision:
                stopping.add(trial_id, decision, score)
                if decision.pause and math.isfinite(score):
                    stopping.wait(trial_id, epoch)
                if not decision.goes_on:
                    break
    return told


@pytest.mark.parametrize("audit", [0.0, 0.5])
def test_who_goes_on_with_a_sweep_decides_as_an_unbroken_one(name: str, audit: float) -> None:
    told = sweep(rule(name, audit))
    again = rule(name, audit)
    proposed, is_free = set[str](), True
    for trial_id, epoch, score, written in told:
        if is_free:
            assert again.pick() == (trial_id if trial_id in proposed else None)
            again.leave(trial_id)
            proposed.add(trial_id)
            again.extend(EPOCHS, 60, more=len(proposed) < 60)
        is_free = epoch == EPOCHS or bool(written and not written.goes_on)
        decision = again.decide(trial_id, epoch, score) if epoch < EPOCHS else None
        assert decision == written
        if written:
            assert again.decide(trial_id, epoch, score) == written, "asking changes nothing"
            again.add(trial_id, written, score)
            if written.pause and math.isfinite(score):
                again.wait(trial_id, epoch)


def test_a_decision_names_its_epoch_and_a_trial_that_stops_is_below_the_cutoff(name: str) -> None:
    for _, epoch, score, decision in sweep(rule(name)):
        if decision:
            assert decision.rung == epoch
        if decision and decision.stop:
            assert decision.cutoff is not None and not score >= decision.cutoff


def test_the_first_trial_is_never_stopped(name: str) -> None:
    assert not any(told[3] and told[3].stop for told in sweep(rule(name), trials=1))


def test_the_expected_epochs_are_those_of_a_sweep_whose_scores_tell_nothing_apart(
    name: str,
) -> None:
    epochs, reached = rule(name).expected(60)
    told = sweep(rule(name))
    assert reached == pytest.approx(sum(epoch == EPOCHS for _, epoch, *_ in told), abs=15)
    assert epochs == pytest.approx(len(told), rel=0.3)
    assert rule(name).expected(1) == (EPOCHS, 1)


def test_who_is_given_up_can_not_be_picked_whatever_comes(name: str) -> None:
    stopping = rule(name)
    sweep(stopping)
    hopeless = set(stopping.hopeless())
    assert stopping.pick(idle=True) is None
    assert len(hopeless) <= 60
    assert stopping.most_waiting < 60


def test_a_sweep_that_is_extended_trains_longer(name: str) -> None:
    stopping = rule(name)
    stopping.extend(3 * EPOCHS, 60, more=True)
    assert stopping.expected(1) == (3 * EPOCHS, 1)
