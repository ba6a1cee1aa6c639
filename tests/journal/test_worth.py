"""A sweep that ends where more trials are not worth it, and what it says of them."""

from dataclasses import replace

import pytest

from cnnlib.journal.finals import Finals
from cnnlib.journal.replay import replay
from cnnlib.journal.terms import Terms
from cnnlib.journal.worth import worth
from cnnlib.networks.metric import Metric
from tests.journal.test_finals import Held
from tests.journal.test_ledger import TERMS, Sweep

LONG = replace(TERMS, trials=40)


def swept(terms: Terms) -> Sweep:
    sweep = Sweep()
    sweep.begin(terms)
    sweep.run()
    return sweep


@pytest.mark.parametrize("stopping", ["asha", "promote"])
def test_nothing_new_is_tried_where_it_gains_less_than_asked(stopping: str) -> None:
    sweep = swept(replace(LONG, stop_when=0.1, stopping=stopping))
    ledger = sweep.ledger
    assert 10 <= len(ledger.trials) < 40 and ledger.in_vain
    assert ledger.gain is not None and ledger.gain < 0.1
    assert ledger.unfinished == 0 and ledger.next_trial() is None
    assert replay(sweep.events)[0] is None
    assert len(swept(replace(LONG, stopping=stopping)).ledger.trials) == 40


def test_a_sweep_that_goes_on_ends_where_the_unbroken_one_does() -> None:
    terms = replace(LONG, stop_when=0.1)
    whole = swept(terms)
    broken = Sweep(whole.events[:40])
    broken.begin(terms)
    broken.run()
    assert {t.config: t.best for t in broken.ledger.trials.values()} == {
        t.config: t.best for t in whole.ledger.trials.values()
    }


def test_noise_is_the_chance_of_the_validation_photographs() -> None:
    few, many = (swept(replace(LONG, noise_of=number)).ledger for number in (10, 100_000))
    assert len(few.trials) < len(many.trials)
    best = max(trial.best for trial in few.trials.values())
    assert few.terms.least_gain(best) == pytest.approx((best * (1 - best) / 10) ** 0.5)


def test_it_says_the_gain_in_points_beside_a_seeds(held: Held) -> None:
    ledger = held.sweep.ledger
    assert ledger.gain is not None
    gain = f"another 20 trials would gain {100 * ledger.gain:.1f} points of val_acc"
    assert worth(ledger, held.finals) == gain
    held.end_all((0.5, 0.9), (0.4, 0.8), (0.3, 0.7), (0.2, 0.6))
    assert worth(ledger, held.finals) == f"{gain}, less than a seed's 28.3"


def test_without_finals_it_says_the_chance_of_the_photographs() -> None:
    sweep = swept(replace(LONG, noise_of=10))
    assert "less than the chance of 10 photographs, 1" in worth(sweep.ledger, Finals(sweep.ledger))


def test_a_loss_is_told_in_its_own_unit_and_few_trials_say_nothing() -> None:
    terms = replace(TERMS, metric=Metric("val_loss", "minimize", "loss"))
    sweep = swept(terms)
    assert worth(sweep.ledger, Finals(sweep.ledger)) == "another 20 trials would gain 0 of loss"
    sweep = swept(replace(TERMS, trials=5))
    assert worth(sweep.ledger, Finals(sweep.ledger)).endswith("not known of fewer than 10")


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.mark.parametrize(
    ("metric", "within"), [(Metric(), 1.0), (Metric("val_loss", "minimize"), 0.0)]
)
def test_a_gain_ends_at_the_best_value_of_the_metric(metric: Metric, within: float) -> None:
    sweep = swept(replace(LONG, metric=metric))
    best = max(trial.best for trial in sweep.ledger.trials.values())
    trial = next(iter(sweep.ledger.trials.values()))
    assert sweep.ledger.gain is not None and best + sweep.ledger.gain <= within
    trial.best = within
    assert sweep.ledger.gain == 0.0
