"""Images a second that a training loop is given: the pixels against ImageFolder and DataLoader.

python benchmarks/pixels_loader.py [--data ZIP_OR_FOLDER] [--image-size PX] [--images N]

Theirs is what a notebook does: torchvision's ImageFolder and transforms, a DataLoader with two
workers. Ours is CustomDataModule after its first epoch, when the photographs are decoded, with as
many threads. Both normalise. "Crop and flip" takes random crops from photographs that are an eighth
larger; "full" resizes random crops, flips, turns, shifts and colours them.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from rows import HEAD, photographs, show
from torch.utils.data import DataLoader
from torchvision import transforms as T
from torchvision.datasets import ImageFolder

from cnnlib.pixels.augment import ANGLE, COLOUR, CROP_AREA, CROP_RATIO, MEAN, SHIFT, STD
from cnnlib.pixels.datamodule import CustomDataModule
from cnnlib.pixels.pixels import side_with_margin

BATCH = 64
WORKERS = 2
SECONDS = 8.0  # at least, for each figure
NAMES = {"light": "crop and flip", "strong": "full augmentation"}


def images_per_second(loader: Any) -> float:
    """Over whole epochs that take SECONDS together."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        count += sum(len(labels) for _, labels in loader)
    return count / (time.perf_counter() - began)


def operations(augmentation: str, size: int) -> list[Any]:
    """torchvision's operations that do what ours do."""
    if augmentation == "light":
        side = side_with_margin(size)
        return [T.Resize((side, side)), T.RandomCrop(size), T.RandomHorizontalFlip()]
    return [
        T.RandomResizedCrop(size, scale=CROP_AREA, ratio=CROP_RATIO),
        T.RandomHorizontalFlip(),
        T.RandomAffine(ANGLE, (SHIFT, SHIFT), interpolation=T.InterpolationMode.BILINEAR),
        T.ColorJitter(COLOUR, COLOUR, COLOUR),
    ]


def theirs(train_dir: Path, steps: Iterable[Any]) -> DataLoader:
    folder = ImageFolder(train_dir, T.Compose([*steps, T.ToTensor(), T.Normalize(MEAN, STD)]))
    return DataLoader(folder, BATCH, shuffle=True, num_workers=WORKERS)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=64)
    flags.add_argument("--images", type=int, default=2000, help="different files, at least")
    asked = flags.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(WORKERS)
    dataset = photographs(asked.data, asked.images)
    print(HEAD)
    for augmentation, name in NAMES.items():
        data = CustomDataModule(
            dataset.train_dir,
            use_augmentation=True,
            augmentation=augmentation,
            batch_size=BATCH,
            image_size=asked.image_size,
            dataset=dataset,
        )
        ours = data.train_dataloader()
        next(iter(ours))  # decodes and compiles, once per machine
        fast = images_per_second(ours)
        slow = images_per_second(
            theirs(dataset.train_dir, operations(augmentation, asked.image_size))
        )
        show(
            __file__,
            f"images/s, {asked.image_size} px, {name}",
            theirs=f"ImageFolder, DataLoader: {slow:,.0f}",
            ours=f"{fast:,.0f}",
            ratio=f"{fast / slow:.1f}x",
        )


if __name__ == "__main__":
    main()
