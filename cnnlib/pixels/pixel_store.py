"""Decoded photographs in the bucket, so that a machine of a cluster need not decode its own.

The driver has decoded them before the sweep begins, and puts them beside its sweeps once for all
sweeps of the same photographs, size and decoder.
"""

import json
import logging

from cnnlib.photos.dataset import Dataset
from cnnlib.pixels.pixels import checksum_of, describe, is_whole, place
from cnnlib.storage.buckets import Bucket
from cnnlib.storage.files import check_space
from cnnlib.system.redaction import without_secrets

FOLDER = ".pixels"  # in the storage; no sweep has a name that begins with a dot


def offer(dataset: Dataset, sides: tuple[int, ...], url: str) -> None:
    """Puts the training photographs at these sizes into the storage, unless they are there."""
    bucket = Bucket(url)
    there = bucket.files(FOLDER)
    for side in sides:
        path = place(dataset, "train", side)
        about = path.with_suffix(".json")
        if f"{FOLDER}/{about.name}" not in there:
            bucket.send(path, f"{FOLDER}/{path.name}")
            bucket.send(about, f"{FOLDER}/{about.name}")  # last: what it describes is whole


def take(dataset: Dataset, side: int, url: str) -> bool:
    """Brings them from the storage into this machine's cache; whether that worked."""
    path = place(dataset, "train", side)
    part = path.with_suffix(".fetched")
    try:
        bucket = Bucket(url)
        about = json.loads(bucket.content(f"{FOLDER}/{path.with_suffix('.json').name}"))
        check_space(url, path.parent, about["bytes"])
        bucket.fetch(f"{FOLDER}/{path.name}", part)
        if part.stat().st_size != about["bytes"] or checksum_of(part) != about["checksum"]:
            raise OSError(f"{path.name} is damaged")
        part.replace(path)
        describe(path, about["checksum"])
    except (OSError, ValueError, KeyError) as error:
        logging.getLogger(__name__).warning("%s: %s; decoding here", without_secrets(url), error)
        return False
    finally:
        part.unlink(missing_ok=True)
    return True


def is_here(dataset: Dataset, side: int) -> bool:
    """Whether this machine has the training photographs at this size."""
    return is_whole(place(dataset, "train", side))
