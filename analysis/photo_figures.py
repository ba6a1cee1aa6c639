"""Makes and saves the figures of photographs and of the champion's network."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from analysis.gallery import PHOTO_SIDE, WIDTH, saved_figure
from analysis.pictures import find_photo, plot_photo, square_photo
from analysis.predictions import ConfusedPair, confidence_shares
from analysis.style import BLUE, VERMILLION, note
from analysis.values import shortened

COLUMNS = 10
SIDE = WIDTH / COLUMNS  # of a photograph, in inches
NAMES = {True: "right", False: "wrong"}
LOOKS: dict[bool, dict[str, Any]] = {
    True: {"color": BLUE, "linestyle": "-"},
    False: {"color": VERMILLION, "linestyle": "--"},
}


def save_mistakes(mistakes: pd.DataFrame, folders: list[Path], path: Path) -> None:
    """The mistakes in a grid, the surest first."""
    rows = -(-len(mistakes) // COLUMNS)
    with saved_figure(path, 0.2 + rows * (SIDE + 0.34), photos=True) as figure:
        axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for ax, (_, row) in zip(axes, mistakes.iterrows(), strict=False):
            plot_photo(ax, square_photo(find_photo(row["file"], folders), PHOTO_SIDE), row)
        for ax in axes[len(mistakes) :]:
            ax.axis("off")


def save_pairs(pairs: list[ConfusedPair], folders: list[Path], path: Path) -> None:
    """Each pair side by side: what was taken for a class, and what the class looks like."""
    with saved_figure(path, 0.1 + SIDE * 1.6, photos=True) as figure:
        parts = figure.subfigures(1, 5, squeeze=False).ravel()
        for part, pair in zip(parts, pairs, strict=False):
            axes = part.subplots(1, 2)
            for ax, row in zip(axes, (pair.mistake, pair.typical), strict=True):
                plot_photo(ax, square_photo(find_photo(row["file"], folders), PHOTO_SIDE), row)
            part.supxlabel(
                f"{pair.count} of {pair.n} {shortened(pair.label, 18)}", fontsize=8, color="#57606a"
            )


def plot_confidence(ax: Axes, predictions: pd.DataFrame) -> None:
    """The share of right and of wrong predictions up to each confidence, as steps."""
    for correct, name in NAMES.items():
        values, shares = confidence_shares(predictions, correct)
        if len(values):
            x, y = np.r_[0, values, 1], np.r_[0, shares, 1]
            ax.step(
                x,
                y,
                where="post",
                linewidth=1.8,
                label=f"{name} (n = {len(values):,})",
                **LOOKS[correct],
            )
    if not ax.lines:
        note(ax, "no confidence is known")
        return
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence at most", ylabel="share of predictions")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.legend(loc="upper left")


def save_confidence(predictions: pd.DataFrame, path: Path) -> None:
    """Confidence of right and wrong predictions."""
    with saved_figure(path, 3.2, width=WIDTH * 0.62) as figure:
        plot_confidence(figure.add_subplot(), predictions)


def save_filters(filters: np.ndarray, path: Path) -> None:
    """The filters in a grid, numbered from 0, row by row."""
    columns = min(16, len(filters))
    rows = -(-len(filters) // columns)
    with saved_figure(path, 0.15 + rows * WIDTH / 16 * 1.02, photos=True) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for ax in axes:
            ax.axis("off")
        for ax, picture in zip(axes, filters, strict=False):
            ax.imshow(picture, interpolation="nearest")


def save_neurons(
    neurons: list, photographs: list[np.ndarray], labels: list[str], path: Path
) -> None:
    """Each neuron's photograph, with a ring where it looks from, beside its guided gradient."""
    rows = -(-len(neurons) // 5)
    with saved_figure(path, 0.1 + rows * (SIDE + 0.3), photos=True) as figure:
        axes = figure.subplots(rows, 10, squeeze=False).ravel()
        for ax in axes:
            ax.set(xticks=[], yticks=[])
            ax.axis("off")
        for number, neuron in enumerate(neurons):
            left, right = axes[2 * number], axes[2 * number + 1]
            photograph = photographs[number]
            left.imshow(photograph)
            side = len(photograph)
            x, y = (side * place - 0.5 for place in neuron.place)
            left.plot(x, y, "o", markersize=9, fillstyle="none", color="black", markeredgewidth=2.6)
            left.plot(x, y, "o", markersize=9, fillstyle="none", color="white", markeredgewidth=1.2)
            left.set_title(f"filter {neuron.filter}", fontsize=7.5)
            right.imshow(coloured(neuron.saliency))
            right.set_title(shortened(labels[number], 14), fontsize=7.5, color="#57606a")


def coloured(saliency: np.ndarray) -> np.ndarray:
    """Gradients of either sign as colours around grey, from 0 to 1."""
    scale = np.quantile(np.abs(saliency), 0.995) or 1.0
    return (0.5 + 0.5 * saliency / scale).clip(0, 1)
