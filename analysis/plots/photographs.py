"""Pictures of photographs and filters: what the champion makes of them, and what it looks for."""

import os.path
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image, ImageOps

from analysis.plots.still import WIDTH, drawing, rendered
from analysis.plots.style import QUIET
from analysis.reading.predictions import ConfusedPair
from analysis.reading.values import is_missing, shortened
from cnnlib.pixels.upright import upright

if TYPE_CHECKING:
    from analysis.plots.network import Neuron

RIGHT = {"color": "#1b1f24", "mark": "✓"}
WRONG = {"color": "#c8102e", "mark": "✗"}
LABEL_LENGTH = 15
COLUMNS = 10
SIDE = WIDTH / COLUMNS  # of a photograph, in inches
PHOTO_SIDE = 160  # pixels


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
    middle: dict[str, Any] = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    if photo is None:
        ax.set_facecolor("#d8dee4")
        ax.text(0.5, 0.5, "photo\nnot found", color=QUIET, **middle)
    else:
        ax.imshow(photo, aspect="auto")
    ax.axis("on")
    ax.set(xticks=[], yticks=[], box_aspect=1)
    for spine in ax.spines.values():
        spine.set(visible=True, color=style["color"], linewidth=0.6 if correct else 3.5)
    if not is_missing(prediction["confidence"]):
        ax.text(
            0.93, 0.07, f"{prediction['confidence']:.0%}", transform=ax.transAxes, ha="right",
            va="bottom", fontsize=8, fontweight="bold", color="white",
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "#1b1f24", "edgecolor": "none"},
        )  # fmt: skip
    predicted = f"{style['mark']} {prediction['predicted']}"
    lines = [predicted, f"true: {prediction['label']}"] if not correct else ["", predicted]
    ax.set_title(
        "\n".join(shortened(line, LABEL_LENGTH) for line in lines), fontsize=7.5, loc="left",
        color=style["color"], pad=5, linespacing=1.25,
    )  # fmt: skip


def thumbnail(path: Path | None) -> Image.Image | None:
    """The middle square of a photograph; None where it is gone or broken."""
    photo = square_photo(path, PHOTO_SIDE)
    return None if photo is None else Image.fromarray(photo)


def grid_picture(table: pd.DataFrame, folders: list[Path]) -> Image.Image:
    """Photographs in a grid, row by row."""
    with _grid(-(-len(table) // COLUMNS), COLUMNS) as (figure, axes):
        _photos(axes, table, folders)
        return rendered(figure)


def pairs_picture(pairs: list[ConfusedPair], folders: list[Path]) -> Image.Image:
    """Each pair side by side: what was taken for a class, and what the class looks like."""
    with drawing((WIDTH, 0.1 + SIDE * 1.6)) as figure:
        parts = figure.subfigures(1, 5, squeeze=False).ravel()
        for part, pair in zip(parts, pairs, strict=False):
            rows = pd.DataFrame([pair.mistake, pair.typical])
            _photos(part.subplots(1, 2), rows, folders)
            text = f"{pair.count} of {pair.n} {shortened(pair.label, 18)}"
            part.supxlabel(text, fontsize=8, color=QUIET)
        return rendered(figure)


def filters_picture(filters: np.ndarray) -> Image.Image:
    """The filters in a grid, numbered from 0, row by row."""
    columns = min(16, len(filters))
    with _grid(-(-len(filters) // columns), columns, WIDTH / 16 * 1.02) as (figure, axes):
        for ax, picture in zip(axes, filters, strict=False):
            ax.imshow(picture, interpolation="nearest")
        return rendered(figure)


def neurons_picture(
    neurons: Sequence["Neuron"], photographs: Sequence[np.ndarray], labels: Sequence[str]
) -> Image.Image:
    """Each neuron's photograph, with a ring where it looks from, beside its guided gradient."""
    with _grid(-(-len(neurons) // 5), 10, SIDE + 0.3) as (figure, axes):
        for number, neuron in enumerate(neurons):
            left, right = axes[2 * number], axes[2 * number + 1]
            left.imshow(photographs[number])
            x, y = (len(photographs[number]) * place - 0.5 for place in neuron.place)
            for colour, width in (("black", 2.6), ("white", 1.2)):
                ring: dict[str, Any] = {"color": colour, "markeredgewidth": width}
                left.plot(x, y, "o", markersize=9, fillstyle="none", **ring)
            left.set_title(f"filter {neuron.filter}", fontsize=7.5)
            right.imshow(coloured(neuron.saliency))
            title = shortened(labels[number], 14)
            right.set_title(title, fontsize=7.5, color=QUIET)
        return rendered(figure)


def coloured(saliency: np.ndarray) -> np.ndarray:
    """Gradients of either sign as colours around grey, from 0 to 1."""
    scale = np.quantile(np.abs(saliency), 0.995) or 1.0
    return (0.5 + 0.5 * saliency / scale).clip(0, 1)


@contextmanager
def _grid(
    rows: int, columns: int, height: float = SIDE + 0.34
) -> Iterator[tuple[Figure, np.ndarray]]:
    """A figure of so many empty Axes, row by row."""
    with drawing((WIDTH, 0.2 + rows * height)) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax in axes:
            ax.set(xticks=[], yticks=[])
            ax.axis("off")
        yield figure, axes


def _photos(axes: Iterable[Axes], predictions: pd.DataFrame, folders: list[Path]) -> None:
    for ax, (_, row) in zip(axes, predictions.iterrows(), strict=False):
        plot_photo(ax, square_photo(find_photo(row["file"], folders), PHOTO_SIDE), row)
