"""Figures of what was found: what values add, what hyperparameters explain, pairs that interact."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.plots.scales import (
    axis,
    figure,
    named,
    note,
    rows,
    rows_axis,
    scaled,
    shaded,
    under_names,
    upright,
)
from analysis.plots.style import (
    BLACK,
    BLUE,
    GREY,
    INK,
    LINE,
    PALE,
    VERMILLION,
    VIRIDIS,
    Figure,
    Look,
    Trace,
    bars,
    dots,
    interval,
    line,
    numbers,
    plain,
)
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.values import groups_of, is_log, shown
from analysis.statistics.effects import SIGNIFICANT
from analysis.statistics.unsettled import corrected

MARKS = {
    "surely higher": Look(BLUE, "triangle-up"),
    "surely lower": Look(VERMILLION, "triangle-down"),
    "may be chance": Look(GREY),
}
SWAPPED = {"surely higher": "surely lower", "surely lower": "surely higher"}
WIDEST = 3.0  # times the usual interval's farther end: what lies beyond is cut, and said
MAX_CONTOUR = 150
GRID_POINTS = 40  # of the smoothed surface, along either axis
REACH = 0.12  # of an axis: the standard deviation of the smoothing


def effects_figure(
    effects: pd.DataFrame,
    importance: pd.DataFrame,
    when: str,
    measure: Measure = ACCURACY,
    ends: tuple[float, float] | None = None,
) -> Figure:
    """Each value a mark with its 95% interval, against the reference of its hyperparameter.

    The most important hyperparameter stands on top; shape and colour tell what is sure. Its name
    stands over its rows, so that a phone's width is left to the marks. Effects are of scores, and
    drawn as differences of values; blue is the better side. `ends` are those of the axis.
    """
    ends = ends or effect_ends([effects], measure)
    effects = measure.differences(effects)
    tables = (effects[effects["hyperparameter"] == name] for name in importance["hyperparameter"])
    table, notes, top = under_names((_against(part), part) for part in tables if len(part))
    known = table[table["effect"].notna()]
    kinds = _kinds(known)
    traces = [
        trace
        for name in MARKS
        if (kinds == name).any()
        for trace in _marks(known[kinds == name], name, measure)
    ]
    labels = [
        f"{plain(value, 18)} (n = {n})" for value, n in zip(table["value"], table["n"], strict=True)
    ]
    return figure(
        traces, axis(f"{_of(measure)} {when},<br>with 95% interval", range=list(ends)),
        rows_axis(table, labels, top),
        height=round(80 + 20 * top), shapes=[upright(0, LINE)],
        annotations=[*notes, *_beyond(table, ends, measure)],
    )  # fmt: skip


def _against(rows: pd.DataFrame) -> str:
    """What the values of a hyperparameter are compared with."""
    first = rows.iloc[0]
    name = f"{plain(first['hyperparameter'], 30)} = {plain(first['reference'], 20)}"
    return f"<b>{name}</b> (n = {first['n_reference']})"


def effect_ends(tables: Sequence[pd.DataFrame], measure: Measure) -> tuple[float, float]:
    """An axis for all these effects on which a few giant ones do not squeeze the others."""
    parts = [measure.differences(table)[["effect", "low", "high"]] for table in tables]
    known = (pd.concat(parts).astype(float) * measure.scale).dropna()
    if known.empty:
        return -1.0, 1.0
    usual = WIDEST * float(known.abs().max(axis=1).median())
    low = min(0.0, max(float(known["low"].min()), -usual))
    high = max(0.0, min(float(known["high"].max()), usual))
    room = 0.06 * (high - low) or 1.0
    return round(low - room, 5), round(high + room, 5)


def _beyond(
    table: pd.DataFrame, ends: tuple[float, float], measure: Measure
) -> list[dict[str, Any]]:
    """Words where there is no mark: nobody knows, or it lies beyond the axis."""
    notes = []
    for row in table.itertuples():
        effect = measure.scale * float(row.effect)
        if effect != effect:
            notes.append(note(0, row.at, "nobody knows", xanchor="left", xshift=6))
        elif not ends[0] <= effect <= ends[1]:
            side, anchor = (ends[1], "right") if effect > 0 else (ends[0], "left")
            arrow = f"{effect:+.3g} ▸" if effect > 0 else f"◂ {effect:+.3g}"
            notes.append(note(side, row.at, f"<b>{arrow}</b>", xanchor=anchor))
    return notes


def _of(measure: Measure) -> str:
    """What effects are in."""
    name = plain(measure.said)
    return f"points of {name}" if measure.is_share else f"difference of {name}"


def _kinds(effects: pd.DataFrame) -> np.ndarray:
    """Which mark each effect gets."""
    sign = np.where(effects["effect"] > 0, "surely higher", "surely lower")
    return np.where(effects["p_adjusted"] > SIGNIFICANT, "may be chance", sign)


def _marks(table: pd.DataFrame, kind: str, measure: Measure) -> list[Trace]:
    """The marks with their 95% intervals, and as thin lines these corrected as the marks are."""
    effect, low, high = (measure.scale * table[name] for name in ("effect", "low", "high"))
    said = [
        [
            plain(f"{r.hyperparameter} {r.value} against {r.reference}"),
            plain(measure.interval(*sorted((measure.value(r.low), measure.value(r.high))))),
            f"{r.p_adjusted:.2g}",
        ]
        for r in table.itertuples()
    ]
    look, unit = MARKS[kind], " points" if measure.is_share else ""
    if not measure.rises and kind in SWAPPED:
        look = replace(look, color=MARKS[SWAPPED[kind]].color)
    marks = dots(
        effect, table["at"], look, size=10, name=kind, customdata=said, legendgroup=kind,
        error_x=interval(effect, low, high, look.color, thickness=3) | {"width": 0},
        hovertemplate=f"%{{customdata[0]}}<br>%{{x:+{measure.digits}}}{unit}"
                      " (%{customdata[1]}), p = %{customdata[2]}<extra></extra>",
    )  # fmt: skip
    wide = np.array([corrected(*row) for row in zip(effect, low, high, table["p_adjusted"],
                                                    strict=True)])  # fmt: skip
    x = np.column_stack([wide, np.full(len(wide), np.nan)]).ravel()
    y = np.column_stack([table["at"]] * 2 + [np.full(len(wide), np.nan)]).ravel()
    return [line(x, y, Look(look.color), width=1, legendgroup=kind), marks]


def importance_figure(
    importance: pd.DataFrame, p_values: Mapping[str, float], measure: Measure = ACCURACY
) -> Figure:
    """A bar for each hyperparameter with its interval, pale and hatched where it may be chance."""
    place = pd.Series(range(len(importance)), importance.index)
    p_value = importance["hyperparameter"].map(dict(p_values)).astype(float)
    sure = p_value <= SIGNIFICANT
    traces = [
        _shares(importance[kept], place[kept], look, name)
        for kept, name, look in (
            (sure, f"no chance (p at most {SIGNIFICANT})", Look(BLUE)),
            (~sure, "may be chance", Look(PALE, hatch="/")),
        )
        if kept.any()
    ]
    return figure(
        traces, axis(f"% of the variance of {plain(measure.said)}", rangemode="tozero"),
        rows(importance["hyperparameter"], fixedrange=True),
        height=90 + 30 * len(importance), barmode="overlay",
    )  # fmt: skip


def _shares(importance: pd.DataFrame, place: pd.Series, look: Look, name: str) -> Trace:
    share, low, high = (100 * importance[column] for column in ("importance", "low", "high"))
    return bars(
        share, place, look, name=name, error_x=interval(share, low, high, INK),
        customdata=[[f"{a:.0f}%", f"{b:.0f}%"] for a, b in zip(low, high, strict=True)],
        hovertemplate="%{x:.1f}% of the variance<br>95% interval %{customdata[0]} to"
                      " %{customdata[1]}<extra></extra>",
    )  # fmt: skip


def pair_figure(
    cells: pd.DataFrame, first: str, second: str, measure: Measure = ACCURACY
) -> Figure:
    """The mean value of the trials that had both values; each cell says it and its n."""
    mean = cells.pivot(index="first", columns="second", values="mean")
    n = cells.pivot(index="first", columns="second", values="n")
    text = [
        [
            "" if size != size else f"{value:{measure.format}}<br>n = {size:.0f}"
            for value, size in pairs
        ]
        for pairs in (zip(mean.loc[i], n.loc[i], strict=True) for i in mean.index)
    ]
    trace = {
        "type": "heatmap", "z": [numbers(row, 4) for row in mean.to_numpy(float)], "text": text,
        "texttemplate": "%{text}", "xgap": 2, "ygap": 2, "hoverinfo": "skip",
        **_shaded(measure, cells["mean"].min(), cells["mean"].max()),
    }  # fmt: skip
    x, y = named(mean.columns, plain(second), 16), named(mean.index, plain(first), 16)
    return figure([trace], x, y, height=130 + 48 * len(mean))


def _shaded(measure: Measure, low: float, high: float) -> dict[str, Any]:
    """Colours from `low` to `high`, the better the darker."""
    colours = VIRIDIS if measure.rises else VIRIDIS[::-1]
    return shaded(colours, plain(measure.said), low, high)


def is_continuous(trials: pd.DataFrame, names: tuple[str, str]) -> bool:
    """Whether both are numbers of many values, so that something lies between them."""
    return not any(groups_of(trials[name]).is_category for name in names)


def surface_figure(
    trials: pd.DataFrame, first: str, second: str, measure: Measure = ACCURACY
) -> Figure:
    """The metric over two numbers of many values, smoothed between the trials, which are dots.

    Each place shows the mean of the trials around it, the nearer the more (a normal kernel); where
    no trial is near, nothing.
    """
    known = trials.dropna(subset=[measure.name, first, second])
    known = known.iloc[:: max(1, -(-len(known) // MAX_CONTOUR))]
    columns = [groups_of(known[name]).positions.to_numpy(float) for name in (second, first)]
    logs = [is_log(pd.Series(column)) for column in columns]
    x, y = columns
    (x_grid, from_x), (y_grid, from_y) = map(_grid, columns, logs)
    near = from_y[:, None, :] * from_x[None, :, :]  # (y, x, trials)
    weight = near.sum(axis=2)
    with np.errstate(invalid="ignore"):
        surface = np.where(
            weight > 0.3, near @ known[measure.name].to_numpy(float) / weight, np.nan
        )
    colours = _shaded(measure, np.nanmin(surface), np.nanmax(surface))
    contour = {
        "type": "contour", "x": numbers(x_grid), "y": numbers(y_grid), "hoverinfo": "skip",
        "z": [numbers(row, 4) for row in surface], "line": {"width": 0.5, "color": "#fff"},
        **colours,
    }  # fmt: skip
    said = [plain(f"{shown(a)}, {shown(b)}: {acc:{measure.format}}")
            for a, b, acc in zip(x, y, known[measure.name], strict=True)]  # fmt: skip
    trials_dots = dots(x, y, Look("#fff"), size=7, name="trial", text=said,
                       hovertemplate="%{text}<extra>trial</extra>")  # fmt: skip
    trials_dots["marker"]["line"] = {"color": BLACK, "width": 1.2}
    axes = (scaled(plain(name), log) for name, log in zip((second, first), logs, strict=True))
    return figure([contour, trials_dots], *axes, height=420)


def _grid(values: np.ndarray, log: bool) -> tuple[np.ndarray, np.ndarray]:
    """Points along the axis, and how near each (row) is to each value (column), 0 to 1."""
    places = np.log10(values) if log else values
    grid = np.linspace(places.min(), places.max(), GRID_POINTS)
    distance = (grid[:, None] - places[None, :]) / (REACH * np.ptp(places))
    return 10**grid if log else grid, np.exp(-(distance**2) / 2)
