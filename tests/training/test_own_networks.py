"""Networks of the user's own as people write them: with views, with a schedule on a metric."""

import math
from pathlib import Path
from typing import Any

import pytest

from cnnlib.networks.family import Family
from cnnlib.networks.metric import read_metric
from cnnlib.networks.own_code import family_asked
from cnnlib.networks.values import Choice
from cnnlib.photos.dataset import read_folder
from cnnlib.planning.cost import costs, measure
from cnnlib.training.own_metrics import our_names
from cnnlib.training.trial import Task, train

LIT = """
import torch
from pytorch_lightning import LightningModule
from torch import nn
from torch.nn.functional import cross_entropy

class Lit(LightningModule):
    def __init__(self, num_classes, image_size, lr: float = 0.01):
        super().__init__()
        self.save_hyperparameters()
        self.conv = nn.Conv2d(3, 4, 3)
        self.dense = nn.Linear(4 * (image_size - 2) ** 2, num_classes)
    def forward(self, images):
        return self.dense(self.conv(images).view(len(images), -1))
    def training_step(self, batch, index):
        batch[0].view(len(batch[0]), -1)
        return cross_entropy(self(batch[0]), batch[1])
    def validation_step(self, batch, index):
        self.log("val_loss", cross_entropy(self(batch[0]), batch[1]))
        self.log("val_acc", (self(batch[0]).argmax(1) == batch[1]).float().mean())
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=self.hparams.lr)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": schedule, "monitor": "val_loss"}
"""


@pytest.fixture
def family(tmp_path: Path) -> Family:
    (tmp_path / "lit.py").write_text(LIT)
    return family_asked(f"{tmp_path}/lit.py:Lit")


def rows(family: Family, photos: Path, folder: Path, **changes: Any) -> list[dict[str, Any]]:
    task = Task(
        read_folder(photos / "train"), image_size=8, max_epochs=2, patience=0, seed=1, cpus=1,
        family=family, **changes,
    )  # fmt: skip
    epochs: list[dict[str, Any]] = []
    train(family.config(), task, on_epoch=epochs.append, weights=folder / "best.safetensors")
    return epochs


def test_a_network_may_take_views_of_its_images(
    family: Family, photos: Path, tmp_path: Path
) -> None:
    assert [row["epoch"] for row in rows(family, photos, tmp_path)] == [1, 2]
    assert measure(
        family.config(), num_classes=3, image_size=8, device="cpu", family=family
    ).seconds


WEIGHTS_DIVERGE = """
import torch
from pytorch_lightning import LightningModule
from torch import nn
from torch.nn.functional import cross_entropy

class Lit(LightningModule):
    def __init__(self, num_classes, image_size):
        super().__init__()
        self.dense = nn.Linear(3 * image_size ** 2, num_classes)
    def forward(self, images):
        return self.dense(images.flatten(1))
    def training_step(self, batch, index):
        return cross_entropy(self(batch[0]), batch[1])
    def on_train_epoch_end(self):
        if self.current_epoch == 1:
            nn.init.constant_(self.dense.weight, float("nan"))
    def validation_step(self, batch, index):
        self.log("val_acc", (self(batch[0]).argmax(1) == batch[1]).float().mean())
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
"""
LOSS_DIVERGES = WEIGHTS_DIVERGE.replace(
    'nn.init.constant_(self.dense.weight, float("nan"))',
    'self.log("train_loss", float("inf"))',
)


@pytest.mark.parametrize("code", [WEIGHTS_DIVERGE, LOSS_DIVERGES])
def test_an_own_network_that_is_not_finite_has_no_accuracy(
    code: str, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "lit.py").write_text(code)
    first, second = rows(family_asked(f"{tmp_path}/lit.py:Lit"), photos, tmp_path)
    assert math.isfinite(first["val_acc"])
    assert math.isnan(second["val_acc"])


def test_a_schedule_that_waits_for_validation_is_told_where_none_validates(
    family: Family, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="its learning rate goes by val_loss, and where all"):
        rows(family, photos, tmp_path, val_split=0.0, stop_after=1)


def test_what_some_configurations_cannot_be_is_not_counted(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, width: int):\n"
        "    layers = nn.Conv2d(3, 12 // (3 - width), 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()\n"
        "    return nn.Sequential(*layers, nn.Linear(12 // (3 - width), num_classes))\n"
    )
    family = family_asked(f"{tmp_path}/net.py:net")
    counted = costs({"width": Choice((1, 2, 3))}, num_classes=3, image_size=8, family=family)
    assert [config.width for config in counted] == [1, 2]


def test_the_words_of_a_sweeps_metric_are_those_of_what_a_network_logs() -> None:
    logged = {"eval_accuracy": 0.5, "evaluation/loss": 1.5, "valid_Acc_epoch": 0.5}
    for said, name in (("eval_accuracy", "val_acc"), ("evaluation/loss", "val_loss")):
        assert read_metric(said)[0].name == name
        assert our_names({said: logged[said]})[name] == logged[said]
