"""Plots of what trials cost, which worker ran them, how val_acc is distributed, and of a pair."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from analysis.style import BLACK, BLUE, GREY, OUTCOMES, by_outcome
from analysis.values import is_log, shortened
from analysis.workload import Cost, Workers

HATCHES = {"completed": "", "stopped": "//", "failed": "xx", "running": "..", "unknown": "--"}


def plot_cost(ax: Axes, cost: Cost, *, highlight: str | None = None) -> None:
    """Every trial a dot at what it took; the line joins those that no cheaper one equals."""
    for outcome, group in by_outcome(cost.trials):
        look = OUTCOMES[outcome]
        ax.scatter(
            group["cost"], group["val_acc"], s=30, color=look["color"], marker=look["marker"],
            alpha=0.8, linewidths=0, zorder=3, label=f"{outcome} (n = {len(group)})",
        )  # fmt: skip
    ax.step(
        cost.front["cost"], cost.front["val_acc"], where="post", color=GREY, linestyle=":",
        label="best for its cost", zorder=2,
    )  # fmt: skip
    best = cost.trials[cost.trials["trial_id"] == highlight]
    ax.scatter(
        best["cost"], best["val_acc"], s=80, facecolors="none", edgecolors=BLACK, linewidths=1.4,
        zorder=4,
    )  # fmt: skip
    if is_log(cost.trials["cost"]):
        ax.set_xscale("log")
    ax.set(xlabel=cost.label, ylabel="val_acc (fraction)")
    ax.margins(y=0.1)


def plot_distribution(ax: Axes, trials: pd.DataFrame) -> None:
    """The share of trials that reach at most each val_acc: of all, and of those completed."""
    measured = trials[trials["val_acc"].notna()]
    lines: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
        "all with a val_acc": (measured, {"color": BLACK})
    }
    completed = measured[measured["status"] == "completed"] if "status" in measured else measured
    if 0 < len(completed) < len(measured):
        lines["completed only"] = (completed, {"color": BLUE, "linestyle": "--"})
    for name, (group, look) in lines.items():
        ax.ecdf(group["val_acc"], label=f"{name} (n = {len(group)})", **look)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set(xlabel="val_acc (fraction)", ylabel="share of trials with at most this")


def plot_workers(ax: Axes, workers: Workers, trials: pd.DataFrame) -> None:
    """A bar for each of these trials on the lane of its worker."""
    for outcome, group in by_outcome(trials):
        ax.barh(
            group["lane"], group["end"] - group["begin"], left=group["begin"], height=0.72,
            color=OUTCOMES[outcome]["color"], hatch=HATCHES[outcome], edgecolor="white",
            linewidth=0.6, label=f"{outcome} (n = {len(group)})",
        )  # fmt: skip
    ax.set_yticks(range(len(workers.names)), [shortened(name, 30) for name in workers.names])
    ax.set_ylim(len(workers.names) - 0.4, -0.6)
    ax.set(xlabel="minutes after the first start")
    ax.grid(visible=False, axis="y")


def plot_pair(ax: Axes, cells: pd.DataFrame, first: str, second: str) -> None:
    """The mean score of the trials that had both values, and their n, in each cell."""
    mean = cells.pivot(index="first", columns="second", values="mean")
    n = cells.pivot(index="first", columns="second", values="n").to_numpy(float)
    values = mean.to_numpy(float)
    ax.imshow(values, cmap="viridis_r", aspect="auto", origin="lower")
    low, high = np.nanmin(values), np.nanmax(values)
    for (row, column), value in np.ndenumerate(values):
        if value == value:
            is_dark = value > low + 0.5 * (high - low)
            ax.text(
                column, row, f"{value:.3f}\nn = {n[row, column]:.0f}", ha="center", va="center",
                fontsize=8, color="white" if is_dark else "#1b1f24",
            )  # fmt: skip
    ax.set_xticks(range(values.shape[1]), [shortened(str(name), 18) for name in mean.columns])
    ax.set_yticks(range(values.shape[0]), [shortened(str(name), 18) for name in mean.index])
    ax.set(xlabel=second, ylabel=first)
    ax.grid(visible=False)
