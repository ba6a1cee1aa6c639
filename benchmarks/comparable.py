"""What TPE should be told of trials that ASHA stopped: the last value, the best, or by rungs.

python benchmarks/comparable.py [--seeds N] [--trials N]

A sweep of synthetic learning curves, one trial at a time, ASHA at epochs 1, 3, 9 of 27. A curve
rises towards a height, at a speed, falls again by some over-fitting after its peak, and is noisy.
Fast learners are not the high ones: what is good at an early rung is not what is good at the end.
Each policy runs with the same seeds; the figures are the height of the best trial found, and of the
mean proposal in the second half of the sweep, with one standard error of the paired difference.
"""

import argparse
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cnnlib.config import TrialConfig
from cnnlib.ledger import Ledger, Terms, Trial
from cnnlib.space import Choice, Interval
from cnnlib.tpe import Outcome

EPOCHS, GRACE, FACTOR = 27, 1, 3.0
NOISE = 0.015  # of one epoch's val_acc, about one standard error with 1,000 photographs


def height(config: TrialConfig) -> float:
    """The accuracy that a configuration comes to."""
    rate = math.log10(config.learning_rate)
    return (
        0.6
        - 0.06 * (rate + 3.2) ** 2
        - 0.15 * abs(config.dropout - 0.35)
        - 0.02 * abs(config.conv_layers - 4)
        - 0.05 * (not config.batch_norm)
    )


def curve(config: TrialConfig, epoch: int, generator: random.Random) -> float:
    """val_acc after an epoch: high rates are fast, and over-fit where there is little dropout."""
    speed = 0.15 * 10 ** (0.45 * (math.log10(config.learning_rate) + 3.2)) * (1.3 - config.dropout)
    rise = 1 - math.exp(-speed * epoch)
    fall = 0.004 * max(0.0, 0.5 - config.dropout) * max(0.0, speed * epoch - 2)
    return max(0.05, height(config) * rise - fall + generator.gauss(0, NOISE))


POLICIES: dict[str, Callable[[Trial, float, int], float]] = {
    "last value": lambda trial, last, rungs: last,
    "best so far": lambda trial, last, rungs: trial.best,
    "rungs, then best": lambda trial, last, rungs: trial.best + rungs,
    "rungs, then last": lambda trial, last, rungs: last + rungs,
}


class Told(Ledger):
    """A ledger that tells TPE of its trials by a policy."""

    policy = staticmethod(POLICIES["best so far"])
    last: dict[str, float]

    def _outcomes(self) -> Iterator[Outcome]:
        rungs = self.terms.halving.rungs if self.terms.halving else ()
        for trial in self.trials.values():
            passed = sum(trial.epoch > rung for rung in rungs)
            yield Outcome(trial.config, self.policy(trial, self.last[trial.trial_id], passed))


def sweep(policy: str, trials: int, seed: int) -> tuple[float, float]:
    """The height of the best trial found, and of the mean proposal in the second half."""
    ledger = Told(write=lambda event, **content: {"event": event, **content})
    ledger.policy, ledger.last = POLICIES[policy], {}  # type: ignore[misc]
    ledger.begin(
        Terms(
            space={
                "learning_rate": Interval(1e-5, 1e-1, log=True),
                "dropout": Interval(0.0, 0.7),
                "conv_layers": Choice((2, 3, 4, 5)),
                "batch_norm": Choice((True, False)),
                "activation": Choice(("relu", "gelu", "silu", "mish")),
            },
            image_size=64, search="tpe", seed=seed, trials=trials, max_epochs=EPOCHS, patience=0,
            grace_period=GRACE, reduction_factor=FACTOR, fingerprint="", num_initial=10,
        )
    )  # fmt: skip
    heights = []
    while trial := ledger.next_trial():
        generator = random.Random(f"{seed} {trial.config}")
        for epoch in range(1, EPOCHS + 1):
            score = curve(trial.config, epoch, generator)
            ledger.last[trial.trial_id] = score
            decision = ledger.epoch(trial.trial_id, {"epoch": epoch, "val_acc": score})
            if decision and decision.stop:
                break
        ledger.end(trial.trial_id)
        heights.append(height(trial.config))
    best = ledger.best
    assert best is not None
    return height(best.config), statistics.mean(heights[trials // 2 :])


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--seeds", type=int, default=30)
    flags.add_argument("--trials", type=int, default=60)
    asked = flags.parse_args()
    found = {
        policy: [sweep(policy, asked.trials, seed) for seed in range(asked.seeds)]
        for policy in POLICIES
    }
    reference = found["last value"]
    print(f"{asked.trials} trials, {asked.seeds} seeds; the best possible is 0.600")
    for policy, results in found.items():
        for index, what in enumerate(("champion", "proposals")):
            values = [result[index] for result in results]
            gains = [
                result[index] - other[index]
                for result, other in zip(results, reference, strict=True)
            ]
            error = statistics.stdev(gains) / math.sqrt(len(gains))
            print(
                f"{policy:<17}{what:<10}{statistics.mean(values):.4f}  "
                f"{statistics.mean(gains):+.4f} +- {error:.4f} against the last value"
            )


if __name__ == "__main__":
    main()
