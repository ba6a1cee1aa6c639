"""How figures look: colours, the mark of each outcome, and text and numbers as plotly takes them.

Names from the data become text in which nothing is markup: plotly takes <b> and <a> for markup.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.values import shortened

Trace = dict[str, Any]
Figure = dict[str, Any]
"""{"data": [trace, ...], "layout": {...}}; layout.height is in pixels, and so is layout.width where
a figure is not as wide as the page; layout.meta.least is the least width it can be read at."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"  # Okabe-Ito
BLUE, VERMILLION, PURPLE, GREY = "#0072b2", "#d55e00", "#cc79a7", "#6e7781"
INK, QUIET, LINE, GRID, PALE = "#1b1f24", "#57606a", "#8c959f", "#e7ebef", "#b6c2cf"
VIRIDIS = ("#fde725", "#a0da39", "#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154")
BLUES = ("#f7fbff", "#deebf7", "#c6dbef", "#9dcae1", "#6aaed6", "#4191c6", "#2070b4", "#08509b",
         "#08306b")  # fmt: skip


@dataclass(frozen=True)
class Look:
    """What tells one kind of mark from others, with colour and without."""

    color: str
    symbol: str = "circle"
    dash: str = "solid"
    hatch: str = ""
    """Of a bar: plotly's marker.pattern.shape."""


OUTCOMES = {
    "completed": Look(BLUE, "circle", "solid", ""),
    "stopped": Look(ORANGE, "square", "dash", "/"),
    "failed": Look(VERMILLION, "x", "dot", "x"),
    "running": Look(GREEN, "triangle-up", "dashdot", "."),
    "unknown": Look(GREY, "diamond", "longdashdot", "-"),
}


def plain(text: object, length: int = 40) -> str:
    """The text, shortened, with nothing in it that plotly would take for markup."""
    return html.escape(shortened(str(text), length), quote=False)


def numbers(values: Any, digits: int = 5) -> list[float | None]:
    """Numbers with few digits, None where there is none, which breaks a line."""
    rounded = np.array([float(f"{v:.{digits}g}") for v in np.asarray(values, dtype=float)])
    return [None if value != value else value for value in rounded.tolist()]


def by_outcome(trials: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The trials of each outcome that occurs, the commonest outcomes drawn first."""
    if "status" not in trials:
        return [("unknown", trials)] if len(trials) else []
    status = trials["status"].where(trials["status"].isin(list(OUTCOMES)), "unknown")
    return [(name, trials[status == name]) for name in OUTCOMES if (status == name).any()]


def dots(x: Any, y: Any, look: Look, *, size: float = 7, **more: Any) -> Trace:
    """Marks."""
    marker = {"color": look.color, "symbol": look.symbol, "size": size}
    return {"type": "scatter", "mode": "markers", "x": numbers(x), "y": numbers(y),
            "marker": marker, **more}  # fmt: skip


def line(x: Any, y: Any, look: Look, *, width: float = 1.4, shape: str = "", **more: Any) -> Trace:
    """A line, broken where a number is missing; of shape "hv" it goes in steps."""
    stroke = {"color": look.color, "dash": look.dash, "width": width}
    return {"type": "scatter", "mode": "lines", "x": numbers(x), "y": numbers(y),
            "line": stroke | ({"shape": shape} if shape else {}), "hoverinfo": "skip",
            **more}  # fmt: skip


def bars(x: Any, y: Any, look: Look, **more: Any) -> Trace:
    """Bars from the left, of length `x`; white hatching over the colour."""
    pattern = {"shape": look.hatch, "fillmode": "overlay", "fgcolor": "#fff", "size": 6,
               "solidity": 0.25}  # fmt: skip
    return {"type": "bar", "orientation": "h", "x": numbers(x), "y": list(y), "width": 0.68,
            "marker": {"color": look.color, "pattern": pattern}, **more}  # fmt: skip


def interval(value: Any, low: Any, high: Any, color: str, *, thickness: float = 1.4) -> Trace:
    """An error bar from `low` to `high` around each value."""
    value, low, high = (np.asarray(part, dtype=float) for part in (value, low, high))
    return {"type": "data", "symmetric": False, "array": numbers((high - value).clip(min=0)),
            "arrayminus": numbers((value - low).clip(min=0)), "color": color,
            "thickness": thickness, "width": 3}  # fmt: skip


def outcome_dots(
    trials: pd.DataFrame,
    x: pd.Series,
    y: pd.Series,
    *,
    hover: str = "",
    size: float = 8,
    measure: Measure = ACCURACY,
) -> Iterator[Trace]:
    """A trace of dots for each outcome, its colour and shape; `hover` ends what a dot tells."""
    for outcome, group in by_outcome(trials):
        place = x.reindex(group.index).dropna().index
        trace = dots(
            x[place], y[place], OUTCOMES[outcome], size=size,
            name=f"{outcome} (n = {len(place):,})", legendgroup=outcome,
            text=[plain(name) for name in trials.loc[place, "trial_id"]],
            hovertemplate=f"trial %{{text}}<br>{plain(measure.said)} %{{y:{measure.format}}}{hover}"
                          f"<extra>{outcome}</extra>",
        )  # fmt: skip
        trace["marker"]["opacity"] = 0.8
        yield trace


def ring(x: float, y: float, name: str) -> Trace:
    """The circle around the trial to point out; around nothing where it is not drawn (NaN)."""
    trace = dots([x], [y], Look(BLACK, "circle-open"), size=15, name=name, hoverinfo="skip")
    trace["marker"]["line"] = {"width": 2}
    return trace
