"""The study's own notebook cells, with only the import line changed (BASELINE.md, "Names").

They are rebuilt from its facts: names, values, and what each cell has to give.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from cnnlib import CustomCNN, CustomDataModule

SIZE = 16  # in place of 224: tests are fast
# Lightning's advice: fp16 becomes bf16 on a CPU, batches are few, more workers might help.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning"),
    pytest.mark.filterwarnings("ignore:.*AMP with fp16 is not supported on CPU"),
    pytest.mark.filterwarnings("ignore:.*historical reasons"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the notebook, into which Lightning writes its logs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data_module_cell(photos: Path, **changes: Any) -> CustomDataModule:
    cell: dict[str, Any] = {
        "data_dir": str(photos / "train"), "use_augmentation": True, "val_split": 0.2,
        "batch_size": 8, "num_workers": 2, "seed": 42, "image_size": (SIZE, SIZE),
    }  # fmt: skip
    return CustomDataModule(**cell | changes)


def model_cell(**changes: Any) -> CustomCNN:
    cell: dict[str, Any] = {
        "input_shape": (3, SIZE, SIZE), "num_classes": 3, "first_layer_filters": 8,
        "filter_org": 1.0, "conv_layers": 3, "activation": "relu", "dropout": 0.2,
        "batch_norm": True, "batch_size": 8, "learning_rate": 1e-2, "use_augmentation": True,
        "num_neurons_dense": 32, "optimizer_name": "adam",
    }  # fmt: skip
    return CustomCNN(**cell | changes)


def test_the_cells_train_choose_the_best_and_test_it(photos: Path, here: Path) -> None:
    data_module, model = data_module_cell(photos), model_cell()
    early_stopping = EarlyStopping(monitor="val_acc", patience=5, mode="max")
    checkpoint = ModelCheckpoint(
        dirpath="checkpoints", filename="best_model", save_top_k=1, monitor="val_acc", mode="max"
    )
    trainer = Trainer(
        max_epochs=8,
        precision="16-mixed",
        callbacks=[early_stopping, checkpoint],
        accelerator="cpu",
    )
    trainer.fit(model, datamodule=data_module)
    assert {"train_loss", "train_acc", "val_loss", "val_acc"} <= set(trainer.callback_metrics)
    assert Path(checkpoint.best_model_path) == here / "checkpoints" / "best_model.ckpt"
    best = CustomCNN.load_from_checkpoint(checkpoint.best_model_path)
    [metrics] = trainer.test(best, datamodule=data_module)
    assert {"test_loss", "test_acc"} <= set(metrics)
    assert metrics["test_acc"] > 0.5


@pytest.mark.parametrize("precision", ["16-mixed", 16, "bf16-mixed", "32-true"])
def test_the_test_loop_by_hand_counts_what_the_trainer_does(
    precision: Any, photos: Path, here: Path
) -> None:
    data_module, model = data_module_cell(photos, image_size=SIZE), model_cell()
    trainer = Trainer(max_epochs=3, precision=precision, accelerator="cpu")
    trainer.fit(model, datamodule=data_module)
    model.eval()
    correct = total = 0
    with torch.no_grad():
        for images, labels in data_module.test_dataloader():
            outputs = model(images)
            assert outputs.dtype == images.dtype == torch.float32
            correct += int((outputs.argmax(dim=1) == labels).sum())
            total += len(labels)
    assert total == 9
    [metrics] = Trainer(accelerator="cpu").test(model, datamodule=data_module)
    assert metrics["test_acc"] == pytest.approx(correct / total)


def test_batches_that_a_callback_asks_for_suit_the_model_too(photos: Path, here: Path) -> None:
    seen = []

    class ByHand(EarlyStopping):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            images, _ = next(iter(trainer.datamodule.val_dataloader()))
            seen.append(pl_module(images).dtype)

    by_hand = ByHand(monitor="val_acc", mode="max")
    trainer = Trainer(max_epochs=1, precision="16-mixed", callbacks=[by_hand], accelerator="cpu")
    trainer.fit(model_cell(), datamodule=data_module_cell(photos))
    assert seen == [torch.float32]


def test_a_grid_of_ten_by_three_shows_the_photographs_themselves(photos: Path, here: Path) -> None:
    """Of `images` and `labels` the first thirty, which one batch of the study's size has."""
    data_module = data_module_cell(photos, data_dir=photos / "train", batch_size=32, val_split=0)
    data_module.setup()
    Trainer(max_epochs=1, accelerator="cpu").fit(model_cell(), datamodule=data_module)
    images, labels = next(iter(data_module_cell(photos, batch_size=32).test_dataloader()))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    shown = (images * std + mean).permute(0, 2, 3, 1).numpy()
    files = sorted((photos / "val").rglob("*.png"))
    assert len(shown) == len(labels) == len(files) == 9
    for picture, label, file in zip(shown, labels, files, strict=True):
        assert file.parent.name == data_module.classes[int(label)]
        np.testing.assert_allclose(picture, np.asarray(Image.open(file)) / 255, atol=1e-5)
    images, _ = next(iter(data_module.train_dataloader()))
    assert len(images) == 30, "as many as the grid has places"
    images, _ = next(iter(data_module_cell(photos, batch_size=30, val_split=0.9).val_dataloader()))
    assert len(images) == 27


def test_early_stopping_without_a_mode_is_told_what_it_does(photos: Path, here: Path) -> None:
    """Its default is min: the published cell ends when val_acc has not fallen for 5 epochs."""
    trainer = Trainer(
        max_epochs=9,
        callbacks=[
            EarlyStopping(monitor="val_acc", patience=5),
            ModelCheckpoint(filename="best_model", save_top_k=1, monitor="val_acc"),
        ],
        accelerator="cpu",
    )
    with pytest.warns(UserWarning) as told:
        trainer.fit(model_cell(), datamodule=data_module_cell(photos))
    lines = [str(one.message) for one in told if "has the mode" in str(one.message)]
    assert lines == [
        f'{kind}(monitor="val_acc") has the mode "min", so it takes the lowest val_acc for the '
        'best; write mode="max"'
        for kind in ("EarlyStopping", "ModelCheckpoint")
    ]
