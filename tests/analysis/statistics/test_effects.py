"""Effects of hyperparameters: planted ones are found, absent ones are not, and odd tables pass."""

from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.reading.folder import SweepFolder
from analysis.statistics import regression
from analysis.statistics.averaging import MAX_KEPT, Explanation
from analysis.statistics.comparison import Comparison, compare, levels_of
from analysis.statistics.effects import EFFECT_COLUMNS, IMPORTANCE_COLUMNS, estimate_effects
from analysis.statistics.expected import MATTERED, evidence_weights
from analysis.statistics.pairs import interplay
from analysis.statistics.regression import (
    averaged,
    closed,
    combined,
    detectable,
    fit,
    holm,
    one_hot,
)
from analysis.statistics.takeaways import cautions

NAMES = ["activation", "batch_norm", "learning_rate"]
EPOCHS = pd.DataFrame(columns=["trial_id", "epoch", "val_acc"])


def folder(trials: pd.DataFrame, epochs: pd.DataFrame = EPOCHS) -> SweepFolder:
    names = [n for n in trials if n not in ("trial_id", "status", "val_acc", "epochs")]
    if "val_acc" not in trials:
        trials = trials.assign(val_acc=np.nan)
    return SweepFolder(Path("sweep"), trials, epochs, names)


def balanced(repeats: int = 5, noise: float = 0.01, seed: int = 0) -> pd.DataFrame:
    """Every combination equally often: batch_norm adds 0.1, activation and the rest nothing."""
    rng = np.random.default_rng(seed)
    points = list(product(["gelu", "relu"], [False, True], [1e-4, 1e-3, 1e-2])) * repeats
    trials = pd.DataFrame(points, columns=NAMES)
    trials["val_acc"] = 0.3 + 0.1 * trials["batch_norm"] + rng.normal(0, noise, len(trials))
    trials["trial_id"] = [f"t{number:03d}" for number in range(len(trials))]
    return trials


def effects_of(trials: pd.DataFrame) -> pd.DataFrame:
    found = estimate_effects(compare(folder(trials)))
    return found.effects.set_index(["hyperparameter", "value"])


def test_a_planted_effect_is_found_and_its_interval_holds_it() -> None:
    found = estimate_effects(compare(folder(balanced())))
    row = found.effects.set_index(["hyperparameter", "value"]).loc[("batch_norm", "true")]
    assert row["low"] < 0.1 < row["high"]
    assert (row["reference"], row["n"], row["n_reference"]) == ("false", 30, 30)
    assert found.significant["hyperparameter"].tolist() == ["batch_norm"]
    assert found.importance["hyperparameter"].iloc[0] == "batch_norm"
    assert found.noise == pytest.approx(0.01, rel=0.3)


def test_in_a_balanced_design_the_interval_is_that_of_two_means() -> None:
    """With one factor: the difference of means and Student's interval with pooled variance."""
    rng = np.random.default_rng(1)
    scores = np.concatenate([rng.normal(0.3, 0.02, 20), rng.normal(0.33, 0.02, 20)])
    factor = levels_of(pd.Series([False] * 20 + [True] * 20))
    found = fit(scores, factor, np.empty((40, 0)), 0.0)
    assert found is not None
    effect, low, high, p_value = found.contrast(0)
    closed = stats.ttest_ind(scores[20:], scores[:20])
    interval = closed.confidence_interval(0.95)
    assert effect == pytest.approx(scores[20:].mean() - scores[:20].mean())
    # Balanced: HC2's variance is the pooled one, and Bell and McCaffrey's df are n - 2 or Welch's.
    assert low == pytest.approx(interval.low, rel=0.02)
    assert high == pytest.approx(interval.high, rel=0.02)
    assert p_value == pytest.approx(closed.pvalue, rel=0.1)


