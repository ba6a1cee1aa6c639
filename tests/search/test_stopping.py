"""What every stopping rule must do; a new member of STOPPING is tested by being there."""

import math
import random

import pytest

from cnnlib.search.halving import Decision, Halving
from cnnlib.search.stopping import STOPPING, StoppingRule

EPOCHS = 9

pytestmark = pytest.mark.parametrize("name", STOPPING)


def rule(name: str, audit: float = 0.0) -> StoppingRule:
    halving = Halving(EPOCHS, 1, 3.0)
    return STOPPING[name](max_epochs=EPOCHS, halving=halving, audit=audit, seed=5)


Told = list[tuple[str, int, float, Decision | None]]


def sweep(stopping: StoppingRule, trials: int = 60) -> Told:
    """Each trial in turn up to where it stops: what was asked, and the answers."""
    draw, told = random.Random(0), Told()
    for number in range(trials):
        score = math.nan if number == 7 else draw.random()
        for epoch in range(1, EPOCHS):
            decision = stopping.decide(f"{number:04d}", epoch, score)
            told.append((f"{number:04d}", epoch, score, decision))
            if decision:
                stopping.add(f"{number:04d}", decision, score)
                if decision.stop:
                    break
    return told


@pytest.mark.parametrize("audit", [0.0, 0.5])
def test_who_goes_on_with_a_sweep_decides_as_an_unbroken_one(name: str, audit: float) -> None:
    told = sweep(rule(name, audit))
    again = rule(name, audit)
    for trial_id, epoch, score, written in told:
        assert again.decide(trial_id, epoch, score) == written
        assert again.decide(trial_id, epoch, score) == written, "asking changes nothing"
        if written:
            again.add(trial_id, written, score)


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
    stopped = sum(bool(decision and decision.stop) for *_, decision in told)
    assert reached == pytest.approx(60 - stopped, abs=15)
    assert epochs == pytest.approx(len(told) + 60 - stopped, rel=0.3), "the last one is not asked"
    assert rule(name).expected(1) == (EPOCHS, 1)


def test_a_sweep_that_is_extended_trains_longer(name: str) -> None:
    stopping = rule(name)
    stopping.extend(3 * EPOCHS)
    assert stopping.expected(1) == (3 * EPOCHS, 1)
