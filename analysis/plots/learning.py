"""A figure of who learns at all: by value, the share of networks that did not."""

import pandas as pd

from analysis.plots.scales import PERCENT, axis, figure, rows_axis, under_names
from analysis.plots.style import GREY, VERMILLION, Figure, Look, dots, interval, plain
from analysis.statistics.effects import SIGNIFICANT

LOOKS = {True: Look(VERMILLION, "square"), False: Look(GREY)}
NAMES = {True: "differs by value", False: "may be chance"}
MOST = 6  # hyperparameters, the surest first


def learning_figure(table: pd.DataFrame) -> Figure:
    """Rows a value, under the name of their hyperparameter: the share with its 95% interval.

    `table` has hyperparameter, value, n, failed, share, low, high and p_adjusted, which is the
    hyperparameter's.
    """
    surest = table.drop_duplicates("hyperparameter").sort_values("p_adjusted", kind="stable")
    rows, notes, top = under_names(
        (
            f"<b>{plain(row.hyperparameter, 30)}</b> (p = {row.p_adjusted:.2g})",
            table[table["hyperparameter"] == row.hyperparameter],
        )
        for row in surest.head(MOST).itertuples()
    )
    is_sure = rows["p_adjusted"].astype(float) <= SIGNIFICANT
    traces = []
    for kind, look in LOOKS.items():
        part = rows[is_sure == kind]
        if part.empty:
            continue
        said = [[plain(f"{r.hyperparameter} {r.value}"), f"{r.failed} of {r.n}"]
                for r in part.itertuples()]  # fmt: skip
        traces.append(dots(
            part["share"], part["at"], look, size=10, name=NAMES[kind], customdata=said,
            error_x=interval(part["share"], part["low"], part["high"], look.color, thickness=3)
            | {"width": 0},
            hovertemplate="%{customdata[0]}<br>%{customdata[1]} did not learn<extra></extra>",
        ))  # fmt: skip
    labels = [f"{plain(row.value, 18)} ({row.failed} of {row.n})" for row in rows.itertuples()]
    return figure(
        traces, axis("share of networks that did not learn, with 95% interval", **PERCENT),
        rows_axis(rows, labels, top),
        height=round(80 + 20 * top), annotations=notes,
    )  # fmt: skip