def test_the_error_that_counts_is_the_mean_of_equal_noise_and_each_value_s_own() -> None:
    """With one factor: of the pooled variance and of Welch's, with more than Welch's certainty."""
    rng = np.random.default_rng(2)
    few, many = rng.normal(0.3, 0.05, 12), rng.normal(0.33, 0.01, 40)
    factor = levels_of(pd.Series([False] * 12 + [True] * 40))
    found = fit(np.concatenate([few, many]), factor, np.empty((52, 0)), 0.0)
    assert found is not None
    pooled = (11 * few.var(ddof=1) + 39 * many.var(ddof=1)) / 50 * (1 / 12 + 1 / 40)
    welch = few.var(ddof=1) / 12 + many.var(ddof=1) / 40
    share = found.robust_share
    assert 0.25 < share < 0.5
    between = (1 - share) * pooled + share * welch
    assert found.mean.covariance[0, 0] == pytest.approx(between)
    assert found.robust.dfs[0] < found.mean.dfs[0] < found.equal.dfs[0]
    effect, low, high, p_value = found.contrast(0)
    half = np.sqrt(between) * stats.t.ppf(0.975, found.mean.dfs[0])
    assert (low, high) == pytest.approx((effect - half, effect + half))
    assert p_value == pytest.approx(found.p_value([0]))  # an F test of one effect is its t test


def test_what_matters_is_adjusted_for_and_what_does_not_is_not() -> None:
    comparison = compare(folder(balanced(repeats=3, noise=0.03)))
    others = comparison.others(["learning_rate"])
    assert sum(e.weight for e in others) == pytest.approx(1)
    batch_norm = comparison.levels["batch_norm"].eq("true").to_numpy(float)
    activation = comparison.levels["activation"].eq("relu").to_numpy(float)

    def weight(column: np.ndarray) -> float:
        has = [e for e in others if (e.columns == column[:, None]).all(axis=0).any()]
        return sum(e.weight for e in has)

    assert weight(batch_norm) == pytest.approx(1)
    assert weight(activation) < 0.4


def test_half_of_the_sweeps_find_an_effect_of_the_size_said_to_be_detectable() -> None:
    size = estimate_effects(compare(folder(balanced(repeats=5, noise=0.05)))).detectable
    found = 0
    for seed in range(100):
        trials = balanced(repeats=5, noise=0.05, seed=seed)
        trials["val_acc"] += (size - 0.1) * trials["batch_norm"]
        found += estimate_effects(compare(folder(trials))).p_values["batch_norm"] <= 0.05
    assert 35 <= found <= 65


def test_a_cautious_fit_has_the_wider_interval_and_the_larger_p_value() -> None:
    comparison = compare(folder(balanced(repeats=2, noise=0.05).sample(20, random_state=0)))
    levels = comparison.levels
    others = one_hot(levels.drop(columns="learning_rate"))
    found = fit(comparison.scores.to_numpy(float), levels["learning_rate"], others, 0.5)
    assert found is not None
    cautious = replace(found, is_cautious=True)
    for number in (0, 1):
        effect, low, high, p_value = found.contrast(number)
        same, lower, higher, larger = cautious.contrast(number)
        assert same == effect
        assert lower < low < high < higher
        assert larger > p_value
    assert cautious.p_value([0, 1]) > found.p_value([0, 1])


def test_with_many_trials_it_is_ordinary_regression() -> None:
    trials = balanced(repeats=60, noise=0.02)
    levels = compare(folder(trials)).levels
    design = np.column_stack([np.ones(len(trials)), one_hot(levels)])
    scores = trials.set_index("trial_id").loc[levels.index, "val_acc"].to_numpy()
    ordinary = np.linalg.lstsq(design, scores, rcond=None)[0]
    difference = ordinary[1 + 3] - ordinary[1 + 2]  # gelu, relu, false, true, ...
    assert effects_of(trials).loc[("batch_norm", "true"), "effect"] == pytest.approx(
        difference, abs=1e-4
    )


def test_the_interval_holds_the_truth_in_19_of_20_sweeps_and_chance_is_not_called_an_effect() -> (
    None
):
    covered, called = [], 0
    for seed in range(150):
        trials = balanced(repeats=2, noise=0.03, seed=seed).sample(20, random_state=seed)
        found = estimate_effects(compare(folder(trials)))
        rows = found.effects
        truth = rows["value"].map({"true": 0.1, "false": -0.1}).fillna(0.0)
        covered.append(((rows["low"] <= truth) & (truth <= rows["high"])).mean())
        called += any(found.p_values[name] <= 0.05 for name in ("activation", "learning_rate"))
    assert 0.93 <= np.mean(covered) <= 0.99
    assert called <= 14  # 5% of 150 and two standard errors


