"""One trial of five epochs: ours against the published pipeline in plain Lightning.

python benchmarks/trial.py [--data ZIP_OR_FOLDER] [--image-size PX] [--epochs N] [--seeds N]

Theirs is published.py. Times are whole trials, from nothing to the last epoch's validation, the two
in turn; the ratio is the median over seeds. The photographs are decoded before, once per machine;
the time that took is in the row.
"""

import argparse
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

from cnnlib.config import TrialConfig
from cnnlib.dataset import find_dataset
from cnnlib.pixels import decode_ahead
from cnnlib.trial import Task, quiet_libraries, train

CONFIG = TrialConfig(
    first_layer_filters=32, filter_org=2.0, conv_layers=4, num_neurons_dense=256,
    use_augmentation=True,
)  # fmt: skip


def ours(task: Task) -> tuple[float, float]:
    """Seconds and best val_acc of a trial."""
    began = time.perf_counter()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        train(CONFIG, task, on_epoch=rows.append, weights=Path(folder) / "best.safetensors")
    return time.perf_counter() - began, max(row["val_acc"] for row in rows)


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
        rows.append((*ours(task), *published.seconds_and_best(CONFIG, task)))
        print(f"seed {seed}: seconds {rows[-1][0]:.1f}, theirs {rows[-1][2]:.1f}", flush=True)
    fast, our_acc, slow, their_acc = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    differences = [row[1] - row[3] for row in rows]
    interval = ""
    if len(rows) > 1:
        half = student.ppf(0.975, len(rows) - 1) * statistics.stdev(differences) / len(rows) ** 0.5
        interval = f" ± {half:.3f}"
    show(
        __file__,
        f"a trial of {asked.epochs} epochs, {asked.image_size} px, {asked.seeds} seeds; val_acc",
        theirs=f"published, in Lightning: {slow:.1f} s; {their_acc:.3f}",
        ours=f"{fast:.1f} s (decoded once in {decoding:.1f} s); {our_acc:.3f}, "
        f"difference {statistics.mean(differences):+.3f}{interval}",
        ratio=f"{statistics.median(row[2] / row[0] for row in rows):.1f}x",
    )


if __name__ == "__main__":
    main()
