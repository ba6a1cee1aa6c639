"""A sweep on a loss, whose losses are the shares of a sweep on the accuracy taken from 1."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cnnlib.journal.events import Journal
from cnnlib.journal.finals import Finals
from cnnlib.journal.replay import replay
from cnnlib.journal.scores import Final
from cnnlib.journal.tables import fold
from cnnlib.journal.terms import Terms
from cnnlib.networks.metric import Metric
from cnnlib.planning.resume import read_known
from cnnlib.search.decision import Decision
from tests.journal.test_ledger import TERMS, Sweep, score

LOSS = Metric("val_loss", "minimize", "valid/loss")
OWN = Metric("my_error", "minimize", "my_error")


class Minimizing(Sweep):
    """Its networks log 1 less what those of Sweep reach; their accuracies tell nothing."""

    def begin(self, terms: Terms = replace(TERMS, metric=LOSS)) -> None:  # noqa: B008
        super().begin(terms)

    def run(self, slots: int = 1, seed: int = 0) -> None:
        name = self.ledger.terms.metric.name
        while trial := self.ledger.next_trial():
            self.ledger.start(trial.trial_id)
            while True:
                epoch = trial.epoch + 1
                value = 1.0 - score(trial.config, epoch)
                metrics = {"epoch": epoch, "val_acc": 0.5, "val_loss": 9.0, name: value}
                decision = self.ledger.epoch(trial.trial_id, metrics)
                if epoch == trial.max_epochs or (decision and not decision.goes_on):
                    break
            self.ledger.end(trial.trial_id)


def run(metric: Metric, **terms: Any) -> Minimizing:
    sweep = Minimizing()
    sweep.begin(replace(TERMS, metric=metric, **terms))
    sweep.run()
    return sweep


@pytest.fixture(scope="module", params=[LOSS, OWN], ids=lambda metric: metric.name)
def sweep(request: pytest.FixtureRequest) -> Minimizing:
    return run(request.param)


@pytest.fixture(scope="module")
def rising() -> Sweep:
    sweep = Sweep()
    sweep.begin()
    sweep.run()
    return sweep


def test_the_same_configurations_are_proposed_as_for_the_accuracy(
    sweep: Minimizing, rising: Sweep
) -> None:
    assert [e["config"] for e in sweep.told("proposed")] == [
        e["config"] for e in rising.told("proposed")
    ], "1 less a score orders as its loss does, so TPE goes to the lower loss"


def test_the_same_trials_are_stopped_at_cutoffs_of_the_loss(
    sweep: Minimizing, rising: Sweep
) -> None:
    stopped = [(e["trial_id"], e["rung"], e["cutoff"]) for e in sweep.told("stopped")]
    theirs = [(e["trial_id"], e["rung"], e["cutoff"]) for e in rising.told("stopped")]
    assert [entry[:2] for entry in stopped] == [entry[:2] for entry in theirs] != []
    metric = sweep.ledger.terms.metric
    for trial_id, rung, cutoff in stopped:
        told = [e for e in sweep.told("epoch") if e["trial_id"] == trial_id]
        lowest = min(e[metric.name] for e in told if e["epoch"] <= rung)
        assert lowest > metric.value(cutoff) > 0, "the journal's cutoffs are scores"
        said = Decision(True, rung, cutoff).why(metric)
        assert f"above the cutoff {metric.value(cutoff):.3f}" in said


def test_the_best_has_the_lowest_value_of_all_its_epochs(sweep: Minimizing) -> None:
    results, name = fold(sweep.events), sweep.ledger.terms.metric.name
    best = results.best()
    assert best is not None
    assert best[name] == min(e[name] for e in sweep.told("epoch")) == results.trials[name].min()
    assert {"val_acc", "val_loss", name}.isdisjoint(results.hyperparameters)


def test_a_replay_finds_the_same_and_another_direction_differs(sweep: Minimizing) -> None:
    assert replay(sweep.events)[0] is None
    events = json.loads(json.dumps(sweep.events))
    events[0]["metric"]["goal"] = "maximize"
    assert replay(events)[0] is not None


def test_a_target_is_reached_from_above() -> None:
    sweep = Minimizing()
    sweep.begin(replace(TERMS, metric=LOSS, target=0.4, grace_period=None, reduction_factor=None))
    trial = sweep.ledger.next_trial()
    assert trial
    for epoch, loss in ((1, 0.9), (2, 0.41)):
        sweep.ledger.epoch(trial.trial_id, {"epoch": epoch, "val_acc": 0.9, "val_loss": loss})
        assert sweep.ledger.reached is None
    sweep.ledger.epoch(trial.trial_id, {"epoch": 3, "val_acc": 0.1, "val_loss": 0.4})
    assert sweep.ledger.reached is trial and sweep.ledger.next_trial() is None


def test_a_loss_that_is_not_finite_is_the_worst_and_not_the_lowest() -> None:
    for value in (-math.inf, math.nan):
        sweep = Minimizing()
        sweep.begin()
        trial = sweep.ledger.next_trial()
        assert trial
        sweep.ledger.epoch(trial.trial_id, {"epoch": 1, "val_acc": 0.5, "val_loss": value})
        assert trial.best == LOSS.worst


def test_finalists_are_the_lowest_and_the_lowest_mean_wins(sweep: Minimizing) -> None:
    sweep = Minimizing(sweep.events)
    metric = sweep.ledger.terms.metric
    finals = Finals(sweep.ledger)
    draw = finals.next_draw(3, 2, None)
    assert draw is not None
    values = fold(sweep.events).trials.set_index("trial_id")[metric.name]
    assert [*draw.finalists] == values.sort_values(kind="stable").index[:3].tolist()
    finals.begin(draw)
    for trial_id, both in zip(draw.finalists, ((0.5, 0.5), (0.2, 0.4), (0.1, 0.9)), strict=True):
        for seed, value in zip(draw.seeds, both, strict=True):
            finals.start(trial_id, seed, None)
            told = {"val_loss": value} if metric == LOSS else {"val_loss": 1.0, "value": value}
            finals.end(Final(trial_id, seed, 6, 4, 0.5, **told))
    finals.choose()
    winner = finals.winner
    assert winner is not None
    assert (winner.trial_id, winner.mean) == (draw.finalists[1], pytest.approx(0.3))
    assert replay(sweep.events)[0] is None


def test_a_sweep_on_another_metric_is_no_warm_start(
    sweep: Minimizing, rising: Sweep, tmp_path: Path
) -> None:
    metric = sweep.ledger.terms.metric
    for name, told in (("own", sweep), ("other", rising)):
        journal = Journal(tmp_path / name)
        for event in told.events:
            journal.append(**{key: value for key, value in event.items() if key != "time"})
        journal.close()
    known = read_known(tmp_path / "own", TERMS.space, metric=metric)
    assert max(outcome.score for outcome in known) == -min(
        e[metric.name] for e in sweep.told("epoch")
    )
    with pytest.raises(ValueError, match=rf"val_acc.*{metric.said}|{metric.said}.*val_acc"):
        read_known(tmp_path / "other", TERMS.space, metric=metric)
    shutil.rmtree(tmp_path / "other")
