"""The published way to train one configuration, in plain Lightning: "theirs" of two scripts.

Every JPEG is decoded anew in every epoch (ImageFolder, a DataLoader with two workers), with the
same operations, network, optimiser, precision and split as ours, and Lightning's Trainer.
"""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms as T
from torchvision.datasets import ImageFolder

from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.pixels.augment import COLOUR, CROP_AREA, CROP_RATIO, MEAN, STD
from cnnlib.training.trial import Task, data_module, precision

WORKERS = 2
PLAIN = (nn.Conv2d, nn.AvgPool2d, nn.Flatten)  # what follows a pooling that is last in its block


def in_published_order(network: nn.Sequential) -> nn.Sequential:
    """The same layers, each activation before its pooling; ours pools first where it can."""
    layers = list(network)
    for place, (pooling, activation) in enumerate(pairwise(network)):
        if isinstance(pooling, nn.MaxPool2d) and not isinstance(activation, PLAIN):
            layers[place : place + 2] = activation, pooling
    return nn.Sequential(*layers)


class PlainCNN(CustomCNN):
    """The published network; metrics are logged as most notebooks log them, every step."""

    on_val_acc: Callable[[float], None]

    def __init__(self, config: TrialConfig, **sizes: int) -> None:
        super().__init__(config, **sizes)
        self.network = in_published_order(self.network)

    def _step(self, stage: str, batch: Any) -> torch.Tensor:
        images, labels = batch
        scores = self(images)
        loss = torch.nn.functional.cross_entropy(scores, labels)
        acc = (scores.argmax(1) == labels).float().mean()
        self.log_dict({f"{stage}_loss": loss, f"{stage}_acc": acc}, on_step=False, on_epoch=True)
        return loss

    def _log_epoch(self, stage: str) -> None:
        if stage == "val" and not self.trainer.sanity_checking:
            self.on_val_acc(self.trainer.callback_metrics["val_acc"].item())


def train(config: TrialConfig, task: Task, on_val_acc: Callable[[float], None]) -> None:
    """Trains one configuration; `on_val_acc` is told of each epoch's validation."""
    pl.seed_everything(task.seed, verbose=False)
    size = task.image_size
    end = [T.ToTensor(), T.Normalize(MEAN, STD)]
    plain = [T.Resize((size, size)), *end]
    augment = [
        T.RandomResizedCrop(size, scale=CROP_AREA, ratio=CROP_RATIO),
        T.RandomHorizontalFlip(),
        T.ColorJitter(COLOUR, COLOUR, COLOUR),
        *end,
    ]
    folder = task.dataset.train_dir
    train_indices, val_indices = data_module(
        config, task.dataset, image_size=size, seed=task.seed
    ).split_indices
    steps = T.Compose(augment if config.use_augmentation else plain)
    train_set = Subset(ImageFolder(folder, steps), train_indices.tolist())
    val_set = Subset(ImageFolder(folder, T.Compose(plain)), val_indices.tolist())
    model = PlainCNN(config, num_classes=len(task.dataset.classes), image_size=size)
    model.on_val_acc = on_val_acc
    stop = EarlyStopping(monitor="val_acc", patience=task.patience, mode="max")
    trainer = pl.Trainer(
        max_epochs=task.max_epochs,
        precision=precision(),  # type: ignore[arg-type]
        callbacks=[stop] if task.patience else [],
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
    )
    trainer.fit(
        model,
        DataLoader(train_set, config.batch_size, shuffle=True, num_workers=WORKERS),
        DataLoader(val_set, config.batch_size, num_workers=WORKERS),
    )


def seconds_and_curve(config: TrialConfig, task: Task) -> tuple[float, list[float]]:
    """Seconds of a whole trial, and its val_acc after each epoch."""
    accuracies: list[float] = []
    began = time.perf_counter()
    train(config, task, accuracies.append)
    return time.perf_counter() - began, accuracies
