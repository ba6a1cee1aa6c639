"""Photographs decoded a second, once per machine: our pixels against Pillow and Resize.

python benchmarks/pixels_build.py [--data ZIP_OR_FOLDER] [--image-size PX] [--images N]

Both decode the same files into one array on disk, with a thread for each core. Theirs opens each
file with Pillow, as ImageFolder does, and resizes it with torchvision. The two take turns; medians
of the rounds are compared.
"""

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from rows import HEAD, photographs, show
from torchvision import transforms as T
from torchvision.datasets.folder import pil_loader

from cnnlib.photos.dataset import Dataset
from cnnlib.pixels import pixels
from cnnlib.system.limits import cores

CORES = cores()


def ours(dataset: Dataset, size: int, folder: Path) -> float:
    """Seconds until the pixels are ready to train on."""
    began = time.perf_counter()
    pixels._build(folder / "ours.npy", dataset.train.files, size, dataset.levels)
    return time.perf_counter() - began


def theirs(dataset: Dataset, size: int, folder: Path) -> float:
    files, resize = dataset.train.files, T.Resize((size, size))
    began = time.perf_counter()
    array = np.lib.format.open_memmap(
        folder / "theirs.npy", mode="w+", dtype=np.uint8, shape=(len(files), size, size, 3)
    )

    def decode(index: int) -> None:
        array[index] = np.asarray(resize(pil_loader(files[index])))

    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(decode, range(len(files)), chunksize=64))
    array.flush()
    return time.perf_counter() - began


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=64)
    flags.add_argument("--images", type=int, default=2000, help="different files, at least")
    flags.add_argument("--rounds", type=int, default=3)
    asked = flags.parse_args()
    dataset = photographs(asked.data, asked.images)
    with tempfile.TemporaryDirectory() as folder:
        ours(dataset, asked.image_size, Path(folder))  # compiles, fills the page cache
        pairs = []
        for _ in range(asked.rounds):
            pair = [f(dataset, asked.image_size, Path(folder)) for f in (ours, theirs)]
            pairs.append([len(dataset.train.files) / seconds for seconds in pair])
    fast, slow = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    print(HEAD)
    show(
        __file__,
        f"images/s decoded to {asked.image_size} px, {CORES} cores",
        theirs=f"Pillow and Resize: {slow:,.0f}",
        ours=f"{fast:,.0f}",
        ratio=f"{statistics.median(a / b for a, b in pairs):.1f}x",
    )


if __name__ == "__main__":
    main()
