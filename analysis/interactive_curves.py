"""Interactive learning curves and parallel coordinates: many trials, few traces."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from analysis.figures import loss_limits
from analysis.folder import SweepFolder
from analysis.parallel import COLOURS, MISSING_AT, apart, places_of
from analysis.plotly_style import (
    DASHES,
    INK,
    LINE,
    QUIET,
    SYMBOLS,
    Figure,
    axis,
    headed,
    layout,
    numbers,
    plain,
)
from analysis.style import BLACK, OUTCOMES, by_outcome
from analysis.values import NOT_LOGGED, numbers_of, scale_of

MAX_CURVES, MAX_POINTS = 300, 30_000
NUM_SHADES = 8
CHARACTER = 0.019  # of an axis, for a tick's label on a phone


def drawn_curves(epochs: pd.DataFrame, trials: pd.DataFrame, highlight: str | None) -> list[str]:
    """The trials whose curves are drawn: all, or of too many every n-th from the best down."""
    logged = trials.loc[trials["trial_id"].isin(epochs["trial_id"]), "trial_id"].tolist()
    limit = min(MAX_CURVES, int(MAX_POINTS / max(1.0, len(epochs) / max(1, len(logged)))))
    kept = logged[:: max(1, -(-len(logged) // max(1, limit)))]
    if highlight is None or highlight in kept or highlight not in logged:
        return kept
    return [highlight, *kept]


def curve_figures(
    sweep: SweepFolder,
    epochs: pd.DataFrame,
    trials: pd.DataFrame,
    metrics: Sequence[str],
) -> list[Figure]:
    """Each metric against epoch: the curves of an outcome are one trace, with gaps."""
    known = epochs[epochs["trial_id"].isin(trials["trial_id"])]
    known = known.sort_values(["trial_id", "epoch"], kind="stable")
    figures = [_curves(sweep, known, trials, metric) for metric in metrics]
    shares = [name for name in metrics if name.endswith("acc")]
    low, high = known[shares].min().min(), known[shares].max().max()
    for metric, figure in zip(metrics, figures, strict=True):
        if metric in shares:  # what is learnt and what generalises, on one scale
            pad = 0.04 * max(high - low, 0.02)
            figure["layout"]["yaxis"]["range"] = numbers([low - pad, high + pad])
    return figures


def _curves(sweep: SweepFolder, epochs: pd.DataFrame, trials: pd.DataFrame, metric: str) -> Figure:
    known, rungs = epochs.dropna(subset=[metric]), sweep.rungs
    traces = []
    for outcome, group in by_outcome(trials):
        of_outcome = known[known["trial_id"].isin(group["trial_id"])]
        colour = OUTCOMES[outcome]["color"]
        last = ~of_outcome["trial_id"].duplicated(keep="last")
        if outcome != "stopped":  # a single epoch is no line
            last &= ~of_outcome["trial_id"].duplicated(keep="first")
        name = f"{outcome} (n = {len(group):,})"
        line = {"color": colour, "dash": DASHES[outcome], "width": 1}
        traces += [
            _joined(of_outcome, metric) | {"name": name, "legendgroup": outcome, "line": line,
                                           "opacity": 0.65},
            _ends(of_outcome[last], metric) | {
                "marker": {"color": colour, "symbol": SYMBOLS[outcome], "size": 5},
                "legendgroup": outcome,
            },
        ]  # fmt: skip
    best = known[known["trial_id"] == sweep.highlight]
    traces.append(
        _joined(best, metric) | {"name": sweep.role, "line": {"color": BLACK, "width": 3}}
    )
    rung = {"type": "scatter", "mode": "lines", "x": [None], "y": [None], "name": "rung",
            "line": {"color": QUIET, "width": 1.8, "dash": "dot"}}  # fmt: skip
    traces += [rung] if rungs else []
    shapes = [
        {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "y domain", "layer": "below",
         "line": {"color": QUIET, "width": 1.8, "dash": "dot"}}
        for at in rungs
    ]  # fmt: skip
    return {
        "data": traces,
        "layout": headed(
            layout(axis("epoch", rangemode="tozero"), _metric_axis(known, metric), shapes=shapes),
            metric,
        ),
    }


def _metric_axis(known: pd.DataFrame, metric: str) -> dict[str, Any]:
    if not metric.endswith("loss") or known.empty:
        return axis(f"{metric} (fraction)" if metric.endswith("acc") else metric)
    top, outside, log = loss_limits(known[metric])
    title = f"{metric} (cross-entropy)"
    if outside:
        title += f"<br>{outside} value{'s' * (outside > 1)} above"
    low = known[metric].min()
    span = [low - 0.05 * (top - low), top]
    if log:
        span = np.log10([low / 1.1, top]).tolist()
    more = {"range": numbers(span)} if outside else {}
    return axis(title, type="log" if log else "linear", **more)


def _joined(epochs: pd.DataFrame, metric: str) -> dict[str, Any]:
    """One trace of all curves, sorted by trial and epoch, with a gap after each trial."""
    gaps = np.flatnonzero(epochs["trial_id"].to_numpy()[1:] != epochs["trial_id"].to_numpy()[:-1])
    x = np.insert(epochs["epoch"].to_numpy(float), gaps + 1, np.nan)
    y = np.insert(epochs[metric].to_numpy(float), gaps + 1, np.nan)
    text = np.insert(epochs["trial_id"].map(plain).to_numpy(object), gaps + 1, "")
    return {
        "type": "scatter", "mode": "lines", "x": numbers(x), "y": numbers(y, 4),
        "text": text.tolist(),
        "hovertemplate": "trial %{text}<br>epoch %{x}<br>%{y:.3~f}<extra></extra>",
    }  # fmt: skip


def _ends(last: pd.DataFrame, metric: str) -> dict[str, Any]:
    return {"type": "scatter", "mode": "markers", "x": numbers(last["epoch"]),
            "y": numbers(last[metric], 4), "hoverinfo": "skip"}  # fmt: skip


def parallel_figure(rows: pd.DataFrame, names: Sequence[str], highlight: str | None) -> Figure:
    """A line per trial with an accuracy, in the order of `rows`, through its values of `names`.

    The axes lie one below the other as in the still picture. A trace holds the lines of one shade
    of val_acc, and its `meta` their rows; layout.meta names the axes. With that the page filters.
    """
    table = rows[rows["val_acc"].notna()]
    scales = {name: scale_of(table[name]) for name in (*names, "val_acc")}
    where = places_of(scales)
    shade = np.zeros(len(table), dtype=int)
    accuracy = table["val_acc"].to_numpy()
    if np.ptp(accuracy) > 0:
        share = (accuracy - accuracy.min()) / np.ptp(accuracy)
        shade = np.minimum((share * NUM_SHADES).astype(int), NUM_SHADES - 1)
    colours = [to_hex(mpl.colormaps[COLOURS](i / (NUM_SHADES - 1))) for i in range(NUM_SHADES)]
    is_best = (table["trial_id"] == highlight).to_numpy()
    pale = {"color": "#dfe3e8", "width": 1}
    traces = [_lines(where, np.arange(len(table)), line=pale) | {"meta": None}]
    traces += [
        _lines(where, np.flatnonzero((shade == number) & ~is_best),
               line={"color": colours[number], "width": 1.4}, opacity=0.85)
        for number in range(NUM_SHADES)
    ]  # fmt: skip
    traces.append(_lines(where, np.flatnonzero(is_best), line={"color": BLACK, "width": 3}))
    is_missing = bool((where == MISSING_AT).to_numpy().any())
    right = MISSING_AT + 0.04 if is_missing else 1.03
    hidden = {"visible": False, "fixedrange": True}
    axes = [
        {"name": name, "is_number": numbers_of(table[name]) is not None,
         "at": [round(v, 4) for v in where[name].tolist()]}
        for name in where
    ]  # fmt: skip
    return {
        "data": traces,
        "layout": layout(
            {**hidden, "range": [-0.03, right]},
            {**hidden, "range": [0.55 - len(axes), 0.55]},
            annotations=[note for item in enumerate(scales.items()) for note in _labels(*item)]
            + ([_note(MISSING_AT, 0, NOT_LOGGED, yshift=12)] if is_missing else []),
            shapes=[*_axis_lines(len(axes)), *_scale_shapes(colours, len(names))],
            dragmode="select", selectdirection="any", hovermode=False,
            margin={"l": 8, "r": 8, "t": 4, "b": 4}, meta={"axes": axes},
            newselection={"line": {"color": "#0072b2", "width": 1, "dash": "solid"}},
        ),
    }  # fmt: skip


def _lines(where: pd.DataFrame, rows: np.ndarray, **look: Any) -> dict[str, Any]:
    """One trace of these rows' lines, each followed by a gap."""
    points = where.to_numpy(float)[rows]
    x = np.column_stack([points, np.full(len(rows), np.nan)]).ravel()
    y = np.tile([*-np.arange(points.shape[1], dtype=float), np.nan], len(rows))
    return {"type": "scatter", "mode": "lines", "x": numbers(x, 4), "y": numbers(y),
            "meta": rows.tolist(), "hoverinfo": "skip", **look}  # fmt: skip


