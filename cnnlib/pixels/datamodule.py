"""CustomDataModule: batches of a folder of photographs, for Lightning."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from pytorch_lightning.trainer.states import TrainerStatus
from torch import Tensor

from cnnlib.photos.dataset import Dataset, read_folder
from cnnlib.photos.grouped_split import grouped_split
from cnnlib.pixels import cpu_batches as compiled
from cnnlib.pixels.augment import DRAW, Seen, normalised, shown, whole
from cnnlib.pixels.decode import image_side
from cnnlib.pixels.gpu_batches import gathered
from cnnlib.pixels.pixels import pixels, side_with_margin

VAL_SPLIT = 0.2  # share of the training photographs that validate; the study's
EVALUATION_BATCH = 256  # images at once where none is trained on, at most
# Pixels at once: a GPU's memory has to suffice for them, a CPU is fastest when its caches do.
EVALUATION_PIXELS = {"cpu": 16 * 64 * 64, "cuda": 256 * 64 * 64}


def stratified_split(
    labels: tuple[int, ...],
    val_split: float,
    seed: int,
    copies: Sequence[Sequence[int]] = (),
    groups: Sequence[Sequence[int]] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """Indices for training and for validation, both sorted: `val_split` of each class, at random.

    Every class keeps at least one image on either side; a `val_split` of 0 holds none out. Those
    that are `copies` stay on one side, where their class has others. Those of one of the `groups`
    always do, and copies of them too: then see `grouped_split`.
    """
    if not val_split:
        return np.arange(len(labels)), np.arange(0)
    if groups:
        return grouped_split(labels, val_split, seed, (*groups, *copies))
    rng = np.random.default_rng(seed)
    group_of = {index: group for group in copies for index in group}
    val = []
    all_labels = np.asarray(labels)
    by_class = np.argsort(all_labels, kind="stable")
    borders = np.flatnonzero(np.diff(all_labels[by_class])) + 1
    for of_class in np.split(by_class, borders):
        num_val = min(max(round(len(of_class) * val_split), 1), len(of_class) - 1)
        drawn = rng.permutation(of_class)
        val.append(_with_copies(drawn, num_val, group_of) if copies else drawn[:num_val])
    held_out = np.zeros(len(labels), bool)
    held_out[np.concatenate(val)] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _with_copies(drawn: np.ndarray, number: int, groups: Mapping[int, Sequence[int]]) -> np.ndarray:
    """The first of `drawn` with all their copies, `number` if copies allow, but not all."""
    taken: dict[int, None] = {}
    for index in drawn.tolist():
        group = groups.get(index, (index,))
        if len(taken) < number and index not in taken and len(taken) + len(group) < len(drawn):
            taken.update(dict.fromkeys(group))
    return np.array(list(taken) or drawn[:number])


def evaluation_batch(image_size: int, device: str) -> int:
    """Images at once where none is trained on, on a `device` of the type cpu or cuda."""
    return min(EVALUATION_BATCH, max(1, EVALUATION_PIXELS[device] // image_size**2))


def epoch_order(
    indices: np.ndarray, seed: int, epoch: int, *, shuffle: bool
) -> tuple[Tensor, torch.Generator]:
    """The order of an epoch's photographs, and the generator of what else is drawn in it.

    There is one generator an epoch, so that an epoch does not depend on those before it.
    """
    generator = torch.Generator().manual_seed(seed * 100_003 + epoch)
    order = torch.from_numpy(indices)
    if shuffle:
        order = order[torch.randperm(len(order), generator=generator)]
    return order, generator


class Batches:
    """Batches of (images, labels): normalised (N, 3, H, W) and (N,) int64, on `device`.

    Each iteration is an epoch: shuffled anew where `shuffle` is set, in the same order for the same
    seed and number of epoch. `augmentation` is one of augment.DRAW, or None. Images are float32, on
    a CPU also bfloat16 if `dtype` says so.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        indices: np.ndarray,
        *,
        image_size: int,
        batch_size: int,
        device: torch.device,
        seed: int,
        dtype: torch.dtype = torch.float32,
        shuffle: bool = False,
        augmentation: str | None = None,
        first_epoch: int = 0,
        gpu_share: float = 1.0,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        self.images, self.labels, self.indices = images, labels, indices
        self.image_size = image_size
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.seed = seed
        self.shuffle = shuffle
        self.augmentation = augmentation
        self.epoch = first_epoch
        self.gpu_share = gpu_share
        self.layout = layout
        self._buffers = compiled.Buffers()

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order, generator = epoch_order(self.indices, self.seed, self.epoch, shuffle=self.shuffle)
        self.epoch += 1
        seen: Seen = whole(len(order))
        if self.augmentation:
            margin = self.images.shape[1] - self.image_size
            seen = DRAW[self.augmentation](len(order), generator, margin=margin)
        # All of an epoch goes to the device at once, so that no batch waits for a copy.
        labels = torch.from_numpy(self.labels)[order].to(self.device)
        seen = type(seen)(*(values.to(self.device) for values in seen))
        batches = self._on_cpu if self.device.type == "cpu" else self._on_gpu
        starts = range(0, len(order), self.batch_size)
        parts = [slice(start, start + self.batch_size) for start in starts]
        seen_parts = [type(seen)(*(values[part] for values in seen)) for part in parts]
        for part, images in zip(parts, batches(order, seen_parts), strict=True):
            if self.layout == torch.contiguous_format:
                images = images.contiguous()
            yield images, labels[part]

    def _on_cpu(self, order: Tensor, seen: list[Seen]) -> Iterator[Tensor]:
        for chosen, part in zip(order.split(self.batch_size), seen, strict=True):
            yield compiled.batch(
                self.images, chosen, part, self.image_size, dtype=self.dtype, buffers=self._buffers
            )

    def _on_gpu(self, order: Tensor, seen: list[Seen]) -> Iterator[Tensor]:
        raw = gathered(self.images, order, self.batch_size, self.device, share=self.gpu_share)
        for images, part in zip(raw, seen, strict=True):
            yield normalised(shown(images, part, self.image_size))


