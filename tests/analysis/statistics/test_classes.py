"""What helps one class and hurts another: found where it is planted, and not where it is not."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.reading.folder import SweepFolder
from analysis.statistics.classes import class_effects, class_sentences, recalls_at
from analysis.statistics.comparison import compare
from benchmarks import class_effects as simulation


def sentences(sweep: SweepFolder) -> list[str]:
    return class_sentences(class_effects(sweep, compare(sweep)))


def test_a_planted_effect_is_said_with_its_classes_and_signs(monkeypatch):
    monkeypatch.setattr(simulation, "PLANTED", 0.15)
    (said,) = sentences(simulation.simulate("planted", 1))
    assert said.startswith("dropout 0.2 rather than 0.3 ")  # 0.3 was tried more often
    assert "helps class 1 (+" in said
    assert "hurts class 0 (-" in said


def test_without_class_effects_there_is_no_evidence():
    (said,) = sentences(simulation.simulate("nothing", 1))
    assert said.startswith("No evidence that any hyperparameter helps one class and hurts another")


def test_what_helps_all_classes_alike_is_no_class_effect():
    sweep = simulation.simulate("nothing", 2)
    helped = sweep.trials.set_index("trial_id")["dropout"] == 0.3
    table = sweep.class_recalls
    more = table["val_recall"] + 0.3 * table["trial_id"].map(helped)
    assert sentences(replace(sweep, class_recalls=table.assign(val_recall=more))) == sentences(
        sweep
    )


def test_recalls_are_those_of_the_epoch_that_trials_are_compared_at():
    trials = pd.DataFrame({"trial_id": ["a", "b"], "val_acc": [0.9, 0.3], "lr": [1, 2]})
    epochs = pd.DataFrame(
        [("a", 1, 0.2), ("a", 2, 0.9), ("b", 1, 0.3)], columns=["trial_id", "epoch", "val_acc"]
    )
    rows = [("a", 1, "x", 0.2), ("a", 2, "x", 0.9), ("b", 1, "x", 0.3)]
    recalls = pd.DataFrame(rows, columns=["trial_id", "epoch", "class", "val_recall"])
    sweep = SweepFolder(Path("s"), trials, epochs, ["lr"], class_recalls=recalls)
    comparison = compare(sweep)
    assert comparison.epoch == 1
    assert recalls_at(sweep, comparison)["x"].to_dict() == {"a": 0.2, "b": 0.3}


def test_a_network_that_knows_a_single_class_is_left_out():
    sweep = simulation.simulate("collapsing", 0)
    recalls = sweep.class_recalls.pivot(index="trial_id", columns="class", values="val_recall")
    knows_more = (recalls > 0).sum(axis=1) > 1
    assert 0 < (~knows_more).sum() < 10
    assert class_effects(sweep, compare(sweep)).num_trials == knows_more.sum()


def test_unknown_classes_say_nothing():
    sweep = simulation.simulate("nothing", 1)
    none = replace(sweep, class_recalls=sweep.class_recalls.iloc[:0])
    assert sentences(none) == []
    one = sweep.class_recalls[sweep.class_recalls["class"] == "class 0"]
    assert sentences(replace(sweep, class_recalls=one)) == []


@pytest.mark.parametrize(("num_trials", "seed"), [(8, 0), (12, 2), (14, 1), (18, 0)])
def test_few_trials_may_say_nothing_of_a_class_but_never_fail(num_trials: int, seed: int):
    sweep = simulation.simulate("nothing", seed)
    trials, recalls = sweep.trials.head(num_trials), sweep.class_recalls
    recalls = recalls[recalls["trial_id"].isin(trials["trial_id"])]
    few = replace(sweep, trials=trials, class_recalls=recalls)
    assert class_effects(few, compare(few)).significant.empty
