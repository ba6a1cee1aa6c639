"""The report of a sweep of many trials: seconds and peak memory, without photographs.

python benchmarks/report.py [--trials 10000] [--epochs 20] [--classes 10] [--keep FOLDER]

The sweep's journal is made up: the study's hyperparameters at random, every trial of full length
but one in fifty, which fails half-way, recalls by class wherever an epoch is the best so far. The
report is written by a process of its own, whose peak memory is measured.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cnnlib.journal.columns import CLASS_COUNTS
from cnnlib.networks.values import Choice
from cnnlib.search.sweep_file import read_sweep_file

ROOT = Path(__file__).resolve().parent.parent
SPACE = read_sweep_file(ROOT / "cnnlib" / "sweeps" / "inaturalist.yaml").space
VALUES = {name: v.values for name, v in SPACE.items() if isinstance(v, Choice)}
PHOTOGRAPHS = 32  # of a class, to validate on
TIME = "2026-11-24T{:02d}:{:02d}:{:02d}.000+00:00"


TERMS = {
    "space": {}, "image_size": 224, "search": "random", "seed": 0, "patience": 0, "known": [],
    "grace_period": None, "reduction_factor": None, "fingerprint": "none",
}  # fmt: skip


def events(trials: int, epochs: int, classes: int) -> Iterator[dict[str, Any]]:
    """What happened in the sweep, trial by trial."""
    rng = np.random.default_rng(0)
    for number in range(trials):
        trial = {"trial_id": f"{number + 1:05d}"}
        config = {name: values[rng.integers(len(values))] for name, values in VALUES.items()}
        level = 0.35 + 0.06 * (config["learning_rate"] == 0.001) + rng.normal(0, 0.03)
        fails = number % 50 == 0
        yield {"event": "proposed", **trial, "config": config}
        yield {"event": "started", **trial, "after_epoch": 0}
        best = -1.0
        for epoch in range(1, (epochs // 2 if fails else epochs) + 1):
            recalls = level * (1 - np.exp(-epoch / 4)) + rng.normal(0, 0.05, classes)
            counts = rng.binomial(PHOTOGRAPHS, recalls.clip(0, 1))
            acc = float(counts.mean() / PHOTOGRAPHS)
            row = {"epoch": epoch, "train_loss": 2.3 - 3 * acc, "train_acc": 1.3 * acc,
                   "val_loss": 2.3 - 2 * acc, "val_acc": acc, "learning_rate": 0.001,
                   "seconds": 3.0, "images_per_second": 1000.0, "node": "node"}  # fmt: skip
            if acc > best:
                best, pairs = acc, [[int(hits), PHOTOGRAPHS] for hits in counts]
                row[CLASS_COUNTS] = {f"class {i}": pair for i, pair in enumerate(pairs)}
            yield {"event": "epoch", **trial, **row}
        yield {"event": "failed", **trial, "error": "out of memory"} if fails else {
            "event": "finished", **trial
        }  # fmt: skip


def write_sweep(folder: Path, trials: int, epochs: int, classes: int) -> None:
    """Its journal in one segment, and the few settings that the report needs."""
    (folder / "journal").mkdir(parents=True)
    with (folder / "journal" / "000001.jsonl").open("w") as file:
        first = {"event": "sweep", **TERMS, "trials": trials, "max_epochs": epochs}
        for number, event in enumerate([first, *events(trials, epochs, classes)]):
            second = number % 86_400
            when = TIME.format(second // 3600, second // 60 % 60, second % 60)
            file.write(json.dumps({"time": when, **event}) + "\n")
    settings = {"name": "many", "max_epochs": epochs, "trials": trials, "search": "random"}
    (folder / "sweep.json").write_text(json.dumps(settings))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("trials", 10_000), ("epochs", 20), ("classes", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the sweep there")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = flags.keep or Path(scratch) / "many"
        if not folder.exists():
            write_sweep(folder, flags.trials, flags.epochs, flags.classes)
        began = time.monotonic()
        report = [sys.executable, str(ROOT / "analysis" / "report.py"), str(folder), "--no-test"]
        subprocess.run(report, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - began
        size = (folder / "report" / "index.html").stat().st_size / 1e6
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20
    print(
        f"{flags.trials:,} trials of {flags.epochs} epochs, {flags.classes} classes:"
        f" {seconds:.1f} s ({cpu:.1f} s of a core), {peak:.2f} GiB,"
        f" page {size:.1f} MB"
    )


if __name__ == "__main__":
    main()
