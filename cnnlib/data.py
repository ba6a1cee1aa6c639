"""CustomDataModule: batches of a folder of photographs, for Lightning."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor

from cnnlib.augment import Views, draw_views, normalised, normalised_batch, viewed
from cnnlib.dataset import Dataset, read_folder
from cnnlib.pixels import pixels

VAL_SPLIT = 0.2  # share of the training photographs that validate; the study's
EVALUATION_BATCH = 256  # images at once where none is trained on


def stratified_split(
    labels: tuple[int, ...], val_split: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices for training and for validation, both sorted: `val_split` of each class, at random.

    Every class keeps at least one image on either side.
    """
    rng = np.random.default_rng(seed)
    val = []
    for label in np.unique(labels):
        of_class = np.flatnonzero(np.asarray(labels) == label)
        num_val = min(max(round(len(of_class) * val_split), 1), len(of_class) - 1)
        val.append(rng.permutation(of_class)[:num_val])
    val_indices = np.sort(np.concatenate(val))
    return np.setdiff1d(np.arange(len(labels)), val_indices), val_indices


class Batches:
    """Batches of (images, labels): normalised (N, 3, H, W) float32 and (N,) int64, on `device`.

    Each iteration is an epoch: shuffled anew where `shuffle` is set, in the same order for the same
    seed and number of epoch.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        indices: np.ndarray,
        *,
        batch_size: int,
        device: torch.device,
        seed: int,
        shuffle: bool = False,
        augment: bool = False,
    ) -> None:
        self.images, self.labels, self.indices = images, labels, indices
        self.batch_size = batch_size
        self.device = device
        self.seed = seed
        self.shuffle = shuffle
        self.augment = augment
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        # One generator an epoch, so that an epoch does not depend on those before it.
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        self.epoch += 1
        order = torch.from_numpy(self.indices)
        if self.shuffle:
            order = order[torch.randperm(len(order), generator=generator)]
        for chosen in order.split(self.batch_size):
            views = draw_views(len(chosen), generator) if self.augment else None
            labels = torch.from_numpy(self.labels[chosen.numpy()])
            yield self._images(chosen.numpy(), views), labels.to(self.device)

    def _images(self, chosen: np.ndarray, views: Views | None) -> Tensor:
        if self.device.type == "cpu":
            return normalised_batch(self.images, chosen, views)
        raw = torch.from_numpy(self.images[chosen])  # (N, H, W, C)
        images = raw.to(self.device).permute(0, 3, 1, 2) / 255  # (N, C, H, W), channels last
        return normalised(images if views is None else viewed(images, views))


class CustomDataModule(LightningDataModule):
    """Photographs in class folders: training, validation and, from the sibling folder, the test.

    `data_dir` is the training folder, `data_dir/<class>/<photo>`; its sibling `test` or `val` is
    the test set. A share `val_split` of the training photographs, the same of each class, is held
    out for validation. Training images alone are augmented.
    """

    def __init__(
        self,
        data_dir: str | Path,
        use_augmentation: bool = False,
        val_split: float = VAL_SPLIT,
        batch_size: int = 32,
        seed: int = 42,
        image_size: int = 224,
        *,
        dataset: Dataset | None = None,
    ) -> None:
        """`dataset` saves reading `data_dir` again where it has been read.

        Raises ValueError or OSError in one line where `data_dir` is no set of photographs.
        """
        super().__init__()
        if not 0 < val_split < 1:
            raise ValueError(f"val_split: {val_split} is not between 0 and 1")
        if batch_size < 1:
            raise ValueError(f"batch_size: {batch_size} is not at least 1")
        if image_size < 1:
            raise ValueError(f"image_size: {image_size} is not at least 1")
        self.data_dir = Path(data_dir)
        self.use_augmentation = use_augmentation
        self.val_split = val_split
        self.batch_size = batch_size
        self.seed = seed
        self.image_size = image_size
        self.dataset = dataset or read_folder(self.data_dir)

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
        return stratified_split(self.dataset.train.labels, self.val_split, self.seed)

    def train_dataloader(self) -> Batches:
        return self._batches(
            "train", self.split_indices[0], shuffle=True, augment=self.use_augmentation
        )

    def val_dataloader(self) -> Batches:
        return self._batches("train", self.split_indices[1])

    def test_dataloader(self) -> Batches:
        """All photographs of the test set; ValueError where there is none."""
        if self.dataset.test is None:
            raise ValueError(f"no test set: {self.data_dir} has no sibling folder test or val")
        return self._batches("test", np.arange(len(self.dataset.test.files)))

    def _batches(
        self, split: str, indices: np.ndarray, *, shuffle: bool = False, augment: bool = False
    ) -> Batches:
        trainer = self.trainer
        return Batches(
            pixels(self.dataset, split, self.image_size),
            np.asarray(getattr(self.dataset, split).labels, dtype=np.int64),
            indices,
            batch_size=self.batch_size if shuffle else max(self.batch_size, EVALUATION_BATCH),
            device=trainer.strategy.root_device if trainer else torch.device("cpu"),
            seed=self.seed,
            shuffle=shuffle,
            augment=augment,
        )
