"""Interactive figures of the trials: drawn by Optuna where it does well, and in one style.

Optuna's parallel coordinates have a trace per trial and no brushing, and its timeline knows no
workers: those two are drawn here, and what it lacks: accuracy against cost.
"""

from typing import Any

import numpy as np
import pandas as pd

from analysis import optuna_study
from analysis.folder import SweepFolder
from analysis.plotly_style import (
    PATTERNS,
    Figure,
    axis,
    hatch,
    headed,
    layout,
    numbers,
    outcome_dots,
    plain,
    ring,
)
from analysis.style import BLACK, GREY, OUTCOMES, by_outcome
from analysis.values import groups_of, is_log
from analysis.workload import Cost, Workers, in_order, starts

ACCURACY = "val_acc (fraction)"


def _highlight(sweep: SweepFolder, x: pd.Series, y: pd.Series) -> Figure:
    """The ring around the trial to point out; around nothing if it is not drawn."""
    found = sweep.trials.index[sweep.trials["trial_id"] == sweep.highlight].intersection(x.index)
    place = numbers([x[found[0]], y[found[0]]]) if len(found) else [None, None]
    return ring((place[0], place[1]), sweep.role)


def history_figure(sweep: SweepFolder, drawn: pd.DataFrame) -> Figure:
    """val_acc in the order of the starts, and the best so far; what has no val_acc lies below."""
    number = pd.Series(np.arange(1.0, len(sweep.trials) + 1), in_order(sweep.trials).index)
    ordered = in_order(drawn)
    measured = ordered[ordered["val_acc"].notna()]
    traces = [*outcome_dots(measured, number, measured["val_acc"])]
    traces += _without_accuracy(ordered[ordered["val_acc"].isna()], number, measured["val_acc"])
    if len(measured):
        _, best, *_ = optuna_study.history(optuna_study.study_of(measured, []))
        traces.append({
            **best, "x": numbers(number[measured.index[list(best["x"])]]),
            "y": numbers(best["y"]), "name": "best so far", "hoverinfo": "skip",
            "line": {"color": BLACK, "width": 1.4, "shape": "hv"},
        })  # fmt: skip
        traces.append(_highlight(sweep, number[measured.index], measured["val_acc"]))
    order = "its start" if starts(sweep.trials).notna().any() else "the table"
    y_axis = axis(ACCURACY) if len(measured) else axis(ACCURACY, range=[-0.1, 1])
    return {
        "data": traces,
        "layout": layout(axis(f"trial, in the order of {order}", rangemode="tozero"), y_axis),
    }


def _without_accuracy(trials: pd.DataFrame, number: pd.Series, known: pd.Series) -> list[Figure]:
    """Dots below all others."""
    floor = known.min() - 0.06 * max(np.ptp(known), 0.05) if len(known) else 0.0
    traces = [*outcome_dots(trials, number, pd.Series(floor, trials.index))]
    for trace in traces:
        trace["name"] = trace["name"].replace(" (n", ", no val_acc (n")
        trace["legendgroup"] += ", no val_acc"
        trace["hovertemplate"] = trace["hovertemplate"].replace("%{y:.3f}", "unknown")
        trace["marker"]["size"] = 6
    return traces


def slice_figures(sweep: SweepFolder, drawn: pd.DataFrame, names: list[str]) -> list[Figure]:
    """For each hyperparameter its values against val_acc with their medians."""
    measured = drawn[drawn["val_acc"].notna()]
    study = optuna_study.study_of(measured, names)
    low, high = measured["val_acc"].min(), measured["val_acc"].max()
    pad = 0.08 * max(high - low, 0.02)
    span = [low - pad, high + pad]
    return [_slice(sweep, study, measured, name, span) for name in names]