def test_a_permuted_table_has_no_significant_effect() -> None:
    trials = balanced(repeats=5)
    shuffled = np.random.default_rng(3).permutation(trials["val_acc"].to_numpy())
    found = estimate_effects(compare(folder(trials.assign(val_acc=shuffled))))
    assert len(found.effects) == 4
    assert found.significant.empty
    assert (found.importance["low"] == 0).all()
    assert (found.importance["importance"] == 0).any(), "noise alone explains nothing"


def test_a_confounded_effect_is_adjusted_for() -> None:
    """batch_norm does it all, and activation went mostly with it."""
    trials = balanced(repeats=5)
    keep = (trials["activation"] == "relu") == trials["batch_norm"]
    keep |= np.arange(len(trials)) % 5 == 0
    rows = effects_of(trials[keep])
    raw = trials[keep].groupby("activation")["val_acc"].mean()
    assert raw["relu"] - raw["gelu"] > 0.05
    assert rows.loc[("activation", "relu"), "p_adjusted"] > 0.05
    assert rows.loc[("batch_norm", "true"), "p_adjusted"] < 0.001


def test_what_two_trials_alone_tell_apart_is_no_evidence() -> None:
    """dropout and batch_norm changed together but for two trials that collapsed."""
    rng = np.random.default_rng(0)
    trials = pd.DataFrame({
        "trial_id": [f"t{i:02d}" for i in range(20)],
        "dropout": [0.2] * 8 + [0.4] * 12,
        "batch_norm": [False] * 10 + [True] * 10,
        "val_acc": [0.35] * 8 + [0.1] * 2 + [0.33] * 10,
    })  # fmt: skip
    trials["val_acc"] += rng.normal(0, 0.01, 20)
    found = estimate_effects(compare(folder(trials)))
    assert (found.effects["p_adjusted"] > 0.05).all()
    assert ((found.effects["low"] < 0) & (found.effects["high"] > 0)).all(), "p and interval agree"
    assert found.importance["low"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("rare", ["adam", "sgd"])
def test_a_value_hardly_tried_hides_no_difference_between_others(rare: str) -> None:
    """Whether it comes first in the alphabet or last."""
    rng = np.random.default_rng(0)
    trials = pd.DataFrame({
        "trial_id": [f"t{i:02d}" for i in range(58)],
        "optimizer": [rare] * 3 + ["lion"] * 25 + ["radam"] * 30,
        "dropout": rng.choice([0.2, 0.3], 58),
        "val_acc": rng.normal(0.3, 0.025, 58) + np.repeat([0.04, 0.0, 0.08], [3, 25, 30]),
    })  # fmt: skip
    found = estimate_effects(compare(folder(trials)))
    assert found.p_values["optimizer"] < 1e-6
    rows = found.effects.set_index("value")
    assert (rows["reference"].drop(["0.2", "0.3"], errors="ignore") == "radam").all()
    assert rows.loc["lion", "high"] < -0.05


def test_what_was_not_logged_most_often_is_no_reference() -> None:
    trials = balanced()
    trials.loc[trials["activation"].eq("gelu") | (trials.index % 4 > 0), "activation"] = None
    found = estimate_effects(compare(folder(trials)))
    assert found.not_compared == ("activation",)


def curves(lengths: dict[str, int], *, status: str = "stopped") -> SweepFolder:
    rows = [(t, e, 0.1 + 0.01 * e) for t, n in lengths.items() for e in range(1, n + 1)]
    trials = pd.DataFrame({"trial_id": list(lengths), "status": status, "lr": range(len(lengths))})
    return folder(trials, pd.DataFrame(rows, columns=["trial_id", "epoch", "val_acc"]))


def test_trials_are_compared_at_the_last_epoch_that_nearly_all_reached() -> None:
    comparison = compare(curves({f"t{i}": 3 if i < 7 else 27 for i in range(10)}))
    assert comparison.epoch == 3
    assert comparison.scores.tolist() == pytest.approx([0.13] * 10)


def test_a_trial_that_ended_early_counts_and_one_that_failed_does_not() -> None:
    lengths = {f"t{i:02d}": 9 for i in range(19)} | {"short": 2}
    assert compare(curves(lengths)).scores["short"] == pytest.approx(0.12)
    sweep = curves(lengths)
    sweep.trials.loc[sweep.trials["trial_id"] == "short", "status"] = "failed"
    comparison = compare(sweep)
    assert "short" not in comparison.scores
    assert (comparison.epoch, comparison.num_left_out) == (9, 1)


def test_without_epochs_the_best_of_each_trial_is_compared() -> None:
    comparison = compare(folder(balanced()))
    assert comparison.epoch is None
    assert comparison.when == "at its best epoch"
    assert len(comparison.scores) == 60


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([64.0, 32.0, 128.0], ["32", "64", "128"]),
        ([True, False, True], ["false", "true"]),
        (["relu", None, "gelu"], ["gelu", "relu", "not logged"]),
        (
            list(np.linspace(0.001, 0.009, 9)),
            ["0.001 to 0.003", "0.004 to 0.006", "0.007 to 0.009"],
        ),
        ([f"name{i}" for i in range(12)], [*(f"name{i}" for i in range(7)), "other (5)"]),
    ],
)
def test_values_become_ordered_levels(values: list, expected: list[str]) -> None:
    levels = levels_of(pd.Series(values, dtype=object))
    assert sorted(levels.cat.categories) == sorted(expected)
    assert not levels.isna().any()
    if len(expected) < 8:
        assert levels.cat.categories.tolist() == expected


