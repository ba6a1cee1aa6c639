"""Figures of the test: classes that are confused and recognised, and how sure the champion is."""

import numpy as np
import pandas as pd

from analysis.plots.scales import PERCENT, axis, figure, headed, named, rows, shaded
from analysis.plots.style import (
    BLACK,
    BLUE,
    BLUES,
    GREY,
    SKY,
    VERMILLION,
    Figure,
    Look,
    bars,
    dots,
    interval,
    line,
    numbers,
    plain,
)
from analysis.plots.trials import shares

MAX_COUNTED = 20  # more classes have no numbers in their cells
WIDE_FROM = 40  # more do not fit into the page's width
NARROW = 620
RIGHT, WRONG = Look(BLUE), Look(VERMILLION, dash="dash")


def confusion_figure(counts: pd.DataFrame) -> Figure:
    """Counts by true (row) and predicted class, shaded by their share of the row."""
    size, wide = len(counts), len(counts) > WIDE_FROM
    by_row = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0).fillna(0)
    cells = {"customdata": counts.to_numpy().tolist()}
    if size <= MAX_COUNTED:
        cells = {"text": cells["customdata"], "texttemplate": "%{text}"}
    n = "%{text}" if size <= MAX_COUNTED else "%{customdata}"
    trace = {
        "type": "heatmap", "z": [numbers(row, 3) for row in by_row.to_numpy()], **cells,
        "xgap": 1, "ygap": 1, **shaded(BLUES, "share of the true<br>class (row)", 0, 1),
        "hovertemplate": f"%{{y}} taken for %{{x}}: {n}<extra></extra>",
    }  # fmt: skip
    font = {"tickfont": {"size": 11 if size <= MAX_COUNTED else 9}}
    slant = -90 if wide else -45
    x = named(counts.columns, "predicted class", 22, tickangle=slant, **font)
    y = rows(counts.index, "true class", 22, **font)
    side = 200 + 12 * size if wide else min(760, 260 + 44 * size)
    width = {"width": side + 100} if wide else {}
    least = 200 + (36 if size <= MAX_COUNTED else 12) * size  # on a phone it scrolls
    drawn = figure([trace], x, y, height=side, meta={"least": least}, **width)
    return headed(drawn, f"n = {int(counts.to_numpy().sum()):,} test photographs")


def recalls_figure(recalls: pd.DataFrame) -> Figure:
    """Recall of each class as a bar with its 95% interval, and n beside the name."""
    recall = recalls["recall"].fillna(0)
    known = recalls["n"] > 0
    names = [f"{plain(row.label, 24)} (n = {row.n:,})" for row in recalls.itertuples()]
    error = interval(recall, recalls["low"].where(known, 0), recalls["high"].where(known, 0), BLACK)
    step, font = (26, 11) if len(recalls) <= 30 else (13, 9)
    trace = bars(
        recall, range(len(recalls)), Look(SKY), error_x=error,
        hovertemplate="%{y}<br>recall %{x:.1%}<extra></extra>",
    )  # fmt: skip
    y = rows(recalls["label"], tickfont={"size": font}) | {"ticktext": names}
    return figure([trace], axis("recall, with 95% interval", **PERCENT), y,
                  height=80 + step * len(recalls))  # fmt: skip


def calibration_figure(bins: pd.DataFrame) -> Figure:
    """Accuracy against confidence, a dot a bin with its 95% interval, and the line of equality."""
    n, accuracy = bins["n"], bins["accuracy"]
    each = f"{n.min():,}" if n.min() == n.max() else f"{n.min():,} to {n.max():,}"
    marks = dots(
        bins["confidence"], accuracy, Look(BLACK), size=8,
        error_y=interval(accuracy, bins["low"], bins["high"], BLACK),
        hovertemplate="confidence %{x:.1%}<br>right %{y:.1%}<extra></extra>",
    )  # fmt: skip
    traces = [line([0, 1], [0, 1], Look(GREY, dash="dash")), marks]
    x = axis("mean confidence of the bin", **PERCENT)
    y = axis("share that is right, with 95% interval", **PERCENT)
    drawn = figure(traces, x, y, height=500, width=NARROW)
    return headed(drawn, f"n = {n.sum():,}, {each} a bin")


def confidence_figure(predictions: pd.DataFrame) -> Figure:
    """The share of right and of wrong predictions up to each confidence, as steps."""
    known = predictions.dropna(subset=["confidence"])
    traces = []
    for correct, name, look in ((True, "right", RIGHT), (False, "wrong", WRONG)):
        values = known.loc[known["correct"] == correct, "confidence"]
        if len(values):
            traces.append(shares(values, 0, 1, look, name=f"{name} (n = {len(values):,})"))
    x, y = axis("confidence at most", **PERCENT), axis("share of predictions", **PERCENT)
    return figure(traces, x, y, height=310, width=NARROW)
