"""Parallel coordinates: an axis per hyperparameter, a line per trial.

The axes lie one below the other, so that names and values are written level and any number of
hyperparameters stays legible.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

from analysis.values import NOT_LOGGED, Scale, is_missing, scale_of, shortened, shown

COLOURS = "viridis_r"  # dark is good, and pale lines recede
MISSING_AT = 1.08
LABEL_LENGTH = 16
CHARACTER = 0.0085  # of an axis, for a tick's label
BOX = {"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}


def plot_parallel(
    ax: Axes, trials: pd.DataFrame, names: Sequence[str], *, highlight: str | None = None
) -> None:
    """A line per trial with an accuracy through its values of `names`, ending at its val_acc.

    The worst lie below, the best on top; `highlight` is thick, dark and has its values written.
    The axis of val_acc is the scale of the colours.
    """
    table = trials[trials["val_acc"].notna()].sort_values("val_acc", kind="stable")
    scales = {name: scale_of(table[name]) for name in names}
    scales["val_acc"] = scale_of(table["val_acc"])
    places = places_of(scales)
    colours = _colours(table["val_acc"])
    y = -np.arange(len(scales))
    is_thick = (table["trial_id"] == highlight).to_numpy()
    thin = LineCollection(
        [np.column_stack([row, y]) for row in places.to_numpy(float)[~is_thick]],
        colors=colours.to_rgba(table.loc[~is_thick, "val_acc"]),
        linewidths=1.1,
        alpha=0.75,
        zorder=2,
        capstyle="round",
        joinstyle="round",
    )
    ax.add_collection(thin)
    for index in table.index[is_thick]:
        ax.plot(
            places.loc[index], y, color="#111111", linewidth=3, zorder=5,
            solid_capstyle="round", solid_joinstyle="round",
        )  # fmt: skip
        _write_values(ax, table.loc[index], places.loc[index])
    _draw_axes(ax, scales, missing=bool((places == MISSING_AT).to_numpy().any()))
    if table["val_acc"].nunique() > 1:
        _draw_colour_scale(ax, colours, -len(names))


def _colours(accuracies: pd.Series) -> ScalarMappable:
    low, high = accuracies.min(), accuracies.max()
    if not high > low:
        low, high = low - 1, high + 1
    return ScalarMappable(Normalize(low, high), COLOURS)


def places_of(scales: dict[str, Scale]) -> pd.DataFrame:
    """Per trial and axis, 0 to 1; shared values with a little jitter, unknown ones at the end."""
    random = np.random.default_rng(0)
    columns = {}
    for name, scale in scales.items():
        jitter = scale.is_shared and name != "val_acc"
        shift = random.uniform(-0.016, 0.016, len(scale.positions)) if jitter else 0
        columns[name] = (scale.positions + shift).fillna(MISSING_AT)
    return pd.DataFrame(columns)


def _write_values(ax: Axes, trial: pd.Series, row: pd.Series) -> None:
    for number, name in enumerate(row.index):
        if is_missing(trial[name]):
            continue
        text = shortened(shown(trial[name], 3), 24)
        ax.annotate(
            text,
            (row[name], -number),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=8.5,
            fontweight="bold",
            zorder=7,
            bbox=BOX,
        )


def _draw_axes(ax: Axes, scales: dict[str, Scale], *, missing: bool) -> None:
    for number, (name, scale) in enumerate(scales.items()):
        ax.hlines(-number, 0, 1, color="#8c959f", linewidth=1, zorder=3)
        last = number == len(scales) - 1
        for place, text in apart(scale.ticks):
            ax.annotate(
                text,
                (place, -number),
                xytext=(0, -14 if last else -4),
                fontsize=7.5,
                textcoords="offset points",
                ha="center",
                va="top",
                color="#3d444d",
                zorder=6,
                bbox=BOX,
            )
        ax.annotate(
            name,
            (-0.035, -number),
            ha="right",
            va="center",
            fontsize=9,
            annotation_clip=False,
            fontweight="bold" if last else "normal",
        )
    if missing:
        ax.annotate(
            NOT_LOGGED,
            (MISSING_AT, 0),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7.5,
            color="#57606a",
        )
    longest = max(len(name) for name in scales)
    ax.set_xlim(-0.05 - 0.0115 * longest, MISSING_AT + 0.05 if missing else 1.05)
    ax.set_ylim(0.55 - len(scales) - 0.25, 0.4)
    ax.axis("off")


def apart(
    ticks: Sequence[tuple[float, str]], character: float = CHARACTER
) -> list[tuple[float, str]]:
    """The ticks, shortened, without those whose labels would overlap; both ends come first."""
    kept: list[tuple[float, str]] = []
    for place, text in [*ticks[-1:], *ticks[:-1]]:
        label = shortened(text, LABEL_LENGTH)
        if all(
            abs(place - other) > character * (len(label) + len(word)) / 2 + 0.008
            for other, word in kept
        ):
            kept.append((place, label))
    return kept


def _draw_colour_scale(ax: Axes, colours: ScalarMappable, y: float) -> None:
    image = np.linspace(0, 1, 256)[None, :]
    limits = ax.get_xlim(), ax.get_ylim()
    ax.imshow(image, cmap=COLOURS, extent=(0, 1, y - 0.2, y - 0.07), aspect="auto", zorder=4)
    ax.set(xlim=limits[0], ylim=limits[1])
