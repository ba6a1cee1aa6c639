"""One trial: a configuration is trained for some epochs, and each epoch is reported."""

import errno
import logging
import math
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, Checkpoint
from safetensors.torch import save_file

from cnnlib.journal.columns import CLASS_COUNTS
from cnnlib.networks.classifier import Classifier
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.family import Family
from cnnlib.networks.layout import in_a_layout
from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.photos.dataset import Dataset
from cnnlib.pixels.datamodule import VAL_SPLIT, CustomDataModule
from cnnlib.storage.files import replaced
from cnnlib.storage.training_files import StorageError, epoch_of
from cnnlib.system.redaction import named, without_secrets
from cnnlib.training.memory import in_parts
from cnnlib.training.on_machine import Source
from cnnlib.training.own_metrics import is_finite, our_names

CPU = Path("/proc/cpuinfo")
ASKS_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"  # Lightning sets it


@dataclass(frozen=True)
class Task:
    """What is the same for all trials of a sweep."""

    dataset: Dataset
    image_size: int
    max_epochs: int
    patience: int  # epochs without a better value of the metric after which a trial ends
    seed: int
    cpus: int  # threads
    accelerator: str = "auto"  # cpu, gpu, or auto for what is there
    gpu_share: float = 1.0  # of a GPU's memory
    split_seed: int | None = None  # of what validates, where it is not `seed`
    val_split: float = VAL_SPLIT  # 0: all photographs train, and the last weights are kept
    stop_after: int | None = None  # epochs, on the schedule of max_epochs
    source: Source | None = None  # where a machine of a cluster finds the photographs
    family: Family = CNN  # the kind of network
    metric: Metric = VAL_ACC  # by which epochs are compared

    @property
    def dtype(self) -> torch.dtype:
        """Of images on a CPU: autocast would round them at the first layer; here it is free."""
        return torch.bfloat16 if precision(self.accelerator) == "bf16-mixed" else torch.float32


class EpochReport(Checkpoint):
    """Reports each epoch, keeps the best weights and the last state, and ends a stuck trial.

    A Checkpoint, because Lightning calls those last, when the epoch's metrics are complete. The
    state is on the disk before an epoch is reported, with all that was reported till then: so no
    epoch is lost or trained twice, wherever the trial is killed.
    """

    def __init__(
        self,
        on_epoch: Callable[[dict[str, Any]], None],
        weights: Path,
        *,
        last: Path | None,
        patience: int,
        seed: int,
        metric: Metric = VAL_ACC,
        stop_after: int | None = None,
    ) -> None:
        self._on_epoch = on_epoch
        self._weights = weights
        self._last = last
        self._patience = patience
        self._seed = seed
        self._metric = metric
        self._stop_after = stop_after
        self._rows: list[dict[str, Any]] = []
        self._began = 0.0
        self._learning_rate = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        waited = [s.monitor or "" for s in trainer.lr_scheduler_configs if s.reduce_on_plateau]
        if trainer.limit_val_batches == 0 and any("val" in name.lower() for name in waited):
            raise ValueError(
                f"its learning rate goes by {waited[0]}, and where all photographs train none "
                "validates"
            )

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # An epoch's randomness and order depend on its number, and not on the epochs before it.
        trainer.train_dataloader.epoch = trainer.current_epoch  # type: ignore[union-attr]
        torch.manual_seed(self._seed * 100_003 + trainer.current_epoch)
        # At its end a schedule has moved on to the next epoch's.
        if trainer.optimizers:
            self._learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        if not isinstance(pl_module, Classifier):
            metrics = _of_own(pl_module, metrics, self._metric.name)
        validated = sum(trainer.num_val_batches) > 0
        if validated and self._metric.name not in metrics:
            told = ", ".join(sorted(metrics)) or "nothing"
            raise ValueError(f"the network logs no {self._metric.said}; it logs {told}")
        epoch = trainer.current_epoch + 1
        is_best = best_epoch([*self._rows, metrics], self._metric) == len(self._rows) + 1
        if is_best:
            save_weights(pl_module, self._weights, epoch)
        seconds = time.perf_counter() - self._began
        num_images = len(trainer.datamodule.split_indices[0])  # type: ignore[attr-defined]
        self._rows.append(
            {
                "epoch": epoch,
                **metrics,
                "learning_rate": self._learning_rate,
                "seconds": seconds,
                "images_per_second": num_images / seconds,
                **(_class_counts(trainer, pl_module) if is_best and validated else {}),
            }
        )
        if self._last is not None:
            replaced(self._last, trainer.save_checkpoint)
        self._on_epoch(self._rows[-1])
        last_epoch = self._stop_after or trainer.max_epochs
        trainer.should_stop = is_over(self._rows, last_epoch, self._patience, self._metric)

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self._rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._rows = list(state_dict["rows"])


