"""A sweep with promotion, folded from its journal: what `halving` does is in test_ledger."""

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from cnnlib.journal.events import Journal, read_events
from cnnlib.journal.ledger import HOPELESS, read_ledger
from cnnlib.journal.replay import event_lines, replay
from cnnlib.journal.tables import fold
from cnnlib.journal.terms import Terms
from cnnlib.networks.cnn.config import TrialConfig
from cnnlib.search.experience import Early, Experience
from cnnlib.search.trends import Trend
from tests.journal.test_ledger import TERMS, Sweep, prefixes

PROMOTE = replace(
    TERMS,
    search="random",
    stopping="promote",
    trials=10,
    max_epochs=9,
    grace_period=1,
    reduction_factor=3.0,
    rungs=(1, 3),
)


PAST = Experience(
    kind="such networks",
    sweeps=2,
    trials=80,
    trends={
        "first_layer_filters": Trend((8, 32), (-0.5, 0.5)),
        "dropout": Trend((0.1, 0.3, 0.4), (-0.25, 0.5, 0.0)),
    },
)
THEN = {
    "first_layer_filters": Trend((8, 32), (-3.0, 3.0)),
    "dropout": Trend((0.1, 0.3, 0.4), (0.0, 0.0, 0.0)),
}
RISING = replace(PAST, early=(Early(1 / 9, 0.5, THEN),))  # those of few filters rise late


def finished(terms: Terms = PROMOTE, **more: Any) -> Sweep:
    sweep = Sweep()
    sweep.begin(terms)
    sweep.run(**more)
    return sweep


@pytest.fixture(scope="module")
def unbroken() -> Sweep:
    sweep = finished()
    assert {"paused", "promoted", "stopped"} <= {event["event"] for event in sweep.events}
    return sweep


def check_sound(sweep: Sweep, trials: int = PROMOTE.trials) -> None:
    """All ended, nothing was trained twice, and every decision follows."""
    assert replay(json.loads(json.dumps(sweep.events)))[0] is None
    assert len(sweep.ledger.trials) == trials
    assert all(trial.has_ended for trial in sweep.ledger.trials.values())
    epochs = Counter((event["trial_id"], event["epoch"]) for event in sweep.told("epoch"))
    assert set(epochs.values()) == {1}


def test_a_sweep_that_pauses_ends_each_trial_once_and_trains_no_epoch_twice(
    unbroken: Sweep,
) -> None:
    check_sound(unbroken)
    told = Counter(event["event"] for event in unbroken.events)
    assert told["paused"] > told["promoted"] > 0
    assert told["stopped"] + told["finished"] == PROMOTE.trials
    assert unbroken.ledger.best is not None
    assert unbroken.ledger.best.epoch == PROMOTE.max_epochs


def test_a_sweep_that_is_killed_at_any_event_goes_on_as_the_unbroken_one(unbroken: Sweep) -> None:
    for before in prefixes(unbroken.events):
        sweep = Sweep(json.loads(json.dumps(before)))
        sweep.begin(PROMOTE)
        sweep.run()
        assert sweep.told() == unbroken.told()
        assert replay(sweep.events)[0] is None


@pytest.mark.parametrize("audit", [0.0, 0.5])
def test_four_at_once_killed_again_and_again_end_soundly(audit: float) -> None:
    terms = replace(PROMOTE, trials=20, audit=audit, search="random")
    for seed in range(5):
        generator, events = random.Random(seed), list[dict[str, Any]]()
        for _ in range(4):
            sweep = Sweep(events)
            sweep.begin(terms)
            sweep.run(slots=4, seed=generator.randrange(100))
            check_sound(sweep, 20)
            events = sweep.events[: generator.randrange(len(events), len(sweep.events))]


@pytest.mark.parametrize("past", [None, RISING], ids=["alone", "rising"])
def test_what_waits_is_never_more_than_the_plan_says(past: Experience | None) -> None:
    terms = replace(PROMOTE, trials=30, search="random", experience=past)
    for slots in (1, 4):
        sweep = finished(terms, slots=slots)
        check_sound(sweep, 30)
        waiting, most = set[str](), 0
        ledger = read_ledger([], lambda *_, **__: {})
        for event in sweep.events:
            ledger.apply(event)
            waiting = {t.trial_id for t in ledger.trials.values() if t.status == "paused"}
            most = max(most, len(waiting))
        assert 0 < most <= terms.stopping_rule().most_waiting + 1, "one is told before it goes"
        assert not waiting


def test_the_searcher_is_told_what_a_trial_had_when_it_paused(unbroken: Sweep) -> None:
    number = next(i for i, e in enumerate(unbroken.events) if e["event"] == "promoted")
    ledger = read_ledger(unbroken.events[: number + 1], lambda *_, **__: {})
    trial = ledger.trials[unbroken.events[number]["trial_id"]]
    assert trial.status == "running"
    told = {outcome.config: outcome.score for outcome in ledger._outcomes()}
    assert told[trial.config] == trial.best > 0


