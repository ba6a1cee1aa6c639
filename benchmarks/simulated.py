"""Sweeps with planted effects, proposed and stopped as ours are: for calibration.py.

A sweep is 60 trials over the study's space, two at a time, with rungs at 3 and 9 of 27 epochs; by
TPE and ASHA, where a scenario does not say `curves`, which pauses them at 1, 3 and 9. A trial's
accuracy rises along an exponential; 3 of the 10 hyperparameters have effects, 7 have none.
The noise is that of real sweeps: 2.5 points from trial to trial and 0.8 from epoch to epoch. In the
public sweeps of networks trained from scratch a median of 2.5 points is left unexplained by the
hyperparameters, 3.0 with the networks that never left chance (docs/EXPERIMENTS.md).
"""

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from analysis.reading.folder import SweepFolder
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.values import shown
from cnnlib.journal.ledger import Ledger
from cnnlib.journal.terms import Terms
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.values import Choice
from cnnlib.search.experience import Experience, fitting, shipped
from cnnlib.search.halving import Halving
from cnnlib.search.searcher import num_initial
from cnnlib.search.searchers import WITH_EXPERIENCE
from cnnlib.search.stopping import default_rule, default_rungs
from cnnlib.search.sweep_file import read_sweep_file

ROOT = Path(__file__).resolve().parent.parent
SPACE = read_sweep_file(ROOT / "cnnlib" / "sweeps" / "inaturalist.yaml").space
VALUES = {name: v.values for name, v in SPACE.items() if isinstance(v, Choice)}
MAX_EPOCHS, FACTOR = 27, 3.0
LEVEL_AT = 3  # the epoch at which an effect is as large as it is planted
LEARNING_RATE = {0.01: 0.0, 0.001: 0.06, 0.0001: 0.02}
BATCH_NORM = {True: 0.04, False: 0.0}
STUDY = {
    "learning_rate": LEARNING_RATE,
    "batch_norm": BATCH_NORM,
    "conv_layers": {3: 0.0, 4: 0.02, 5: 0.04},
}
DENSE = {128: 0.0, 256: 0.02, 512: 0.04}
EPOCH_NOISE, CHANCE = 0.008, 0.1
LATE, LATE_PACE = 0.12, 8.0  # a late bloomer's gain by the last epoch; epochs
PACE, PACE_SPREAD = 4.0, 0.2  # epochs, and the standard deviation of its logarithm
LOSS = Measure("val_loss", "minimize", "val_loss")
SLOTS = 2