def _of_own(model: pl.LightningModule, logged: dict[str, float], metric: str) -> dict[str, float]:
    """What a LightningModule of the user's own has logged, by our names.

    An accuracy and the sweep's metric are NaN where the network is not finite.
    """
    metrics = our_names(logged)
    losses = [value for name, value in metrics.items() if name in ("train_loss", "val_loss")]
    if not is_finite(model, losses):
        metrics |= {name: math.nan for name in ("train_acc", "val_acc", metric) if name in metrics}
    return metrics


def _class_counts(trainer: Any, model: Any) -> dict[str, Any]:
    if not isinstance(model, Classifier):
        return {}
    counts = model.class_counts[:2].int().T.tolist()
    return {CLASS_COUNTS: dict(zip(trainer.datamodule.classes, counts, strict=True))}


Rows = Sequence[dict[str, Any]]


def is_over(rows: Rows, max_epochs: int | None, patience: int, metric: Metric = VAL_ACC) -> bool:
    """Whether a trial has trained all its epochs, or `patience` of them without a better value of
    its metric, or has diverged.

    A patience of 0 is endless, and so is that of a trial that nothing validates.
    """
    if len(rows) == max_epochs or (rows and metric.diverged(rows[-1])):
        return True
    if not patience or any(metric.name not in row for row in rows):
        return False
    return len(rows) - best_epoch(rows, metric) >= patience


def save_weights(model: pl.LightningModule, path: Path, epoch: int | None = None) -> None:
    """Writes the weights as safetensors, in one step; the epoch after which stands in them."""
    weights, seen = {}, set()
    for name, tensor in model.state_dict().items():
        is_shared = tensor.data_ptr() in seen  # which a file of safetensors cannot say
        weights[name] = tensor.clone() if is_shared else tensor.contiguous()
        seen.add(tensor.data_ptr())
    metadata = None if epoch is None else {"epoch": str(epoch)}
    replaced(path, lambda part: save_file(weights, part, metadata=metadata))


def best_epoch(rows: Rows, metric: Metric = VAL_ACC) -> int:
    """The best epoch so far, after which weights are kept, or the last where nothing validates.

    0 where there is none: an epoch whose network diverged is no best one.
    """
    best, epoch = metric.worst, 0
    for number, row in enumerate(rows, 1):
        score = metric.of(row)  # NaN where nothing validates
        if not metric.diverged(row) and not score <= best:
            best, epoch = score, number
    return epoch


def is_pair(weights: Path, rows: Rows, metric: Metric = VAL_ACC) -> bool:
    """Whether these weights are the best of the epochs in a last state.

    A kill, or a copy that ended between the two files, leaves one that is ahead of the other.
    Weights of an older version do not say their epoch and prove nothing.
    """
    epoch = best_epoch(rows, metric)
    try:
        return epoch == 0 or epoch_of(weights) == epoch
    except OSError:
        return False


def reported(last: Path) -> list[dict[str, Any]]:
    """The epochs in a trial's last state; none where there is no state that can be read."""
    if not last.exists():
        return []
    try:
        # Tensors and plain values only: nothing in the file is executed.
        content = torch.load(last, map_location="cpu", weights_only=True)
        return list(content["callbacks"][EpochReport.__qualname__]["rows"])
    except Exception as error:  # torn by a power cut, or of another version
        logging.getLogger(__name__).warning("%s cannot be read, so from epoch 1: %s", last, error)
        return []


