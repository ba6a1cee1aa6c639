"""Features of a frozen trunk: computed once per machine, kept as a memory map, shared by trials.

What is kept is a file for each view of the photographs: the plain one, and some augmented ones. Its
name holds the digests of the weights and of the photographs, the size, the view and the precision.
A build that was killed goes on where it was; beside a whole file stands what tells that it is.
"""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from cnnlib.photos.dataset import Dataset
from cnnlib.pixels.datamodule import Batches, evaluation_batch
from cnnlib.pixels.decode import DECODER
from cnnlib.pixels.kept import Part, is_whole
from cnnlib.pixels.pixels import pixels, side_with_margin
from cnnlib.storage.files import check_space, exclusive, sync, text_digest
from cnnlib.system.progress import Progress
from cnnlib.system.surroundings import cache_folder

VIEWS = 4  # augmented ones of each training photograph, from which every epoch draws
ROWS = 512  # photographs after which a build can go on when it was killed
VERSION = 2  # of how features are computed from photographs and weights
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class View:
    """How photographs are seen: as they are, or by one drawing of an augmentation."""

    augmentation: str | None = None
    number: int = 0  # of the drawing; its seed

    def __str__(self) -> str:
        return f"{self.augmentation}{self.number}" if self.augmentation else "plain"


@dataclass(frozen=True)
class Source:
    """What features are computed from."""

    dataset: Dataset
    split: str  # 'train' or 'test'
    image_size: int
    trunk: str  # a digest of all that the trunk computes with
    autocast: torch.dtype | None = None  # that it computes in, where not in float32

    def place(self, view: View) -> Path:
        """Where this machine keeps them."""
        dtype = str(self.autocast or torch.float32).rpartition(".")[2]
        said = f"{self.dataset.levels.key}-{DECODER}-{dtype}-{self.trunk}-{VERSION}"
        name = f"{self.dataset.fingerprint}-{self.split}-{self.image_size}px-{view}"
        return cache_folder("features") / f"{name}-{text_digest(said)[:16]}.npy"


def digest_of_trunk(trunk: nn.Module) -> str:
    """A name of what a trunk computes: its parts and their tensors."""
    told = hashlib.blake2b(repr(trunk).encode(), digest_size=16)
    for name, tensor in trunk.state_dict().items():
        told.update(name.encode())
        told.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return told.hexdigest()


def features(
    source: Source, views: Sequence[View], trunk: nn.Module, device: torch.device
) -> list[np.ndarray]:
    """The features of all photographs in each view, (N, num_features) float32, read-only.

    Each is computed on the first call on this machine: who comes later computes what nobody is at
    yet, and waits for the rest. Raises OSError where the disk is full.
    """
    for wait in (False, True):
        for view in views:
            path = source.place(view)
            if is_whole(path):
                continue
            with exclusive(path, wait=wait) as ours:
                if ours and not is_whole(path):
                    _build(path, source, view, trunk, device)
    return [np.load(source.place(view), mmap_mode="r") for view in views]


def _build(path: Path, source: Source, view: View, trunk: nn.Module, device: torch.device) -> None:
    """Computes into a part file, chunk by chunk, and notes how many rows are on the disk."""
    num = len(getattr(source.dataset, source.split).files)
    width = _width(trunk, source.image_size)
    what = f"features of {num:,} photographs ({source.split}, {view}, {source.image_size} px)"
    log.info("computing %s", what)
    part = Part(path, (num, width))
    check_space(what, path.parent, num * width * 4)
    done = part.begin()
    mode = "r+" if done else "w+"
    array = np.lib.format.open_memmap(part.file, mode, np.float32, (num, width))
    with Progress(f"computing {what}", num, "photo", done=done) as progress:
        for values in _chunks(source, view, trunk, device, first=done):
            array[done : done + len(values)] = values
            array.flush()
            done += len(values)
            part.note(done)
            progress.update(len(values))
    del array
    sync(part.file)
    part.finish()


def _width(trunk: nn.Module, image_size: int) -> int:
    first = next(trunk.parameters())
    with torch.inference_mode():
        image = torch.zeros(1, 3, image_size, image_size, device=first.device)
        return int(trunk.eval()(image).shape[1])


def _chunks(
    source: Source, view: View, trunk: nn.Module, device: torch.device, *, first: int
) -> Iterator[np.ndarray]:
    """Features of photographs from number `first` on, ROWS at a time.

    How a photograph is seen follows from its chunk and the view, so a build can go on anywhere.
    """
    size = source.image_size
    split = getattr(source.dataset, source.split)
    side = side_with_margin(size) if view.augmentation else size
    images = pixels(source.dataset, source.split, side)
    labels = np.asarray(split.labels, dtype=np.int64)
    layout = torch.channels_last  # on a CPU a third faster for convolutions without autocast
    trunk = trunk.to(device, memory_format=layout).eval()  # type: ignore[call-overload]
    for start in range(first, len(split.files), ROWS):
        batches = Batches(
            images,
            labels,
            np.arange(start, min(start + ROWS, len(split.files))),
            image_size=size,
            batch_size=evaluation_batch(size, device.type),
            device=device,
            seed=view.number,
            augmentation=view.augmentation,
            first_epoch=start,
        )
        with (
            torch.inference_mode(),
            torch.autocast(device.type, source.autocast, enabled=source.autocast is not None),
        ):
            found: list[Tensor] = [
                trunk(batch.contiguous(memory_format=layout)).float().cpu() for batch, _ in batches
            ]
        yield torch.cat(found).numpy()
