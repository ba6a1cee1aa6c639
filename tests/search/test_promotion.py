import math
import random

import pytest

from cnnlib.search.halving import Halving
from cnnlib.search.promotion import SPARE, Promotion

EPOCHS = 27
PLAN = Halving.for_promotion(EPOCHS, 3.0)


def rule(trials: int = 27) -> Promotion:
    return Promotion(PLAN, trials)


def report(promotion: Promotion, trial_id: str, rung: int, score: float) -> bool:
    """Whether the trial goes on."""
    decision = promotion.decide(trial_id, rung, score)
    assert decision is not None
    promotion.add(trial_id, decision, score)
    if decision.pause:
        promotion.wait(trial_id, rung)
    return decision.goes_on


@pytest.mark.parametrize(
    ("max_epochs", "eta", "rungs"),
    [
        (27, 3, (1, 3, 9)),
        (50, 3, (2, 6, 17)),
        (12, 3, (1, 4)),
        (6, 3, (1, 2)),
        (2, 3, (1,)),
        (100, 4, (2, 6, 25)),
        (1, 3, ()),
    ],
)
def test_the_rungs_are_a_27th_a_ninth_and_a_third_of_the_way(
    max_epochs: int, eta: float, rungs: tuple[int, ...]
) -> None:
    assert Halving.for_promotion(max_epochs, eta).rungs == rungs


def test_the_best_third_goes_on_and_who_comes_later_and_better_too() -> None:
    promotion = rule()
    assert not report(promotion, "a", 1, 0.5)
    assert promotion.pick() is None, "a third of one is none"
    assert not report(promotion, "b", 1, 0.4)
    assert not report(promotion, "c", 1, 0.3)
    assert promotion.pick() == "a"
    promotion.leave("a")
    assert promotion.pick() is None
    assert report(promotion, "d", 1, 0.6), "it is the one that would be picked"
    for name in "ef":
        report(promotion, name, 1, 0.1)
    assert promotion.pick() is None, "the best two of six have gone on"
    for name in "ghi":
        report(promotion, name, 1, 0.1)
    assert promotion.pick() == "b", "the field turned out weak"


@pytest.mark.parametrize(
    ("plan", "at_first", "at_last"),
    [
        (PLAN, 3, 2),
        (Halving(EPOCHS, 1, 3.0), 3, 3),  # by a sweep file, or an older version's journal
        (Halving.for_promotion(EPOCHS, 1.5), 2, 2),  # two of three go on everywhere
        (Halving.for_promotion(EPOCHS, 4.0), 4, 2),
    ],
)
def test_from_the_last_rung_half_go_on_where_nobody_named_the_rungs(
    plan: Halving, at_first: int, at_last: int
) -> None:
    """How many have to be at a rung before the best of them goes on."""
    for rung, enough in ((plan.rungs[0], at_first), (plan.rungs[-1], at_last)):
        promotion = Promotion(plan, 64)
        went = [report(promotion, str(number), rung, number / 10) for number in range(enough)]
        assert went == [False] * (enough - 1) + [True]


def test_the_highest_rung_comes_first() -> None:
    promotion = rule()
    for number in range(9):
        report(promotion, f"{number}", 1, number / 10)
    for trial_id in "876":  # three of nine
        promotion.leave(trial_id)
    report(promotion, "8", 3, 0.8)
    assert promotion.pick() is None
    report(promotion, "7", 3, 0.7)
    assert not report(promotion, "6", 3, 0.6)
    assert promotion.pick() == "8"
    report(promotion, "new", 1, 0.99)
    assert promotion.pick() == "8", "though another waits at a lower rung"


def test_what_falls_out_of_the_quota_never_goes_on() -> None:
    promotion = rule(trials=9)
    assert [promotion.quota(rung) for rung in PLAN.rungs] == [3, 1, 1]
    for number in range(4):
        report(promotion, f"{number}", 1, number / 10)
    assert promotion.hopeless() == ["0"]
    for number in (4, 7, 6, 5):
        report(promotion, f"{number}", 9, number / 10)
    assert promotion.hopeless() == ["0", "4"], "of the highest rung two are spare"
    assert promotion.spare() == "6", "7 has gone on"
    assert "0" not in {promotion.pick(), promotion.pick(idle=True)}
    promotion.extend(EPOCHS, 18, more=True)
    assert promotion.hopeless() == ["4"]
    assert promotion.most_waiting == 6 + 2 + 1 + SPARE