def train(
    config: Any,
    task: Task,
    *,
    on_epoch: Callable[[dict[str, Any]], None],
    weights: Path,
    last: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Trains one configuration, from its last state in `last` where that and `weights` are a pair.

    Else it begins at epoch 1, which costs time only. Calls `on_epoch` with the metrics of each
    epoch, also of those in its last state, and keeps the
    weights of the best in `weights`.
    """
    quiet_libraries()
    rows = reported(last) if last else []
    if rows and not is_pair(weights, rows, task.metric):
        logging.getLogger(__name__).warning(
            "%s: not the best weights of %s, so from epoch 1", weights, last
        )
        rows = []
    for row in rows:
        on_epoch(row)
    if rows and is_over(rows, task.stop_after or task.max_epochs, task.patience, task.metric):
        return
    torch.set_num_threads(task.cpus)
    reached = len(rows)

    def report(row: dict[str, Any]) -> None:
        nonlocal reached
        reached = row["epoch"]
        on_epoch(row)

    def fit(parts: int) -> None:
        before = reported(last) if last and reached else []

        def in_this(layout: torch.memory_format) -> None:
            _fit(config, task, before, report, weights, last, callbacks, parts, layout)

        in_a_layout(in_this, task.family)

    # What has been reported and is kept nowhere cannot be reported again.
    in_parts(fit, config.batch_size, may_repeat=lambda: last is not None or not reached)


def _fit(
    config: Any,
    task: Task,
    rows: Sequence[dict[str, Any]],
    on_epoch: Callable[[dict[str, Any]], None],
    weights: Path,
    last: Path | None,
    callbacks: Sequence[Callback],
    parts: int,
    layout: torch.memory_format,
) -> None:
    """Trains from the epoch after `rows`, each batch in `parts` whose gradients are added up."""
    if task.gpu_share < 1 and task.accelerator == "gpu":  # Ray's shares are bookkeeping only
        torch.cuda.set_per_process_memory_fraction(task.gpu_share)
    pl.seed_everything(task.seed, verbose=False)
    torch.backends.cudnn.deterministic = True  # the fastest of those that repeat themselves
    data = data_module(
        config,
        task.dataset,
        image_size=task.image_size,
        seed=task.seed,
        gpu_share=task.gpu_share,
        split_seed=task.split_seed,
        val_split=task.val_split,
        dtype=task.dtype,
    )
    data.batch_size = config.batch_size // parts
    data.layout = layout
    if task.family.prepare:
        task.family.prepare(config)
    model = task.family.build(config, data.num_classes, task.image_size)
    model = model.to(memory_format=layout)  # as the images come
    if task.family.batches:
        data = task.family.batches(model, data, autocast_dtype(task.accelerator))
    report = EpochReport(
        on_epoch,
        weights,
        last=last,
        patience=task.patience,
        seed=task.seed,
        metric=task.metric,
        stop_after=task.stop_after,
    )
    trainer = pl.Trainer(
        max_epochs=task.max_epochs,
        callbacks=[*callbacks, report],
        accelerator=task.accelerator,
        precision=precision(task.accelerator),  # type: ignore[arg-type]
        devices=1,
        logger=False,
        enable_checkpointing=True,  # for EpochReport; nothing else writes
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if task.val_split else 0,
        accumulate_grad_batches=parts,
        benchmark=True,  # cudnn measures which of its algorithms is fastest
    )
    with _gpus_told_by_the_driver():
        trainer.fit(model, datamodule=data, ckpt_path=last if rows else None, weights_only=True)


@contextmanager
def _gpus_told_by_the_driver() -> Iterator[None]:
    """Optimisers ask at each step whether there is a GPU; here that takes 4 us in place of 0.5 ms.

    By Lightning's variable torch asks NVML anew each time, which is of use before a fork only.
    """
    before = os.environ.pop(ASKS_NVML, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[ASKS_NVML] = before


def data_module(
    config: Any,
    dataset: Dataset,
    *,
    image_size: int,
    seed: int,
    gpu_share: float = 1.0,
    split_seed: int | None = None,
    val_split: float = VAL_SPLIT,
    dtype: torch.dtype = torch.float32,
) -> CustomDataModule:
    """The data as this configuration asks for it."""
    return CustomDataModule(
        dataset.train_dir,
        use_augmentation=config.use_augmentation,
        augmentation=config.augmentation,
        val_split=val_split,
        split_seed=split_seed,
        batch_size=config.batch_size,
        seed=seed,
        image_size=image_size,
        dataset=dataset,
        dtype=dtype,
        gpu_share=gpu_share,
    )


@lru_cache
def precision(accelerator: str = "auto") -> str:
    """Mixed precision as the device allows: bf16, else fp16; on a CPU what it is fastest in."""
    if accelerator != "cpu" and torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bf16-mixed" if native else "16-mixed"
    # A CPU without bf16 emulates it, slowly; Intel's vectors take longer for it than for float32.
    vectors = torch.cpu._is_avx512_bf16_supported() and "AuthenticAMD" in CPU.read_text()
    return "bf16-mixed" if vectors or torch.cpu._is_amx_tile_supported() else "32-true"


def autocast_dtype(accelerator: str) -> torch.dtype | None:
    """What mixed precision computes in; None where nothing is mixed."""
    return {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision(accelerator))


def quiet_libraries() -> None:
    """Keeps Lightning's advice off a screen that shows one line an event."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning|lightning_fabric")


def failure(error: Exception, what: str) -> dict[str, Any]:
    """What a worker tells of a training that raised; the traceback is for its log."""
    logging.getLogger(__name__).exception("%s failed", what)
    log = without_secrets(traceback.format_exc())
    not_its_fault = isinstance(error, StorageError) or disk_is_full(error)
    return {"error": named(error), "disk": not_its_fault, "traceback": log}


def disk_is_full(error: BaseException | None) -> bool:
    """Whether it came of a disk that takes no more, however torch has wrapped it."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    while error is not None:
        if isinstance(error, OSError) and error.errno in full:
            return True
        if "No space left on device" in str(error):  # safetensors' and torch's own errors
            return True
        error = error.__cause__ or error.__context__
    return False
