"""Does the report err as often as it says? Effects planted in simulated sweeps, looked for by it.

python benchmarks/calibration.py [--scenario NAME] [--sweeps N] [--first-seed N] [--processes N]

A sweep is 60 trials over the study's space, proposed by our TPE from what it is told, two at a
time, and stopped by our ASHA (rungs 3, 9 of 27 epochs). A trial's accuracy rises along an
exponential; 3 of the 10 hyperparameters have effects, 7 have none. The noise is that of real
sweeps: 2.5 points from trial to trial and 0.8 from epoch to epoch. In the public sweeps of networks
trained from scratch a median of 2.5 points is left unexplained by the hyperparameters, 3.0 with
the networks that never left chance (docs/EXPERIMENTS.md). Effects are meant, planted and looked
for at epoch 3, the last that all trials reach. "Oracle" is who knows every other effect and the
noise: the most that can be found in the same trials, at the same correction (Holm).
"""

import argparse
import itertools
import math
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from analysis.reading.folder import SweepFolder
from analysis.reading.values import shown
from analysis.statistics.comparison import Comparison, compare
from analysis.statistics.effects import SIGNIFICANT, Effects, estimate_effects
from analysis.statistics.pairs import interplay
from analysis.statistics.regression import holm
from cnnlib.journal.ledger import Ledger
from cnnlib.journal.scores import wilson_interval
from cnnlib.journal.terms import Terms
from cnnlib.search.halving import Halving
from cnnlib.search.space import Choice
from cnnlib.search.sweep_file import read_sweep_file

ROOT = Path(__file__).resolve().parent.parent
SPACE = read_sweep_file(ROOT / "cnnlib" / "sweeps" / "inaturalist.yaml").space
VALUES = {name: v.values for name, v in SPACE.items() if isinstance(v, Choice)}
PLAN = Halving(max_epochs=27, grace_period=3, reduction_factor=3.0)
PLANTED = {
    "learning_rate": {0.01: 0.0, 0.001: 0.06, 0.0001: 0.02},
    "batch_norm": {True: 0.04, False: 0.0},
    "conv_layers": {3: 0.0, 4: 0.02, 5: 0.04},
}
EPOCH_NOISE, CHANCE = 0.008, 0.1
SLOTS = 2


@dataclass(frozen=True)
class Scenario:
    """What the simulated sweeps are like."""

    trials: int = 60
    search: str = "tpe"
    noise: float = 0.025  # from trial to trial
    has_effects: bool = True
    is_rough: bool = False
    """Values depend on each other, and networks collapse: 25% of those with learning rate 0.01
    and no batch norm stay at chance, 3% of the others."""

    def mean(self, config: dict) -> float:
        """The expected accuracy at epoch 3."""
        if not self.has_effects:
            return 0.3
        level = 0.26 + sum(by_value[config[name]] for name, by_value in PLANTED.items())
        if not self.is_rough:
            return level
        if config["learning_rate"] == 0.01 and config["batch_norm"]:
            level += 0.03
        if config["first_layer_filters"] == 32 and config["filter_org"] == 0.5:
            level -= 0.04
        share = self.collapsing(config)
        return (1 - share) * level + share * CHANCE

    def collapsing(self, config: dict) -> float:
        """The share of trials that stay at chance."""
        if not self.is_rough:
            return 0.0
        return 0.25 if config["learning_rate"] == 0.01 and not config["batch_norm"] else 0.03

    def curve(self, config: dict, rng: np.random.Generator) -> np.ndarray:
        """The validation accuracy after each epoch of one trial."""
        share, epochs = self.collapsing(config), np.arange(1, PLAN.max_epochs + 1)
        if rng.random() < share:
            return CHANCE + rng.normal(0, EPOCH_NOISE / 2, len(epochs))
        level = (self.mean(config) - share * CHANCE) / (1 - share) + rng.normal(0, self.noise)
        pace = 4 * math.exp(rng.normal(0, 0.2))  # epochs
        rise = (1 - np.exp(-epochs / pace)) / (1 - math.exp(-PLAN.grace_period / pace))
        noise = rng.normal(0, EPOCH_NOISE, len(epochs))
        return np.clip(CHANCE + (level - CHANCE) * rise + noise, 0, 1)


SCENARIOS = {
    "additive": Scenario(),
    "no effect": Scenario(has_effects=False),
    "rough": Scenario(is_rough=True),
    "more noise": Scenario(noise=0.035),
    "random search": Scenario(search="random"),
    "30 trials": Scenario(trials=30),
    "20 trials": Scenario(trials=20),
}


def simulate(scenario: Scenario, seed: int) -> SweepFolder:
    """A sweep's two tables, as its folder would hold them."""
    rng = np.random.default_rng(seed)
    ledger = Ledger(write=lambda event, **content: {"event": event, **content})
    ledger.begin(
        Terms(
            space=SPACE, image_size=224, search=scenario.search, seed=seed, trials=scenario.trials,
            max_epochs=PLAN.max_epochs, patience=0, grace_period=PLAN.grace_period,
            reduction_factor=PLAN.reduction_factor, fingerprint="", num_initial=10,
        )
    )  # fmt: skip
    running: dict[str, Iterator[tuple[int, float]]] = {}
    epochs = []
    while running or len(ledger.trials) < scenario.trials:
        while len(running) < SLOTS and (trial := ledger.next_trial()):
            curve = scenario.curve(asdict(trial.config), rng).tolist()
            running[trial.trial_id] = iter(enumerate(curve, start=1))
        trial_id = str(rng.choice(list(running)))
        epoch, score = next(running[trial_id])
        epochs.append((trial_id, epoch, score))
        decision = ledger.epoch(trial_id, {"epoch": epoch, "val_acc": score})
        if (decision and decision.stop) or epoch == PLAN.max_epochs:
            ledger.end(trial_id)
            del running[trial_id]
    trials = [
        {"trial_id": trial.trial_id, "status": trial.status, "epochs": trial.epoch,
         "val_acc": trial.best, **{name: getattr(trial.config, name) for name in VALUES}}
        for trial in ledger.trials.values()
    ]  # fmt: skip
    return SweepFolder(
        path=Path("simulated"),
        trials=pd.DataFrame(trials),
        epochs=pd.DataFrame(epochs, columns=["trial_id", "epoch", "val_acc"]),
        hyperparameters=list(VALUES),
    )


