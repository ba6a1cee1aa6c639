"""What trials cost and when they ran, and which of very many are drawn; draws nothing."""

import heapq
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.reading.measure import ACCURACY, Measure
from cnnlib.system.units import counted

MAX_DRAWN = 1000


def starts(trials: pd.DataFrame) -> pd.Series:
    """When each trial started, in UTC; NaT where that is unknown."""
    if "started" not in trials:
        return pd.Series(pd.NaT, trials.index, dtype="datetime64[ns, UTC]")
    return pd.to_datetime(trials["started"], errors="coerce", utc=True, format="ISO8601")


def in_order(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials as they were started, or where no start is known as the folder lists them."""
    return trials.sort_index(kind="stable").loc[
        lambda table: starts(table).sort_values(kind="stable", na_position="last").index
    ]


def thinned(
    trials: pd.DataFrame, highlight: str | None, measure: Measure = ACCURACY
) -> pd.DataFrame:
    """All trials, or of very many every n-th in the order given, the best first.

    `highlight` is always among them, and so is every trial that was the best when it started: the
    distribution of the metric and the best so far are those of all trials.
    """
    if len(trials) <= MAX_DRAWN:
        return trials
    score = measure.scores(in_order(trials))
    record = score > score.cummax().ffill().shift().fillna(-np.inf)
    every = np.arange(len(trials)) % -(-len(trials) // MAX_DRAWN) == 0
    kept = every | record.loc[trials.index].to_numpy() | (trials["trial_id"] == highlight)
    return trials[kept]


def thinning_note(num_drawn: int, num_all: int, measure: Measure = ACCURACY) -> str:
    """What `thinned` left out, in words; empty if nothing."""
    if num_drawn == num_all:
        return ""
    return (
        f"{num_drawn:,} of {counted(num_all, 'trial')} are drawn: one of every"
        f" {-(-num_all // MAX_DRAWN)} in order of {measure.said}, and each that was the best so"
        " far."
    )


@dataclass(frozen=True)
class Cost:
    """What each trial with a value took; `front` are those that no cheaper one equals."""

    trials: pd.DataFrame
    """With a column cost, the cheapest first."""
    front: pd.DataFrame
    label: str


def cost_of(trials: pd.DataFrame, measure: Measure = ACCURACY) -> Cost | None:
    """Seconds where most trials with a value have them, else epochs; None if neither."""
    measured = trials[trials[measure.name].notna()]
    for column, label in (("seconds", "seconds of training"), ("epochs", "epochs trained")):
        if column not in trials:
            continue
        cost = pd.to_numeric(measured[column], errors="coerce")
        known = cost.notna() & np.isfinite(cost)
        if len(measured) and known.mean() > 0.5:
            table = measured[known].assign(cost=cost[known])
            table = table.sort_values(
                ["cost", measure.name], ascending=[True, not measure.rises], kind="stable"
            )
            best = measure.scores(table).cummax()
            return Cost(table, table[best > best.shift(fill_value=-np.inf)], label)
    return None


@dataclass(frozen=True)
class Workers:
    """Which worker ran each trial from when to when (begin, end: minutes after the first start)."""

    trials: pd.DataFrame
    """With columns begin, end and lane, the number of the worker."""
    names: list[str]
    """Of each lane."""
    busy: float
    """The share of the time from the first start to the last end that a worker was training."""


def workers_of(trials: pd.DataFrame) -> Workers | None:
    """The trials laid into as few lanes a node as they need; None if no start or time is known."""
    begin = starts(trials)
    if "seconds" not in trials or begin.isna().all():
        return None
    seconds = pd.to_numeric(trials["seconds"], errors="coerce")
    known = begin.notna() & seconds.notna() & np.isfinite(seconds)
    if not known.any():
        return None
    table = trials[known].assign(begin=(begin - begin.min()).dt.total_seconds()[known] / 60)
    table["end"] = table["begin"] + seconds[known] / 60
    node = table["node"].astype(object) if "node" in table else pd.Series(None, table.index)
    table["node"] = node.where(node.notna(), "unknown node")
    table = table.sort_values("begin", kind="stable")
    table["lane"], names = _lanes(table)
    span = (table["end"].max() - table["begin"].min()) * len(names)
    busy = float((table["end"] - table["begin"]).sum() / span) if span else 1.0
    return Workers(table, names, min(1.0, busy))


def _lanes(table: pd.DataFrame) -> tuple[pd.Series, list[str]]:
    """The lane of each trial, the first that is free on its node, and the names of all lanes."""
    lanes = pd.Series(0, table.index)
    names: list[str] = []
    for node, group in table.groupby("node", sort=True):
        free: list[int] = []
        running: list[tuple[float, int]] = []
        first = len(names)
        for index, begin, end in zip(group.index, group["begin"], group["end"], strict=True):
            while running and running[0][0] <= begin:
                heapq.heappush(free, heapq.heappop(running)[1])
            if not free:
                heapq.heappush(free, len(names))
                names.append(f"{node}, worker {len(names) - first + 1}")
            lanes[index] = heapq.heappop(free)
            heapq.heappush(running, (end, lanes[index]))
    return lanes, names
