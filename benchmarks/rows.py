"""What all benchmarks share: their rows, which make one table, and photographs to measure on."""

import hashlib
import shutil
from itertools import cycle
from pathlib import Path

from cnnlib.photos.dataset import Dataset, read_folder
from cnnlib.photos.sources import find_dataset
from cnnlib.system.surroundings import cache_folder

HEAD = "| script | what | theirs | ours | ratio |\n|---|---|---|---|---|"
START = "| `"


def show(script: str, what: str, *, theirs: str, ours: str, ratio: str) -> None:
    print(f"{START}{Path(script).name}` | {what} | {theirs} | {ours} | {ratio} |", flush=True)


def photographs(data: str, at_least: int = 0) -> Dataset:
    """A data set; where it has too few photographs, with copies that differ in their bytes.

    A comment is put into each copy, so that no file is another one.
    """
    dataset = find_dataset(data)
    files = dataset.train.files
    if len(files) >= at_least:
        return dataset
    folder = cache_folder() / "benchmarks" / f"{dataset.fingerprint}-{at_least}" / "train"
    if not folder.exists():
        part = folder.with_name("train.part")
        shutil.rmtree(part, ignore_errors=True)
        for number, file in zip(range(at_least), cycle(files), strict=False):
            copy = part / file.parent.name / f"{number:05d}{file.suffix}"
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(_with_comment(file.read_bytes(), str(number)))
        part.rename(folder)
    return read_folder(folder)


def _with_comment(photograph: bytes, comment: str) -> bytes:
    text = hashlib.sha256(comment.encode()).hexdigest().encode()
    if not photograph.startswith(b"\xff\xd8"):
        return photograph + text
    return photograph[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2) + text + photograph[2:]
