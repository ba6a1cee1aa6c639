"""What a trained network makes of photographs that belong to no data set."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from cnnlib.champion.champion import Champion
from cnnlib.champion.torch_export import PROGRAM, Probabilities
from cnnlib.networks.families import Written
from cnnlib.networks.layout import safe_layout
from cnnlib.networks.saved_files import check_pair
from cnnlib.networks.summary import scorer
from cnnlib.photos.folders import is_regular, walk
from cnnlib.photos.levels import Levels
from cnnlib.photos.unreadable import UnreadableError
from cnnlib.pixels.augment import shown, whole
from cnnlib.pixels.datamodule import evaluation_batch
from cnnlib.pixels.decode import decode, without_warnings
from cnnlib.system.limits import cores
from cnnlib.system.progress import Progress

GUESSES = ("predicted", "second", "third")


def find_photos(places: Iterable[str | Path]) -> list[Path]:
    """The files named, and what is visible below the folders named, sorted within each."""
    found: list[Path] = []
    for place in map(Path, places):
        if place.is_dir():
            found += sorted(path for path, state in walk(place) if is_regular(state))
        else:
            found.append(place)
    return found


def predict(champion: Champion, files: Sequence[Path]) -> tuple[pd.DataFrame, dict[Path, str]]:
    """The likeliest classes of each photograph, and the files without one, each with its reason.

    Photographs are seen as in training. Columns are file, the GUESSES, as many as there are
    classes, and `<guess>_confidence` of each, from 0 to 1.
    """
    probabilities, layout = _network(champion), safe_layout(champion.family)
    parts: list[pd.DataFrame] = []  # a row a photograph, as dictionaries of a million fill memory
    unreadable: dict[Path, str] = {}
    for batch in _decoded(files, champion.image_size, champion.levels):
        unreadable |= {file: found for file, found in batch.items() if isinstance(found, str)}
        seen = {file: found for file, found in batch.items() if not isinstance(found, str)}
        if not seen:
            continue
        pixels = torch.from_numpy(np.stack(list(seen.values())))
        images = shown(pixels, whole(len(pixels)), champion.image_size)
        with torch.no_grad():
            found = probabilities(images.contiguous(memory_format=layout))
        is_finite = found.isfinite().all(1)
        for file, is_one in zip(seen, is_finite.tolist(), strict=True):
            if not is_one:  # argmax would make it the first class
                unreadable[file] = "the network has no finite outputs for it"
        files_of = [file for file in seen if file not in unreadable]
        parts.append(_table(files_of, found[is_finite], champion.classes))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(), unreadable


def _network(champion: Champion) -> Callable[[Tensor], Tensor]:
    """Probabilities of images of 0 to 1; of a user's own network that is not at hand model.pt2's.

    Nothing that the folder names is imported.
    """
    exported = champion.folder / PROGRAM
    if isinstance(champion.family.code, Written) and exported.is_file():
        check_pair(champion.folder, champion.weights)
        return torch.export.load(exported).module()
    return Probabilities(scorer(champion.model())).eval()


def _decoded(
    files: Sequence[Path], image_size: int, levels: Levels
) -> Iterator[dict[Path, np.ndarray | str]]:
    """The pixels of each file, or why it has none, some files at a time."""

    def pixels(file: Path) -> np.ndarray | str:
        try:
            return decode(file, image_size, levels)
        except UnreadableError as error:
            return str(error)

    at_once = max(evaluation_batch(image_size, "cpu"), cores())
    progress = Progress("predicting", len(files), "photo")
    with progress, without_warnings(), ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(files), at_once):
            some = files[start : start + at_once]
            yield dict(zip(some, pool.map(pixels, some), strict=True))
            progress.update(len(some))


def _table(files: Sequence[Path], probabilities: Tensor, classes: Sequence[str]) -> pd.DataFrame:
    # A name that is not UTF-8 cannot be printed as it is.
    columns: dict[str, Any] = {
        "file": [os.fsencode(file).decode(errors="replace") for file in files]
    }
    best = probabilities.topk(min(len(GUESSES), len(classes)), dim=1)
    for guess, shares, indices in zip(GUESSES, best.values.T, best.indices.T, strict=False):
        columns[guess] = [classes[index] for index in indices.tolist()]
        columns[f"{guess}_confidence"] = shares.double().numpy()
    return pd.DataFrame(columns)
