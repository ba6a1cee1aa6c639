"""One trial of five epochs: ours against the published pipeline in plain Lightning.

python benchmarks/trial.py [--data ZIP_OR_FOLDER] [--image-size PX] [--epochs N] [--seeds N]

Theirs is published.py. Times are whole trials, from nothing to the last epoch's validation, the two
in turn; the ratio is the median over seeds. The photographs are decoded before, once per machine;
the time that took is in the row.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import published
from rows import HEAD, show
from scipy.stats import t as student

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.photos.sources import find_dataset
from cnnlib.pixels.pixels import decode_ahead
from cnnlib.training.trial import Task, quiet_libraries, train

CONFIG = TrialConfig(
    first_layer_filters=32, filter_org=2.0, conv_layers=4, num_neurons_dense=256,
    use_augmentation=True,
)  # fmt: skip


def ours(task: Task) -> tuple[float, list[float]]:
    """Seconds of a trial, and its val_acc after each epoch."""
    began = time.perf_counter()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        train(CONFIG, task, on_epoch=rows.append, weights=Path(folder) / "best.safetensors")
    return time.perf_counter() - began, [row["val_acc"] for row in rows]


def compared(ours: list[float], theirs: list[float]) -> str:
    """Means, and the mean difference by seed with its 95% interval, in points."""
    differences = [100 * (a - b) for a, b in zip(ours, theirs, strict=True)]
    n, mean = len(differences), statistics.mean(differences)
    half = student.ppf(0.975, n - 1) * statistics.stdev(differences) / n**0.5 if n > 1 else math.inf
    return (
        f"{statistics.mean(ours):.3f} against {statistics.mean(theirs):.3f} "
        f"({mean:+.1f} ± {half:.1f} points)"
    )


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=32)
    flags.add_argument("--epochs", type=int, default=5)
    flags.add_argument("--seeds", type=int, default=5)
    flags.add_argument("--threads", type=int, default=2)
    asked = flags.parse_args()
    quiet_libraries()
    warnings.filterwarnings("ignore")
    dataset = find_dataset(asked.data)
    began = time.perf_counter()
    decode_ahead(dataset, asked.image_size, augmented=True, test=False)
    decoding = time.perf_counter() - began
    print(HEAD)
    ours(Task(dataset, asked.image_size, 1, 0, 0, asked.threads))  # compiles, once per machine
    rows = []
    for seed in range(asked.seeds):
        task = Task(dataset, asked.image_size, asked.epochs, 0, seed, asked.threads)
        rows.append((*ours(task), *published.seconds_and_curve(CONFIG, task)))
        print(f"seed {seed}: seconds {rows[-1][0]:.1f}, theirs {rows[-1][2]:.1f}", flush=True)
    fast, curves, slow, their_curves = zip(*rows, strict=True)
    final = compared([curve[-1] for curve in curves], [curve[-1] for curve in their_curves])
    best = compared([max(curve) for curve in curves], [max(curve) for curve in their_curves])
    show(
        __file__,
        f"a trial of {asked.epochs} epochs, {asked.image_size} px, {asked.seeds} seeds",
        theirs=f"published, in Lightning: {statistics.median(slow):.1f} s",
        ours=f"{statistics.median(fast):.1f} s (decoded once in {decoding:.1f} s); val_acc at the "
        f"end {final}, best {best}",
        ratio=f"{statistics.median(row[2] / row[0] for row in rows):.1f}x",
    )


if __name__ == "__main__":
    main()
