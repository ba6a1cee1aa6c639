"""Interactive figures of what was found: importance, and the pair that depends on each other."""

from typing import Any

import pandas as pd

from analysis import optuna_study
from analysis.plotly_style import Figure, axis, hatch, layout, numbers, plain
from analysis.style import BLACK, BLUE
from analysis.values import groups_of, is_log

MAX_CONTOUR = 150
PALE = "#b6c2cf"


def importance_figure(importance: pd.DataFrame) -> Figure:
    """A bar for each hyperparameter with its interval, pale and hatched where that reaches 0."""
    place = pd.Series(range(len(importance)), importance.index)
    sure = importance["low"] > 0
    bars = [
        _bars(importance[kept], place[kept], look)
        for kept, look in (
            (sure, {"name": "interval above 0", "color": BLUE, "shape": ""}),
            (~sure, {"name": "interval reaches 0", "color": PALE, "shape": "/"}),
        )
        if kept.any()
    ]
    names: dict[str, Any] = {
        "tickvals": list(range(len(importance))), "range": [len(importance) - 0.4, -0.6],
        "ticktext": [plain(name, 24) for name in importance["hyperparameter"]],
        "showgrid": False, "fixedrange": True,
    }  # fmt: skip
    x_axis = axis("% of the variance of val_acc", rangemode="tozero")
    return {"data": bars, "layout": layout(x_axis, axis(**names), barmode="overlay")}


def _bars(importance: pd.DataFrame, place: pd.Series, look: dict[str, str]) -> dict[str, Any]:
    share, low, high = (100 * importance[name] for name in ("importance", "low", "high"))
    return {
        "type": "bar", "orientation": "h", "name": look["name"], "x": numbers(share, 4),
        "y": place.tolist(), "width": 0.62,
        "error_x": {"type": "data", "symmetric": False, "array": numbers(high - share, 4),
                    "arrayminus": numbers(share - low, 4), "color": "#1b1f24", "thickness": 1.4,
                    "width": 4},
        "marker": {"color": look["color"], "pattern": hatch(look["shape"])},
        "customdata": [[f"{a:.0f}%", f"{b:.0f}%"] for a, b in zip(low, high, strict=True)],
        "hovertemplate": "%{x:.1f}% of the variance<br>95% interval %{customdata[0]} to"
                         " %{customdata[1]}<extra></extra>",
    }  # fmt: skip


def is_continuous(trials: pd.DataFrame, names: tuple[str, str]) -> bool:
    """Whether both are numbers of many values, so that something lies between them."""
    return not any(groups_of(trials[name]).is_category for name in names)


def contour_figure(drawn: pd.DataFrame, first: str, second: str) -> Figure:
    """val_acc over two numbers of many values, interpolated between the trials, which are dots."""
    known = drawn.dropna(subset=["val_acc", first, second])
    known = known.iloc[:: max(1, -(-len(known) // MAX_CONTOUR))]
    study = optuna_study.study_of(known, [first, second])
    surface, dots, *_ = optuna_study.contour(study, first, second)
    traces = [
        {**surface, "x": numbers(surface["x"]), "y": numbers(surface["y"]),
         "z": [numbers(row, 4) for row in surface["z"]], "colorscale": "Viridis",
         "reversescale": True, "colorbar": {"title": {"text": "val_acc"}, "thickness": 12}},
        {**dots, "x": numbers(dots["x"]), "y": numbers(dots["y"]), "name": "trial",
         "marker": {"color": "#fff", "size": 7, "line": {"color": BLACK, "width": 1.2}},
         "hovertemplate": "%{x:.4~g}, %{y:.4~g}<extra>trial</extra>"},
    ]  # fmt: skip
    x, y = (
        axis(plain(name), type="log" if is_log(groups_of(known[name]).positions) else "linear")
        for name in sorted((first, second))
    )
    return {"data": traces, "layout": layout(x, y)}


def heat_map(cells: pd.DataFrame, first: str, second: str) -> Figure:
    """The mean score of the trials that had both values; each cell says it and its n."""
    mean = cells.pivot(index="first", columns="second", values="mean")
    n = cells.pivot(index="first", columns="second", values="n")
    text = [
        ["" if size != size else f"{value:.3f}<br>n = {size:.0f}" for value, size in rows]
        for rows in (zip(mean.loc[i], n.loc[i], strict=True) for i in mean.index)
    ]
    trace = {
        "type": "heatmap", "z": [numbers(row, 4) for row in mean.to_numpy(float)], "text": text,
        "texttemplate": "%{text}", "colorscale": "Viridis", "reversescale": True, "xgap": 2,
        "ygap": 2, "hoverinfo": "skip", "colorbar": {"title": {"text": "val_acc"}, "thickness": 12},
    }  # fmt: skip
    x = axis(plain(second), tickvals=list(range(len(mean.columns))), showgrid=False,
             ticktext=[plain(name, 16) for name in mean.columns])  # fmt: skip
    y = axis(plain(first), tickvals=list(range(len(mean))), showgrid=False,
             ticktext=[plain(name, 16) for name in mean.index])  # fmt: skip
    return {"data": [trace], "layout": layout(x, y)}
