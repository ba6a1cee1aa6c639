"""An epoch of a trial against the same arithmetic in a bare loop over tensors in memory.

python benchmarks/step.py [--data ZIP_OR_FOLDER] [--image-size PX] [--epochs N] [--threads N]

Theirs is the physical limit: the network, its optimiser and batches that lie ready, already
augmented and normalised; no Lightning, no metrics, no validation. Ours is everything that a trial
does in an epoch, validation left out of its time. The two take turns; the ratio is the median over
their turns.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.callbacks import Callback
from rows import HEAD, show

from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.photos.sources import find_dataset
from cnnlib.training.trial import Task, data_module, precision, train

CONFIG = TrialConfig(
    first_layer_filters=32, filter_org=2.0, conv_layers=4, num_neurons_dense=256, batch_norm=True
)


class TrainSeconds(Callback):
    """Seconds of each epoch's training steps, up to its validation."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def on_validation_start(self, *_: Any) -> None:
        self.seconds.append(time.perf_counter() - self._began)


def limit(task: Task) -> float:
    """Seconds of an epoch of the bare loop."""
    pl.seed_everything(task.seed, verbose=False)
    data = data_module(CONFIG, task.dataset, image_size=task.image_size, seed=task.seed)
    batches = list(data.train_dataloader())
    model = CustomCNN(CONFIG, num_classes=data.num_classes, image_size=task.image_size)
    model = model.to(memory_format=torch.channels_last)
    optimiser = model.configure_optimizers()
    began = time.perf_counter()
    for images, labels in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision() != "32-true"):
            loss = F.cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return time.perf_counter() - began


def ours(task: Task) -> float:
    """Seconds of a trial's first epoch."""
    watch = TrainSeconds()
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "best.safetensors"
        train(CONFIG, task, on_epoch=lambda row: None, weights=weights, callbacks=[watch])
    return watch.seconds[0]


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=32)
    flags.add_argument("--epochs", type=int, default=5)
    flags.add_argument("--threads", type=int, default=2)
    asked = flags.parse_args()
    torch.set_num_threads(asked.threads)
    task = Task(find_dataset(asked.data), asked.image_size, 1, 0, 42, asked.threads)
    ours(task)  # decodes, compiles and warms up
    pairs = [(ours(task), limit(task)) for _ in range(asked.epochs)]
    fast, bound = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    print(HEAD)
    show(
        __file__,
        f"training of an epoch, {asked.image_size} px, {asked.threads} threads",
        theirs=f"a bare loop over tensors: {bound:.2f} s",
        ours=f"{fast:.2f} s",
        ratio=f"{statistics.median(a / b for a, b in pairs):.2f} of its time",
    )


if __name__ == "__main__":
    main()