def _axis_lines(num_axes: int) -> list[dict[str, Any]]:
    return [
        {"type": "line", "x0": 0, "x1": 1, "y0": -number, "y1": -number, "layer": "below",
         "line": {"color": LINE, "width": 1.5}}
        for number in range(num_axes)
    ]  # fmt: skip


def _scale_shapes(colours: list[str], number: int) -> list[dict[str, Any]]:
    """The shades along the axis of val_acc, which is their scale."""
    return [
        {"type": "rect", "x0": i / NUM_SHADES, "x1": (i + 1) / NUM_SHADES, "y0": -number - 0.07,
         "y1": -number + 0.0, "fillcolor": colour, "line": {"width": 0}, "layer": "below"}
        for i, colour in enumerate(colours)
    ]  # fmt: skip


def _labels(number: int, item: tuple[str, Any]) -> list[dict[str, Any]]:
    """The name above the left end of its axis, and the values below it."""
    name, scale = item
    text = f"<b>{plain(name, 30)}</b>"
    first = _note(0, -number, text, yshift=11, color=INK) | {"xanchor": "left"}
    return [
        first,
        *(
            _note(place, -number, plain(label, 14), yshift=-11)
            | {"xanchor": "left" if place < 0.02 else "right" if place > 0.98 else "center"}
            for place, label in apart(scale.ticks, CHARACTER)
        ),
    ]


def _note(x: float, y: float, text: str, *, yshift: int, color: str = QUIET) -> dict[str, Any]:
    return {"x": round(x, 4), "y": y, "text": text, "showarrow": False, "yshift": yshift,
            "bgcolor": "rgba(255,255,255,.88)", "borderpad": 0,
            "font": {"size": 11, "color": color}}  # fmt: skip
