"""Plots of trials and epochs: each draws one table on one Axes, labels it, and saves nothing."""

from collections.abc import Sequence
from typing import Any

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from analysis.style import BLACK, GREY, OUTCOMES, by_outcome, note
from analysis.values import groups_of, shortened

_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")


def plot_timeline(ax: Axes, trials: pd.DataFrame, *, highlight: str | None = None) -> None:
    """Every trial a dot at its start, its shape the outcome, and the best so far as a step line.

    `trials` has trial_id, val_acc, and as far as known status and started; trials without an
    accuracy stand on the floor of the plot.
    """
    when, label = _starts(trials)
    undated = int(when.isna().sum())
    trials, when = trials[when.notna()], when.dropna()
    accuracy = trials["val_acc"]
    for outcome, group in by_outcome(trials):
        look = OUTCOMES[outcome]
        dots = {"s": 34, "color": look["color"], "marker": look["marker"], "linewidths": 0}
        known = accuracy.loc[group.index].notna()
        above, floor = group.index[known], group.index[~known]
        if len(above):
            ax.scatter(
                when[above],
                accuracy[above],
                zorder=3,
                alpha=0.85,
                **dots,
                label=f"{outcome} (n = {len(above)})",
            )
        if len(floor):
            ax.scatter(
                when[floor],
                np.full(len(floor), 0.03),
                zorder=3,
                **dots,
                transform=ax.get_xaxis_transform(),
                label=f"{outcome}, no val_acc (n = {len(floor)})",
            )
    order = when[accuracy.notna()].sort_values(kind="stable").index
    if len(order):
        ax.step(
            when[order],
            accuracy[order].cummax(),
            where="post",
            color=BLACK,
            linewidth=1.2,
            zorder=2,
            label="best so far",
        )
    best = trials.index[trials["trial_id"] == highlight]
    if len(best):
        ax.annotate(
            f"{accuracy[best[0]]:.3f}",
            (when[best[0]], accuracy[best[0]]),
            xytext=(0, 7),
            textcoords="offset points",
            ha="center",
            fontweight="bold",
        )
    left_out = f", and {undated} without a known start" if undated else ""
    ax.set(xlabel=label, ylabel="val_acc (fraction)", title=f"n = {len(trials)} trials{left_out}")
    ax.margins(y=0.14)
    if accuracy.isna().all():
        ax.set_ylim(0, 1)
    _limit_time(ax, when)


def _limit_time(ax: Axes, when: pd.Series) -> None:
    """All trials are in sight, those on the floor too, which matplotlib would not count."""
    is_time = pd.api.types.is_datetime64_any_dtype(when)
    if len(when):
        alone: Any = pd.Timedelta(hours=1) if is_time else 1
        pad = (when.max() - when.min()) * 0.03 if when.nunique() > 1 else alone
        ax.set_xlim(when.min() - pad, when.max() + pad)
    if is_time:
        locator = mdates.AutoDateLocator(minticks=3, maxticks=8)
        ax.xaxis.set(major_locator=locator, major_formatter=mdates.ConciseDateFormatter(locator))
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _starts(trials: pd.DataFrame) -> tuple[pd.Series, str]:
    """When each trial started (missing where unknown), or its number if no start is known."""
    if "started" in trials:
        times = pd.to_datetime(trials["started"], errors="coerce", utc=True, format="ISO8601")
        if times.notna().any():
            since = times - times.min()
            if since.max() < pd.Timedelta(hours=2):
                return since.dt.total_seconds() / 60, "minutes after the first start"
            zoned = trials["started"].dropna().astype(str).str.contains(r"(?:Z|[+-]\d\d:?\d\d)$")
            return times.dt.tz_localize(None), (
                f"trial's start ({'UTC' if zoned.all() else 'as logged'})"
            )
    return trials.index.to_series().rank(), "trial, in the order of the table of trials"


def plot_curves(
    ax: Axes,
    epochs: pd.DataFrame,
    metric: str,
    trials: pd.DataFrame,
    *,
    highlight: str | None = None,
    rungs: Sequence[float] = (),
) -> None:
    """`metric` against epoch, one line a trial; stopped trials end in a dot, the best is thick."""
    for rung in rungs:
        ax.axvline(rung, color=GREY, linestyle=":", linewidth=1, zorder=1)
    known = epochs.dropna(subset=[metric]) if metric in epochs else epochs.iloc[:0]
    lines = _lines(known, metric)
    for outcome, group in by_outcome(trials):
        look = OUTCOMES[outcome]
        drawn = {name: lines[name] for name in group["trial_id"] if name in lines}
        thick = drawn.pop(highlight, None) if highlight is not None else None
        thin = LineCollection(
            list(drawn.values()),
            colors=look["color"],
            linestyles=look["linestyle"],
            linewidths=0.9,
            alpha=0.6,
            zorder=2,
        )
        ax.add_collection(thin)
        if thick is not None:
            ax.plot(
                *thick.T, color=BLACK, linestyle=look["linestyle"], linewidth=2.6, zorder=4
            )  # fmt: skip
        for paths, colour in ((list(drawn.values()), look["color"]), ([thick], BLACK)):
            ends = [p[-1] for p in paths if p is not None and (outcome == "stopped" or len(p) == 1)]
            if ends:
                ax.plot(
                    *np.array(ends).T, look["marker"], linestyle="", zorder=5, color=colour,
                    markersize=4,
                )  # fmt: skip
    ax.autoscale_view()
    unit = "cross-entropy" if metric.endswith("loss") else "fraction"
    ax.set(xlabel="epoch", ylabel=f"{metric} ({unit})", title=f"{metric}, n = {len(lines)} trials")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if not lines:
        note(ax, f"{metric} was not logged")
    elif metric.endswith("loss"):
        _scale_loss(ax, known[metric])


