"""The photographs of a data set as one array of pixels, decoded once per machine.

The array is a memory map in the cache folder, shared by all trials of the machine through the page
cache. Its name holds the fingerprint of the files, the size and the decoder; a small file beside it
says how to tell whether it is whole. Decoding that is killed goes on where it was.

On a cluster the driver puts the training photographs beside its sweeps in the bucket, once for all
sweeps of them, so that a machine need not decode its own.
"""

import json
import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from cnnlib.photos.dataset import Dataset
from cnnlib.photos.levels import Levels
from cnnlib.photos.unreadable import Complaint, UnreadableError, refusal
from cnnlib.pixels.decode import DECODER, decode, without_warnings
from cnnlib.pixels.kept import Part, checksum_of, describe, is_whole
from cnnlib.storage.buckets import Bucket
from cnnlib.storage.files import check_space, exclusive
from cnnlib.system.limits import cores
from cnnlib.system.progress import Progress
from cnnlib.system.redaction import without_secrets
from cnnlib.system.surroundings import cache_folder

CHUNK = 1 << 20  # bytes of pixels that a thread decodes and writes at once
NOTED = 5.0  # seconds after which a build notes how far it is
IN_STORAGE = ".pixels"  # a folder; no sweep has a name that begins with a dot
log = logging.getLogger(__name__)


def side_with_margin(image_size: int) -> int:
    """The side at which photographs are kept that random crops of `image_size` are taken from."""
    return image_size + image_size // 8


def pixels(
    dataset: Dataset, split: str, image_size: int, *, thoroughly: bool = False
) -> np.ndarray:
    """The photographs of 'train' or 'test', (N, image_size, image_size, 3) uint8, read-only.

    Decoded on the first call on this machine, and again where what was kept is damaged: what its
    size and time do not tell is noticed where it is looked at `thoroughly`. Raises ValueError that
    names photographs that cannot be decoded, and OSError where the disk is full.
    """
    files = getattr(dataset, split).files
    path = place(dataset, split, image_size)
    if not is_whole(path, thoroughly=thoroughly):
        with exclusive(path):
            if not is_whole(path, thoroughly=thoroughly):
                _build(path, files, image_size, dataset.levels)
    array = np.load(path, mmap_mode="r")
    assert array.shape == (len(files), image_size, image_size, 3), (path, array.shape)
    return array


def place(dataset: Dataset, split: str, side: int) -> Path:
    """Where this machine keeps the pixels."""
    name = f"{dataset.fingerprint}-{split}-{side}px{dataset.levels.key}-{DECODER}.npy"
    return cache_folder("pixels") / name


def sizes_of(image_size: int, *, augmented: bool) -> tuple[int, ...]:
    """The sizes at which training photographs are asked for."""
    return (image_size, side_with_margin(image_size)) if augmented else (image_size,)


def decode_ahead(dataset: Dataset, image_size: int, *, augmented: bool, test: bool = True) -> None:
    """Decodes what trials and the test will ask for, so that faults are found before they start.

    What was kept is read through: at some GB a second, and trials find it in memory.
    """
    for side in sizes_of(image_size, augmented=augmented):
        pixels(dataset, "train", side, thoroughly=True)
    if test and dataset.test:
        pixels(dataset, "test", image_size, thoroughly=True)


def _build(path: Path, files: Sequence[Path], image_size: int, levels: Levels) -> None:
    """Decodes all files into `path`, which appears only when it is complete.

    What ends before, killed or not, leaves a part file, and a note of how many are on the disk.
    """
    log.info("decoding %d photographs to %d px", len(files), image_size)
    shape = (len(files), image_size, image_size, 3)
    purpose = f"decoding {len(files):,} photographs to {image_size} px"
    part = Part(path, shape)
    reserved = part.file.stat().st_blocks * 512 if part.file.exists() else 0
    check_space(purpose, path.parent, math.prod(shape) - reserved)
    done = part.begin()
    with open(part.file, "r+b" if done else "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        disk, start = file.fileno(), file.tell()
        try:
            os.posix_fallocate(disk, start, math.prod(shape))  # raises where the disk is full
        except OSError:
            part.discard()
            raise
        broken: list[Complaint] = []
        noted = time.monotonic()
        for number, found in _decode_all(files[done:], image_size, levels, disk, start, done):
            broken += found
            done += number
            if not broken and time.monotonic() - noted > NOTED:
                os.fdatasync(disk)  # before the note, which a power cut may leave
                part.note(done)
                noted = time.monotonic()
        os.fsync(disk)
    if broken:
        part.discard()
        raise refusal(broken, "photograph", "cannot be decoded")
    part.finish()


def _decode_all(
    files: Sequence[Path], image_size: int, levels: Levels, disk: int, start: int, before: int
) -> Iterator[tuple[int, list[Complaint]]]:
    """Writes them to a file behind its `start` bytes and the photographs `before` them, in order.

    Of some at a time how many they are, and what of them cannot be decoded, and why.
    """

    num = max(1, CHUNK // (3 * image_size**2))  # photographs

    def decode_chunk(first: int) -> tuple[int, list[Complaint]]:
        chunk, broken = files[first : first + num], []
        array = np.empty((len(chunk), image_size, image_size, 3), np.uint8)
        for index, file in enumerate(chunk):
            try:
                array[index] = decode(file, image_size, levels)
            except UnreadableError as error:
                broken.append(Complaint(str(file), error))
        written = os.pwrite(disk, array.data, start + (before + first) * array[0].nbytes)
        assert written == array.nbytes  # the space is reserved
        return len(chunk), broken

    total = before + len(files)
    progress = Progress(f"decoding to {image_size} px", total, "photo", done=before)
    # Both decoders let go of Python's lock.
    with progress, without_warnings(), ThreadPoolExecutor(cores()) as pool:
        for number, broken in pool.map(decode_chunk, range(0, len(files), num)):
            yield number, broken
            progress.update(number)


def send_pixels(dataset: Dataset, sizes: tuple[int, ...], url: str) -> None:
    """Puts the training photographs at these sizes into the storage, unless they are there."""
    bucket = Bucket(url)
    there = bucket.files(IN_STORAGE)
    for side in sizes:
        path = place(dataset, "train", side)
        facts = path.with_suffix(".json")
        if f"{IN_STORAGE}/{facts.name}" not in there:
            bucket.send(path, f"{IN_STORAGE}/{path.name}")
            bucket.send(facts, f"{IN_STORAGE}/{facts.name}")  # last: what it describes is whole


def fetch_pixels(dataset: Dataset, side: int, url: str) -> bool:
    """Brings them from the storage into this machine's cache; whether that worked."""
    path = place(dataset, "train", side)
    part = path.with_suffix(".fetched")
    try:
        bucket = Bucket(url)
        facts = json.loads(bucket.content(f"{IN_STORAGE}/{path.with_suffix('.json').name}"))
        check_space(url, path.parent, facts["bytes"])
        bucket.fetch(f"{IN_STORAGE}/{path.name}", part)
        if part.stat().st_size != facts["bytes"] or checksum_of(part) != facts["checksum"]:
            raise OSError(f"{path.name} is damaged")
        part.replace(path)
        describe(path, facts["checksum"])
    except (OSError, ValueError, KeyError) as error:
        log.warning("%s: %s; decoding here", without_secrets(url), error)
        return False
    finally:
        part.unlink(missing_ok=True)
    return True


def has_pixels(dataset: Dataset, side: int) -> bool:
    """Whether this machine has the training photographs at this size."""
    return is_whole(place(dataset, "train", side))
