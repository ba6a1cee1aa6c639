"""Figures of several sweeps: their progress, and what each says of the claims."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analysis.plots.scales import axis, figure, headed, note, rows, upright
from analysis.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Figure,
    Look,
    Trace,
    dots,
    interval,
    line,
    plain,
)
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.workload import MAX_DRAWN
from analysis.statistics.verdicts import CONTRADICTED, NO_EVIDENCE, SUPPORTED, Verdict

COLOURS = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
STROKES = (("solid", "circle"), ("dash", "square"), ("dot", "triangle-up"), ("dashdot", "diamond"))
LOOKS = [Look(colour, symbol, dash) for dash, symbol in STROKES for colour in COLOURS]
VERDICTS = {
    SUPPORTED: Look(BLUE, "triangle-up"),
    CONTRADICTED: Look(VERMILLION, "triangle-down"),
    NO_EVIDENCE: Look(GREY),
}


def by_number(trials: pd.DataFrame, measure: Measure = ACCURACY) -> pd.DataFrame:
    """Each trial's value against its number in the sweep, and the best so far."""
    table = trials.sort_index(kind="stable").assign(x=np.arange(1.0, len(trials) + 1))
    return _with_best(table, measure)


def by_hours(trials: pd.DataFrame, measure: Measure = ACCURACY) -> pd.DataFrame:
    """Each trial's value against the hours from the first start to its end; maybe no row."""
    if not {"started", "seconds"} <= set(trials):
        return _with_best(trials.iloc[:0].assign(x=0.0), measure)
    started = pd.to_datetime(trials["started"], errors="coerce", utc=True, format="ISO8601")
    seconds = (started - started.min()).dt.total_seconds() + trials["seconds"].astype(float)
    timed = trials.assign(x=seconds / 3600).dropna(subset="x").sort_values("x")
    return _with_best(timed, measure)


def in_readable_unit(hours: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], str]:
    """The same in minutes where no sweep took two hours, and the unit."""
    if max(table["x"].max() for table in hours.values() if len(table)) >= 2:
        return dict(hours), "hours"
    return {name: table.assign(x=60 * table["x"]) for name, table in hours.items()}, "minutes"


def _with_best(table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The columns x, value, and best, the best value so far."""
    score = measure.scores(table).dropna()
    x = table.loc[score.index, "x"]
    best = measure.values(score.cummax())
    return pd.DataFrame({"x": x, "value": measure.values(score), "best": best})


def progress_figure(
    progress: Mapping[str, pd.DataFrame], label: str, measure: Measure = ACCURACY
) -> Figure:
    """Every trial of every sweep a dot, and the best so far of each sweep a step line."""
    traces: list[Trace] = []
    for number, (name, table) in enumerate(progress.items()):
        if table.empty:
            continue
        table = _drawn(table, MAX_DRAWN // len(progress))
        look, text = LOOKS[number % len(LOOKS)], plain(name, 30)
        hover = f"{plain(measure.said)} %{{y:{measure.format}}}<extra>{text}</extra>"
        marks = dots(table["x"], table["value"], look, size=5, legendgroup=text,
                     hovertemplate=hover)  # fmt: skip
        marks["marker"]["opacity"] = 0.45
        best = line(table["x"], table["best"], look, width=2, shape="hv", name=text,
                    legendgroup=text)  # fmt: skip
        traces += [marks, best]
    return figure(traces, axis(label, rangemode="tozero"), axis(plain(measure.axis)), height=400)


def _drawn(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """Of very many trials every n-th, each that was the best when it came, and the last."""
    if len(table) <= most:
        return table
    step = -(-len(table) // max(100, most))
    kept = np.arange(len(table)) % step == 0
    kept[-1] = True
    return table[kept | (table["best"] != table["best"].shift()).to_numpy()]


def claim_figure(number: int, verdicts: Sequence[tuple[str, Verdict]]) -> Figure:
    """The effect that each sweep finds with its 95% interval, one row a sweep; of one metric."""
    measure = verdicts[0][1].measure
    unit = " points" if measure.is_share else ""
    factor = measure.value(measure.scale)
    traces, notes = [], []
    asked = [(row, v) for row, (_, v) in enumerate(verdicts) if not np.isnan(v.contrast.effect)]
    for kind, look in VERDICTS.items():
        found = [(row, v.contrast) for row, v in asked if v.verdict == kind]
        if not found:
            continue
        effect, low, high = (
            [factor * getattr(contrast, name) for _, contrast in found]
            for name in (("effect", "low", "high") if measure.rises else ("effect", "high", "low"))
        )
        marks = dots(
            effect, [row for row, _ in found], look, size=10, name=kind,
            error_x=interval(effect, low, high, look.color, thickness=2) | {"width": 0},
            hovertemplate=f"%{{x:+{measure.digits}}}{unit}<extra>%{{y}}</extra>",
        )  # fmt: skip
        traces.append(marks)
    for row, (_, verdict) in enumerate(verdicts):
        if np.isnan(verdict.contrast.effect):
            place = {"xref": "paper", "xanchor": "right"}
            notes.append(note(0.98, row, "not asked", **place))
    drawn = figure(
        traces, axis(f"effect on {plain(measure.said)}{' in points' if unit else ''}"),
        rows([name for name, _ in verdicts], room=18),
        height=90 + 22 * len(verdicts), shapes=[upright(0, BLACK, width=0.8)], annotations=notes,
    )  # fmt: skip
    return headed(drawn, f"claim {number}")
