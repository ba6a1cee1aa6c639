import json
import math
import random
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from cnnlib.journal.ledger import HOPELESS, Ledger, Trial, error_kind, read_ledger
from cnnlib.journal.replay import replay
from cnnlib.journal.terms import Terms
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.metric import VAL_ACC
from cnnlib.networks.values import Choice, Interval, Weighted
from cnnlib.search.decision import Decision

TERMS = Terms(
    space={
        "first_layer_filters": Choice((8, 16, 32)),
        "conv_layers": Choice((2, 3, 4)),
        "dropout": Choice((0.1, 0.2, 0.3, 0.4)),
        "learning_rate": Interval(1e-5, 1e-1, log=True),
    },
    image_size=32,
    search="tpe",
    seed=3,
    trials=12,
    max_epochs=6,
    patience=0,
    grace_period=1,
    reduction_factor=2.0,
    fingerprint="f",
    num_initial=4,
)


def score(config: TrialConfig, epoch: int) -> float:
    """A curve that follows from the configuration alone; some of them cross."""
    quality = config.first_layer_filters / 64 - abs(config.dropout - 0.3)
    return 0.3 + quality * (1 - 0.5 ** (epoch * config.conv_layers / 3))


class Sweep:
    """A ledger that writes into a list, and trials that train nothing."""

    def __init__(self, events: list[dict[str, Any]] | None = None) -> None:
        self.events = [*(events or [])]
        self.ledger = read_ledger(self.events, self._write)

    def _write(self, event: str, **content: Any) -> dict[str, Any]:
        self.events.append({"event": event, "time": "2026-11-24T00:00:00.000", **content})
        return self.events[-1]

    def begin(self, terms: Terms = TERMS) -> None:
        if self.ledger.begun:
            self.ledger.resume(terms.trials, terms.max_epochs)
        else:
            self.ledger.begin(terms)

    def run(self, slots: int = 1, seed: int = 0) -> None:
        generator, running = random.Random(seed), list[Trial]()
        while True:
            while len(running) < slots and (trial := self.ledger.next_trial()):
                self.ledger.start(trial.trial_id)
                running.append(trial)
            if not running:
                return
            trial = generator.choice(running)
            epoch = trial.epoch + 1
            metrics = {"epoch": epoch, "val_acc": score(trial.config, epoch), "val_loss": 1.0}
            decision = self.ledger.epoch(trial.trial_id, metrics)
            if epoch == trial.max_epochs or (decision and not decision.goes_on):
                self.ledger.end(trial.trial_id)
                running.remove(trial)

    def told(self, *kinds: str) -> list[dict[str, Any]]:
        kinds = kinds or ("proposed", "epoch", "stopped", "finished", "paused", "promoted")
        return [event for event in self.events if event["event"] in kinds]


def finished(audit: float) -> Sweep:
    sweep = Sweep()
    sweep.begin(replace(TERMS, audit=audit))
    sweep.run()
    return sweep


@pytest.fixture(scope="module")
def unbroken() -> Sweep:
    sweep = finished(0.5)
    assert {"stopped", "finished"} <= {event["event"] for event in sweep.events}
    assert any(trial.audited for trial in sweep.ledger.trials.values())
    return sweep