@dataclass(frozen=True)
class Scenario:
    """What the simulated sweeps are like; effects are points of accuracy at epoch 3."""

    trials: int = 60
    search: str = "tpe"
    noise: float = 0.025  # from trial to trial
    planted: Mapping[str, Mapping] = field(default_factory=lambda: STUDY)
    has_interplay: bool = False
    """learning_rate 0.01 gains 3 points with batch norm, 32 filters halving lose 4."""
    collapses: bool = False
    """25% of the networks with learning rate 0.01 and no batch norm, 3% of the others stay at
    chance."""
    crosses: bool = False
    """Networks without batch norm bloom late: 4 points behind at epoch 3, 4 ahead at the end."""
    lists: bool = False
    """The dense layer's size is a list, and each layer's filters are another, which follow from
    the number of filters and their ratio."""
    measure: Measure = ACCURACY

    @property
    def stopping(self) -> str:
        return default_rule(self.search)

    @cached_property
    def past(self) -> Experience | None:
        """What earlier sweeps found, where the search asks for it."""
        return fitting(shipped(), SPACE, CNN) if self.search in WITH_EXPERIENCE else None

    @property
    def plan(self) -> Halving:
        return default_rungs(self.stopping, MAX_EPOCHS, FACTOR, self.past)

    def level(self, config: Mapping) -> float:
        """The expected accuracy at epoch 3 of a network that learns."""
        level = 0.26 if self.planted else 0.3
        level += sum(by_value[config[name]] for name, by_value in self.planted.items())
        if self.has_interplay and config["learning_rate"] == 0.01 and config["batch_norm"]:
            level += 0.03
        if self.has_interplay and config["first_layer_filters"] == 32:
            level -= 0.04 * (config["filter_org"] == 0.5)
        return level

    def collapsing(self, config: Mapping) -> float:
        """The share of trials that stay at chance."""
        if not self.collapses:
            return 0.0
        return 0.25 if config["learning_rate"] == 0.01 and not config["batch_norm"] else 0.03

    def late(self, config: Mapping, epochs: np.ndarray) -> np.ndarray:
        """What a late bloomer gains after epoch 3."""
        since = np.maximum(np.asarray(epochs) - LEVEL_AT, 0)
        whole = 1 - math.exp(-(MAX_EPOCHS - LEVEL_AT) / LATE_PACE)
        gains = self.crosses and not config["batch_norm"]
        return gains * LATE * (1 - np.exp(-since / LATE_PACE)) / whole

    def curve(self, config: Mapping, rng: np.random.Generator) -> np.ndarray:
        """The validation accuracy after each epoch of one trial."""
        epochs = np.arange(1, MAX_EPOCHS + 1)
        if rng.random() < self.collapsing(config):
            return CHANCE + rng.normal(0, EPOCH_NOISE / 2, len(epochs))
        level = self.level(config) + rng.normal(0, self.noise)
        pace = PACE * math.exp(rng.normal(0, PACE_SPREAD))
        rise = (1 - np.exp(-epochs / pace)) / (1 - math.exp(-LEVEL_AT / pace))
        noise = rng.normal(0, EPOCH_NOISE, len(epochs))
        rising = CHANCE + (level - CHANCE) * rise + self.late(config, epochs)
        return np.clip(rising + noise, 0, 1)

    def expected(self, config: Mapping, epoch: int, *, learning: bool = True) -> float:
        """The expected value of the metric's score after an epoch."""
        draws, weights = np.polynomial.hermite_e.hermegauss(20)
        pace = PACE * np.exp(PACE_SPREAD * draws)
        rise = (1 - np.exp(-epoch / pace)) / (1 - np.exp(-LEVEL_AT / pace))
        mean_rise = float(weights @ rise / weights.sum())
        late = float(self.late(config, np.array([epoch]))[0])
        value = CHANCE + (self.level(config) - CHANCE) * mean_rise + late
        share = 0.0 if learning else self.collapsing(config)
        value = (1 - share) * value + share * CHANCE
        return value if self.measure.rises else 3 * value  # see _as_loss

    def truth(self, epoch: int, *, learning: bool = True) -> dict[str, dict[str, float]]:
        """The expected score of each value over all values of the others, by hyperparameter."""
        names = list(dict.fromkeys([*self.planted, "learning_rate", "batch_norm",
                                    "first_layer_filters", "filter_org"]))  # fmt: skip
        rest = {name: values[0] for name, values in VALUES.items()}
        points = [dict(zip(names, p, strict=True)) for p in product(*(VALUES[n] for n in names))]
        scores = [self.expected(rest | point, epoch, learning=learning) for point in points]
        means = pd.DataFrame(points).assign(mean=scores)
        found = {
            name: {shown(v): float(m) for v, m in means.groupby(name)["mean"].mean().items()}
            for name in names
        }
        if self.lists and "num_neurons_dense" in found:
            values = found.pop("num_neurons_dense").items()
            found["dense_units"] = {f"[{value}]": mean for value, mean in values}
        return found

    @property
    def hyperparameters(self) -> list[str]:
        """The columns that the sweep's table has."""
        names = list(VALUES)
        if not self.lists:
            return names
        return [*(name for name in names if name != "num_neurons_dense"), "dense_units", "filters"]


