"""What TPE should be told of trials that ASHA stopped at different rungs.

python benchmarks/comparable.py [--seeds FIRST LAST] [--trials N] [--kinds ...] [--policies ...]

Sweeps of synthetic learning curves, one trial at a time, ASHA at epochs 1, 3, 9 of 27, by the
ledger and TPE of a real sweep. Each policy runs with the same seeds as the reference, which is what
Ray's HyperOptSearch does: TPE is told a trial's last value. A sweep's figures are the quality of
its champion and of its mean proposal in the second half; quality is the highest accuracy that a
configuration's curve reaches, without noise. The differences are paired, with 95% intervals.
"""

import argparse
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cnnlib.journal.ledger import Ledger, Trial
from cnnlib.journal.terms import Terms
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.values import Choice, Interval
from cnnlib.search import tpe
from cnnlib.search.halving import Rungs
from cnnlib.search.searcher import Outcome

EPOCHS, GRACE, FACTOR = 27, 1, 3.0


@dataclass(frozen=True)
class Kind:
    """A kind of learning curves."""

    slope: float = 0.45  # log10 of how much faster a ten times higher rate learns
    optimum: float = -3.2  # log10 of the rate that comes highest
    overfitting: float = 0.004
    noise: float = 0.015  # of one epoch's val_acc, about one standard error with 1,000 photographs

    def height(self, config: TrialConfig) -> float:
        """The accuracy that a configuration comes to."""
        return (
            0.6
            - 0.06 * (math.log10(config.learning_rate) - self.optimum) ** 2
            - 0.15 * abs(config.dropout - 0.35)
            - 0.02 * abs(config.conv_layers - 4)
            - 0.05 * (not config.batch_norm)
        )

    def accuracy(self, config: TrialConfig, epoch: int) -> float:
        """val_acc after an epoch, without noise: a rise to the height, then over-fitting."""
        rate = math.log10(config.learning_rate)
        speed = 0.15 * 10 ** (self.slope * (rate + 3.2)) * (1.3 - config.dropout)
        rise = 1 - math.exp(-speed * epoch)
        fall = self.overfitting * max(0.0, 0.7 - config.dropout) * max(0.0, speed * epoch - 2)
        return max(0.05, self.height(config) * rise - min(fall, 0.3))

    def quality(self, config: TrialConfig) -> float:
        return max(self.accuracy(config, epoch) for epoch in range(1, EPOCHS + 1))


KINDS = {
    "crossing": Kind(),  # fast learners are not the high ones
    "late": Kind(slope=0.8, optimum=-3.6),  # the high ones are slow
    "over-fitting": Kind(overfitting=0.03),
    "noisy": Kind(noise=0.045),
}


@dataclass
class Told(Ledger):
    """A ledger that tells TPE of its trials by a policy."""

    score: Callable[["Told", Trial], float] = lambda told, trial: trial.best
    curves: dict[str, list[float]] = field(default_factory=dict)  # by trial, val_acc an epoch

    def _outcomes(self) -> Iterator[Outcome]:
        self.gains = self._median_gains()
        for trial in self.trials.values():
            yield Outcome(trial.config, self.score(self, trial))

    def rungs_passed(self, trial: Trial) -> int:
        assert self.terms.halving is not None
        return sum(trial.epoch > rung for rung in self.terms.halving.rungs)

    def _median_gains(self) -> list[float]:
        """By the number of rungs passed, what trials gained from there to their end."""
        assert self.terms.halving is not None and isinstance(self._stopping, Rungs)
        stages = [self._stopping.scores.get(rung, {}) for rung in self.terms.halving.rungs]
        ends = {t.trial_id: t.best for t in self.trials.values() if t.epoch == t.max_epochs}
        gains = [0.0]
        for before, after in zip(reversed(stages), reversed([*stages[1:], ends]), strict=True):
            steps = [after[name] - before[name] for name in after if name in before]
            gains.insert(0, gains[0] + (statistics.median(steps) if steps else 0.0))
        return gains


