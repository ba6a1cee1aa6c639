"""Parallel coordinates: an upright axis per hyperparameter, a line per trial.

plotly's own parcoords needs `unsafe-eval`, hence is not used.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.plots.colouring import Linked
from analysis.plots.scales import figure, note
from analysis.plots.style import BLACK, INK, LINE, Figure, Look, Trace, line, numbers, plain
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.values import NOT_LOGGED, Scale, is_missing, numbers_of, scale_of, shown

MISSING_AT = -0.18
JITTER = 0.05  # of an axis, to either side, of values that trials share
STEPS, MAX_POINTS = 8, 40_000  # of a curve from axis to axis; of very many trials it is straight
ROOM = 92  # pixels to an axis, at least: a phone scrolls
LABEL_LENGTH, NAME_LENGTH = 11, 12
APART = 0.055  # of an axis, between two labels


def parallel_figure(
    table: pd.DataFrame,
    names: Sequence[str],
    highlight: str | None,
    links: Linked,
    measure: Measure = ACCURACY,
) -> Figure:
    """A line per trial with a value, through its values of `names` to the metric.

    `highlight` is thick and black, and its values stand below the names. layout.meta names the
    axes, so that the page can filter.
    """
    table = table[table[measure.name].notna()]
    scales = {name: scale_of(table[name]) for name in (*names, measure.name)}
    where = places_of(scales, measure)
    is_best = (table["trial_id"] == highlight).to_numpy()
    traces = [
        _lines(where, np.flatnonzero(has), look, links.of(table["trial_id"]),
               opacity=0.75, width=1.3, name=f"{plain(label, 24)} (n = {has.sum():,})",
               legendgroup=label)
        for label, look, has in links.groups(table["trial_id"])
    ]  # fmt: skip
    best = table[is_best].iloc[0] if is_best.any() else pd.Series(dtype=object)
    if is_best.any():
        traces.append(_lines(where, np.flatnonzero(is_best), Look(BLACK), None, width=3))
    is_unknown = bool((where == MISSING_AT).to_numpy().any())
    notes = [
        text
        for number, (name, scale) in enumerate(scales.items())
        for text in _labels(number, measure.called(name), scale, best.get(name))
    ]
    if is_unknown:
        notes.append(note(0, MISSING_AT, NOT_LOGGED, xanchor="right", xshift=-8))
    hidden = {"visible": False, "fixedrange": True}
    axes = [
        {"name": measure.called(name), "is_number": numbers_of(table[name]) is not None}
        for name in where
    ]
    last = len(axes) - 1
    return figure(
        traces,
        {**hidden, "range": [-0.62, last + 0.4]},
        {**hidden, "range": [MISSING_AT - 0.07 if is_unknown else -0.08, 1.32]},
        height=460, annotations=notes,
        shapes=[_axis_line(number) for number in range(len(axes))],
        dragmode="select", selectdirection="any",
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        meta={"linked": "parallel", "axes": axes, "least": ROOM * (last + 1)},
        newselection={"line": {"color": "#0072b2", "width": 1, "dash": "solid"}},
    )  # fmt: skip


def places_of(scales: dict[str, Scale], measure: Measure = ACCURACY) -> pd.DataFrame:
    """Per trial and axis, 0 to 1; shared values with a little jitter, unknown ones below."""
    random = np.random.default_rng(0)
    columns = {}
    for name, scale in scales.items():
        jitter = scale.is_shared and name != measure.name
        shift = random.uniform(-JITTER, JITTER, len(scale.positions)) if jitter else 0
        columns[name] = (scale.positions + shift).fillna(MISSING_AT)
    return pd.DataFrame(columns)


def _lines(
    where: pd.DataFrame, rows: np.ndarray, look: Look, ids: np.ndarray | None, **more: Any
) -> Trace:
    """One trace of these rows' curves, each followed by a gap; `ids` numbers all trials."""
    points = where.to_numpy(float)[rows]
    num_axes = points.shape[1]
    steps = STEPS if len(where) * num_axes * STEPS <= MAX_POINTS else 1
    at = np.linspace(0, num_axes - 1, (num_axes - 1) * steps + 1)
    left = np.minimum(at.astype(int), max(0, num_axes - 2))
    share = at - left
    ease = share**2 * (3 - 2 * share)
    drawn = points[:, left] * (1 - ease) + points[:, np.minimum(left + 1, num_axes - 1)] * ease
    y = np.column_stack([drawn, np.full(len(rows), np.nan)]).ravel()
    x = np.tile([*at, np.nan], len(rows))
    if ids is not None:
        told = np.column_stack([np.tile(ids[rows, None], len(at)), np.full(len(rows), -1)])
        more |= {"customdata": told.ravel().tolist(), "hovertemplate": "%{text}<extra></extra>"}
    trace = line(x, y, look, **more) | {"x": numbers(x, 4), "y": numbers(y, 4)}
    return trace if ids is None else trace | {"hoverinfo": "all"}


def _axis_line(number: int) -> dict[str, Any]:
    return {"type": "line", "x0": number, "x1": number, "y0": 0, "y1": 1, "layer": "below",
            "line": {"color": LINE, "width": 1.5}}  # fmt: skip


def _labels(number: int, name: str, scale: Scale, value: object) -> list[dict[str, Any]]:
    """The name above its axis, with the value to point out; ticks beside it."""
    told = "" if is_missing(value) else f"<br>{plain(shown(value, 3), LABEL_LENGTH)}"
    text, font = f"<b>{'<br>'.join(broken(name))}</b>{told}", {"size": 11, "color": INK}
    return [
        note(number, 1.08, text, yanchor="bottom", font=font),
        *(
            note(number, place, plain(label, LABEL_LENGTH), xanchor="right", xshift=-5,
                 font={"size": 10, "color": INK})
            for place, label in apart(scale.ticks)
        ),
    ]  # fmt: skip


def broken(name: str) -> list[str]:
    """A name in lines of at most NAME_LENGTH letters, parted at its underscores; two at most."""
    if len(name) <= NAME_LENGTH or "_" not in name:
        return [plain(name, NAME_LENGTH + 2)]
    parts = name.split("_")
    cut = min(range(1, len(parts)), key=lambda i: abs(len("_".join(parts[:i])) - len(name) / 2))
    lines = "_".join(parts[:cut]) + "_", "_".join(parts[cut:])
    return [plain(part, NAME_LENGTH + 2) for part in lines]


def apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks without those whose labels would overlap; both ends come first."""
    kept: list[tuple[float, str]] = []
    for place, text in [*ticks[-1:], *ticks[:-1]]:
        if all(abs(place - other) >= APART for other, _ in kept):
            kept.append((place, text))
    return kept