def test_constants_and_rare_values_are_not_compared_and_lists_are() -> None:
    trials = balanced().assign(optimizer="adam", empty=np.nan, filters="[32, 64]")
    trials["rare"] = ["a"] * (len(trials) - 1) + ["b"]
    trials.loc[trials.index[::5], "filters"] = "[64, 64]"
    found = estimate_effects(compare(folder(trials)))
    assert set(found.effects["hyperparameter"]) == {*NAMES, "filters"}
    assert found.not_compared == ("rare",)


def test_a_list_that_others_determine_is_left_out_and_named() -> None:
    trials = balanced()
    trials["filters"] = [f"[{int(a == 'relu')}, {int(b)}]" for a, b in
                         zip(trials["activation"], trials["batch_norm"], strict=True)]  # fmt: skip
    sweep = folder(trials)
    comparison = compare(sweep)
    assert comparison.determined == {"filters": ("activation", "batch_norm")}
    assert "filters" not in comparison.levels
    said = cautions(sweep, comparison, estimate_effects(comparison))
    assert "filters is not compared: activation and batch_norm say it already." in said


def p_of_three(values: list, points: list[int], seed: int) -> float:
    """The p-value of three values which gain so many points."""
    rng = np.random.default_rng(seed)
    which = rng.permutation(np.resize([0, 1, 2], 45))
    trials = pd.DataFrame({
        "trial_id": [f"t{i:02d}" for i in range(45)], "size": [values[i] for i in which],
        "val_acc": 0.3 + 0.01 * np.array(points)[which] + rng.normal(0, 0.02, 45),
    })  # fmt: skip
    return estimate_effects(compare(folder(trials))).p_values["size"]


def test_numbers_that_rise_are_found_more_often_than_names_are() -> None:
    numbers = [p_of_three([1, 2, 4], [0, 1, 2], seed) for seed in range(12)]
    names = [p_of_three(["a", "b", "c"], [0, 1, 2], seed) for seed in range(12)]
    assert np.median(np.divide(numbers, names)) < 0.9


def test_an_optimum_in_between_has_a_say_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [p_of_three([1, 2, 4], [0, 2, 0], seed) for seed in range(12)]
    any_say, trend_say, _ = regression.SAYS
    whole = any_say + trend_say
    monkeypatch.setattr(regression, "SAYS", (any_say / whole, trend_say / whole, 0.0))
    not_asked = [p_of_three([1, 2, 4], [0, 2, 0], seed) for seed in range(12)]
    assert np.median(np.divide(asked, not_asked)) < 0.9


def test_cauchys_combination_is_a_p_value_between_the_others() -> None:
    says = (0.3, 0.5, 0.2)
    assert combined([0.3, 0.3, 0.3], says) == pytest.approx(0.3)
    assert 0.001 < combined([0.04, 0.001, 0.5], says) < 0.04
    assert combined([0.04, 0.9, 0.9], says) > 0.04
    assert combined([0.0, 1.0, 0.5], says) < 1e-6
    models = combined([np.array([0.3, 0.01]), np.array([0.3, 0.02]), np.array([0.3, 0.9])], says)
    assert models.shape == (2,) and models[0] == pytest.approx(0.3) and models[1] < 0.03


