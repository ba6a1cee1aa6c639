"""Plots of images: test photographs with what the champion makes of them."""

import os.path
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import ImageOps

from analysis.values import is_missing, shortened
from cnnlib.upright import upright

RIGHT = {"color": "#1b1f24", "mark": "✓"}
WRONG = {"color": "#c8102e", "mark": "✗"}
LABEL_LENGTH = 15


def find_photo(file: str, folders: Iterable[Path]) -> Path | None:
    """The photograph at that path, as given or below one of the folders; None if it is gone."""
    candidates = [Path(file), *(folder / file for folder in folders)]
    return next((path for path in candidates if os.path.isfile(path)), None)


def square_photo(path: Path | None, side: int) -> np.ndarray | None:
    """The middle square of a photograph the right way up, uint8 (side, side, 3); None if broken."""
    if path is None:
        return None
    try:
        return np.asarray(ImageOps.fit(upright(path.read_bytes(), side=2 * side), (side, side)))
    except Exception:  # decoders raise anything; the report says that it is not there
        return None


def plot_photo(ax: Axes, photo: np.ndarray | None, prediction: pd.Series) -> None:
    """One photograph; a wrong prediction has a thick red frame and a cross, a right one a tick."""
    correct = prediction["label"] == prediction["predicted"]
    style = RIGHT if correct else WRONG
    if photo is None:
        ax.set_facecolor("#d8dee4")
        ax.text(
            0.5,
            0.5,
            "photo\nnot found",
            transform=ax.transAxes,
            ha="center",
            va="center",
            color="#57606a",
        )
    else:
        ax.imshow(photo, aspect="auto")
    ax.set(xticks=[], yticks=[], box_aspect=1)
    for spine in ax.spines.values():
        spine.set(visible=True, color=style["color"], linewidth=0.6 if correct else 3.5)
    if not is_missing(prediction["confidence"]):
        ax.text(
            0.93,
            0.07,
            f"{prediction['confidence']:.0%}",
            transform=ax.transAxes,
            ha="right",
            va="bottom",
            fontsize=8,
            fontweight="bold",
            color="white",
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "#1b1f24", "edgecolor": "none"},
        )
    predicted = f"{style['mark']} {prediction['predicted']}"
    lines = [predicted, f"true: {prediction['label']}"] if not correct else ["", predicted]
    ax.set_title(
        "\n".join(shortened(line, LABEL_LENGTH) for line in lines),
        fontsize=7.5,
        loc="left",
        color=style["color"],
        pad=5,
        linespacing=1.25,
    )
