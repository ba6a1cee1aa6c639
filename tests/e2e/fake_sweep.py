"""A sweep whose trials train nothing: a real driver and a real Ray, but curves of a formula.

python tests/e2e/fake_sweep.py PHOTOS STORAGE NAME [--resume] [--slots N] [--trials N] [--epochs N]
    [--audit SHARE] [--pause SECONDS]

Each trial notes every epoch that it computes in <folder>/computed, so that a test knows what ran.
With RAY_ADDRESS it runs on that cluster, whose nodes need PAUSE in their environment. Trials on a
node with TOGETHER wait until so many workers are there, and NODE is a part of their node's name.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cnnlib.checkpoints import replaced
from jobs.tune import exit_after, mistake

ROOT = Path(__file__).resolve().parents[2]


def score(config: dict[str, Any], epoch: int) -> float:
    """A learning curve that follows from the configuration; some of them cross."""
    quality = 0.6 - abs(config["dropout"] - 0.3) - abs(config["conv_layers"] - 3) / 10
    return 0.1 + quality * (1 - 0.7 ** (epoch * config["first_layer_filters"] / 8))


def fake_trial(
    config: dict[str, Any], task: Any, checkpoints: Path, bucket: str | None = None
) -> None:
    """Computes an epoch, keeps it, reports it, as the real one does."""
    from ray import tune

    here = os.environ.get("NODE", "n")
    if together := int(os.environ.get("TOGETHER", "0")):
        here += f"-{os.getpid()}"
        workers = checkpoints.parent / "workers"
        workers.mkdir(exist_ok=True)
        (workers / here).touch()
        while sum(1 for _ in workers.iterdir()) < together:
            time.sleep(0.01)
    folder = checkpoints / config["trial_id"]
    last = folder / "last.pt"
    done = int(last.read_text()) if last.exists() else 0
    for epoch in range(1, config["max_epochs"] + 1):
        if epoch > done:
            time.sleep(float(os.environ["PAUSE"]))
            replaced(last, lambda part, epoch=epoch: part.write_text(str(epoch)))
            with (checkpoints.parent / "computed").open("a") as file:
                file.write(f"{config['trial_id']} {epoch}\n")
        if epoch > config["after_epoch"]:
            val_acc = score(config, epoch)
            metrics = dict.fromkeys(
                ("train_loss", "train_acc", "val_loss", "learning_rate", "images_per_second"), 1.0
            )
            tune.report(
                {"epoch": epoch, "val_acc": val_acc, "seconds": 0.1, "node": here, **metrics}
            )


def main() -> int:
    """Runs or resumes the sweep without its champion and report; returns the exit code."""
    flags = argparse.ArgumentParser()
    for name in ("photos", "storage", "name"):
        flags.add_argument(name)
    flags.add_argument("--resume", action="store_true")
    flags.add_argument("--slots", type=int, default=1)
    flags.add_argument("--trials", type=int, default=12)
    flags.add_argument("--epochs", type=int, default=6)
    flags.add_argument("--audit", type=float, default=0.0)
    flags.add_argument("--pause", default="0.02")
    asked = flags.parse_args()
    os.environ |= {"PAUSE": asked.pause, "PYTHONPATH": str(ROOT)}  # for Ray's workers

    import cnnlib.sweep
    import cnnlib.tuning
    from cnnlib.settings import Settings

    cnnlib.tuning.ray_trial = fake_trial  # type: ignore[assignment]
    cnnlib.sweep.crown = lambda *_, **__: None  # type: ignore[assignment]  # there are no weights
    if "RAY_ADDRESS" not in os.environ:
        cnnlib.tuning.cores = lambda: asked.slots  # more trials at once than cores
    try:
        plan = Settings(
            data=asked.photos, storage=asked.storage, name=asked.name, resume=asked.resume,
            trials=asked.trials, max_epochs=asked.epochs, max_concurrent=asked.slots,
            audit=asked.audit, image_size=16, wandb="off", finalists=0,
            sweep=ROOT / "tests" / "e2e" / "fake_sweep.yaml",
        ).plan()  # fmt: skip
    except (ValueError, OSError) as error:
        return mistake(error)
    result = cnnlib.sweep.run(plan)
    if result.trouble:
        print(f"{result.trouble}; go on by the same command with --resume", file=sys.stderr)
    return 1 if result.trouble else 0


if __name__ == "__main__":
    exit_after(main)