def prefixes(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    yield from (events[:length] for length in range(len(events)))


def test_a_sweep_that_is_cut_anywhere_goes_on_as_the_unbroken_one(unbroken: Sweep) -> None:
    for before in prefixes(unbroken.events):
        sweep = Sweep(before)
        sweep.begin(unbroken.ledger.terms)
        sweep.run()
        assert sweep.told() == unbroken.told()


def test_four_at_once_cut_again_and_again_repeat_nothing_and_replay_cleanly() -> None:
    for seed in range(5):
        generator, events = random.Random(seed), list[dict[str, Any]]()
        for _ in range(4):
            sweep = Sweep(events)
            sweep.begin()
            sweep.run(slots=4, seed=generator.randrange(100))
            events = sweep.events[: generator.randrange(len(events), len(sweep.events))]
        assert replay(sweep.events)[0] is None
        assert len(sweep.ledger.trials) == TERMS.trials
        assert all(trial.status != "running" for trial in sweep.ledger.trials.values())


def test_an_audited_trial_runs_to_its_end_and_is_not_judged_again(unbroken: Sweep) -> None:
    for trial in unbroken.ledger.trials.values():
        epochs = [e for e in unbroken.told("epoch") if e["trial_id"] == trial.trial_id]
        decisions = [e["decision"] for e in epochs if "decision" in e]
        assert trial.audited == decisions[-1]["audited"]
        if trial.audited:
            assert (trial.status, trial.epoch) == ("completed", TERMS.max_epochs)


def test_a_journal_from_before_there_were_audits_is_read_and_replayed() -> None:
    events = []
    for event in finished(0.0).events:
        old = {name: value for name, value in event.items() if name != "audit"}
        if decision := old.get("decision"):
            old["decision"] = {name: decision[name] for name in ("stop", "rung", "cutoff")}
        events.append(old)
    assert replay(events)[0] is None
    ledger = read_ledger(events, write=lambda event, **content: {})
    assert ledger.terms == TERMS


def test_a_trial_whose_end_was_decided_ends_without_running_again(unbroken: Sweep) -> None:
    last = next(i for i, e in enumerate(unbroken.events) if e["event"] == "stopped")
    sweep = Sweep(unbroken.events[:last])
    sweep.begin()
    assert [e["event"] for e in sweep.events[last:]] == ["resumed", "stopped"]


def test_more_trials_and_epochs_are_for_those_proposed_from_then_on(unbroken: Sweep) -> None:
    sweep = Sweep(unbroken.events)
    sweep.begin(replace(TERMS, trials=15, max_epochs=20))
    sweep.run()
    assert sweep.told()[: len(unbroken.told())] == unbroken.told()
    assert {t.max_epochs for t in sweep.ledger.trials.values()} == {6, 20}
    assert len(sweep.ledger.trials) == 15
    assert replay(sweep.events)[0] is None


def test_what_another_sweep_found_counts_from_the_first_proposal(unbroken: Sweep) -> None:
    known = tuple(unbroken.ledger._outcomes())
    sweep = Sweep()
    sweep.begin(replace(TERMS, known=known, seed=9))
    plain = Sweep()
    plain.begin(replace(TERMS, seed=9))
    assert Terms.from_event(sweep.events[0]).known == known
    assert sweep.ledger.proposal() != plain.ledger.proposal()


def test_most_trials_failing_alike_end_the_search() -> None:
    def fails(errors: list[str]) -> Ledger:
        sweep = Sweep()
        sweep.begin(replace(TERMS, trials=30, search="random"))
        for error in errors:
            trial = sweep.ledger.next_trial()
            assert trial is not None
            sweep.ledger.end(trial.trial_id, error or None)
        return sweep.ledger

    memory = [f"OutOfMemoryError: {n} MiB at 0x{n}ff" for n in range(HOPELESS)]
    ledger = fails(memory)
    assert ledger.hopeless == "OutOfMemoryError: # MiB at #"
    assert ledger.next_trial() is None
    assert fails(memory[1:]).hopeless is None, "too few"
    assert fails([""] * HOPELESS + memory).hopeless is None, "not most"
    assert fails([f"error {'x' * n}" for n in range(HOPELESS)]).hopeless is None, "all different"
    ledger.resume(30, 6)
    assert ledger.next_trial() is not None, "who goes on has mended it"


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_trial_that_diverges_is_the_worst_whatever_it_had_before(score: float) -> None:
    sweep = Sweep()
    sweep.begin(replace(TERMS, audit=1.0))
    good, bad = (sweep.ledger.next_trial() for _ in range(2))
    assert good is not None and bad is not None
    sweep.ledger.epoch(good.trial_id, {"epoch": 1, "val_acc": 0.1})
    sweep.ledger.end(good.trial_id)
    sweep.ledger.epoch(bad.trial_id, {"epoch": 1, "val_acc": 0.9})
    decision = sweep.ledger.epoch(bad.trial_id, {"epoch": 2, "val_acc": score})
    assert decision == Decision(False, 2, None), "the first at its rung, and none to be audited"
    following = sweep.ledger.next_trial()
    assert following is not None
    sweep.ledger.epoch(following.trial_id, {"epoch": 1, "val_acc": score})
    assert following.stop is not None, "below the cutoff, and no audit lets it run on"
    again = Sweep(sweep.events)
    again.begin()
    for ledger in (sweep.ledger, again.ledger):
        trial = ledger.trials[bad.trial_id]
        assert (trial.best, trial.best_epoch) == (VAL_ACC.worst, 0)
        assert trial.diverged == ("diverged: outputs, loss or weights are not finite after epoch 2")
        assert ledger.best is not None and ledger.best.trial_id == good.trial_id
    assert again.ledger.trials[bad.trial_id].status == "failed", "its end was decided"
    assert again.events[-1]["error"].startswith("diverged: ")
    assert [outcome.score for outcome in again.ledger._outcomes()] == [
        0.1,
        VAL_ACC.worst,
        VAL_ACC.worst,
    ]
    assert replay(again.events)[0] is None
    finished = {"event": "finished", "trial_id": bad.trial_id, "time": ""}
    assert "derived failed" in str(replay([*sweep.events, finished])[0])


def test_trials_that_diverge_do_not_end_a_sweep() -> None:
    sweep = Sweep()
    sweep.begin()
    for _ in range(HOPELESS + 1):
        trial = sweep.ledger.next_trial()
        assert trial is not None
        sweep.ledger.epoch(trial.trial_id, {"epoch": 1, "val_acc": math.nan})
        assert sweep.ledger.end(trial.trial_id) == "failed"
    assert sweep.ledger.hopeless is None
    assert sweep.ledger.next_trial() is not None


def test_errors_are_alike_whatever_numbers_they_hold() -> None:
    assert error_kind("out of memory: 12.5 MiB") == error_kind("out of memory: 7 MiB")
    assert asdict(TERMS)["space"]["conv_layers"] == {"values": (2, 3, 4)}


PROPOSED = [
    (16, 3, 0.4, 0.0008750193462534686),
    (32, 3, 0.2, 0.0041180944077875295),
    (32, 4, 0.2, 0.00979665531017275),
    (16, 2, 0.2, 0.0002206117715650236),
    (32, 4, 0.1, 0.06613217870903502),
    (8, 4, 0.3, 1.219030325169856e-05),
    (32, 4, 0.2, 0.07377765652030399),
    (8, 2, 0.1, 0.009987683289987434),
    (32, 4, 0.4, 3.537813336761872e-05),
    (32, 4, 0.2, 0.019515333824372),
    (32, 4, 0.3, 0.00020747832893340973),
    (16, 2, 0.3, 0.00013321885017112615),
]
"""By the terms above, as versions proposed it that knew no metric but val_acc."""


def test_the_sweep_of_a_seed_is_what_it_was_in_former_versions() -> None:
    sweep = Sweep()
    sweep.begin()
    sweep.run()
    configs = [event["config"] for event in sweep.told("proposed")]
    assert [tuple(config[name] for name in TERMS.space) for config in configs] == PROPOSED
    assert [(event["trial_id"], event["rung"]) for event in sweep.told("stopped")] == [
        ("0004", 1), ("0005", 2), ("0006", 1), ("0008", 1), ("0012", 1)
    ]  # fmt: skip


def test_a_target_that_is_reached_ends_the_search_and_lets_what_runs_end() -> None:
    sweep = Sweep()
    sweep.begin(replace(TERMS, target=0.6, grace_period=None, reduction_factor=None))
    first, second = (sweep.ledger.next_trial() for _ in range(2))
    assert first and second
    sweep.ledger.epoch(first.trial_id, {"epoch": 1, "val_acc": 0.59})
    assert sweep.ledger.reached is None
    sweep.ledger.epoch(first.trial_id, {"epoch": 2, "val_acc": 0.6})
    sweep.ledger.epoch(first.trial_id, {"epoch": 3, "val_acc": 0.1})
    assert sweep.ledger.reached is first
    assert sweep.ledger.next_trial() is None
    assert sweep.ledger.unfinished == 2, "what runs ends"
    for trial in (first, second):
        sweep.ledger.end(trial.trial_id)
    assert sweep.ledger.unfinished == 0
    read = read_ledger(json.loads(json.dumps(sweep.events)), lambda *_, **__: {})
    assert read.reached is not None
    assert read.unfinished == 0


@pytest.mark.parametrize("strict", [True, False])
def test_a_strict_rung_judges_by_its_own_epoch(strict: bool) -> None:
    sweep = Sweep()
    sweep.begin(replace(TERMS, grace_period=2, reduction_factor=2.0, strict=strict))
    for early, late in ((0.1, 0.5), (0.1, 0.6), (0.9, 0.2)):
        trial = sweep.ledger.next_trial()
        assert trial
        sweep.ledger.epoch(trial.trial_id, {"epoch": 1, "val_acc": early})
        decision = sweep.ledger.epoch(trial.trial_id, {"epoch": 2, "val_acc": late})
    assert decision is not None
    assert decision.stop is strict
    read = read_ledger(json.loads(json.dumps(sweep.events)), lambda *_, **__: {})
    assert read.terms.strict is strict
    assert read.decision(trial.trial_id, {"epoch": 2, "val_acc": late}) is None, (
        "it is in the rung already"
    )
    assert replay(sweep.events)[0] is None


def test_named_rungs_and_weights_go_through_the_journal() -> None:
    space = TERMS.space | {
        "dropout": Weighted((0.1, 0.2), (0.3, 0.7)),
        "batch_size": Interval(10, 100, step=8, rounded=True),
    }
    terms = replace(TERMS, space=space, grace_period=3, rungs=(3, 5), target=0.9)
    read = Terms.from_event(json.loads(json.dumps(terms.as_event())))
    assert read == terms
    assert read.halving is not None
    assert read.halving.rungs == (3, 5)


def test_what_a_sweep_does_not_search_of_the_layers_is_in_no_event() -> None:
    config = TrialConfig(filters="8-16", conv_layers=2, optimizer="adam")
    written = TERMS.written(config)
    assert {"dropout", "optimizer", "augmentation"} <= written.keys()
    assert not {"filters", "momentum", "padding"} & written.keys()
    space = {**TERMS.space, "filters": Choice(("8-16", "4-8"))}
    assert replace(TERMS, space=space).written(config)["filters"] == "8-16"
