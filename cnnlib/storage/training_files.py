"""The weights that a sweep keeps: the best and the last of each trial that may still need them."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from safetensors import safe_open

from cnnlib.storage.files import refuse_special

BEST = "best.safetensors"
LAST = "last.pt"


def epoch_of(weights: Path) -> int | None:
    """The epoch after which these weights were kept; None where an older version kept them.

    Raises OSError where the file is no whole safetensors file.
    """
    refuse_special(weights)
    try:
        with safe_open(weights, framework="np") as content:
            epoch = (content.metadata() or {}).get("epoch")
    except FileNotFoundError:
        raise
    except Exception as error:  # SafetensorError is an Exception only
        raise OSError(f"{weights} is torn or holds no weights: {error}") from None
    return int(epoch) if epoch and epoch.isdecimal() else None


class OtherEpochError(OSError):
    """Weights are whole, but of another epoch than the best that the journal knows."""


def check_epoch(weights: Path, epoch: int) -> None:
    """Raises OtherEpochError where these are not the weights of that epoch, if they can say it."""
    kept = epoch_of(weights)
    if kept not in (None, epoch):
        raise OtherEpochError(
            f"{weights} holds the weights of epoch {kept}, but the best epoch was {epoch}: another "
            "worker or driver has written over them"
        )


def is_trainings(name: str) -> bool:
    """Whether a file of this name is one that a training keeps, or has begun to write."""
    return name in (BEST, LAST) or name.endswith(".part")


def prune(folder: Path, is_needed: Callable[[str, str], bool]) -> None:
    """Deletes what trainings kept and nothing needs, asked by names of sub-folder and file.

    Files of others stay.
    """
    for inner in _names(folder):
        for name in _names(folder / inner):
            if is_trainings(name) and not is_needed(inner, name):
                with contextlib.suppress(OSError):
                    (folder / inner / name).unlink()
        with contextlib.suppress(OSError):  # it is not empty yet
            (folder / inner).rmdir()


def _names(folder: Path) -> list[str]:
    """What is in a folder; nothing where it is none, or goes or comes meanwhile."""
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
