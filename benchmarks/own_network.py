"""What a trial costs through --network, against the built-in network of the same layers.

python benchmarks/own_network.py [--epochs N] [--rounds N]

All train the same layers on the sample at 32 px, in turns in one process: the built-in cnn, then a
function, a family and a LightningModule of one file. Seconds an epoch are the fastest one's, which
other work on the machine disturbs least; beside the epochs is what else a training takes.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rows import HEAD, show

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.family import Family
from cnnlib.networks.own_code import family_asked
from cnnlib.photos.sources import find_dataset
from cnnlib.training.trial import Task, train

LAYERS = {
    "first_layer_filters": 16, "filter_org": 1.0, "conv_layers": 3, "num_neurons_dense": 64,
    "dropout": 0.2,
}  # fmt: skip
COMMON = {"batch_size": 32, "use_augmentation": True}
FILE = """
import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch import nn

from cnnlib.networks.classifier import Classifier
from cnnlib.networks.configuration import Recipe
from cnnlib.networks.family import Family


def net(num_classes, image_size, filters: int = 16, dense: int = 64):
    layers, channels = [], 3
    for _ in range(3):
        block = nn.Conv2d(channels, filters, 3, padding=1), nn.BatchNorm2d(filters)
        layers += [*block, nn.MaxPool2d(2), nn.ReLU()]
        channels = filters
    inputs = filters * (image_size // 8) ** 2
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(inputs, dense), nn.ReLU(), nn.Dropout(0.2),
        nn.Linear(dense, num_classes),
    )


def build(config, num_classes, image_size):
    network = net(num_classes, image_size)
    return Classifier(network, config, num_classes=num_classes, image_size=image_size)


family = Family("net", Recipe, build)


class Module(LightningModule):
    def __init__(self, num_classes, image_size, lr: float = 1e-3):
        super().__init__()
        self.save_hyperparameters()
        self.network = net(num_classes, image_size)

    def forward(self, images):
        return self.network(images)

    def training_step(self, batch, index):
        return F.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, index):
        hits = (self(batch[0]).argmax(1) == batch[1]).float().mean()
        self.log("val_acc", hits)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr, fused=True)
"""


def trained(
    family: Family, values: dict[str, Any], epochs: int, folder: Path
) -> tuple[float, float]:
    """Seconds of an epoch, and those beside the epochs."""
    place = folder / "best.safetensors"
    rows: list[dict[str, Any]] = []
    task = Task(find_dataset("sample"), 32, epochs, 0, 1, 1, accelerator="cpu", family=family)
    began = time.perf_counter()
    train(
        family.configuration(values),
        task,
        on_epoch=rows.append,
        weights=place,
    )
    whole = time.perf_counter() - began
    seconds = [row["seconds"] for row in rows]
    return min(seconds[1:]), whole - sum(seconds)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--epochs", type=int, default=6)
    flags.add_argument("--rounds", type=int, default=5)
    asked = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ways.py"
        path.write_text(FILE)
        kinds = {name: family_asked(f"{path}:{name}") for name in ("net", "family", "Module")}
        runs = {"built in": (CNN, LAYERS | COMMON)} | {n: (f, COMMON) for n, f in kinds.items()}
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for number in range(asked.rounds + 1):  # the first warms up
            for name, (family, values) in runs.items():
                answer = trained(family, values, asked.epochs, Path(folder))
                if number:
                    found[name].append(answer)
    epoch = {name: min(e for e, _ in times) for name, times in found.items()}
    beside = {name: statistics.median(b for _, b in times) for name, times in found.items()}
    print(HEAD)
    for name in kinds:
        show(
            __file__,
            f"seconds an epoch through --network, {name}; beside the epochs {beside[name]:.2f} s",
            theirs=f"built in: {epoch['built in']:.3f} s, beside {beside['built in']:.2f} s",
            ours=f"{epoch[name]:.3f} s",
            ratio=f"{epoch[name] / epoch['built in']:.3f}",
        )


if __name__ == "__main__":
    main()
