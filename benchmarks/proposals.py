"""What a proposal costs as a sweep grows: seconds at trial 50, 500 and 2,000.

python benchmarks/proposals.py [--trials 2000] [--sweep FILE]

Trials train nothing and have random scores, so only the search is timed: HyperOpt, the check for
repeats, and the fold. Each figure is the median of the 20 proposals up to that trial.
"""

import argparse
import random
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cnnlib.journal.ledger import Ledger
from cnnlib.journal.terms import Terms
from cnnlib.search.sweep_file import read_sweep_file

ROOT = Path(__file__).resolve().parent.parent


def seconds(file: str, trials: int) -> list[float]:
    """The seconds that each proposal took."""
    ledger = Ledger(write=lambda event, **content: {"event": event, **content})
    ledger.begin(
        Terms(
            space=read_sweep_file(file).space, image_size=64, search="tpe", seed=42, trials=trials,
            max_epochs=1, patience=0, grace_period=None, reduction_factor=None, fingerprint="",
            num_initial=10,
        )
    )  # fmt: skip
    generator, taken = random.Random(0), []
    for _ in range(trials):
        began = time.perf_counter()
        trial = ledger.next_trial()
        taken.append(time.perf_counter() - began)
        assert trial is not None
        config = trial.config
        quality = config.first_layer_filters / 256 + config.batch_norm / 4 + config.conv_layers / 20
        ledger.epoch(trial.trial_id, {"epoch": 1, "val_acc": quality + generator.gauss(0, 0.05)})
        ledger.end(trial.trial_id)
    return taken


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--trials", type=int, default=2000)
    flags.add_argument("--sweep", default=str(ROOT / "cnnlib" / "sweeps" / "inaturalist.yaml"))
    asked = flags.parse_args()
    taken = seconds(asked.sweep, asked.trials)
    at = {n: statistics.median(taken[n - 20 : n]) for n in (50, 500, 2000) if n <= asked.trials}
    for number, each in at.items():
        print(
            f"trial {number:>5,}: {1000 * each:6.1f} ms a proposal, {each / at[50]:.2f} of the 50th"
        )
    print(f"all {asked.trials:,}: {sum(taken):.1f} s")


if __name__ == "__main__":
    main()
