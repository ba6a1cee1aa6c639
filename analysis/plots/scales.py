"""The axes of figures: their titles, ticks and limits, the space around them, colour scales."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.plots.style import GRID, INK, LINE, QUIET, Figure, Trace, plain

FONT = "system-ui, -apple-system, Segoe UI, Roboto, sans-serif"
ROWS_APART = 0.75  # between two groups of rows
PERCENT = {"range": [0, 1], "tickformat": ".0%"}


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with a quiet grid."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 12}},
        "gridcolor": GRID, "linecolor": LINE, "showline": True, "zeroline": False,
        "automargin": True, "tickfont": {"size": 11, "color": QUIET}, **more,
    }  # fmt: skip


def scaled(title: str, log: bool, **more: Any) -> dict[str, Any]:
    """An axis of numbers, logarithmic or not."""
    kind = "log" if log else "linear"
    return axis(title, type=kind, exponentformat="e", **more)  # 1e-5, where plotly says 10µ


def named(names: Sequence[object], title: str = "", room: int = 24, **more: Any) -> dict[str, Any]:
    """An axis with a name at each of 0, 1, 2, ..."""
    texts = [plain(name, room) for name in names]
    return axis(title, tickvals=list(range(len(texts))), ticktext=texts, showgrid=False, **more)


def rows(names: Sequence[object], title: str = "", room: int = 24, **more: Any) -> dict[str, Any]:
    """The same from the top down, one row a name."""
    return named(names, title, room, range=[len(names) - 0.4, -0.6], **more)


def under_names(
    groups: Iterable[tuple[str, pd.DataFrame]],
) -> tuple[pd.DataFrame, list[dict[str, Any]], float]:
    """Groups of rows, each under its name, which is markup: all rows, placed by their `at`; the
    names as notes; and where the next group would begin.
    """
    notes, tables, top = [], [], 0.0
    place = {"xref": "paper", "xanchor": "left", "font": {"size": 12, "color": INK}}
    for name, table in groups:
        notes.append(note(0, top, name, **place))
        tables.append(table.assign(at=top + 1 + np.arange(len(table))))
        top += 1 + len(table) + ROWS_APART
    return pd.concat(tables), notes, top


def rows_axis(table: pd.DataFrame, labels: Sequence[str], top: float) -> dict[str, Any]:
    """The axis of rows that stand so under names, from the top down."""
    return axis(
        tickvals=table["at"].tolist(), ticktext=list(labels), showgrid=False, fixedrange=True,
        range=[top - ROWS_APART + 0.2, -0.8],
    )  # fmt: skip


def figure(
    data: Sequence[Trace], x: dict[str, Any], y: dict[str, Any], *, height: int, **more: Any
) -> Figure:
    """The traces in the layout that all figures share, `height` pixels high."""
    layout = {
        "font": {"family": FONT, "size": 12, "color": INK},
        "margin": {"l": 56, "r": 12, "t": 14, "b": 44},
        "paper_bgcolor": "#fff", "plot_bgcolor": "#fff", "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#fff", "bordercolor": LINE, "align": "left",
                       "font": {"color": INK}},
        "showlegend": False,  # the page writes its own, which the keyboard reaches
        "xaxis": x, "yaxis": y, "height": height, **more,
    }  # fmt: skip
    return {"data": list(data), "layout": layout}


def headed(drawn: Figure, text: str) -> Figure:
    """The figure with a small heading at the left above it."""
    title = {"text": f"<b>{plain(text, 44)}</b>", "font": {"size": 13}, "x": 0, "xref": "paper",
             "y": 1, "yref": "paper", "yanchor": "bottom", "pad": {"b": 8}}  # fmt: skip
    layout = drawn["layout"]
    layout |= {"title": title, "margin": layout["margin"] | {"t": 32}}
    return drawn


def shaded(colours: Sequence[str], title: str, low: float, high: float) -> dict[str, Any]:
    """The colours of a map from `low` to `high`, and a bar that says so."""
    stops = [[number / (len(colours) - 1), colour] for number, colour in enumerate(colours)]
    return {"colorscale": stops, "zmin": round(low, 5), "zmax": round(high, 5),
            "colorbar": {"title": {"text": title}, "thickness": 12}}  # fmt: skip


def note(x: float, y: float, text: str, **more: Any) -> dict[str, Any]:
    """A few words in the figure, `text` being markup."""
    return {"x": round(x, 4), "y": y, "text": text, "showarrow": False, "borderpad": 0,
            "bgcolor": "rgba(255,255,255,.88)", "font": {"size": 11, "color": QUIET},
            **more}  # fmt: skip


def upright(x: float, color: str, *, width: float = 1, dash: str = "solid") -> dict[str, Any]:
    """A line from the bottom to the top, below everything else."""
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "layer": "below",
            "line": {"color": color, "width": width, "dash": dash}}  # fmt: skip
