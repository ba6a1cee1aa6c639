"""What each value of the recipe is worth: trials that differ from the default in it alone.

python benchmarks/recipe.py [--data ZIP_OR_FOLDER] [--image-size PX] [--epochs N] [--seeds N]
    [--only NAME,NAME] [--processes N]

A variant and the default are trained with the same seeds, so with the same split, first weights and
batches; the difference of their best val_acc is taken seed by seed, and its 95% interval is that of
the t distribution over the seeds. Where a value needs another learning rate, its name says so. A
row is printed when its trials are done; each process has one thread.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scipy.stats import t as student

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.photos.sources import find_dataset
from cnnlib.pixels.pixels import pixels
from cnnlib.training.trial import Task, train

NETWORK: dict[str, Any] = {
    "first_layer_filters": 16, "filter_org": 2.0, "conv_layers": 4, "num_neurons_dense": 128,
    "batch_norm": True, "use_augmentation": True,
}  # fmt: skip

# What each variant changes; the first name is the one for --only. Without decay adamw is adam.
VARIANTS: list[dict[str, Any]] = [
    {"optimizer": "adamw", "weight_decay": 0.05},
    {"optimizer": "sgd", "learning_rate": 0.03},
    {"weight_decay": 1e-4},
    {"learning_rate_schedule": "one_cycle", "learning_rate": 0.003},
    {"learning_rate_schedule": "cosine"},
    {"learning_rate_schedule": "step"},
    {"label_smoothing": 0.1},
    {"kernel_size": 5},
    {"head": "gap"},
    {"ema": 0.99},
    {"augmentation": "light"},
    {"augmentation": "strong"},
    {"use_augmentation": False},
]


def result(job: tuple[dict[str, Any], Task]) -> tuple[float, float]:
    """The best val_acc of a trial and its median seconds an epoch."""
    changes, task = job
    warnings.filterwarnings("ignore")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "best.safetensors"
        train(TrialConfig(**NETWORK | changes), task, on_epoch=rows.append, weights=weights)
    seconds = statistics.median(row["seconds"] for row in rows)
    return max(row["val_acc"] for row in rows), seconds


def described(changes: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in changes.items()) or "default"


def paired(accuracies: list[float], defaults: list[float]) -> str:
    """The mean difference in points of accuracy, and its 95% interval."""
    differences = [100 * (a - b) for a, b in zip(accuracies, defaults, strict=True)]
    mean, n = statistics.mean(differences), len(differences)
    if n == 1:
        return f"{mean:+.2f} | unknown"
    half = student.ppf(0.975, n - 1) * statistics.stdev(differences) / n**0.5
    return f"{mean:+.2f} | {mean - half:+.2f} to {mean + half:+.2f}"


def rows(variants: list[dict[str, Any]], tasks: list[Task], processes: int) -> Iterator[str]:
    """A row of the table for each variant, the default first, as soon as its trials are done."""
    jobs = [(changes, task) for changes in variants for task in tasks]
    defaults: list[float] = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        results = pool.imap(result, jobs)
        for changes in variants:
            done = [next(results) for _ in tasks]
            accuracies = [accuracy for accuracy, _ in done]
            defaults = defaults or accuracies
            yield (
                f"| {described(changes)} | {statistics.mean(accuracies):.3f} | "
                f"{paired(accuracies, defaults) if changes else ' | '} | "
                f"{statistics.mean(seconds for _, seconds in done):.1f} |"
            )


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=64)
    flags.add_argument("--epochs", type=int, default=8)
    flags.add_argument("--seeds", type=int, default=5)
    flags.add_argument("--only", default="", help="names of hyperparameters, with commas")
    flags.add_argument("--processes", type=int, default=2)
    asked = flags.parse_args()
    names = {next(iter(changes)) for changes in VARIANTS}
    only = set(asked.only.split(",")) if asked.only else names
    if unknown := only - names:
        flags.error(f"--only: no {', '.join(unknown)}; there are {', '.join(sorted(names))}")
    variants = [{}, *(changes for changes in VARIANTS if next(iter(changes)) in only)]
    dataset = find_dataset(asked.data)
    pixels(dataset, "train", asked.image_size)
    tasks = [
        Task(dataset, asked.image_size, asked.epochs, patience=0, seed=seed, cpus=1)
        for seed in range(asked.seeds)
    ]
    print(
        f"{asked.data} at {asked.image_size} px, best of {asked.epochs} epochs, mean of "
        f"{asked.seeds} seeds, paired by seed\n"
    )
    print("| variant | val_acc | difference, points | 95% interval | seconds an epoch |")
    print("|---|---|---|---|---|", flush=True)
    for row in rows(variants, tasks, asked.processes):
        print(row, flush=True)


if __name__ == "__main__":
    main()