def _lines(epochs: pd.DataFrame, metric: str) -> dict[str, np.ndarray]:
    """The curve of each trial as points (epochs, 2), by trial_id."""
    ordered = epochs.sort_values(["trial_id", "epoch"], kind="stable")
    if ordered.empty:
        return {}
    names = ordered["trial_id"].to_numpy()
    starts = np.flatnonzero(np.r_[True, names[1:] != names[:-1]])
    points = np.split(ordered[["epoch", metric]].to_numpy(float), starts[1:])
    return dict(zip(names[starts], points, strict=True))


def loss_limits(losses: pd.Series) -> tuple[float, int, bool]:
    """Where a plot of losses ends, how many lie above, and whether it needs a log scale.

    A few exploded losses must not flatten all curves: they leave the plot, and it says so.
    """
    top = 1.3 * losses.quantile(0.98)
    outside = int((losses > top).sum())
    if not outside or losses.max() <= 3 * top:
        top, outside = losses.max(), 0
    return float(top), outside, bool(losses.min() > 0 and top / losses.min() > 30)


def _scale_loss(ax: Axes, losses: pd.Series) -> None:
    top, outside, log = loss_limits(losses)
    if outside:
        ax.set_ylim(losses.min() - 0.05 * (top - losses.min()), top)
        ax.text(
            0.99,
            0.97,
            f"{outside} value{'s' * (outside > 1)} above, up to {losses.max():.3g}",
            transform=ax.transAxes,
            ha="right",
            va="top",
            fontsize=8,
            color="#57606a",
        )
    if log:
        ax.set_yscale("log")
        ax.yaxis.set(major_formatter=_PLAIN, minor_formatter=NullFormatter())


def plot_hyperparameter(
    ax: Axes, trials: pd.DataFrame, name: str, *, highlight: str | None = None
) -> None:
    """Every trial with an accuracy a dot at its value of `name`, and the median of each group."""
    table = trials[trials["val_acc"].notna()]
    groups = groups_of(table[name])
    jitter = np.random.default_rng(0).uniform(-0.16, 0.16, len(table))
    x = groups.positions + (jitter if groups.is_category else 0)
    for outcome, group in by_outcome(table):
        look = OUTCOMES[outcome]
        ax.scatter(
            x[group.index],
            table.loc[group.index, "val_acc"],
            s=20,
            color=look["color"],
            marker=look["marker"],
            alpha=0.7,
            linewidths=0,
            zorder=2,
        )
    best = table.index[table["trial_id"] == highlight]
    ax.scatter(
        x[best],
        table.loc[best, "val_acc"],
        s=70,
        facecolors="none",
        edgecolors=BLACK,
        linewidths=1.4,
        zorder=4,
        gid="best",
    )
    labels = []
    for number, (left, right, text) in enumerate(groups.spans):
        of_group = table.loc[groups.members == number, "val_acc"]
        ax.hlines(
            of_group.median(), left, right, color=BLACK, linewidth=2, zorder=1.5, gid="median"
        )
        labels.append((left, right, text, len(of_group)))
    ax.set(title=name, xlabel="", ylabel="val_acc")
    ax.margins(x=0.08, y=0.1)
    if groups.log:
        ax.set_xscale("log")
    if groups.is_category:
        _label_groups(ax, labels)
        return
    ax.xaxis.set(major_formatter=_PLAIN, minor_formatter=NullFormatter())
    ax.set_xlabel("n = " + ", ".join(str(n) for *_, n in labels) + " by group", color="#57606a")


def _label_groups(ax: Axes, labels: list[tuple[float, float, str, int]]) -> None:
    """The value and its n under each group, slanted where they would not fit side by side."""
    longest = max((len(text) for *_, text, _ in labels), default=0)
    level = max(longest, 5) * len(labels) <= 28
    texts = [
        f"{text}\nn = {n}" if level else f"{shortened(text, 14)} (n = {n})"
        for *_, text, n in labels
    ]
    slant: dict[str, Any] = {"rotation": 38, "ha": "right", "rotation_mode": "anchor"}
    middles = [(left + right) / 2 for left, right, *_ in labels]
    ax.set_xticks(middles, texts, fontsize=8, **({} if level else slant))
    ax.set_xlim(-0.6, max(len(labels), 1) - 0.4)
    ax.grid(visible=False, axis="x")
