"""Seconds of a trial that are not training: our sweep against Ray Tune as its manual shows it.

python benchmarks/overhead.py [--trials N] [--their-trials N] [--own]

Both run short trials of a small network on the sample, two at a time. A trial's overhead is the
time of its slot less what it trained. Ours is taken from each slot's first start to its last end,
so the start of Ray and of two workers, once a sweep, is not in it. Theirs is a function trainable
with Tune's default settings: a new process for each trial, which imports torch and Lightning and
trains the same network on the same data; taken over the whole of `Tuner.fit`.
With --own a function, a family and a LightningModule through --network stand beside ours.
"""

import argparse
import os
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from own_network import FILE
from rows import HEAD, show

from cnnlib.journal.events import read_events
from cnnlib.planning.make_plan import make_plan
from cnnlib.planning.settings import Settings
from cnnlib.running.sweep import run

SLOTS = 2
SMALL = ["first_layer_filters=8", "filter_org=1.0", "conv_layers=2", "num_neurons_dense=64"]


def ours(trials: int, folder: Path, network: str | None = None) -> float:
    """Seconds of overhead per trial, from the journal."""
    changes = SMALL
    if network is not None:
        rate = "lr" if network.endswith(":Module") else "learning_rate"
        changes = [f"{rate}=" + ",".join(f"{0.01 / (1 + n):.6f}" for n in range(trials))]
    result = run(
        make_plan(Settings(
            set=changes, network=network or "cnn", trials=trials, max_epochs=2,
            storage=folder, name=(network or "ours").rpartition(":")[2], wandb="off",
            max_concurrent=SLOTS, finalists=0,
        ))
    )  # fmt: skip
    times: dict[str, list[float]] = {"started": [], "stopped": [], "finished": []}
    for event in read_events(result.folder):
        if event["event"] in times:
            times[event["event"]].append(datetime.fromisoformat(event["time"]).timestamp())
    first = sorted(times["started"])[:SLOTS]
    last = sorted(times["stopped"] + times["finished"])[-SLOTS:]
    trained = result.epochs["seconds"].sum()
    return (sum(last) - sum(first) - trained) / len(result.trials)


def their_trial(config: dict[str, Any]) -> None:
    """A trial as a notebook becomes one: imports, data, Trainer, fit."""
    from pytorch_lightning import Trainer
    from ray import tune

    from cnnlib import CustomCNN, CustomDataModule

    data = CustomDataModule(config["train_dir"], image_size=32)
    model = CustomCNN(
        first_layer_filters=8, filter_org=1.0, conv_layers=2, num_neurons_dense=64, image_size=32
    )
    trainer = Trainer(
        max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    data.train_dataloader()
    began = time.time()
    trainer.fit(model, datamodule=data)
    tune.report({"trained": time.time() - began})


def theirs(trials: int, folder: Path) -> float:
    """Seconds of overhead per trial, of Tune's default settings."""
    import ray
    from ray import tune

    from cnnlib.photos.sources import find_dataset

    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    began = time.time()
    results = tune.Tuner(
        their_trial,
        param_space={"train_dir": str(find_dataset("sample").train_dir)},
        tune_config=tune.TuneConfig(num_samples=trials),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    ).fit()
    seconds = time.time() - began
    ray.shutdown()
    assert not results.errors, results.errors
    return (SLOTS * seconds - sum(result.metrics["trained"] for result in results)) / trials


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--trials", type=int, default=40)
    flags.add_argument("--their-trials", type=int, default=10)
    flags.add_argument("--own", action="store_true")
    asked = flags.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)  # for Ray's workers
    with tempfile.TemporaryDirectory() as folder:
        fast = ours(asked.trials, Path(folder))
        if asked.own:
            code = Path(folder) / "mine.py"
            code.write_text(FILE)
            return _beside(fast, asked.trials, code)
        slow = theirs(asked.their_trials, Path(folder))
    print(HEAD)
    show(
        __file__,
        "seconds a trial beside its training",
        theirs=f"Tune's defaults, {asked.their_trials} trials: {slow:.2f} s",
        ours=f"{asked.trials} trials: {fast:.2f} s",
        ratio=f"{slow / fast:.0f}x",
    )


def _beside(built_in: float, trials: int, code: Path) -> None:
    print(HEAD)
    for name in ("net", "family", "Module"):
        own = ours(trials, code.parent, f"{code}:{name}")
        show(
            __file__,
            f"seconds a trial beside its training, {name} through --network",
            theirs=f"built-in, {trials} trials: {built_in:.2f} s",
            ours=f"{own:.2f} s",
            ratio=f"{built_in / own:.2f}x",
        )


if __name__ == "__main__":
    main()
