"""What only a GPU can show; skipped where there is none."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.photos.dataset import read_folder
from cnnlib.training.trial import Task, train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

SMALL = TrialConfig(first_layer_filters=8, conv_layers=2, num_neurons_dense=16, batch_size=4)
SHARE, EPOCHS = 0.25, 20


class Hog(pl.Callback):
    """Takes a fifth of its share more with each batch, and gives nothing back."""

    def __init__(self) -> None:
        self.kept: list[torch.Tensor] = []

    def on_train_batch_end(self, *_: Any) -> None:
        total = torch.cuda.get_device_properties(0).total_memory
        self.kept.append(torch.empty(int(total * SHARE / 5), dtype=torch.uint8, device="cuda"))


def outcome(folder: Path, photographs: Path, hogs: bool) -> tuple[int, str, float]:
    """Epochs that a trial with a share of the GPU trained, how it ended, its share at the most."""
    rows: list[dict[str, Any]] = []
    task = Task(read_folder(photographs), 16, EPOCHS, 0, 0, 1, accelerator="gpu", gpu_share=SHARE)
    error = ""
    try:
        train(
            SMALL, task, on_epoch=rows.append, weights=folder / f"{hogs}.safetensors",
            callbacks=[Hog()] if hogs else [],
        )  # fmt: skip
    except torch.OutOfMemoryError as e:
        error = type(e).__name__
    total = torch.cuda.get_device_properties(0).total_memory
    return len(rows), error, torch.cuda.max_memory_reserved() / total


def test_a_trial_that_takes_more_than_its_share_dies_alone(photos: Path, tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        trials = [(tmp_path, photos / "train", hogs) for hogs in (True, False, False)]
        (hog_epochs, error, most), *others = pool.starmap(outcome, trials, chunksize=1)
    assert (hog_epochs, error) == (0, "OutOfMemoryError")
    assert most <= SHARE
    assert [other[:2] for other in others] == [(EPOCHS, "")] * 2
