"""Parallel coordinates: an axis per hyperparameter, a line per trial.

The axes lie one below the other, so that names and values are written level and any number of
hyperparameters stays legible. plotly's own parcoords needs `unsafe-eval`, hence is not used.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.plots.scales import figure, note
from analysis.plots.style import (
    BLACK,
    INK,
    LINE,
    VIRIDIS,
    Figure,
    Look,
    Trace,
    line,
    numbers,
    plain,
)
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.values import (
    NOT_LOGGED,
    Scale,
    is_missing,
    numbers_of,
    scale_of,
    shortened,
    shown,
)

MISSING_AT = 1.08
LABEL_LENGTH = 14
CHARACTER = 0.019  # of an axis, for a letter on a phone
PALE_LINE = Look("#dfe3e8")


def parallel_figure(
    table: pd.DataFrame,
    names: Sequence[str],
    highlight: str | None,
    measure: Measure = ACCURACY,
) -> Figure:
    """A line per trial with a value, in the order of `table`, through its values of `names`.

    The darker, the better; `highlight` is thick, black and has its values beside the names. The
    axis of the metric is the scale of the colours. A trace holds the lines of one shade, and its
    `meta` their rows; layout.meta names the axes. With that the page filters.
    """
    table = table[table[measure.name].notna()]
    scales = {name: scale_of(table[name]) for name in (*names, measure.name)}
    where = places_of(scales, measure)
    is_best = (table["trial_id"] == highlight).to_numpy()
    traces = [_lines(where, np.arange(len(table)), PALE_LINE, width=1) | {"meta": None}]
    shade = _shades(measure.scores(table).to_numpy())
    traces += [
        _lines(where, np.flatnonzero((shade == number) & ~is_best), Look(colour), opacity=0.85)
        for number, colour in enumerate(VIRIDIS)
    ]
    traces.append(_lines(where, np.flatnonzero(is_best), Look(BLACK), width=3))
    is_unknown = bool((where == MISSING_AT).to_numpy().any())
    best = table[is_best].iloc[0] if is_best.any() else pd.Series(dtype=object)
    notes = [
        text
        for number, (name, scale) in enumerate(scales.items())
        for text in _labels(number, measure.called(name), scale, best.get(name))
    ]
    if is_unknown:
        notes.append(note(MISSING_AT, 0, NOT_LOGGED, yshift=12))
    hidden = {"visible": False, "fixedrange": True}
    axes = [
        {"name": measure.called(name), "is_number": numbers_of(table[name]) is not None,
         "at": [round(v, 4) for v in where[name].tolist()]}
        for name in where
    ]  # fmt: skip
    return figure(
        traces,
        {**hidden, "range": [-0.03, MISSING_AT + 0.04 if is_unknown else 1.03]},
        {**hidden, "range": [0.55 - len(axes), 0.55]},
        height=56 * len(axes) + 16, annotations=notes,
        shapes=[*_axis_lines(len(axes)), *_colour_scale(len(names), measure)],
        dragmode="select", selectdirection="any", hovermode=False,
        margin={"l": 8, "r": 8, "t": 4, "b": 4}, meta={"axes": axes},
        newselection={"line": {"color": "#0072b2", "width": 1, "dash": "solid"}},
    )  # fmt: skip


def places_of(scales: dict[str, Scale], measure: Measure = ACCURACY) -> pd.DataFrame:
    """Per trial and axis, 0 to 1; shared values with a little jitter, unknown ones at the end."""
    random = np.random.default_rng(0)
    columns = {}
    for name, scale in scales.items():
        jitter = scale.is_shared and name != measure.name
        shift = random.uniform(-0.016, 0.016, len(scale.positions)) if jitter else 0
        columns[name] = (scale.positions + shift).fillna(MISSING_AT)
    return pd.DataFrame(columns)


def _shades(scores: np.ndarray) -> np.ndarray:
    """The number of each trial's colour."""
    if np.ptp(scores) == 0:
        return np.zeros(len(scores), dtype=int)
    share = (scores - scores.min()) / np.ptp(scores)
    return np.minimum((share * len(VIRIDIS)).astype(int), len(VIRIDIS) - 1)


def _lines(where: pd.DataFrame, rows: np.ndarray, look: Look, **more: Any) -> Trace:
    """One trace of these rows' lines, each followed by a gap."""
    points = where.to_numpy(float)[rows]
    x = np.column_stack([points, np.full(len(rows), np.nan)]).ravel()
    y = np.tile([*-np.arange(points.shape[1], dtype=float), np.nan], len(rows))
    return line(x, y, look, meta=rows.tolist(), **more) | {"x": numbers(x, 4)}


def _axis_lines(num_axes: int) -> list[dict[str, Any]]:
    return [
        {"type": "line", "x0": 0, "x1": 1, "y0": -number, "y1": -number, "layer": "below",
         "line": {"color": LINE, "width": 1.5}}
        for number in range(num_axes)
    ]  # fmt: skip


def _colour_scale(number: int, measure: Measure) -> list[dict[str, Any]]:
    """The shades along the axis of the metric, which is their scale."""
    part = 1 / len(VIRIDIS)
    return [
        {"type": "rect", "x0": i * part, "x1": (i + 1) * part, "y0": -number - 0.07,
         "y1": -number, "fillcolor": colour, "line": {"width": 0}, "layer": "below"}
        for i, colour in enumerate(VIRIDIS if measure.rises else VIRIDIS[::-1])
    ]  # fmt: skip


def _labels(number: int, name: str, scale: Scale, value: object) -> list[dict[str, Any]]:
    """The name, with the value to point out, above the left end of its axis; ticks below it."""
    told = "" if is_missing(value) else f" = {shortened(shown(value, 3), 20)}"
    text, font = f"<b>{plain(f'{name}{told}', 50)}</b>", {"size": 11, "color": INK}
    return [
        note(0, -number, text, yshift=11, xanchor="left", font=font),
        *(
            note(place, -number, plain(label, LABEL_LENGTH), yshift=-11, xanchor=_anchor(place))
            for place, label in apart(scale.ticks)
        ),
    ]


def _anchor(place: float) -> str:
    return "left" if place < 0.02 else "right" if place > 0.98 else "center"


def apart(ticks: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """The ticks, shortened, without those whose labels would overlap; both ends come first."""
    kept: list[tuple[float, str]] = []
    for place, text in [*ticks[-1:], *ticks[:-1]]:
        label = shortened(text, LABEL_LENGTH)
        if all(
            abs(place - other) > CHARACTER * (len(label) + len(word)) / 2 + 0.008
            for other, word in kept
        ):
            kept.append((place, label))
    return kept
