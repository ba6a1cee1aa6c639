"""The study's own notebook cells, with only the import line changed (BASELINE.md, "Names")."""

from pathlib import Path

import pytest
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint

from cnnlib import CustomCNN, CustomDataModule, Sweep


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


def test_a_notebook_gets_tables_and_champion_from_one_call(photos: Path, tmp_path: Path) -> None:
    result = Sweep(
        data=photos, storage=tmp_path, name="notebook", trials=3, max_epochs=2, image_size=16,
        set=["conv_layers=2,3", "first_layer_filters=4,8", "num_neurons_dense=8"], wandb="off",
        finalists=0,
    ).run()  # fmt: skip
    assert len(result.trials) == 3
    assert set(result.epochs["trial_id"]) == set(result.trials["trial_id"])
    assert result.champion is not None
    assert result.champion.val_acc == result.trials["val_acc"].max()
    [images, _] = next(iter(CustomDataModule(photos / "train", image_size=16).val_dataloader()))
    assert result.champion.model()(images).shape == (len(images), 3)