def test_the_searcher_is_told_every_rung_that_a_trial_has_passed(unbroken: Sweep) -> None:
    best = unbroken.ledger.best
    assert best is not None
    epochs = [e for e in unbroken.told("epoch") if e["trial_id"] == best.trial_id]
    by_then = [max(e["val_acc"] for e in epochs[:rung]) for rung in (1, 3)]
    [told] = [o for o in unbroken.ledger._outcomes() if o.config == best.config]
    assert told.earlier == ((1, by_then[0]), (3, by_then[1]))
    assert (told.epochs, told.score) == (9, best.best)


@pytest.mark.parametrize("past", [None, PAST, RISING], ids=["alone", "past", "rising"])
@pytest.mark.parametrize("slots", [1, 3])
def test_a_sweep_by_curves_that_is_killed_goes_on_as_its_journal_says(
    slots: int, past: Experience | None
) -> None:
    terms = replace(PROMOTE, search="curves", experience=past)
    whole = finished(terms, slots=slots)
    check_sound(whole)
    for number in range(20, len(whole.events), 11):
        sweep = Sweep(json.loads(json.dumps(whole.events[:number])))
        sweep.begin(terms)
        sweep.run(slots=slots)
        check_sound(sweep)
        if slots == 1:
            assert sweep.told() == whole.told()


def test_what_earlier_sweeps_found_decides_what_is_tried() -> None:
    alone, past = (finished(replace(PROMOTE, search="curves", experience=e)) for e in (None, PAST))
    first = [sweep.told("proposed")[0]["config"] for sweep in (alone, past)]
    assert first[1]["first_layer_filters"] == 32 and first[1]["dropout"] == 0.3
    assert first[0] != first[1]


@pytest.mark.parametrize("search", ["random", "curves"])
def test_who_rises_late_by_what_earlier_sweeps_saw_goes_on_before_others(search: str) -> None:
    """At the first rung the trials are in the order that their outlooks give them."""
    sweeps = [finished(replace(PROMOTE, search=search, experience=e)) for e in (PAST, RISING)]
    for sweep in sweeps:
        check_sound(sweep)
    of_32 = [
        sum(
            t.config.first_layer_filters == 32 and t.epoch > 1 for t in sweep.ledger.trials.values()
        )
        for sweep in sweeps
    ]
    assert of_32[0] > of_32[1]
    decisions = [e["decision"] for e in sweeps[1].told("epoch") if "decision" in e]
    assert decisions and all(decision["cutoff"] is None for decision in decisions)
    assert "rung 1, no cutoff: pause" in "\n".join(event_lines(sweeps[1].events))


def test_the_journal_is_read_told_and_made_into_tables(unbroken: Sweep, tmp_path: Any) -> None:
    journal = Journal(tmp_path)
    for event in unbroken.events:
        content = {n: v for n, v in event.items() if n not in ("event", "time")}
        journal.append(event["event"], **content)
    journal.close()
    events = list(read_events(tmp_path))
    assert len(events) == len(unbroken.events)
    lines = "\n".join(event_lines(events))
    assert "paused    after epoch 1" in lines and "promoted  goes on after epoch 1" in lines
    assert "pause" in lines
    table = fold(events).trials
    assert set(table["status"]) == {"completed", "stopped"}
    part = events[: next(i for i, e in enumerate(events) if e["event"] == "promoted")]
    first = fold(part).trials.set_index("trial_id")["status"]
    assert first[events[len(part)]["trial_id"]] == "stopped", "nothing runs what waits"
    again = fold([*part, events[len(part)]]).trials.set_index("trial_id")
    assert again["status"][events[len(part)]["trial_id"]] == "running"


def test_a_journal_that_was_written_by_hand_does_not_follow(unbroken: Sweep) -> None:
    number = next(i for i, e in enumerate(unbroken.events) if e["event"] == "promoted")
    events = json.loads(json.dumps(unbroken.events))
    other = next(
        t.trial_id
        for t in read_ledger(events[:number], lambda *_, **__: {}).trials.values()
        if t.trial_id != events[number]["trial_id"] and t.status == "paused"
    )
    events[number]["trial_id"] = other
    assert f"written {other}" in str(replay(events)[0])
    without = [e for i, e in enumerate(unbroken.events) if i != number]
    assert "differ" not in str(replay(without)[0]) and replay(without)[0] is not None


def test_more_trials_let_those_that_wait_go_on(unbroken: Sweep) -> None:
    sweep = Sweep(unbroken.events)
    sweep.begin(replace(PROMOTE, trials=18, max_epochs=12))
    sweep.run()
    assert sweep.told()[: len(unbroken.told())] == unbroken.told()
    check_sound(sweep, 18)


def test_a_target_that_is_reached_stops_what_waits() -> None:
    sweep = finished(replace(PROMOTE, target=0.5))
    reached = sweep.ledger.reached
    assert reached is not None and replay(sweep.events)[0] is None
    assert all(trial.has_ended for trial in sweep.ledger.trials.values())
    assert sweep.ledger.unfinished == 0