def _slice(
    sweep: SweepFolder, study: Any, trials: pd.DataFrame, name: str, span: list[float]
) -> Figure:
    dots, *_ = optuna_study.slice_of(study, name)
    groups = groups_of(trials[name])
    index = trials.index[np.asarray(dots["marker"]["color"], dtype=int)]
    x_axis = axis(type="log" if is_log(groups.positions) and not groups.is_category else "linear")
    if groups.is_category:
        codes = {repr(label): code for code, (*_, label) in enumerate(groups.spans)}
        jitter = np.random.default_rng(0).uniform(-0.16, 0.16, len(index))
        x = pd.Series([codes[label] for label in dots["x"]] + jitter, index)
        sizes = groups.members.value_counts()
        level = max(5, *(len(label) for *_, label in groups.spans)) * len(codes) <= 28
        x_axis |= {
            "tickvals": list(range(len(codes))), "range": [-0.6, len(codes) - 0.4],
            "showgrid": False, "tickangle": 0 if level else -35,
            "ticktext": [f"{plain(label, 14)}{'<br>' if level else ' '}(n = {sizes[code]})"
                         for code, (*_, label) in enumerate(groups.spans)],
        }  # fmt: skip
    else:
        x = pd.Series(np.asarray(dots["x"], dtype=float), index)
    y = pd.Series(dots["y"], index, dtype=float)
    middle = trials["val_acc"].groupby(groups.members).median()
    spans = [(*span[:2], middle[code]) for code, span in enumerate(groups.spans)]
    medians = {
        "type": "scatter", "mode": "lines", "name": "median", "hoverinfo": "skip",
        "line": {"color": BLACK, "width": 3},
        "x": [v for left, right, _ in spans for v in (*numbers([left, right]), None)],
        "y": [v for *_, at in spans for v in (*numbers([at, at]), None)],
    }  # fmt: skip
    traces = [*outcome_dots(trials, x, y, size=7), medians]
    traces.append(_highlight(sweep, x, y))
    y_axis = axis("val_acc", range=numbers(span))
    return {"data": traces, "layout": headed(layout(x_axis, y_axis), name)}


def distribution_figure(drawn: pd.DataFrame) -> Figure:
    """The share of trials that reach at most each val_acc: of all, and of those completed."""
    measured = drawn[drawn["val_acc"].notna()]
    studies = {"all with a val_acc": optuna_study.study_of(measured, [])}
    completed = measured[measured["status"] == "completed"] if "status" in measured else measured
    if 0 < len(completed) < len(measured):
        studies["completed only"] = optuna_study.study_of(completed, [])
    lines = optuna_study.distribution(list(studies.values()))
    looks = (
        {"color": BLACK, "width": 2},
        {"color": OUTCOMES["completed"]["color"], "width": 2, "dash": "dash"},
    )
    traces = [
        {**trace, "x": numbers(trace["x"]), "y": numbers(trace["y"]), "name": name, "line": look,
         "hovertemplate": "%{y:.0%} reach at most %{x:.3f}<extra></extra>"}
        for trace, name, look in zip(lines, studies, looks, strict=False)
    ]  # fmt: skip
    y_axis = axis("share of trials with at most this", range=[0, 1.02], tickformat=".0%")
    return {"data": traces, "layout": layout(axis(ACCURACY), y_axis)}


def cost_figure(sweep: SweepFolder, cost: Cost, drawn: pd.DataFrame) -> Figure:
    """val_acc against what a trial took, and the trials that no cheaper one equals."""
    trials = cost.trials[cost.trials.index.isin(drawn.index.union(cost.front.index))]
    x, y = trials["cost"], trials["val_acc"]
    front = {
        "type": "scatter", "mode": "lines", "name": "best for its cost",
        "x": numbers(cost.front["cost"]), "y": numbers(cost.front["val_acc"]),
        "line": {"color": GREY, "width": 1.4, "shape": "hv", "dash": "dot"}, "hoverinfo": "skip",
    }  # fmt: skip
    traces = [
        *outcome_dots(trials, x, y, hover="<br>%{x:.4~g} " + cost.label), front,
        _highlight(sweep, x, y),
    ]  # fmt: skip
    scale = "log" if is_log(x) else "linear"
    return {"data": traces, "layout": layout(axis(cost.label, type=scale), axis(ACCURACY))}


def workers_figure(workers: Workers, trials: pd.DataFrame) -> Figure:
    """A bar for each of these trials on the lane of its worker."""
    traces = [
        {
            "type": "bar", "orientation": "h", "legendgroup": outcome,
            "name": f"{outcome} (n = {len(group):,})",
            "base": numbers(group["begin"]),
            "x": numbers(group["end"] - group["begin"]),
            "y": group["lane"].astype(int).tolist(), "width": 0.72,
            "text": [plain(name) for name in group["trial_id"]], "textposition": "none",
            "customdata": ["unknown" if v != v else f"{v:.3f}" for v in group["val_acc"]],
            "marker": {"color": OUTCOMES[outcome]["color"], "line": {"color": "#fff", "width": 1},
                       "pattern": hatch(PATTERNS[outcome])},
            "hovertemplate": "trial %{text}<br>%{x:.3~g} minutes<br>val_acc %{customdata}"
                             f"<extra>{outcome}</extra>",
        }
        for outcome, group in by_outcome(trials)
    ]  # fmt: skip
    lanes: dict[str, Any] = {
        "tickvals": list(range(len(workers.names))), "range": [len(workers.names) - 0.4, -0.6],
        "ticktext": [plain(name, 24) for name in workers.names], "showgrid": False,
    }  # fmt: skip
    x_axis = axis("minutes after the first start")
    return {"data": traces, "layout": layout(x_axis, axis(**lanes), barmode="overlay")}