def last(told: Told, trial: Trial) -> float:
    return told.curves[trial.trial_id][-1]


def best(told: Told, trial: Trial) -> float:
    return trial.best


def rungs_then_best(told: Told, trial: Trial) -> float:
    return trial.best + told.rungs_passed(trial)


def extrapolated(told: Told, trial: Trial) -> float:
    """What it would have come to, had it gained what those did that went on."""
    return trial.best + told.gains[told.rungs_passed(trial)]


def share(fraction: float, num_outcomes: int) -> int:
    return min(math.ceil(fraction * num_outcomes), 25)


HYPEROPT = tpe.good_ones
POLICIES = {
    "last value": (last, HYPEROPT),
    "best epoch": (best, HYPEROPT),
    "last value, 20%": (last, partial(share, 0.2)),
    "best epoch, 10%": (best, partial(share, 0.1)),
    "best epoch, 20%": (best, partial(share, 0.2)),
    "rungs, then best, 20%": (rungs_then_best, partial(share, 0.2)),
    "extrapolated, 20%": (extrapolated, partial(share, 0.2)),
}


def sweep(policy: str, kind: Kind, trials: int, seed: int) -> tuple[float, float]:
    """The quality of the champion, and of the mean proposal in the second half."""
    score, tpe.good_ones = POLICIES[policy]
    told = Told(write=lambda event, **content: {"event": event, **content}, score=score)
    told.begin(
        Terms(
            space={
                "learning_rate": Interval(1e-5, 1e-1, log=True),
                "dropout": Interval(0.0, 0.7),
                "conv_layers": Choice((2, 3, 4, 5)),
                "batch_norm": Choice((True, False)),
            },
            image_size=64, search="tpe", seed=seed, trials=trials, max_epochs=EPOCHS, patience=0,
            grace_period=GRACE, reduction_factor=FACTOR, fingerprint="", num_initial=10,
        )
    )  # fmt: skip
    while trial := told.next_trial():
        generator = random.Random(f"{seed} {trial.config}")
        curve = told.curves.setdefault(trial.trial_id, [])
        for epoch in range(1, EPOCHS + 1):
            curve.append(kind.accuracy(trial.config, epoch) + generator.gauss(0, kind.noise))
            decision = told.epoch(trial.trial_id, {"epoch": epoch, "val_acc": curve[-1]})
            if decision and decision.stop:
                break
        told.end(trial.trial_id)
    qualities = [kind.quality(trial.config) for trial in told.trials.values()]
    champion = told.best
    assert champion is not None
    return kind.quality(champion.config), statistics.mean(qualities[trials // 2 :])


def gain(values: Sequence[float], reference: Sequence[float]) -> str:
    """The mean paired difference, in points, with its 95% interval."""
    gains = [100 * (one - other) for one, other in zip(values, reference, strict=True)]
    half = 1.96 * statistics.stdev(gains) / math.sqrt(len(gains))
    mean = statistics.mean(gains)
    return f"{mean:+.2f} ({mean - half:+.2f} to {mean + half:+.2f})"


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--seeds", type=int, nargs=2, default=(0, 30), metavar=("FIRST", "LAST"))
    flags.add_argument("--trials", type=int, default=60)
    flags.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    flags.add_argument("--policies", nargs="+", choices=POLICIES, default=list(POLICIES))
    asked = flags.parse_args()
    for name in asked.kinds:
        found = {
            policy: [sweep(policy, KINDS[name], asked.trials, s) for s in range(*asked.seeds)]
            for policy in asked.policies
        }
        reference = found[asked.policies[0]]
        for policy, results in found.items():
            champion, proposals = (
                f"{statistics.mean(own):.4f} {gain(own, others)}"
                for own, others in zip(
                    zip(*results, strict=True), zip(*reference, strict=True), strict=True
                )
            )
            print(f"{name:<13}{policy:<23}{champion:<34}{proposals}", flush=True)


if __name__ == "__main__":
    main()