def test_what_waits_is_bounded_whatever_the_scores() -> None:
    for seed in range(20):
        draw, promotion, most = random.Random(seed), rule(trials=40), 0
        number, after = 0, dict[str, int]()
        rising = seed % 2 == 0
        while (trial_id := promotion.pick()) or number < 40:
            if trial_id:
                promotion.leave(trial_id)
            else:
                trial_id, number = str(number), number + 1
                promotion.extend(EPOCHS, 40, more=number < 40)
            for rung in [r for r in PLAN.rungs if r > after.get(trial_id, 0)]:
                after[trial_id] = rung
                if not report(promotion, trial_id, rung, number if rising else draw.random()):
                    break
            for hopeless in promotion.hopeless():
                promotion.leave(hopeless)
            most = max(most, len(promotion.waiting))
        assert most <= promotion.most_waiting == 14 + 5 + 3 + SPARE
        assert len(promotion.waiting) <= SPARE, "all that may go on has gone on"


def test_when_nothing_new_comes_idle_workers_take_the_best_from_below() -> None:
    promotion = rule(trials=2)
    assert not report(promotion, "a", 1, 0.1)
    promotion.extend(EPOCHS, 2, more=False)
    assert report(promotion, "b", 1, 0.2), "it goes on in place: one of two may"
    assert promotion.pick() is None
    assert promotion.hopeless() == ["a"]
    assert promotion.spare() is None, "it is not at the highest rung"


def test_of_equals_the_first_goes_on_and_no_score_never_does() -> None:
    promotion = rule(trials=3)
    report(promotion, "a", 1, 0.5)
    report(promotion, "b", 1, 0.5)
    assert not report(promotion, "c", 1, math.nan)
    assert promotion.pick() == "a"
    assert promotion.cutoff(1) == 0.5
    assert promotion.cutoff(3) is None


def test_who_rises_later_goes_on_before_who_stands_higher() -> None:
    """Of three, standings are 0.97, 0 and -0.97 standard deviations."""
    rises = {"a": 0.0, "b": 0.5, "c": 1.0}

    def outlook(trial_id: str, rung: int) -> tuple[float, float]:
        return (0.5, rises[trial_id]) if rung == 1 else (1.0, 0.0)

    promotion = Promotion(PLAN, 27, outlook=outlook)
    scores = {"a": 0.5, "b": 0.45, "c": 0.2}
    goes_on = [report(promotion, trial_id, 1, score) for trial_id, score in scores.items()]
    assert goes_on == [False, False, True], "0.52 at the end, b 0.50 and a 0.48"
    assert promotion.cutoff(1) is None, "no score decides it"
    goes_on = [report(promotion, trial_id, 3, score) for trial_id, score in scores.items()]
    assert goes_on == [False, False, False] and promotion.pick() == "a", "as they stand"


def test_who_has_no_score_does_not_rise() -> None:
    promotion = Promotion(PLAN, 27, outlook=lambda trial_id, rung: (0.5, float(trial_id == "c")))
    report(promotion, "a", 1, 0.5)
    report(promotion, "b", 1, 0.4)
    assert not report(promotion, "c", 1, math.nan)
    assert promotion.pick() == "a"


def test_who_is_foretold_to_fall_back_falls_out_first() -> None:
    promotion = Promotion(PLAN, 9, outlook=lambda trial_id, rung: (0.1, float(trial_id != "a")))
    for number, trial_id in enumerate("abcd"):
        report(promotion, trial_id, 1, 1 - number / 10)
    assert promotion.hopeless() == ["a"], "three may go on, and it stood highest"


def test_an_audited_trial_runs_on_and_is_judged_no_more() -> None:
    promotion = Promotion(PLAN, 27, audit=1.0)
    decision = promotion.decide("a", 1, 0.5)
    assert decision is not None and decision.audited and decision.goes_on
    promotion.add("a", decision, 0.5)
    assert promotion.decide("a", 3, 0.9) is None
    assert promotion.waiting == {}
