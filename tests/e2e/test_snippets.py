"""The study's own notebook cells, with only the import line changed (BASELINE.md, "Names")."""

from pathlib import Path

import pytest
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from cnnlib import CustomCNN, CustomDataModule


@pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning")
def test_the_studys_cells_train_validate_and_test(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # Lightning writes its logs here

    data_module = CustomDataModule(
        data_dir=str(photos / "train"),
        use_augmentation=True,
        val_split=0.2,
        batch_size=8,
        seed=42,
        image_size=16,
    )
    model = CustomCNN(
        first_layer_filters=8,
        filter_org=1.0,
        conv_layers=3,
        activation="relu",
        dropout=0.2,
        batch_norm=True,
        learning_rate=1e-2,
        num_neurons_dense=32,
        num_classes=3,
        image_size=16,
    )
    early_stopping = EarlyStopping(monitor="val_acc", patience=5, mode="max")
    checkpoint = ModelCheckpoint(monitor="val_acc", mode="max", filename="best_model")
    trainer = Trainer(max_epochs=6, callbacks=[early_stopping, checkpoint], accelerator="cpu")

    trainer.fit(model, datamodule=data_module)
    assert {"train_loss", "train_acc", "val_loss", "val_acc"} <= set(trainer.callback_metrics)
    assert Path(checkpoint.best_model_path).name == "best_model.ckpt"

    [metrics] = trainer.test(model, datamodule=data_module)
    assert set(metrics) == {"test_loss", "test_acc"}
    assert metrics["test_acc"] > 0.5

    best = CustomCNN.load_from_checkpoint(checkpoint.best_model_path)
    [metrics] = trainer.test(best, datamodule=data_module)
    assert metrics["test_acc"] > 0.5
