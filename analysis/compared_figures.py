"""Plots of several sweeps: their progress, and what each says of the claims."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION
from analysis.values import shortened
from analysis.verdicts import CONTRADICTED, NO_EVIDENCE, SUPPORTED, Verdict

LOOKS: list[dict[str, Any]] = [
    {"color": colour, "linestyle": line, "marker": marker}
    for line, marker in (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))
    for colour in (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
]
VERDICT_LOOKS: dict[str, dict[str, Any]] = {
    SUPPORTED: {"color": BLUE, "marker": "^"},
    CONTRADICTED: {"color": VERMILLION, "marker": "v"},
    NO_EVIDENCE: {"color": GREY, "marker": "o"},
}


def by_number(trials: pd.DataFrame) -> pd.DataFrame:
    """Each trial's val_acc against its number in the sweep, and the best so far."""
    table = trials.sort_index(kind="stable").assign(x=np.arange(1.0, len(trials) + 1))
    return _with_best(table)


def by_hours(trials: pd.DataFrame) -> pd.DataFrame:
    """Each trial's val_acc against the hours from the first start to its end; maybe no row."""
    if not {"started", "seconds"} <= set(trials):
        return _with_best(trials.iloc[:0].assign(x=0.0))
    started = pd.to_datetime(trials["started"], errors="coerce", utc=True, format="ISO8601")
    seconds = (started - started.min()).dt.total_seconds() + trials["seconds"].astype(float)
    return _with_best(trials.assign(x=seconds / 3600).dropna(subset="x").sort_values("x"))


def in_readable_unit(hours: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], str]:
    """The same in minutes where no sweep took two hours, and the unit."""
    if max(table["x"].max() for table in hours.values() if len(table)) >= 2:
        return dict(hours), "hours"
    return {name: table.assign(x=60 * table["x"]) for name, table in hours.items()}, "minutes"


def _with_best(table: pd.DataFrame) -> pd.DataFrame:
    known = table.dropna(subset="val_acc")
    return known[["x", "val_acc"]].assign(best=known["val_acc"].cummax())


def plot_progress(ax: Axes, progress: Mapping[str, pd.DataFrame], xlabel: str) -> None:
    """Every trial of every sweep a dot, and the best so far of each sweep a step line."""
    for (name, table), look in zip(progress.items(), _looks(len(progress)), strict=True):
        if table.empty:
            continue
        ax.plot(
            table["x"], table["val_acc"], look["marker"], color=look["color"], markersize=3.5,
            alpha=0.45, markeredgewidth=0, zorder=2,
        )  # fmt: skip
        ax.step(
            table["x"], table["best"], where="post", color=look["color"],
            linestyle=look["linestyle"], linewidth=1.8, zorder=3, label=shortened(name, 30),
        )  # fmt: skip
    ax.set(xlabel=xlabel, ylabel="val_acc (fraction)")


def _looks(num: int) -> list[dict[str, Any]]:
    return [LOOKS[i % len(LOOKS)] for i in range(num)]


def plot_claim(ax: Axes, verdicts: Sequence[tuple[str, Verdict]]) -> None:
    """The effect that each sweep finds, in points with its 95% interval, one row a sweep."""
    ax.axvline(0, color=BLACK, linewidth=0.8, zorder=1)
    for row, (_, verdict) in enumerate(verdicts):
        contrast, look = verdict.contrast, VERDICT_LOOKS[verdict.verdict]
        if np.isnan(contrast.effect):
            ax.text(
                0.98, row, "not asked", color=GREY, fontsize=7.5, ha="right", va="center",
                transform=ax.get_yaxis_transform(),
            )  # fmt: skip
            continue
        ax.hlines(row, 100 * contrast.low, 100 * contrast.high, color=look["color"], linewidth=1.6)
        ax.plot(100 * contrast.effect, row, look["marker"], color=look["color"], markersize=6)
    ax.set_yticks(range(len(verdicts)), [shortened(name, 22) for name, _ in verdicts])
    ax.set_ylim(len(verdicts) - 0.4, -0.6)
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.12)
