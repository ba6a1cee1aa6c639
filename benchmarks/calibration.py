"""Does the report err as often as it says? Effects planted in simulated sweeps, looked for by it.

python benchmarks/calibration.py [--scenario NAME] [--sweeps N] [--first-seed N] [--processes N]

The sweeps are those of simulated.py. Effects are looked for at the first rung, the last epoch that
all trials reach, and at the end that the report names: epoch 27, or where five trials have been.
"Oracle" is who knows every other effect and the noise: the most that can be found in the same
trials, at the same correction (Holm).
"""

import argparse
import math
import sys
from collections.abc import Mapping
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from simulated import EPOCH_NOISE, LEVEL_AT, MAX_EPOCHS, SCENARIOS, Scenario, simulate

from analysis.reading.folder import SweepFolder
from analysis.statistics.comparison import Comparison, compare
from analysis.statistics.course import Ends, estimate_ends, follow
from analysis.statistics.effects import SIGNIFICANT, Effects, estimate_effects
from analysis.statistics.learning import who_learns
from analysis.statistics.pairs import interplay
from analysis.statistics.regression import holm
from cnnlib.journal.scores import wilson_interval

Truth = Mapping[str, Mapping[str, float]]


def assess(scenario: Scenario, seed: int) -> dict[str, float]:
    """How the report judges one simulated sweep; shares are of what it says."""
    sweep = simulate(scenario, seed)
    comparison = compare(sweep)
    found = estimate_effects(comparison)
    ends = estimate_ends(follow(sweep, comparison), found)
    learning = who_learns(comparison).p_values
    truth = scenario.truth(scenario.plan.rungs[0])
    at_the_end = scenario.truth(ends.epoch or MAX_EPOCHS)
    null = [n for n in scenario.hyperparameters if n not in truth or np.ptp([*truth[n].values()])
            < 1e-9]  # fmt: skip
    called = {name for name, p in found.p_values.items() if p <= SIGNIFICANT}
    decides = {name for name, p in learning.items() if p <= SIGNIFICANT}
    late = {name for name, p in ends.p_values.items() if p <= SIGNIFICANT}
    covered = _covered(found.effects, truth)
    is_null = found.effects["hyperparameter"].isin(null).to_numpy()
    known = ends.table[ends.table["unknown"] == ""]
    pairs = interplay(comparison)
    oracle = _oracle(comparison, scenario)
    three = next((n for n in ("dense_units", "conv_layers") if n in scenario.hyperparameters), "")
    return {
        "idle called": bool(called & {*null}),
        "idle called, or who learns": bool((called | decides) & {*null}),
        "idle called at the end": bool(late & {*null}),
        "covered": covered.mean() if len(covered) else math.nan,
        "covered, idle": covered[is_null].mean() if is_null.any() else math.nan,
        "covered, planted": covered[~is_null].mean() if (~is_null).any() else math.nan,
        "covered at the end": _covered(known, at_the_end).mean() if len(known) else math.nan,
        "known at the end": len(known) / len(ends.table) if len(ends.table) else math.nan,
        "found, 2 values": "batch_norm" in called | decides,
        "found, 3 values": three in called | decides,
        "found, learning rate": "learning_rate" in called | decides,
        "found at the end, 2 values": "batch_norm" in late,
        "found at the end, 3 values": three in late,
        "oracle: 2 values": oracle.get("batch_norm", math.nan),
        "oracle: 3 values": oracle.get(three, math.nan),
        "oracle: learning rate": oracle.get("learning_rate", math.nan),
        **_crossing(ends, at_the_end),
        "importance covered": _importance_covered(found, truth, scenario),
        "a pair called": bool((pairs["p_adjusted"] <= SIGNIFICANT).any()),
        "naive: any idle called": _naive(sweep, null),
        "half width": float((found.effects["high"] - found.effects["low"]).mean() / 2),
        "half width at the end": float((known["high"] - known["low"]).mean() / 2),
    }


def _differences(table: pd.DataFrame, truth: Truth) -> np.ndarray:
    """The true effect of each row."""
    return np.array(
        [
            truth[row.hyperparameter][row.value] - truth[row.hyperparameter][row.reference]
            if row.hyperparameter in truth
            else 0.0
            for row in table.itertuples()
        ]
    )


