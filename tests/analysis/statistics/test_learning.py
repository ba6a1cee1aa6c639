"""Which networks learn at all, with which values they do not, and effects among those that do."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.reading.folder import SweepFolder
from analysis.statistics.claims import Claim
from analysis.statistics.comparison import compare
from analysis.statistics.effects import estimate_effects
from analysis.statistics.findings import find
from analysis.statistics.learners import chance_of
from analysis.statistics.learning import learning_sentences, who_learns
from analysis.statistics.verdicts import NO_EVIDENCE, SUPPORTED, judge

NAMES = ["batch_norm", "conv_layers", "dropout"]
CLASSES = [f"class {i}" for i in range(10)]


def collapsing(num: int = 60, seed: int = 0, share: float = 0.5) -> SweepFolder:
    """Without batch norm a share stays at chance; 5 layers are 4 points better than 3."""
    rng = np.random.default_rng(seed)
    trials = pd.DataFrame({
        "trial_id": [f"t{i:03d}" for i in range(num)], "status": "completed",
        "batch_norm": rng.permutation(np.resize([True, False], num)),
        "conv_layers": rng.permutation(np.resize([3, 4, 5], num)),
        "dropout": rng.permutation(np.resize([0.2, 0.3], num)),
    })  # fmt: skip
    level = 0.3 + 0.02 * (trials["conv_layers"] - 3) + rng.normal(0, 0.02, num)
    stays = ~trials["batch_norm"] & (rng.random(num) < share)
    trials["val_acc"] = level.where(~stays, 0.1 + rng.uniform(0, 0.01, num))
    return folder(trials)


def folder(trials: pd.DataFrame, epochs: pd.DataFrame | None = None, **more: object) -> SweepFolder:
    if epochs is None:
        epochs = pd.DataFrame(columns=["trial_id", "epoch", "val_acc"])
    names = [name for name in trials if name in NAMES]
    return SweepFolder(
        Path("sweep"), trials, epochs, names, classes=CLASSES if not more else [], **more
    )  # type: ignore[arg-type]


def test_the_value_with_which_networks_do_not_learn_is_found() -> None:
    sweep = collapsing()
    found = who_learns(compare(sweep))
    assert found.p_values["batch_norm"] <= 0.01
    assert min(found.p_values["conv_layers"], found.p_values["dropout"]) > 0.05
    rows = found.table.set_index(["hyperparameter", "value"])
    assert rows.loc[("batch_norm", "true"), "failed"] == 0
    assert rows.loc[("batch_norm", "false"), "failed"] == found.num_failed
    [sentence] = learning_sentences(found)
    assert sentence.startswith(f"{found.num_failed} of 60 networks did not learn: ")
    assert "of 30 with batch_norm false, and 0 of the 30 others (p = 0.00" in sentence
    assert find(sweep, []).takeaways[0] == sentence


def test_effects_are_those_among_the_networks_that_learn() -> None:
    sweep = collapsing()
    comparison = compare(sweep)
    found = estimate_effects(comparison)
    assert len(comparison.scores) == 60 - int((~comparison.learned).sum()) < 60
    assert found.p_values["conv_layers"] <= 0.05 < found.p_values["batch_norm"]
    assert found.noise == pytest.approx(0.02, abs=0.006)


def test_both_questions_together_may_err_in_one_sweep_of_twenty() -> None:
    sweep = collapsing()
    asked = estimate_effects(compare(sweep))
    learners = sweep.trials[sweep.trials["val_acc"] > 0.15]
    alone = estimate_effects(compare(folder(learners)))
    assert asked.alone == pytest.approx(alone.alone)
    two_thirds = {name: min(1.0, 1.5 * p) for name, p in alone.p_values.items()}
    assert asked.p_values == pytest.approx(two_thirds)
    assert asked.detectable > alone.detectable
    only = collapsing(1200, share=0.02).trials.drop(columns=["conv_layers", "dropout"])
    counts = pd.crosstab(only["batch_norm"], only["val_acc"] > 0.15)
    chi2 = stats.chi2_contingency(counts, correction=False).statistic * 1199 / 1200
    [p_value] = who_learns(compare(folder(only))).p_values.values()
    assert p_value == pytest.approx(3 * stats.chi2.sf(chi2, 1)), "a third"


def test_failures_that_chance_deals_out_are_called_in_one_sweep_of_sixty() -> None:
    called = 0
    for seed in range(40):
        sweep = collapsing(40, seed, share=0.0)
        lucky = np.random.default_rng(seed).permutation(40) < 6
        sweep.trials.loc[lucky, "val_acc"] = 0.1
        called += min(who_learns(compare(sweep)).p_values.values()) <= 0.05
    assert called <= 2


def test_what_went_with_the_culprit_is_not_called() -> None:
    sweep = collapsing(80, share=0.9)
    with_it = np.where(
        np.arange(80) % 8 == 0, ~sweep.trials["batch_norm"], sweep.trials["batch_norm"]
    )
    sweep.trials["dropout"] = np.where(with_it, 0.3, 0.2)
    found = who_learns(compare(sweep))
    assert found.p_values["batch_norm"] <= 0.01
    assert found.p_values["dropout"] > 0.05


def test_of_two_that_went_together_the_one_that_mattered_in_public_sweeps_is_called() -> None:
    sweep = collapsing(80, share=0.9)
    sweep.trials["activation"] = np.where(sweep.trials["batch_norm"], "relu", "gelu")
    found = who_learns(compare(replace(sweep, hyperparameters=["activation", "batch_norm"])))
    assert found.p_values["batch_norm"] <= 0.05 < found.p_values["activation"]


def test_of_many_trials_the_test_is_that_of_the_limit() -> None:
    found = who_learns(compare(collapsing(1200, share=0.1)))
    assert found.p_values["batch_norm"] < 1e-6
    assert found.p_values["dropout"] > 0.01


def curves(last: int, acc: float, losses: tuple[float, ...]) -> pd.DataFrame:
    """Nine trials of ten epochs that learn, and one of `last` at an accuracy."""
    rows = [(f"t{i}", e, 0.1 + 0.02 * e + 0.001 * i, 2.3 - 0.05 * e) for i in range(9)
            for e in range(1, 11)]  # fmt: skip
    rows += [("slow", e, acc, losses[min(e, len(losses)) - 1]) for e in range(1, last + 1)]
    return pd.DataFrame(rows, columns=["trial_id", "epoch", "val_acc", "val_loss"])


@pytest.mark.parametrize(
    ("last", "losses", "expected"),
    [
        (2, (2.30, 2.20), True),  # stopped while its loss was falling
        (2, (2.30, 2.30), False),
        (10, (2.30, 2.20), False),  # at its end
    ],
)
def test_a_slow_one_that_was_stopped_early_is_told_by_its_loss(
    last: int, losses: tuple[float, ...], expected: bool
) -> None:
    epochs = curves(last, 0.1, losses)
    trials = epochs.groupby("trial_id", as_index=False)["val_acc"].max()
    trials["status"] = np.where(trials["trial_id"] == "slow", "stopped", "completed")
    trials["dropout"] = [0.2, 0.3] * 5
    assert compare(folder(trials, epochs)).learned["slow"] == expected


def test_networks_at_chance_tell_the_number_of_classes() -> None:
    epochs = curves(10, 0.25, (math.log(4),))
    trials = epochs.groupby("trial_id", as_index=False)["val_acc"].max()
    assert chance_of(folder(trials, epochs, settings={"name": "x"})) == 0.25
    learning = epochs[epochs["trial_id"] != "slow"]
    assert chance_of(folder(trials, learning, settings={"name": "x"})) is None
    stated = {"data": {"classes": ["a", "b"]}}
    assert chance_of(folder(trials, learning, settings=stated)) == 0.5


def test_networks_far_behind_all_others_did_not_learn_as_they_do() -> None:
    sweep = collapsing(share=0.0)
    sweep.trials["val_acc"] += 0.5
    sweep.trials.loc[[3, 17], "val_acc"] = 0.4
    comparison = compare(folder(sweep.trials, settings={"name": "x"}))
    assert comparison.learned.index[~comparison.learned].tolist() == ["t003", "t017"]


def test_a_diverged_network_did_not_learn_and_one_that_failed_is_left_out() -> None:
    sweep = collapsing(share=0.0)
    trials = sweep.trials.assign(error="")
    trials.loc[[3, 4], "status"] = "failed"
    trials.loc[[3, 4], "val_acc"] = np.nan
    trials.loc[3, "error"] = "diverged: outputs, loss or weights are not finite after epoch 1"
    trials.loc[4, "error"] = "out of memory"
    comparison = compare(folder(trials))
    assert not comparison.learned["t003"]
    assert "t004" not in comparison.learned
    assert comparison.num_left_out == 1


def test_where_all_learn_nothing_is_said() -> None:
    found = who_learns(compare(collapsing(share=0.0)))
    assert found.num_failed == 0 and found.table.empty and learning_sentences(found) == []


def test_a_claim_about_what_decides_who_learns_is_put_to_all_networks() -> None:
    sweep = collapsing(share=0.9)
    claim = Claim("Batch norm helps.", "", {"batch_norm": ("true",)}, {"batch_norm": ("false",)})
    comparison = compare(sweep)
    [verdict] = judge([claim], comparison)
    assert verdict.verdict == NO_EVIDENCE
    everyone = compare(sweep, everyone=True)
    [verdict] = judge([claim], comparison, None, everyone, who_learns(comparison))
    assert verdict.verdict == SUPPORTED
    assert verdict.contrast.low > 0.05
    assert "Networks that did not learn count here" in verdict.sentence
