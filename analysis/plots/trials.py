"""Figures in which every trial is a mark: against time, hyperparameters and cost, and by worker."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.plots.colouring import Linked
from analysis.plots.scales import axis, figure, headed, named, rows, scaled
from analysis.plots.style import (
    BLACK,
    BLUE,
    GREY,
    OUTCOMES,
    Figure,
    Look,
    Trace,
    bars,
    by_outcome,
    dots,
    line,
    numbers,
    outcome_dots,
    plain,
    ring,
)
from analysis.reading.folder import SweepFolder
from analysis.reading.measure import ACCURACY, Measure
from analysis.reading.values import Groups, groups_of, is_log
from analysis.reading.workload import MAX_DRAWN, Cost, Workers, in_order, starts

UNITS = (("minutes", 60, 2 * 3600), ("hours", 3600, 3 * 86400), ("days", 86400, np.inf))
SPREAD = 0.16  # of dots that share a value, to either side


def _highlight(sweep: SweepFolder, trials: pd.DataFrame, x: pd.Series, y: pd.Series) -> Trace:
    """The ring around the trial to point out, where it is among these."""
    found = trials.index[trials["trial_id"] == sweep.highlight].intersection(x.dropna().index)
    place = (float(x[found[0]]), float(y[found[0]])) if len(found) else (np.nan, np.nan)
    return ring(*place, sweep.role)


def times_of(trials: pd.DataFrame) -> tuple[pd.Series, str]:
    """When each trial started, NaN where unknown, or its number if no start is known; the label."""
    begin = starts(trials)
    if begin.isna().all():
        number = pd.Series(np.arange(1.0, len(trials) + 1), in_order(trials).index)
        return number, "trial, in the order of the table"
    seconds = (begin - begin.min()).dt.total_seconds()
    unit, length = next((unit, length) for unit, length, end in UNITS if seconds.max() < end)
    return seconds / length, f"{unit} after the first start"


def history_figure(sweep: SweepFolder, drawn: pd.DataFrame) -> Figure:
    """The metric against the start, and the best so far; what has no value lies beyond.

    `drawn` are the trials to be drawn; those whose start is unknown are not, if any is known.
    """
    when, label = times_of(sweep.trials)
    when = when.dropna()
    drawn = drawn.loc[drawn.index.isin(when.index)]
    measure = sweep.measure
    measured = drawn[drawn[measure.name].notna()]
    values = measured[measure.name]
    traces = [*outcome_dots(measured, when, values, measure=measure)]
    traces += _without_value(drawn[drawn[measure.name].isna()], when, values, measure)
    if len(measured):
        order = when[measured.index].sort_values(kind="stable").index
        best = measure.values(measure.scores(measured)[order].cummax())
        look = Look(BLACK)
        traces.append(line(when[order], best, look, shape="hv", name="best so far"))
        traces.append(_highlight(sweep, measured, when, values))
    title = plain(measure.axis)
    y_axis = axis(title) if len(measured) else axis(title, range=[-0.1, 1])
    return figure(traces, axis(label), y_axis, height=380)


def _without_value(
    trials: pd.DataFrame, when: pd.Series, known: pd.Series, measure: Measure
) -> list[Trace]:
    """Dots on the worse side of all others."""
    at = 0.0
    if len(known):
        room = 0.06 * max(np.ptp(known), 0.05)
        at = known.min() - room if measure.rises else known.max() + room
    level = pd.Series(at, trials.index)
    traces = [*outcome_dots(trials, when, level, size=6, measure=measure)]
    without = f", no {plain(measure.said)}"
    for trace in traces:
        trace["name"] = trace["name"].replace(" (n", f"{without} (n")
        trace["legendgroup"] += without
        trace["hovertemplate"] = trace["hovertemplate"].replace(
            f"%{{y:{measure.format}}}", "unknown"
        )
    return traces


def slice_figures(
    sweep: SweepFolder, scores: pd.DataFrame, names: Sequence[str], links: Linked, when: str
) -> list[Figure]:
    """For each hyperparameter its values against the metric `when`, with their medians.

    `scores` has trial_id, the hyperparameters and the metric at that time, a row a trial.
    """
    values = scores[sweep.measure.name]
    low, high = values.min(), values.max()
    pad = 0.08 * max(high - low, 0.02)
    return [_slice(sweep, scores, name, [low - pad, high + pad], links, when) for name in names]


def _slice(
    sweep: SweepFolder,
    trials: pd.DataFrame,
    name: str,
    span: list[float],
    links: Linked,
    when: str,
) -> Figure:
    groups = groups_of(trials[name])
    x = groups.positions
    if groups.is_category:
        x = x + np.random.default_rng(0).uniform(-SPREAD, SPREAD, len(x))
    measure = sweep.measure
    values = trials[measure.name]
    middles = values.groupby(groups.members).median()
    medians = line(
        [end for left, right, _ in groups.spans for end in (left, right, np.nan)],
        [at for code in range(len(groups.spans)) for at in (*[middles[code]] * 2, np.nan)],
        Look(BLACK), width=3, name="median",
    )  # fmt: skip
    hover = f"%{{text}}<br>{plain(measure.said)} %{{y:{measure.format}}}<extra></extra>"
    traces = []
    for label, look, has in links.groups(trials["trial_id"]):
        known = has & x.notna().to_numpy()
        trace = dots(
            x[known], values[known], look, name=f"{plain(label, 24)} (n = {known.sum():,})",
            legendgroup=label, hovertemplate=hover,
            customdata=links.of(trials.loc[known, "trial_id"]).tolist(),
        )  # fmt: skip
        trace["marker"]["opacity"] = 0.8
        traces.append(trace)
    traces += [medians, _highlight(sweep, trials, x, values)]
    y_axis = axis(f"{plain(measure.said)} {when}", range=numbers(span))
    drawn = figure(
        traces, _group_axis(groups), y_axis, height=280, dragmode="select",
        meta={"linked": "slice", "column": name},
    )  # fmt: skip
    return headed(drawn, name)


def _group_axis(groups: Groups) -> dict[str, Any]:
    """The values, or of many numbers their scale, and how many trials each group has."""
    sizes = groups.members.value_counts()
    counts = [int(sizes[code]) for code in range(len(groups.spans))]
    if not groups.is_category:
        text = f"n = {', '.join(map(str, counts))} by group"
        return scaled(text, groups.log)
    texts = [text for *_, text in groups.spans]
    level = max(5, *map(len, texts)) * len(texts) <= 28
    return named(texts) | {
        "range": [-0.6, len(texts) - 0.4], "tickangle": 0 if level else -35,
        "ticktext": [f"{plain(text, 14)}{'<br>' if level else ' '}(n = {n})"
                     for text, n in zip(texts, counts, strict=True)],
    }  # fmt: skip


def distribution_figure(trials: pd.DataFrame, measure: Measure = ACCURACY) -> Figure:
    """The share of trials that reach at most each value: of all, and of those completed."""
    measured = trials[trials[measure.name].notna()]
    groups = {f"all with a {plain(measure.said)}": (measured, Look(BLACK))}
    completed = measured[measured["status"] == "completed"] if "status" in measured else measured
    if 0 < len(completed) < len(measured):
        groups["completed only"] = (completed, Look(BLUE, dash="dash"))
    low, high = measured[measure.name].min(), measured[measure.name].max()
    traces = [
        shares(group[measure.name], low, high, look, name=f"{name} (n = {len(group):,})")
        | {
            "hoverinfo": "all",
            "hovertemplate": "%{y:.0%} reach at most %{x:" + measure.format + "}<extra></extra>",
        }
        for name, (group, look) in groups.items()
    ]
    y_axis = axis("share of trials with at most this", range=[0, 1.02], tickformat=".0%")
    return figure(traces, axis(plain(measure.axis)), y_axis, height=320)


def shares(values: pd.Series, low: float, high: float, look: Look, **more: Any) -> Trace:
    """The share of the values up to each, in steps from `low` to `high`.

    Of very many values the steps are drawn at MAX_DRAWN of them, evenly by rank.
    """
    ordered = np.sort(values.to_numpy(float))
    last = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), MAX_DRAWN)).astype(int))
    last = last[np.diff(ordered[last], append=np.inf) > 0]  # equal values are one step
    reached = np.searchsorted(ordered, ordered[last], side="right") / len(ordered)
    return line([low, *ordered[last], high], [0, *reached, 1], look, width=2, shape="hv", **more)


def cost_figure(sweep: SweepFolder, cost: Cost, drawn: pd.DataFrame) -> Figure:
    """The metric against what a trial took, and the trials that no cheaper one equals."""
    trials = cost.trials[cost.trials.index.isin(drawn.index.union(cost.front.index))]
    x, y = trials["cost"], trials[sweep.measure.name]
    front = line(cost.front["cost"], cost.front[sweep.measure.name], Look(GREY, dash="dot"),
                 shape="hv", name="best for its cost")  # fmt: skip
    traces = [
        *outcome_dots(trials, x, y, hover="<br>%{x:.4~g} " + cost.label, measure=sweep.measure),
        front,
        _highlight(sweep, trials, x, y),
    ]
    return figure(
        traces, scaled(cost.label, is_log(x)), axis(plain(sweep.measure.axis)), height=380
    )


def workers_figure(workers: Workers, trials: pd.DataFrame, measure: Measure = ACCURACY) -> Figure:
    """A bar for each of these trials on the lane of its worker."""
    traces, told = [], trials[measure.name].map(f"{{:{measure.format}}}".format)
    told = told.where(trials[measure.name].notna(), "unknown")
    for outcome, group in by_outcome(trials):
        trace = bars(
            group["end"] - group["begin"], group["lane"].astype(int), OUTCOMES[outcome],
            base=numbers(group["begin"]), width=0.72,
            name=f"{outcome} (n = {len(group):,})", legendgroup=outcome,
            text=[plain(name) for name in group["trial_id"]], textposition="none",
            customdata=told[group.index].tolist(),
            hovertemplate="trial %{text}<br>%{x:.3~g} minutes<br>" + plain(measure.said)
                          + f" %{{customdata}}<extra>{outcome}</extra>",
        )  # fmt: skip
        trace["marker"]["line"] = {"color": "#fff", "width": 1}
        traces.append(trace)
    height = min(900, 120 + 26 * len(workers.names))
    x_axis = axis("minutes after the first start")
    return figure(traces, x_axis, rows(workers.names), height=height, barmode="overlay")