SCENARIOS = {
    "additive": Scenario(),
    "no effect": Scenario(planted={}),
    "rough": Scenario(has_interplay=True, collapses=True),
    "collapse": Scenario(collapses=True),
    "crossing": Scenario(crosses=True),
    "more noise": Scenario(noise=0.035),
    "random search": Scenario(search="random"),
    "curves": Scenario(search="curves"),
    "curves, 20 trials": Scenario(search="curves", trials=20),
    "30 trials": Scenario(trials=30),
    "20 trials": Scenario(trials=20),
    "15 trials": Scenario(trials=15),
    "15 trials, no effect": Scenario(trials=15, planted={}),
    "lists": Scenario(
        lists=True,
        planted={
            "learning_rate": LEARNING_RATE, "batch_norm": BATCH_NORM, "num_neurons_dense": DENSE
        },
    ),
    "minimise a loss": Scenario(measure=LOSS),
}  # fmt: skip


def simulate(scenario: Scenario, seed: int) -> SweepFolder:
    """A sweep's two tables, as its folder would hold them."""
    rng = np.random.default_rng(seed)
    ledger = Ledger(write=lambda event, **content: {"event": event, **content})
    plan = scenario.plan
    ledger.begin(
        Terms(
            space=SPACE, image_size=224, search=scenario.search, seed=seed, trials=scenario.trials,
            max_epochs=plan.max_epochs, patience=0, grace_period=plan.grace_period,
            reduction_factor=plan.reduction_factor, rungs=plan.named,
            last_share=plan.last_share, fingerprint="",
            num_initial=num_initial(scenario.trials, SLOTS), stopping=scenario.stopping,
            experience=scenario.past,
        )
    )  # fmt: skip
    curves: dict[str, Iterator[tuple[int, float]]] = {}
    running: list[str] = []
    epochs = []
    while True:
        while len(running) < SLOTS and (trial := ledger.next_trial()):
            if trial.trial_id not in curves:
                curve = scenario.curve(asdict(trial.config), rng).tolist()
                curves[trial.trial_id] = iter(enumerate(curve, start=1))
            ledger.start(trial.trial_id)
            running.append(trial.trial_id)
        if not running:
            break
        trial_id = str(rng.choice(running))
        epoch, score = next(curves[trial_id])
        epochs.append((trial_id, epoch, score))
        decision = ledger.epoch(trial_id, {"epoch": epoch, "val_acc": score})
        if (decision and not decision.goes_on) or epoch == plan.max_epochs:
            ledger.end(trial_id)
            running.remove(trial_id)
    trials = [
        {"trial_id": trial.trial_id, "status": trial.status, "epochs": trial.epoch,
         "val_acc": trial.best, **{name: getattr(trial.config, name) for name in VALUES}}
        for trial in ledger.trials.values()
    ]  # fmt: skip
    return _as_told(
        scenario,
        pd.DataFrame(trials),
        pd.DataFrame(epochs, columns=["trial_id", "epoch", "val_acc"]),
    )


def _as_told(scenario: Scenario, trials: pd.DataFrame, epochs: pd.DataFrame) -> SweepFolder:
    """The tables in the scenario's metric and columns."""
    if scenario.lists:
        trials["dense_units"] = trials["num_neurons_dense"].map(lambda value: f"[{value}]")
        shapes = zip(trials["first_layer_filters"], trials["filter_org"], strict=True)
        trials["filters"] = [f"[{n}, {round(n * ratio)}]" for n, ratio in shapes]
    if not scenario.measure.rises:
        trials, epochs = (_as_loss(table) for table in (trials, epochs))
    return SweepFolder(
        path=Path("simulated"),
        trials=trials,
        epochs=epochs,
        hyperparameters=scenario.hyperparameters,
        settings={"rungs": list(scenario.plan.rungs), "max_epochs": MAX_EPOCHS,
                  "search": scenario.search},
        classes=[f"class {number}" for number in range(round(1 / CHANCE))],
        measure=scenario.measure,
    )  # fmt: skip


def _as_loss(table: pd.DataFrame) -> pd.DataFrame:
    """The same with a loss that falls by 0.03 for each point of accuracy."""
    return table.assign(val_loss=2.6 - 3 * table["val_acc"]).drop(columns="val_acc")
