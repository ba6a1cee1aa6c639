"""Learning curves: many trials, few traces."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from analysis.plots.colouring import Linked
from analysis.plots.scales import axis, figure, headed, scaled, upright
from analysis.plots.style import BLACK, QUIET, Figure, Look, Trace, dots, line, numbers, plain
from analysis.reading.folder import SweepFolder
from analysis.reading.measure import Measure
from cnnlib.networks.metric import SHARES

METRICS = ("val_acc", "train_acc", "val_loss", "train_loss")  # after the sweep's own
MAX_CURVES, MAX_POINTS = 300, 30_000
RUNG = Look(QUIET, dash="dot")
HOVER = "%{text}<br>epoch %{x}<br>%{y:.3~f}<extra></extra>"  # the page writes the text
COMPARED = Look(QUIET, dash="longdashdot")


def drawn_curves(epochs: pd.DataFrame, trials: pd.DataFrame, highlight: str | None) -> list[str]:
    """The trials whose curves are drawn: all, or of too many every n-th from the best down."""
    logged = trials.loc[trials["trial_id"].isin(epochs["trial_id"].unique()), "trial_id"].tolist()
    limit = min(MAX_CURVES, int(MAX_POINTS / max(1.0, len(epochs) / max(1, len(logged)))))
    kept = logged[:: max(1, -(-len(logged) // max(1, limit)))]
    if highlight is None or highlight in kept or highlight not in logged:
        return kept
    return [highlight, *kept]


def curve_figures(
    sweep: SweepFolder,
    epochs: pd.DataFrame,
    trials: pd.DataFrame,
    metrics: Sequence[str],
    links: Linked,
    compared: int | None = None,
) -> list[Figure]:
    """Each metric against epoch: the curves of one colour are one trace, with gaps.

    `compared` is the epoch at which trials are compared, which is marked.
    """
    known = epochs[epochs["trial_id"].isin(trials["trial_id"])]
    known = known.sort_values(["trial_id", "epoch"], kind="stable")
    figures = [_curves(sweep, known, trials, metric, links, compared) for metric in metrics]
    shares = [name for name in metrics if _is_share(name)]
    low, high = known[shares].min().min(), known[shares].max().max()
    for metric, drawn in zip(metrics, figures, strict=True):
        if metric in shares:  # what is learnt and what generalises, on one scale
            pad = 0.04 * max(high - low, 0.02)
            drawn["layout"]["yaxis"]["range"] = numbers([low - pad, high + pad])
    return figures


def _is_share(metric: str) -> bool:
    return metric.endswith("acc") or metric in SHARES


def _curves(
    sweep: SweepFolder,
    epochs: pd.DataFrame,
    trials: pd.DataFrame,
    metric: str,
    links: Linked,
    compared: int | None,
) -> Figure:
    known, rungs = epochs.dropna(subset=[metric]), sweep.rungs
    is_stopped = trials["status"] == "stopped" if "status" in trials else slice(0)
    stopped = trials.loc[is_stopped, "trial_id"]
    last = ~known["trial_id"].duplicated(keep="last")
    alone = last & ~known["trial_id"].duplicated(keep="first")  # a single epoch is no line
    ended = (last & known["trial_id"].isin(stopped)) | alone
    traces: list[Trace] = []
    for label, look, has in links.groups(known["trial_id"]):
        num_trials, ends = known.loc[has, "trial_id"].nunique(), known[has & ended]
        name = f"{plain(label, 24)} (n = {num_trials:,})"
        traces += [
            _joined(known[has], metric, look, links, width=1.2, opacity=0.75, name=name,
                    legendgroup=label),
            dots(ends["epoch"], ends[metric], look, size=6, legendgroup=label,
                 customdata=links.of(ends["trial_id"]).tolist(), hovertemplate=HOVER),
        ]  # fmt: skip
    best = known[known["trial_id"] == sweep.highlight]
    traces.append(
        line(best["epoch"], numbers(best[metric], 4), Look(BLACK), width=3, name=sweep.role,
             hoverinfo="skip")
    )  # fmt: skip
    shapes = [upright(at, QUIET, width=1.8, dash="dot") for at in rungs]
    if rungs:
        traces.append(line([np.nan], [np.nan], RUNG, width=1.8, name="rung"))
    if compared is not None and compared not in rungs and compared < known["epoch"].max():
        traces.append(line([np.nan], [np.nan], COMPARED, width=1.4, name="compared here"))
        shapes.append(upright(compared, QUIET, width=1.4, dash="longdashdot"))
    x_axis = axis("epoch", rangemode="tozero")
    drawn = figure(
        traces, x_axis, _metric_axis(known, metric, sweep.measure), height=320, shapes=shapes,
        meta={"linked": "curves", "metric": metric}, dragmode="select",
    )  # fmt: skip
    return headed(
        drawn, f"{sweep.measure.called(metric)}, n = {known['trial_id'].nunique():,} trials"
    )


def _metric_axis(known: pd.DataFrame, metric: str, measure: Measure) -> dict[str, Any]:
    name = plain(measure.called(metric))
    if not metric.endswith("loss") or known.empty:
        return axis(f"{name} (fraction)" if _is_share(metric) else name)
    losses = known[metric]
    top, outside, log = loss_limits(losses)
    title = f"{name} (cross-entropy)" if metric in METRICS else name
    if not outside:
        return scaled(title, log)
    title += f"<br>{outside} value{'s' * (outside > 1)} above, up to {losses.max():.3g}"
    low = losses.min()
    span = np.log10([low / 1.1, top]) if log else [low - 0.05 * (top - low), top]
    return scaled(title, log, range=numbers(span))


def loss_limits(losses: pd.Series) -> tuple[float, int, bool]:
    """Where a plot of losses ends, how many lie above, and whether it needs a log scale.

    A few exploded losses must not flatten all curves: they leave the plot, and it says so.
    """
    top = 1.3 * losses.quantile(0.98)
    outside = int((losses > top).sum())
    if not outside or losses.max() <= 3 * top:
        top, outside = losses.max(), 0
    return float(top), outside, bool(losses.min() > 0 and top / losses.min() > 30)


def _joined(epochs: pd.DataFrame, metric: str, look: Look, links: Linked, **more: Any) -> Trace:
    """One trace of all curves, sorted by trial and epoch, with a gap after each trial."""
    names = epochs["trial_id"].to_numpy()
    gaps = np.flatnonzero(names[1:] != names[:-1]) + 1
    x = np.insert(epochs["epoch"].to_numpy(float), gaps, np.nan)
    y = np.insert(epochs[metric].to_numpy(float), gaps, np.nan)
    rows = np.insert(links.of(epochs["trial_id"]), gaps, -1)
    trace = line(x, y, look, customdata=rows.tolist(), hovertemplate=HOVER, **more)
    return trace | {"y": numbers(y, 4), "hoverinfo": "all"}