class CustomDataModule(LightningDataModule):
    """Photographs in class folders: training, validation and, from the sibling folder, the test.

    `data_dir` is the training folder, `data_dir/<class>/<photo>`; its sibling `test` or `val` is
    the test set. A share `val_split` of the training photographs, the same of each class, is held
    out for validation; 0 trains on all. Training images alone are augmented.

    Batches are made for a trainer, on its device and as large as is fast where none is trained on,
    while it runs. Else they lie in the CPU's memory and hold `batch_size` float32 images.
    """

    def __init__(
        self,
        data_dir: str | Path,
        use_augmentation: bool = False,
        val_split: float = VAL_SPLIT,
        batch_size: int = 32,
        seed: int = 42,
        image_size: int | Sequence[int] = 224,
        *,
        num_workers: int = 0,
        augmentation: str = "standard",
        dataset: Dataset | None = None,
        dtype: torch.dtype = torch.float32,
        gpu_share: float = 1.0,
        split_seed: int | None = None,
        layout: torch.memory_format = torch.channels_last,
    ) -> None:
        """`image_size` is the side in pixels, 224 or (224, 224): images are square.

        `num_workers` is the study's and changes nothing: photographs are decoded once, on all
        cores, and no process has to be started to make batches of their pixels.

        `augmentation`, one of augment.DRAW, is what `use_augmentation` asks for.
        `split_seed` chooses what validates where that must not follow from `seed`.
        `dataset` saves reading `data_dir` again where it has been read. `dtype` is that of a
        trainer's images on a CPU: bfloat16 saves a step where it computes in that. `gpu_share` is
        how much of a GPU's memory is ours: pixels that fit well into it stay there. `layout` is how
        images lie in memory, where a network needs torch.contiguous_format. Raises
        ValueError or OSError in one line where `data_dir` is no set of photographs.
        """
        super().__init__()
        image_size = image_side(image_size)
        if not 0 <= val_split < 1:
            raise ValueError(f"val_split: {val_split} is not between 0 and 1")
        if batch_size < 1:
            raise ValueError(f"batch_size: {batch_size} is not at least 1")
        if num_workers < 0:
            raise ValueError(f"num_workers: {num_workers} is not at least 0")
        if augmentation not in DRAW:
            raise ValueError(f"augmentation: {augmentation} is not one of {', '.join(DRAW)}")
        self.data_dir = Path(data_dir)
        self.augmentation = augmentation if use_augmentation else None
        self.val_split = val_split
        self.batch_size = batch_size
        self.seed = seed
        self.split_seed = seed if split_seed is None else split_seed
        self.image_size = image_size
        self.gpu_share = gpu_share
        self.dtype = dtype
        self.layout = layout
        self.dataset = dataset or read_folder(self.data_dir)
        if dataset is None:
            for note in self.dataset.notes:
                logging.getLogger(__name__).warning(note)

    def setup(self, stage: str | None = None) -> None:
        """Nothing: photographs are read above, and decoded when batches are asked for."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes; labels are positions in it."""
        return self.dataset.classes

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @cached_property
    def split_indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions in dataset.train of the training and of the validation images."""
        train = self.dataset.train
        return stratified_split(
            train.labels, self.val_split, self.split_seed, train.copies, train.groups
        )

    def train_dataloader(self) -> Batches:
        """The training photographs, from where `trainer` is in their epochs."""
        return self._batches(
            "train",
            self.split_indices[0],
            batch_size=self.batch_size,
            shuffle=True,
            augmentation=self.augmentation,
            first_epoch=self.trainer.current_epoch if self.trainer else 0,
        )

    def val_dataloader(self) -> Batches:
        return self._batches("train", self.split_indices[1])

    def test_dataloader(self) -> Batches:
        """All photographs of the test set; ValueError where there is none."""
        if self.dataset.test is None:
            raise ValueError(f"no test set: {self.data_dir} has no sibling folder test or val")
        return self._batches("test", np.arange(len(self.dataset.test.files)))

    def _batches(
        self,
        split: str,
        indices: np.ndarray,
        *,
        batch_size: int | None = None,
        augmentation: str | None = None,
        **settings: Any,
    ) -> Batches:
        side = side_with_margin(self.image_size) if augmentation else self.image_size
        device, dtype = torch.device("cpu"), torch.float32
        if self.trainer and self.trainer.state.status == TrainerStatus.RUNNING:
            device, dtype = self.trainer.strategy.root_device, self.dtype
            batch_size = batch_size or evaluation_batch(self.image_size, device.type)
        return Batches(
            pixels(self.dataset, split, side),
            np.asarray(getattr(self.dataset, split).labels, dtype=np.int64),
            indices,
            image_size=self.image_size,
            batch_size=batch_size or self.batch_size,
            device=device,
            dtype=dtype,
            seed=self.seed,
            augmentation=augmentation,
            gpu_share=self.gpu_share,
            layout=self.layout,
            **settings,
        )