def test_what_is_known_of_the_noise_counts_where_few_trials_tell_it() -> None:
    few = folder(balanced(1, noise=0.001).iloc[:8])
    assert estimate_effects(compare(few)).noise > 0.005
    many = folder(balanced(10, noise=0.001))
    assert estimate_effects(compare(many)).noise < 0.005


ONE = pd.DataFrame({"trial_id": ["a"], "lr": [0.1], "val_acc": [0.3]})
EDGES = {
    "empty": ONE.iloc[:0],
    "one trial": ONE,
    "three trials": pd.DataFrame({"trial_id": list("abc"), "lr": [1, 2, 3], "val_acc": [1, 2, 3]}),
    "all failed": pd.DataFrame({"trial_id": list("abc"), "status": "failed", "lr": [1, 2, 3]}),
    "all equal": balanced().assign(val_acc=0.5),
    "no hyperparameters": balanced()[["trial_id", "val_acc"]],
    "more values than trials": pd.DataFrame(
        {"trial_id": list("abcdef"), "val_acc": np.linspace(0.1, 0.3, 6)}
        | {f"h{i}": np.roll([0, 0, 0, 1, 1, 1], i) for i in range(6)}
    ),
    "same id twice": pd.concat([balanced(1), balanced(1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", EDGES)
def test_every_table_gives_effects_of_fixed_columns_and_finite_numbers(name: str) -> None:
    comparison = compare(folder(EDGES[name]))
    found = estimate_effects(comparison)
    assert found.effects.columns.tolist() == [*EFFECT_COLUMNS, "rests_on_few"]
    assert found.importance.columns.tolist() == [*IMPORTANCE_COLUMNS, "p_adjusted"]
    assert np.isfinite(found.effects[["effect", "low", "high", "p_adjusted"]].to_numpy(float)).all()
    assert (found.importance[["low", "importance", "high"]].to_numpy(float) >= 0).all()
    assert len(interplay(comparison)) in (0, 3)


def test_holms_correction_is_that_of_the_textbook() -> None:
    adjusted = holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([])).tolist() == []


def test_degrees_of_freedom_are_what_the_estimated_variance_varies_by() -> None:
    """Of a value tried eight times beside forty of another: Satterthwaite's 2 mean^2 / variance."""
    rng, factor = np.random.default_rng(3), levels_of(pd.Series([False] * 40 + [True] * 8))
    nothing = np.empty((48, 0))
    fits = [fit(rng.normal(0, 1, 48), factor, nothing, 0.0) for _ in range(3000)]
    for which in ("equal", "robust", "mean"):
        found = [getattr(one, which) for one in fits if one]
        drawn = np.array([one.covariance[0, 0] for one in found])
        df = 2 * drawn.mean() ** 2 / drawn.var()
        assert found[0].dfs[0] == pytest.approx(df, rel=0.1), which


def test_a_difference_that_rests_on_few_trials_counts_but_for_who_is_cautious() -> None:
    rng = np.random.default_rng(4)
    factor = levels_of(pd.Series(["a"] * 20 + ["b"] * 20 + ["c"] * 3))
    scores = rng.normal(0, 1, 43) + 10 * (factor == "c").to_numpy()
    found = fit(scores, factor, np.empty((43, 0)), 0.0)
    assert found is not None
    assert [found.rests_on_few(number) for number in (0, 1)] == [False, True]
    assert found.p_value([0, 1]) < 1e-6 < found.p_value([0])
    assert replace(found, is_cautious=True).p_value([0, 1]) > 0.05


def test_of_few_trials_many_models_are_averaged_over_and_of_many_those_that_are_likely() -> None:
    rng = np.random.default_rng(5)

    def models(num: int) -> list[Explanation]:
        trials = pd.DataFrame({f"h{n}": rng.permutation(np.arange(num) % 2) for n in range(9)})
        trials = trials.assign(trial_id=trials.index, val_acc=rng.normal(0.3, 0.02, num))
        return compare(folder(trials)).others(["h0"])

    few, many = models(16), models(6000)
    assert len(few) == MAX_KEPT > 4 * len(many)
    for found in (few, many):
        weights = [each.weight for each in found]
        assert sum(weights) == pytest.approx(1.0) and weights == sorted(weights, reverse=True)


def test_a_hypothesis_is_as_sure_as_the_least_sure_of_all_sets_that_hold_it() -> None:
    rng = np.random.default_rng(6)
    for _ in range(20):
        p_values, weights = rng.random(5) ** 3, rng.uniform(0.1, 1, 5)
        sets = [list(s) for size in range(1, 6) for s in combinations(range(5), size)]
        sure = [combined(p_values[s], weights[s] / weights[s].sum()) for s in sets]
        worst = [max(p for s, p in zip(sets, sure, strict=True) if i in s) for i in range(5)]
        assert closed(p_values, weights) == pytest.approx(worst)
    assert closed(np.array([]), np.array([])).tolist() == []


def test_with_weights_less_evidence_is_asked_of_the_likelier() -> None:
    p_values = np.array([0.01, 0.01, 0.3])
    likely, other, _ = closed(p_values, np.array([3.0, 1.0, 1.0]))
    assert likely < other
    assert closed(p_values, np.full(3, 7.0)) == pytest.approx(closed(p_values, np.ones(3)))


def test_two_that_are_nearly_sure_help_each_other_and_one_of_pure_chance_takes_little() -> None:
    nearly = np.array([0.03, 0.03])
    assert (closed(nearly, np.ones(2)) <= 0.05).all() and (holm(nearly) > 0.05).all()
    with_chance = closed(np.array([0.001, 1.0]), np.ones(2))
    assert with_chance[0] < 0.005 and with_chance[1] > 0.9


@pytest.mark.parametrize(("num_true", "least"), [(0, 0.04), (3, 0.03)])
def test_weighted_correction_calls_chance_in_at_most_one_of_twenty_families(
    num_true: int, least: float
) -> None:
    drawn = np.random.default_rng(0).random((4000, 8))
    drawn[:, :num_true] **= 6  # effects, each found in most families
    weights = evidence_weights([*MATTERED][:8])
    called = [bool((closed(p_values, weights)[num_true:] <= 0.05).any()) for p_values in drawn]
    assert least < np.mean(called) < 0.055


def test_effects_are_corrected_with_the_weights_of_public_sweeps() -> None:
    found = estimate_effects(compare(folder(balanced(noise=0.2))))
    p_values = np.array([*found.alone.values()])
    expected = closed(p_values, evidence_weights(found.alone))
    assert [*found.p_values.values()] == pytest.approx(expected.tolist())
    assert expected != pytest.approx(closed(p_values, np.ones(len(p_values))), rel=0.01)


def test_of_a_likelier_effect_a_smaller_one_is_detectable() -> None:
    factor = levels_of(pd.Series([False, True] * 20))
    found = fit(np.random.default_rng(4).normal(0.3, 0.02, 40), factor, np.empty((40, 0)), 0.0)
    assert found
    error, df = np.sqrt(found.mean.covariance[0, 0]), found.mean.dfs[0]
    bounds = [error * stats.t.isf(0.025 * share, df) for share in (0.75, 0.25)]
    asked = [(found, [0]), (found, [0])]
    assert detectable(asked, np.array([3.0, 1.0])) == pytest.approx(np.median(bounds))
    assert detectable(asked) == pytest.approx(error * stats.t.isf(0.0125, df))


def test_what_mattered_in_public_sweeps_weighs_more_whatever_it_is_called() -> None:
    names = ["learning_rate", "lr", "num_neurons_dense", "made_up", "another"]
    rate, short, dense, unknown, other = evidence_weights(names)
    assert rate == short > unknown == other > dense > 0


def test_a_models_p_values_are_averaged_by_the_belief_in_it() -> None:
    scores = np.random.default_rng(2).normal(0.3, 0.02, 40) + 0.05 * (np.arange(40) % 4 == 0)
    factor = levels_of(pd.Series([False, True] * 20))
    other = np.eye(2)[np.arange(40) // 2 % 2]
    explanations = [Explanation(0.75, other, 3.0), Explanation(0.25, other[:, :0], 1.0)]
    found = averaged(scores, factor, explanations)
    alone = [averaged(scores, factor, [one]) for one in explanations]
    assert found and alone[0] and alone[1]
    expected = 0.75 * alone[0].p_value([0]) + 0.25 * alone[1].p_value([0])
    assert found.p_value([0]) == pytest.approx(expected)
    assert alone[0].p_value([0]) != pytest.approx(alone[1].p_value([0]), rel=0.01)


def test_models_are_solved_together_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    scores, given = rng.normal(0.3, 0.02, 30), rng.normal(0, 0.01, (30, 1))
    factor = levels_of(pd.Series([1, 2, 4] * 10))
    columns = rng.integers(0, 2, (30, 9)).astype(float)
    explanations = [
        Explanation(0.2, columns[:, :size], spread)
        for size, spread in [(9, 3.0), (0, 1.0), (4, 0.3)]
    ]
    together = averaged(scores, factor, explanations, given=given)
    monkeypatch.setattr("analysis.statistics.regression.CHUNK", 1)
    in_turn = averaged(scores, factor, explanations, given=given)
    alone = [averaged(scores, factor, [one], given=given) for one in explanations]
    assert together and together.models and in_turn and in_turn.models
    for number, one in enumerate(alone):
        assert one
        for found in (together.models, in_turn.models):
            np.testing.assert_allclose(found.effects[number], one.effects)
            np.testing.assert_allclose(found.mean.covariance[number], one.mean.covariance)
            np.testing.assert_allclose(found.mean.dfs[number], one.mean.dfs)
    p_values = [found.p_value([0, 1], np.array([1.0, 3.0])) for found in (together, in_turn)]
    assert p_values[0] == pytest.approx(p_values[1])


def test_importance_is_the_share_of_variance_and_nothing_for_what_does_nothing() -> None:
    importance = estimate_effects(compare(folder(balanced(repeats=20, noise=0.05)))).importance
    share = importance.set_index("hyperparameter")
    assert share.loc["batch_norm", "importance"] == pytest.approx(0.5, abs=0.1)  # 0.05**2 each
    assert share.loc["batch_norm", "low"] < 0.5 < share.loc["batch_norm", "high"]
    assert share.loc["activation", "importance"] < 0.02


def test_values_that_only_work_together_are_found_and_others_are_not() -> None:
    trials = balanced(repeats=5, noise=0.01)
    trials["val_acc"] += 0.05 * ((trials["activation"] == "relu") & trials["batch_norm"])
    pairs = interplay(compare(folder(trials)))
    first = pairs.iloc[0]
    assert {first["first"], first["second"]} == {"activation", "batch_norm"}
    assert (pairs["p_adjusted"] <= 0.05).tolist() == [True, False, False]


def test_the_best_pair_has_the_highest_mean_of_the_values_that_are_known() -> None:
    """gelu with a low learning rate lies farthest above the sum of both, and is far from best."""
    trials = balanced(repeats=5, noise=0.005)
    low = trials["learning_rate"] == 1e-4
    trials["val_acc"] += 0.1 * (trials["activation"] == "relu") * ~low - 0.1 * low
    first = interplay(compare(folder(trials))).iloc[0]
    assert {first["first"], first["second"]} == {"activation", "learning_rate"}
    assert first["best"].startswith("activation relu with learning_rate 0.0")
    assert first["n"] == 10
    trials.loc[trials["activation"] == "relu", "activation"] = None
    first = interplay(compare(folder(trials))).iloc[0]
    assert first["best"].startswith("activation gelu with learning_rate 0.0")


def test_pairs_are_called_by_chance_in_one_sweep_of_twenty() -> None:
    called = sum(
        bool((interplay(compare(folder(balanced(3, 0.03, seed))))["p_adjusted"] <= 0.05).any())
        for seed in range(60)
    )
    assert called <= 7


def test_ten_thousand_trials_take_no_array_of_their_square() -> None:
    rng = np.random.default_rng(0)
    trials = balanced(repeats=834).iloc[:10_000]
    comparison: Comparison = compare(folder(trials.assign(other=rng.integers(0, 5, 10_000))))
    found = estimate_effects(comparison)
    assert found.significant["hyperparameter"].tolist() == ["batch_norm"]
    assert len(interplay(comparison)) == 6
