import math
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from cnnlib.config import TrialConfig
from cnnlib.dataset import read_folder
from cnnlib.model import CustomCNN
from cnnlib.results import EPOCH_COLUMNS
from cnnlib.trial import EpochReport, Task, data_module, precision, ray_trial, train

SMALL = {"first_layer_filters": 4, "conv_layers": 2, "num_neurons_dense": 8, "filter_org": 1.0}


def task(photos: Path, **changes: Any) -> Task:
    settings = {"image_size": 8, "max_epochs": 3, "patience": 0, "seed": 1, "cpus": 1} | changes
    return Task(dataset=read_folder(photos / "train"), **settings)


def rows(photos: Path, folder: Path, config: TrialConfig, **changes: Any) -> list[dict[str, Any]]:
    epochs: list[dict[str, Any]] = []
    train(
        config, task(photos, **changes), on_epoch=epochs.append, weights=folder / "best.safetensors"
    )
    return epochs


def test_every_epoch_is_reported_with_the_columns_of_the_design(
    photos: Path, tmp_path: Path
) -> None:
    epochs = rows(photos, tmp_path, TrialConfig(**SMALL))
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    for row in epochs:
        assert set(row) == set(EPOCH_COLUMNS) - {"trial_id"}
        assert all(math.isfinite(value) for value in row.values())
        assert row["learning_rate"] == 1e-3


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_best_weights_are_kept_and_score_what_was_reported(
    ema: float, photos: Path, tmp_path: Path
) -> None:
    config = TrialConfig(**SMALL, learning_rate=0.01, ema=ema)
    epochs = rows(photos, tmp_path, config, max_epochs=6)
    best = max(row["val_acc"] for row in epochs)
    [val_loss, *_] = [row["val_loss"] for row in epochs if row["val_acc"] == best]
    model = CustomCNN(config, num_classes=3, image_size=8)
    model.load_state_dict(load_file(tmp_path / "best.safetensors"))
    model.eval()
    data = data_module(config, task(photos).dataset, image_size=8, seed=1)
    with torch.no_grad():
        [(images, labels)] = list(data.val_dataloader())
        scores = model(images)
    assert (scores.argmax(1) == labels).float().mean().item() == pytest.approx(best)
    loss = torch.nn.functional.cross_entropy(scores, labels).item()
    assert loss == pytest.approx(val_loss, rel=1e-2)  # trained in bf16 on some CPUs


def test_an_epochs_learning_rate_is_the_one_that_it_began_with(
    photos: Path, tmp_path: Path
) -> None:
    config = TrialConfig(**SMALL, learning_rate_schedule="step")
    epochs = rows(photos, tmp_path, config, max_epochs=3)
    assert [row["learning_rate"] for row in epochs] == pytest.approx([1e-3, 1e-4, 1e-5])


def test_a_worse_epoch_does_not_replace_the_best_weights(tmp_path: Path) -> None:
    model = torch.nn.Linear(1, 1)
    weights = tmp_path / "best.safetensors"
    report = EpochReport(lambda metrics: None, weights)
    trainer = SimpleNamespace(
        current_epoch=0,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])],
        datamodule=SimpleNamespace(split_indices=([0], [1])),
    )
    kept = []
    for val_acc in (0.2, 0.6, 0.6, 0.4, math.nan):
        torch.nn.init.constant_(model.bias, val_acc)
        trainer.callback_metrics = {"val_acc": torch.tensor(val_acc)}
        report.on_train_epoch_end(trainer, model)  # type: ignore[arg-type]
        kept.append(round(load_file(weights)["bias"].item(), 1))
    assert kept == [0.2, 0.6, 0.6, 0.6, 0.6]


def test_colours_are_learnt(photos: Path, tmp_path: Path) -> None:
    epochs = rows(photos, tmp_path, TrialConfig(**SMALL, learning_rate=0.01), max_epochs=15)
    assert max(row["val_acc"] for row in epochs) >= 5 / 6


RECIPE = {
    "optimizer": "sgd", "weight_decay": 1e-3, "learning_rate_schedule": "one_cycle",
    "label_smoothing": 0.1, "kernel_size": 5, "head": "gap", "ema": 0.9,
}  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"use_augmentation": False}, RECIPE], ids=str)
def test_the_same_seed_gives_the_same_curve(changes: dict, photos: Path, tmp_path: Path) -> None:
    config = TrialConfig(**SMALL, **changes)

    def curve(seed: int) -> list[tuple[float, float]]:
        return [
            (row["train_loss"], row["val_loss"])
            for row in rows(photos, tmp_path, config, seed=seed)
        ]

    assert curve(1) == curve(1)
    assert curve(1) != curve(2)


def test_a_trial_that_no_longer_gets_better_ends(photos: Path, tmp_path: Path) -> None:
    frozen = TrialConfig(**SMALL, learning_rate=1e-8)
    epochs = rows(photos, tmp_path, frozen, max_epochs=30, patience=2)
    assert len(epochs) == 3


def test_a_cpu_trains_in_bf16_only_where_it_is_native() -> None:
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert precision("cpu") == ("bf16-mixed" if native else "32-true")


def test_a_trial_that_raises_reports_the_reason_in_one_line(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports: list[dict[str, Any]] = []
    monkeypatch.setattr("ray.tune.report", reports.append)
    (tmp_path / "file").touch()
    config = {"trial_id": "0001", **asdict(TrialConfig(**SMALL))}
    ray_trial(config, task(photos), tmp_path / "file")
    [report] = reports
    assert report["error"].startswith("NotADirectoryError: ")
    assert "\n" not in report["error"]
