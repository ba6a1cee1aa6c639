"""How interactive figures look: plotly's JSON as plain dictionaries, without plotly itself.

Names from the data become text in which nothing is markup: plotly takes <b> and <a> for markup.
"""

import html
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from analysis.style import BLACK, OUTCOMES, by_outcome
from analysis.values import shortened

Figure = dict[str, Any]
INK, QUIET, LINE, GRID = "#1b1f24", "#57606a", "#8c959f", "#e7ebef"
SYMBOLS = {
    "completed": "circle", "stopped": "square", "failed": "x", "running": "triangle-up",
    "unknown": "diamond",
}  # fmt: skip
DASHES = {
    "completed": "solid", "stopped": "dash", "failed": "dot", "running": "dashdot",
    "unknown": "longdashdot",
}  # fmt: skip
PATTERNS = {"completed": "", "stopped": "/", "failed": "x", "running": ".", "unknown": "-"}


def plain(text: object, length: int = 40) -> str:
    """The text, shortened, with nothing in it that plotly would take for markup."""
    return html.escape(shortened(str(text), length), quote=False)


def numbers(values: Any, digits: int = 5) -> list[float | None]:
    """Numbers with few digits, None where there is none, which breaks a line."""
    rounded = np.array([float(f"{v:.{digits}g}") for v in np.asarray(values, dtype=float)])
    return [None if value != value else value for value in rounded.tolist()]


def as_json(content: object) -> str:
    """JSON that may stand in a script tag: neither </script> nor <!-- can occur in it."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with a quiet grid."""
    return {
        "title": {"text": title, "standoff": 8, "font": {"size": 12}},
        "gridcolor": GRID, "linecolor": LINE, "showline": True, "zeroline": False,
        "automargin": True, "tickfont": {"size": 11, "color": QUIET}, **more,
    }  # fmt: skip


def layout(x: dict[str, Any], y: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The layout that all figures share."""
    return {
        "font": {"family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif", "size": 12,
                 "color": INK},
        "margin": {"l": 56, "r": 12, "t": 14, "b": 44},
        "paper_bgcolor": "#fff", "plot_bgcolor": "#fff", "hovermode": "closest",
        "hoverlabel": {"bgcolor": "#fff", "bordercolor": LINE, "align": "left",
                       "font": {"color": INK}},
        "showlegend": False,  # the page writes its own, which the keyboard reaches
        "xaxis": x, "yaxis": y, **more,
    }  # fmt: skip


def headed(figure_layout: dict[str, Any], text: str) -> dict[str, Any]:
    """The layout with a small heading at the left above it."""
    title = {"text": f"<b>{plain(text, 30)}</b>", "font": {"size": 13}, "x": 0, "xref": "paper",
             "y": 1, "yref": "paper", "yanchor": "bottom", "pad": {"b": 8}}  # fmt: skip
    return figure_layout | {"title": title, "margin": figure_layout["margin"] | {"t": 32}}


def hatch(shape: str) -> dict[str, Any]:
    """White lines of this shape over a bar's colour."""
    return {"shape": shape, "fillmode": "overlay", "fgcolor": "#fff", "size": 6, "solidity": 0.25}


def outcome_dots(
    trials: pd.DataFrame, x: pd.Series, y: pd.Series, *, hover: str = "", size: int = 8
) -> Iterator[dict[str, Any]]:
    """A trace of dots for each outcome, its colour and shape; `hover` ends what a dot tells."""
    for outcome, group in by_outcome(trials):
        place = x.reindex(group.index).dropna().index
        yield {
            "type": "scatter", "mode": "markers", "legendgroup": outcome,
            "name": f"{outcome} (n = {len(place):,})",
            "x": numbers(x[place]), "y": numbers(y[place]),
            "text": [plain(name) for name in trials.loc[place, "trial_id"]],
            "marker": {"color": OUTCOMES[outcome]["color"], "symbol": SYMBOLS[outcome],
                       "size": size, "opacity": 0.8},
            "hovertemplate": f"trial %{{text}}<br>val_acc %{{y:.3f}}{hover}"
                             f"<extra>{outcome}</extra>",
        }  # fmt: skip


def ring(place: tuple[float | None, float | None], name: str) -> dict[str, Any]:
    """The circle around the trial to point out."""
    return {
        "type": "scatter", "mode": "markers", "name": name,
        "x": [place[0]], "y": [place[1]], "hoverinfo": "skip",
        "marker": {"symbol": "circle-open", "size": 15, "color": BLACK, "line": {"width": 2}},
    }  # fmt: skip
