"""A sweep whose trials train nothing: a real driver and a real Ray, but curves of a formula.

python tests/e2e/fake_sweep.py PHOTOS STORAGE NAME [--resume] [--slots N] [--trials N] [--epochs N]
    [--audit SHARE] [--pause SECONDS] [--die-at N,N] [--host NAME] [--expires SECONDS] [--promote]

STORAGE is a folder or s3://bucket/path; then the sweep's folder is below results/ here. With
--die-at whoever makes the so-many-th step of the sweep is killed after it: the driver or a worker,
between two files. --host is how its claim calls this machine, as if the kernel's locks did not
reach other ones, and --expires when signs of life do. With --promote trials pause at the rungs.

Each trial notes every epoch that it computes in <folder>/computed, so that a test knows what ran.
With RAY_ADDRESS it runs on that cluster, whose nodes need PAUSE in their environment. Trials on a
node with TOGETHER wait until so many workers are there, and NODE is a part of their node's name.
"""

import argparse
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from safetensors.numpy import save_file

from cnnlib.journal.events import Journal
from cnnlib.planning.make_plan import make_plan
from cnnlib.storage import folder_lock
from cnnlib.storage.buckets import Bucket
from cnnlib.storage.files import replaced
from cnnlib.storage.training_files import BEST, epoch_of
from cnnlib.storage.yaml_file import read_yaml
from jobs.tune import exit_after, mistake

ROOT = Path(__file__).resolve().parents[2]


def score(config: dict[str, Any], epoch: int) -> float:
    """A learning curve that follows from the configuration; some of them cross."""
    quality = 0.6 - abs(config["dropout"] - 0.3) - abs(config["conv_layers"] - 3) / 10
    return 0.1 + quality * (1 - 0.7 ** (epoch * config["first_layer_filters"] / 8))


def step(steps: str, goals: str) -> None:
    """Counts a step in the file `steps`; whoever makes one of these is killed."""
    if goals:
        file = os.open(steps, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, b".")
        if str(os.fstat(file).st_size) in goals.split(","):
            os.kill(os.getpid(), signal.SIGKILL)
        os.close(file)


def steps_of_the_driver(steps: str, goals: str) -> None:
    """Each event and each file that goes to the bucket is a step."""
    append, send = Journal.append, Bucket._write

    def appended(self: Journal, event: str, **content: Any) -> dict[str, Any]:
        entry = append(self, event, **content)
        step(steps, goals)
        return entry

    def sent(self: Bucket, name: str, content: Any) -> None:
        send(self, name, content)
        if name != folder_lock.NAME:  # as often as the time has it
            step(steps, goals)

    Journal.append, Bucket._write = appended, sent  # type: ignore[method-assign]


def best_of(scores: list[float]) -> int:
    return scores.index(max(scores)) + 1 if scores else 0


def state_of(folder: Path) -> list[float]:
    """The scores in a trial's last state, where its best weights are of their best epoch."""
    try:
        scores = json.loads((folder / "last.pt").read_text())
        return scores if epoch_of(folder / BEST) == best_of(scores) else []
    except OSError:
        return []


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
    steps, goals = os.environ.get("STEPS", ""), os.environ.get("DIE_AT", "")
    scores = state_of(folder)
    for epoch in range(1, config["max_epochs"] + 1):
        if epoch > len(scores):
            time.sleep(float(os.environ["PAUSE"]))
            scores.append(score(config, epoch))
            if best_of(scores) == epoch:
                said = {"epoch": str(epoch)}
                weights = {"w": np.full(2, epoch)}
                replaced(folder / BEST, lambda part, w=weights, m=said: save_file(w, part, m))
                step(steps, goals)
            content = json.dumps(scores)
            replaced(folder / "last.pt", lambda part, text=content: part.write_text(text))
            step(steps, goals)
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


def sweep_file(promote: bool) -> dict[str, Any]:
    """What is searched, and whether trials stop at the rungs or pause."""
    content = read_yaml(ROOT / "tests" / "e2e" / "fake_sweep.yaml")
    if promote:
        content["early_terminate"] = {"type": "promote", "min_iter": 1, "eta": 2}
    return content


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
    flags.add_argument("--die-at", default="")
    flags.add_argument("--host")
    flags.add_argument("--expires", type=float)
    flags.add_argument("--promote", action="store_true")
    asked = flags.parse_args()
    steps = str(Path(asked.photos).absolute().parent / f"{asked.name}.steps")
    os.environ |= {"PAUSE": asked.pause, "PYTHONPATH": str(ROOT)}  # for Ray's workers
    os.environ |= {"STEPS": steps, "DIE_AT": asked.die_at}
    steps_of_the_driver(steps, asked.die_at)
    if asked.expires:
        folder_lock.EXPIRES, folder_lock.HEARTBEAT = asked.expires, asked.expires / 6
    if asked.host:
        folder_lock.socket = SimpleNamespace(gethostname=lambda: asked.host)  # type: ignore[assignment]
        folder_lock.fcntl = SimpleNamespace(**vars(fcntl) | {"flock": lambda *_: None})  # type: ignore[assignment]

    import cnnlib.running.sweep
    import cnnlib.running.tuning
    from cnnlib.planning.settings import Settings

    cnnlib.running.tuning.ray_trial = fake_trial  # type: ignore[assignment]
    cnnlib.running.sweep.make_champion = lambda *_, **__: None  # type: ignore[assignment]  # there are no weights
    if "RAY_ADDRESS" not in os.environ:
        cnnlib.running.tuning.cores = lambda: asked.slots  # more trials at once than cores
    try:
        plan = make_plan(Settings(
            data=asked.photos, storage=asked.storage, name=asked.name, resume=asked.resume,
            trials=asked.trials, max_epochs=asked.epochs, max_concurrent=asked.slots,
            audit=asked.audit, image_size=16, wandb="off", finalists=0,
            sweep=sweep_file(asked.promote),
        ))  # fmt: skip
    except (ValueError, OSError) as error:
        return mistake(error)
    try:
        result = cnnlib.running.sweep.run(plan)
    except folder_lock.LockedError as error:
        return mistake(error)
    if result.trouble:
        print(f"{result.trouble}; go on by the same command with --resume", file=sys.stderr)
    return 1 if result.trouble else 0


if __name__ == "__main__":
    exit_after(main)
