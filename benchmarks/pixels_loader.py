"""Images a second that a training loop is given: the pixels against ImageFolder and DataLoader.

python benchmarks/pixels_loader.py [--data ZIP_OR_FOLDER] [--image-size PX] [--images N]

Theirs is what a notebook does: torchvision's ImageFolder and transforms, a DataLoader with two
workers. Ours is CustomDataModule after its first epoch, when the photographs are decoded. Both
normalise; with augmentation both crop, flip and colour at random. One run, one table.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch.utils.data import DataLoader, Subset
from torchvision import transforms as T
from torchvision.datasets import ImageFolder

from cnnlib.augment import COLOUR, CROP_AREA, CROP_RATIO, MEAN, STD
from cnnlib.data import CustomDataModule
from cnnlib.dataset import find_dataset

BATCH = 64
SECONDS = 8.0  # at least, for each figure


def images_per_second(epochs: Iterable[Any], *, at_most: int | None = None) -> float:
    """Over whole epochs that take SECONDS together, or over `at_most` images."""
    count, began = 0, time.perf_counter()
    for epoch in epochs:
        for _, labels in epoch:
            count += len(labels)
            if at_most and count >= at_most:
                return count / (time.perf_counter() - began)
        if time.perf_counter() - began > SECONDS:
            break
    return count / (time.perf_counter() - began)


def theirs(train_dir: Path, size: int, augment: bool, num_images: int) -> DataLoader:
    """The study's way, with our ranges of augmentation."""
    steps: list[Any] = [T.Resize((size, size))]
    if augment:
        steps = [
            T.RandomResizedCrop(size, scale=CROP_AREA, ratio=CROP_RATIO),
            T.RandomHorizontalFlip(),
            T.ColorJitter(COLOUR, COLOUR, COLOUR),
        ]
    folder = ImageFolder(train_dir, T.Compose([*steps, T.ToTensor(), T.Normalize(MEAN, STD)]))
    chosen = torch.randperm(len(folder))[:num_images].tolist()
    return DataLoader(Subset(folder, chosen), BATCH, shuffle=True, num_workers=2)


def repeat(loader: Any) -> Iterable[Any]:
    while True:
        yield loader


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=64)
    flags.add_argument("--images", type=int, default=4000, help="photographs an epoch, at most")
    asked = flags.parse_args()
    torch.manual_seed(0)
    dataset = find_dataset(asked.data)
    print(f"{asked.data} at {asked.image_size} px, batches of {BATCH}, images per second")
    print(f"{'':14}{'ours':>10}{'theirs':>10}{'ratio':>8}")
    for augment in (False, True):
        data = CustomDataModule(
            dataset.train_dir,
            use_augmentation=augment,
            batch_size=BATCH,
            image_size=asked.image_size,
            dataset=dataset,
        )
        ours = data.train_dataloader()
        next(iter(ours))  # decodes and compiles, once per machine
        fast = images_per_second(repeat(ours))
        slow = images_per_second(
            repeat(theirs(dataset.train_dir, asked.image_size, augment, asked.images))
        )
        name = "augmented" if augment else "plain"
        print(f"{name:14}{fast:>10,.0f}{slow:>10,.0f}{fast / slow:>7.1f}x", flush=True)


if __name__ == "__main__":
    main()