def _covered(table: pd.DataFrame, truth: Truth) -> np.ndarray:
    true = _differences(table, truth)
    return ((table["low"] <= true) & (true <= table["high"])).to_numpy(bool)


def _crossing(ends: Ends, truth: Truth) -> dict[str, float]:
    """Whether batch norm's sign at the end is right, or said to be unknown."""
    rows = ends.table[ends.table["hyperparameter"] == "batch_norm"]
    known = rows[rows["unknown"] == ""]
    true = _differences(known, truth)
    is_sure = (known["low"] > 0) | (known["high"] < 0)
    wrong = np.sign(known["effect"]) != np.sign(true)
    is_open = ~is_sure  # an interval that holds 0 says no sign
    return {
        "sign at the end right or unknown": bool((~wrong).all()),
        "or not sure": bool((~wrong | is_open).all()),
        "sign at the end unknown": not len(known),
    }


def _oracle(comparison: Comparison, scenario: Scenario) -> dict[str, bool]:
    """What who knows all other effects and the noise calls significant.

    Subtracted from a score are the means at all other hyperparameters' values: chi-square tests of
    what is left, among the networks that learn. Not known where epoch 3 is not what is compared.
    """
    is_compared_there = scenario.plan.rungs[0] == LEVEL_AT and scenario.measure.rises
    if scenario.has_interplay or scenario.lists or not is_compared_there:
        return {}
    trials, noise = comparison.trials, math.hypot(scenario.noise, EPOCH_NOISE)
    rest = comparison.scores - [scenario.level(config) for config in trials.to_dict("records")]
    p_values = {}
    for name in trials:
        own = scenario.planted.get(name, {})
        scores = rest + trials[name].map(lambda value, own=own: own.get(value, 0.0))
        groups = scores.groupby(trials[name]).agg(["mean", "size"])
        centre = np.average(groups["mean"], weights=groups["size"])
        between = float((groups["size"] * (groups["mean"] - centre) ** 2).sum()) / noise**2
        p_values[name] = float(stats.chi2.sf(between, len(groups) - 1)) if len(groups) > 1 else 1.0
    adjusted = holm(np.array(list(p_values.values())))
    return {name: bool(p <= SIGNIFICANT) for name, p in zip(p_values, adjusted, strict=True)}


def _importance_covered(found: Effects, truth: Truth, scenario: Scenario) -> float:
    """The share of importance intervals that hold the truth; additive scenarios only."""
    if scenario.has_interplay or not scenario.measure.rises:
        return math.nan
    variances = {name: float(np.var([*means.values()])) for name, means in truth.items()}
    total = sum(variances.values()) + scenario.noise**2 + EPOCH_NOISE**2
    table = found.importance
    true = table["hyperparameter"].map(variances).fillna(0.0) / total
    return float(((table["low"] <= true + 1e-9) & (true <= table["high"])).mean())


def _naive(sweep: SweepFolder, null: list[str]) -> bool:
    """Box plots compared by eye: each trial's best epoch, unadjusted, p < 0.05 for each alone."""
    column = sweep.measure.name
    for name in null:
        groups = [g.to_numpy() for _, g in sweep.trials.groupby(name)[column] if len(g) > 1]
        if len(groups) > 1 and stats.f_oneway(*groups).pvalue <= SIGNIFICANT:
            return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=SCENARIOS, default="additive")
    parser.add_argument("--sweeps", type=int, default=300)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    flags = parser.parse_args()
    seeds = range(flags.first_seed, flags.first_seed + flags.sweeps)
    with Pool(flags.processes) as pool:
        answers = pool.map(partial(assess, SCENARIOS[flags.scenario]), seeds)
    table = pd.DataFrame(answers)
    print(f"{flags.scenario}: {flags.sweeps} sweeps, seeds {seeds[0]} to {seeds[-1]}")
    for name in table:
        mean, is_share = table[name].mean(), table[name].dtype == bool
        low, high = wilson_interval(int(table[name].sum()), len(table)) if is_share else (0, 0)
        print(f"  {name:32} {mean:.3f}" + (f"  ({low:.3f} to {high:.3f})" if is_share else ""))


if __name__ == "__main__":
    main()
