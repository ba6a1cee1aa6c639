"""One trial: a configuration is trained for some epochs, and each epoch is reported."""

import logging
import os
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping
from safetensors.torch import save_file

from cnnlib.config import TrialConfig, hyperparameters
from cnnlib.data import CustomDataModule
from cnnlib.dataset import Dataset
from cnnlib.model import CustomCNN


@dataclass(frozen=True)
class Task:
    """What is the same for all trials of a sweep."""

    dataset: Dataset
    image_size: int
    max_epochs: int
    patience: int  # epochs without a better val_acc after which a trial ends
    seed: int
    cpus: int  # threads
    accelerator: str = "auto"  # cpu, gpu, or auto for what is there
    gpu_share: float = 1.0  # of a GPU's memory


class EpochReport(Checkpoint):
    """Reports each epoch and keeps the weights of the best.

    A Checkpoint, because Lightning calls those last, when the epoch's metrics are complete.
    """

    def __init__(self, on_epoch: Callable[[dict[str, Any]], None], weights: Path) -> None:
        self._on_epoch = on_epoch
        self._weights = weights
        self._best = -1.0
        self._started = 0.0
        self._learning_rate = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.perf_counter()
        # At its end a schedule has moved on to the next epoch's.
        self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        if metrics["val_acc"] > self._best:
            self._best = metrics["val_acc"]
            save_weights(pl_module, self._weights)
        seconds = time.perf_counter() - self._started
        num_images = len(trainer.datamodule.split_indices[0])  # type: ignore[attr-defined]
        self._on_epoch(
            {
                "epoch": trainer.current_epoch + 1,
                **metrics,
                "learning_rate": self._learning_rate,
                "seconds": seconds,
                "images_per_second": num_images / seconds,
            }
        )


def save_weights(model: pl.LightningModule, path: Path) -> None:
    """Writes the weights as safetensors, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({name: t.contiguous() for name, t in model.state_dict().items()}, part)
    part.replace(path)


def train(
    config: TrialConfig,
    task: Task,
    *,
    on_epoch: Callable[[dict[str, Any]], None],
    weights: Path,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Trains one configuration.

    Calls `on_epoch` with the metrics of each epoch and keeps the weights of the best in `weights`.
    """
    quiet_libraries()
    torch.set_num_threads(task.cpus)
    pl.seed_everything(task.seed, verbose=False)
    torch.backends.cudnn.deterministic = True  # the fastest of those that repeat themselves
    data = data_module(
        config,
        task.dataset,
        image_size=task.image_size,
        seed=task.seed,
        gpu_share=task.gpu_share,
    )
    model = CustomCNN(config, num_classes=data.num_classes, image_size=task.image_size)
    model = model.to(memory_format=torch.channels_last)  # as the images come; faster
    callbacks = [*callbacks, EpochReport(on_epoch, weights)]
    if task.patience:
        callbacks.append(EarlyStopping(monitor="val_acc", patience=task.patience, mode="max"))
    trainer = pl.Trainer(
        max_epochs=task.max_epochs,
        callbacks=callbacks,
        accelerator=task.accelerator,
        precision=precision(task.accelerator),  # type: ignore[arg-type]
        devices=1,
        logger=False,
        enable_checkpointing=True,  # for EpochReport; nothing else writes
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        benchmark=True,  # cudnn measures which of its algorithms is fastest
    )
    trainer.fit(model, datamodule=data)


def data_module(
    config: TrialConfig, dataset: Dataset, *, image_size: int, seed: int, gpu_share: float = 1.0
) -> CustomDataModule:
    """The data as this configuration asks for it."""
    return CustomDataModule(
        dataset.train_dir,
        use_augmentation=config.use_augmentation,
        augmentation=config.augmentation,
        batch_size=config.batch_size,
        seed=seed,
        image_size=image_size,
        dataset=dataset,
        gpu_share=gpu_share,
    )


@lru_cache
def precision(accelerator: str = "auto") -> str:
    """Mixed precision as the device allows: bf16, else fp16; on a CPU what it is fastest in."""
    if accelerator != "cpu" and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if native else "16-mixed"
    # Without matrix units for bf16 a CPU emulates it, more slowly than float32.
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if fast else "32-true"


def quiet_libraries() -> None:
    """Keeps Lightning's advice off a screen that shows one line an event."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")


def ray_trial(config: dict[str, Any], task: Task, checkpoints: Path) -> None:
    """What Ray Tune runs; <checkpoints>/<trial_id>/best.safetensors holds the best weights.

    A trial that raises reports the reason and ends, so that Ray starts lost workers again only.
    """
    from ray import tune

    node = os.uname().nodename
    values = {name: config[name] for name in hyperparameters()}
    try:
        train(
            TrialConfig.from_mapping(values),
            task,
            on_epoch=lambda metrics: tune.report({**metrics, "node": node}),
            weights=checkpoints / config["trial_id"] / "best.safetensors",
        )
    except Exception as error:
        logging.getLogger(__name__).exception("trial %s failed", config["trial_id"])
        tune.report({"error": f"{type(error).__name__}: {' '.join(str(error).split())}"})