def test_all_of_a_small_space_is_tried_and_what_waits_ends() -> None:
    space = {name: TERMS.space[name] for name in ("conv_layers", "dropout")}
    sweep = finished(replace(PROMOTE, space=space, trials=40))
    assert sweep.ledger.exhausted
    check_sound(sweep, len(sweep.ledger.trials))
    assert len(sweep.ledger.trials) == 12


def test_without_time_for_a_first_rung_nothing_new_begins_and_who_waits_stays() -> None:
    sweep = Sweep()
    sweep.begin(replace(PROMOTE, trials=30))
    sweep.run()
    number = next(i for i, e in enumerate(sweep.events) if e["event"] == "paused") + 1
    part = Sweep(sweep.events[:number])
    assert part.ledger.next_trial(0.5, lambda config: 1.0) is not None
    assert part.events[-1]["event"] == "promoted" and part.events[-1]["idle"] is True
    assert replay(part.events)[0] is None
    part = Sweep(sweep.events[:number])
    part.ledger.trials["0001"].seconds = 10.0
    assert part.ledger.next_trial(0.5, lambda config: 1.0) is None
    assert part.ledger.out_of_time and part.ledger.trials["0001"].status == "paused"
    part.begin(replace(PROMOTE, trials=30))
    trial = part.ledger.next_trial(1.5, lambda config: 1.0)
    assert trial is not None and trial.trial_id == "0002", "who goes on has new time"


def test_an_older_version_reads_what_halving_writes() -> None:
    sweep = finished(TERMS)
    for event in sweep.told("epoch"):
        assert "pause" not in event.get("decision", {})
    old = [{n: v for n, v in e.items() if n != "stopping"} for e in sweep.events]
    assert read_ledger(old, lambda *_, **__: {}).terms == TERMS


def test_a_worker_that_would_be_idle_trains_on_what_would_be_stopped_till_the_last_end() -> None:
    sweep = finished(replace(PROMOTE, trials=9), slots=3, seed=2)
    check_sound(sweep, 9)
    spares = [e["trial_id"] for e in sweep.told("promoted") if e.get("spare")]
    assert spares, "three workers and the last trial"
    for trial_id in spares:
        trial = sweep.ledger.trials[trial_id]
        assert trial.epoch > 3 and trial.status in ("stopped", "completed")
    alone = finished(replace(PROMOTE, trials=9))
    assert not any(event.get("spare") for event in alone.events)


def test_first_explored_and_believed_proposals_are_those_of_the_terms() -> None:
    first = (TrialConfig(dropout=0.3), TrialConfig(dropout=0.2, conv_layers=2))
    terms = replace(
        PROMOTE, trials=12, first=first, explore=0.5, priors={"dropout": (0.4,)}, max_epochs=3
    )
    sweep = finished(terms)
    assert Terms.from_event(json.loads(json.dumps(sweep.events[0]))) == terms
    check_sound(sweep, 12)
    trials = list(sweep.ledger.trials.values())
    assert tuple(trial.config for trial in trials[:2]) == first
    by = [event.get("by", "search") for event in sweep.told("proposed")]
    assert by == ["first"] * 2 + ["search", "explore"] * 5
    searched = [t.config for t, who in zip(trials, by, strict=True) if who == "search"]
    assert sum(config.dropout == 0.4 for config in searched) >= 2
    for before in list(prefixes(sweep.events))[1:20]:
        again = Sweep(json.loads(json.dumps(before)))
        again.begin(terms)
        again.run()
        assert again.told() == sweep.told()


@pytest.mark.parametrize("number", range(8))
def test_sweeps_that_are_killed_again_and_again_are_as_the_unbroken_one(number: int) -> None:
    generator = random.Random(number)
    terms = replace(
        PROMOTE,
        seed=number,
        trials=generator.choice((6, 10, 16)),
        audit=generator.choice((0.0, 0.3)),
        explore=generator.choice((0.0, 0.3)),
        priors=generator.choice(({}, {"dropout": (0.4,)})),
    )
    unbroken = finished(terms)
    events = list[dict[str, Any]]()
    for _ in range(5):
        sweep = Sweep(json.loads(json.dumps(events)))
        sweep.begin(terms)
        sweep.run()
        assert sweep.told() == unbroken.told()
        check_sound(sweep, terms.trials)
        events = sweep.events[: generator.randrange(len(events), len(sweep.events))]


def test_what_waits_is_kept_where_trials_fail_for_a_reason_that_can_be_mended() -> None:
    sweep = Sweep()
    sweep.begin(replace(PROMOTE, trials=30))
    first = sweep.ledger.next_trial()
    assert first is not None
    sweep.ledger.epoch(first.trial_id, {"epoch": 1, "val_acc": 0.9})
    sweep.ledger.end(first.trial_id)
    for _ in range(HOPELESS):
        trial = sweep.ledger.next_trial()
        assert trial is not None
        sweep.ledger.end(trial.trial_id, "OutOfMemoryError: x")
    assert sweep.ledger.next_trial() is None and first.status == "paused"
    sweep.begin(replace(PROMOTE, trials=30))
    sweep.run()
    check_sound(sweep, 30)
    assert sweep.ledger.trials[first.trial_id].epoch == PROMOTE.max_epochs
