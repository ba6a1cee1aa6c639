"""Batches of features in place of photographs, for a head that is trained on a frozen trunk."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnnlib.networks.pretrained.features import VIEWS, Source, View, digest_of_trunk, features
from cnnlib.pixels.datamodule import CustomDataModule, epoch_order

EVALUATION_BATCH = 4096  # features at once where none is trained on


class FeatureBatches:
    """Batches of (features, labels), (N, num_features) float32 and (N,) int64, on `device`.

    Each iteration is an epoch, in the order of datamodule.Batches for the same seed and epoch.
    Where there are several views each photograph's is drawn anew in every epoch.
    """

    def __init__(
        self,
        views: list[np.ndarray],
        labels: np.ndarray,
        indices: np.ndarray,
        *,
        batch_size: int,
        device: torch.device,
        seed: int,
        shuffle: bool = False,
        first_epoch: int = 0,
    ) -> None:
        self.views, self.labels, self.indices = views, labels, indices
        self.batch_size, self.device = batch_size, device
        self.seed, self.shuffle, self.epoch = seed, shuffle, first_epoch

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order, generator = epoch_order(self.indices, self.seed, self.epoch, shuffle=self.shuffle)
        self.epoch += 1
        labels = torch.from_numpy(self.labels)[order].to(self.device)
        seen = self._seen(order, generator).to(self.device)
        yield from zip(seen.split(self.batch_size), labels.split(self.batch_size), strict=True)

    def _seen(self, order: Tensor, generator: torch.Generator) -> Tensor:
        """The features of an epoch, in its order: some tens of MB, gathered at once."""
        if len(self.views) == 1:
            return torch.from_numpy(self.views[0][order.numpy()])
        drawn = torch.randint(len(self.views), (len(order),), generator=generator).numpy()
        found = np.empty((len(order), self.views[0].shape[1]), np.float32)
        for number, view in enumerate(self.views):
            chosen = drawn == number
            found[chosen] = view[order.numpy()[chosen]]
        return torch.from_numpy(found)


class FeatureDataModule(CustomDataModule):
    """The features of a data module's photographs, computed where they are not there yet.

    With augmentation the training draws from VIEWS augmented views: the variety is smaller than
    that of photographs augmented anew, which is the price of a trunk that runs once.
    """

    def __init__(
        self, photographs: CustomDataModule, classifier: Any, autocast: torch.dtype | None
    ) -> None:
        """`classifier` is a LitClassifier whose trunk is frozen; `autocast` its trainer's dtype."""
        super().__init__(
            photographs.data_dir,
            use_augmentation=photographs.augmentation is not None,
            augmentation=photographs.augmentation or "standard",
            val_split=photographs.val_split,
            batch_size=photographs.batch_size,
            seed=photographs.seed,
            image_size=photographs.image_size,
            dataset=photographs.dataset,
            dtype=photographs.dtype,
            gpu_share=photographs.gpu_share,
            split_seed=photographs.split_seed,
        )
        self._autocast = autocast
        self._trunk = classifier.frozen_trunk
        self._digest = digest_of_trunk(self._trunk)

    def _batches(
        self,
        split: str,
        indices: np.ndarray,
        *,
        batch_size: int | None = None,
        augmentation: str | None = None,
        shuffle: bool = False,
        first_epoch: int = 0,
        **_: Any,
    ) -> Any:
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        source = Source(self.dataset, split, self.image_size, self._digest, self._autocast)
        views = [View()]
        if augmentation:
            views = [View(augmentation, number) for number in range(VIEWS)]
        return FeatureBatches(
            features(source, views, self._trunk, device),
            np.asarray(getattr(self.dataset, split).labels, dtype=np.int64),
            indices,
            batch_size=batch_size or EVALUATION_BATCH,
            device=device,
            seed=self.seed,
            shuffle=shuffle,
            first_epoch=first_epoch,
        )