def average_by_value(scenario: Scenario) -> dict[str, dict[str, float]]:
    """The truth: the expected accuracy of each value over all values of the others."""
    names = [*PLANTED, "first_layer_filters", "filter_org"]
    rest = {name: values[0] for name, values in VALUES.items()}
    points = [
        dict(zip(names, p, strict=True))
        for p in itertools.product(*(VALUES[name] for name in names))
    ]
    means = pd.DataFrame(points).assign(mean=[scenario.mean(rest | point) for point in points])
    return {
        name: {shown(v): float(m) for v, m in means.groupby(name)["mean"].mean().items()}
        for name in names
    }


def assess(scenario: Scenario, seed: int) -> dict[str, float]:
    """How the report judges one simulated sweep; shares are of what it says."""
    sweep = simulate(scenario, seed)
    comparison = compare(sweep)
    found = estimate_effects(comparison)
    truth = average_by_value(scenario)
    rows = found.effects
    true = [
        truth[row.hyperparameter][row.value] - truth[row.hyperparameter][row.reference]
        if row.hyperparameter in truth
        else 0.0
        for row in rows.itertuples()
    ]
    covered = (rows["low"] <= true) & (true <= rows["high"])
    means = {name: np.ptp(list(truth[name].values())) if name in truth else 0 for name in VALUES}
    null = [name for name, difference in means.items() if difference < 1e-9]
    is_null = rows["hyperparameter"].isin(null)
    called = [name for name, p in found.p_values.items() if p <= SIGNIFICANT]
    false = [name for name in called if name in null]
    pairs = interplay(comparison)
    oracle = _oracle(comparison, scenario)
    return {
        "null called": len(false) / len(null),
        "any null called": bool(false),
        "covered": covered.mean(),
        "covered, null": covered[is_null].mean(),
        "covered, planted": covered[~is_null].mean(),
        "found, 2 values": "batch_norm" in called,
        "found, 3 values": "conv_layers" in called,
        "found, learning rate": "learning_rate" in called,
        "oracle: 2 values": oracle.get("batch_norm", math.nan),
        "oracle: 3 values": oracle.get("conv_layers", math.nan),
        "importance covered": _importance_covered(found, truth, scenario),
        "a pair called": bool((pairs["p_adjusted"] <= SIGNIFICANT).any()),
        "naive: any null called": _naive(sweep, null),
        "half width": float((rows["high"] - rows["low"]).mean() / 2),
    }


def _oracle(comparison: Comparison, scenario: Scenario) -> dict[str, bool]:
    """What who knows all other effects and the noise calls significant; additive scenarios only.

    Subtracted from a score are the means at all other hyperparameters' values: chi-square tests of
    what is left.
    """
    if scenario.is_rough:
        return {}
    trials, noise = comparison.trials, math.hypot(scenario.noise, EPOCH_NOISE)
    means = [scenario.mean(config) for config in trials.to_dict("records")]
    rest = comparison.scores - means
    p_values = {}
    for name in trials:
        own = PLANTED.get(name, {}) if scenario.has_effects else {}
        scores = rest + trials[name].map(lambda value, own=own: own.get(value, 0.0))
        groups = scores.groupby(trials[name]).agg(["mean", "size"])
        centre = np.average(groups["mean"], weights=groups["size"])
        between = float((groups["size"] * (groups["mean"] - centre) ** 2).sum()) / noise**2
        p_values[name] = float(stats.chi2.sf(between, len(groups) - 1)) if len(groups) > 1 else 1.0
    adjusted = holm(np.array(list(p_values.values())))
    return {name: bool(p <= SIGNIFICANT) for name, p in zip(p_values, adjusted, strict=True)}


def _importance_covered(found: Effects, truth: dict, scenario: Scenario) -> float:
    """The share of importance intervals that hold the truth; additive scenarios only."""
    if scenario.is_rough:
        return math.nan
    variances = {name: float(np.var(list(means.values()))) for name, means in truth.items()}
    total = sum(variances.values()) + scenario.noise**2 + EPOCH_NOISE**2
    table = found.importance
    true = table["hyperparameter"].map(variances).fillna(0.0) / total
    return float(((table["low"] <= true + 1e-9) & (true <= table["high"])).mean())


def _naive(sweep: SweepFolder, null: list[str]) -> bool:
    """Box plots compared by eye: each trial's best epoch, unadjusted, p < 0.05 for each alone."""
    for name in null:
        groups = [g.to_numpy() for _, g in sweep.trials.groupby(name)["val_acc"] if len(g) > 1]
        if len(groups) > 1 and stats.f_oneway(*groups).pvalue <= SIGNIFICANT:
            return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=SCENARIOS, default="additive")
    parser.add_argument("--sweeps", type=int, default=400)
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
        print(f"  {name:24} {mean:.3f}" + (f"  ({low:.3f} to {high:.3f})" if is_share else ""))


if __name__ == "__main__":
    main()
