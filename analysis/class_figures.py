"""Plots of what the test says about classes, each from one table on one Axes."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from analysis.style import BLACK, SKY
from analysis.values import shortened


def plot_confusion(ax: Axes, counts: pd.DataFrame) -> None:
    """Counts by true (row) and predicted class, shaded by their share of the row."""
    shares = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0).fillna(0).to_numpy()
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    size = len(counts)
    if size <= 20:
        for (row, column), count in np.ndenumerate(counts.to_numpy()):
            ax.text(
                column,
                row,
                str(count),
                ha="center",
                va="center",
                fontsize=8 if size <= 12 else 6.5,
                color="white" if shares[row, column] > 0.55 else "#1b1f24",
            )
    names = [shortened(name, 22) for name in counts.index]
    font = 8 if size <= 40 else 6.2
    slant: dict[str, Any] = {"rotation": 90}
    if size <= 20:
        slant = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    ax.set_xticks(range(size), names, fontsize=font, **slant)
    ax.set_yticks(range(size), names, fontsize=font)
    ax.set(
        xlabel="predicted class",
        ylabel="true class",
        title=f"n = {int(counts.to_numpy().sum())} test photographs",
    )
    ax.grid(visible=False)
    ax.tick_params(length=0)


def plot_recalls(ax: Axes, recalls: pd.DataFrame) -> None:
    """Recall of each class as a bar with its 95% interval, and n beside the name."""
    y = np.arange(len(recalls))
    recall = recalls["recall"].fillna(0)
    ax.barh(y, recall, color=SKY, height=0.7)
    known = recalls["n"] > 0
    ax.errorbar(
        recall[known],
        y[known],
        fmt="none",
        ecolor=BLACK,
        elinewidth=1,
        capsize=2,
        xerr=[
            (recall - recalls["low"]).clip(lower=0)[known],
            (recalls["high"] - recall).clip(lower=0)[known],
        ],
    )
    small = len(recalls) > 30
    names = [f"{shortened(row.label, 24)} (n = {row.n})" for row in recalls.itertuples()]
    ax.set_yticks(y, names, fontsize=6.5 if small else 9)
    ax.set(
        xlabel="recall: share of the class that was recognised, with 95% interval",
        ylabel="true class",
        xlim=(0, 1),
        ylim=(len(recalls) - 0.4, -0.6),
    )
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(visible=False, axis="y")


def plot_calibration(ax: Axes, bins: pd.DataFrame) -> None:
    """Accuracy against confidence, a dot a bin with its 95% interval, and the line of equality."""
    ax.plot([0, 1], [0, 1], color="#6e7781", linestyle="--", linewidth=1)
    ax.errorbar(
        bins["confidence"],
        bins["accuracy"],
        yerr=[
            (bins["accuracy"] - bins["low"]).clip(lower=0),
            (bins["high"] - bins["accuracy"]).clip(lower=0),
        ],
        fmt="o",
        color=BLACK,
        markersize=5,
        elinewidth=1,
        capsize=2,
    )
    n = bins["n"]
    each = f"{n.min():,}" if n.min() == n.max() else f"{n.min():,} to {n.max():,}"
    ax.set(
        xlabel="mean confidence of the bin",
        ylabel="share that is right, with 95% interval",
        xlim=(0, 1),
        ylim=(0, 1),
        title=f"n = {n.sum():,} test photographs, {each} a bin",
    )
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_aspect("equal")
