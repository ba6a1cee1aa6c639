"""The sections in which every trial is shown, linked: plots, and the table that they filter."""

from collections.abc import Sequence

import pandas as pd

from analysis.page.blocks import Explorer, Panel, Paragraph, Plot, Section, Table
from analysis.plots import curves, trials
from analysis.plots.colouring import Linked, linked
from analysis.plots.parallel import parallel_figure
from analysis.reading.folder import SweepFolder
from analysis.reading.values import constant, shown, varied
from analysis.reading.workload import thinned, thinning_note
from analysis.statistics.comparison import Comparison

TRIALS_FIRST = ("trial_id", "status")
TRIALS_LAST = (
    "epochs",
    "audited",
    "best_epoch",
    "val_acc",
    "val_loss",
    "seconds",
    "node",
    "started",
    "error",
)
MAX_ROWS = 1000  # of the table of trials, and so of the parallel coordinates


def explored(sweep: SweepFolder, importance: Sequence[str]) -> Linked:
    """The trials of the table, then others that plots draw, coloured by what matters most first."""
    table = sweep.trials.drop_duplicates("trial_id")
    rows = table.head(MAX_ROWS)
    drawn = {*thinned(sweep.measured, sweep.highlight, sweep.measure)["trial_id"]}
    drawn |= {*drawable_epochs(sweep)[2]["trial_id"], sweep.highlight} - {*rows["trial_id"]}
    others = table.iloc[len(rows) :]
    names = varied(table, sweep.hyperparameters)
    first = [name for name in importance if name in names]
    order = [*first, *(name for name in names if name not in first)]
    return linked(sweep, pd.concat([rows, others[others["trial_id"].isin(drawn)]]), order)


def explorer_section(sweep: SweepFolder, links: Linked) -> Section:
    """By what all that follows is coloured, and how to use it."""
    if len(sweep.trials) < 2:
        return Section("Explore", [])
    text = (
        "These plots and the table are linked. Drag over a part of any plot, or type into the"
        " table's filters, to keep the trials that pass there; a double-click shows all again. A"
        " click on a mark, or on a trial in the table, opens its card."
    )
    content = {
        "ids": links.trials["trial_id"].tolist(),
        "by": [colouring.as_data() for colouring in links.colourings],
        "role": sweep.role,
    }
    return Section("Explore", [Paragraph(text), Explorer(content)])


def drawable_epochs(sweep: SweepFolder) -> tuple[list[str], pd.DataFrame, pd.DataFrame]:
    """The metrics that were logged, their epochs, and the trials whose curves are drawn."""
    names = dict.fromkeys((sweep.measure.name, *curves.METRICS))
    metrics = [name for name in names if name in sweep.epochs]
    logged = sweep.epochs.dropna(subset=metrics, how="all") if metrics else sweep.epochs.iloc[:0]
    logged = logged[logged["trial_id"].isin(sweep.trials["trial_id"])]
    metrics = [name for name in metrics if logged[name].notna().any()]
    kept = curves.drawn_curves(logged, sweep.trials, sweep.highlight) if len(logged) else []
    return metrics, logged, sweep.trials[sweep.trials["trial_id"].isin(kept)]


def curve_section(sweep: SweepFolder, links: Linked, comparison: Comparison) -> Section:
    """Learning curves with the rungs."""
    title = "Learning curves"
    metrics, logged, table = drawable_epochs(sweep)
    if not metrics or not len(logged):
        text = "No epoch of these trials was logged, so there are no curves."
        return Section(title, [Paragraph(text)])
    num_logged, num_drawn = logged["trial_id"].nunique(), table["trial_id"].nunique()
    alt = f"Validation and training accuracy and loss of {num_logged} trials against epoch."
    thick = f" {highlighted(sweep)} is thick." if sweep.highlight else ""
    caption = (
        f"A thin line per trial (n = {num_logged:,}); trials that were stopped end in a"
        f" marker.{thick}"
    )
    if sweep.rungs:
        happens = "trials pause, and the best go on" if sweep.pauses else "trials are stopped"
        caption += f" Dotted verticals are the rungs, at which {happens}."
    if num_drawn < num_logged:
        step = -(-num_logged // num_drawn)
        caption += (
            f" {num_drawn:,} of {num_logged:,} curves are drawn: about one of every {step} in order"
            f" of {sweep.measure.said}, the best among them."
        )
    figures = curves.curve_figures(sweep, logged, table, metrics, links, comparison.epoch)
    panels = [
        Panel(figure, f"{sweep.measure.called(metric)} of {num_drawn} trials against epoch.")
        for metric, figure in zip(metrics, figures, strict=True)
    ]
    return Section(title, [Plot("curves", panels, alt, caption)])


def hyperparameter_section(sweep: SweepFolder, links: Linked, comparison: Comparison) -> Section:
    """Slices: each hyperparameter against the metric at the epoch of comparison."""
    title, measure = "Each hyperparameter by itself", sweep.measure
    scores = measure.values(comparison.scores)
    table = sweep.trials.drop_duplicates("trial_id")
    measured = table.assign(**{measure.name: table["trial_id"].map(scores)})
    measured = measure.sorted(measured[measured[measure.name].notna()])
    drawn = thinned(measured, sweep.highlight, measure)
    drawn = drawn[drawn["trial_id"].isin(links.numbers)]
    names = varied(drawn, sweep.hyperparameters)
    if not names:
        return Section(title, [])
    named = [colouring.name for colouring in links.colourings]
    names.sort(key=lambda name: named.index(name) if name in named else len(named))
    figures = trials.slice_figures(sweep, drawn, names, links, comparison.when)
    panels = [
        Panel(figure, f"{measure.first} of {len(drawn)} trials against {name}.")
        for name, figure in zip(names, figures, strict=True)
    ]
    alt = f"{measure.first} of {len(measured)} trials against each hyperparameter."
    caption = (
        f"Each trial that is compared is a dot at its best {measure.said} {comparison.when}, the"
        " bar is the median, and n counts the dots of a value. Numbers with many values are"
        " summarised in four groups of equal size, from left to right."
        f" {thinning_note(len(drawn), len(measured), measure)}"
    )
    what = "accuracies" if measure.is_accuracy else f"values of {measure.said}"
    warning = (
        f"These are raw {what}, not adjusted for anything: the trials differ in their other"
        " hyperparameters too, and the search tries promising values more often. A difference here"
        " is a hint, not an effect."
    )
    return Section(
        title, [Paragraph(warning), Plot("hyperparameters", panels, alt, caption.strip())]
    )


def parallel_section(sweep: SweepFolder, links: Linked) -> Section:
    """Parallel coordinates."""
    title = "Parallel coordinates"
    measured, measure = sweep.measured.drop_duplicates("trial_id"), sweep.measure
    names = varied(measured, sweep.hyperparameters)
    if not len(measured):
        return Section(title, [Paragraph(f"No trial has a {measure.long} to draw.")])
    if not names:
        return Section(title, [Paragraph("No hyperparameter takes two values in these trials.")])
    rows = measured.head(MAX_ROWS)
    over = f"{', '.join(names)} and {measure.said}"
    alt = f"Parallel coordinates of {len(measured)} trials over {over}."
    same = [name for name in sweep.hyperparameters if name not in names]
    left_out = f" Not drawn, because they do not vary: {', '.join(same)}." if same else ""
    caption = (
        f"Each trial with {measure.one} (n = {len(measured):,}) is a line from its first"
        f" hyperparameter to its {measure.said} at the right. {highlighted(sweep)} is thick, its"
        " values stand below the names. Values that trials share are spread a little so that no"
        " line hides another; numbers that span two decades or more are on a log scale."
        f"{left_out}"
    )
    if len(rows) < len(measured):
        caption += f" The best {len(rows):,} of {len(measured):,} trials are drawn."
    hint = "Drag along an axis to keep the trials that pass there, on several one after the other."
    panel = Panel(parallel_figure(rows, names, sweep.highlight, links, measure), alt)
    return Section(title, [Plot("parallel", [panel], alt, caption, hint)])


def trials_table(sweep: SweepFolder) -> pd.DataFrame:
    """All trials, the best first, with the columns that say most first."""
    columns = [*TRIALS_FIRST, sweep.measure.name, *sweep.hyperparameters, *TRIALS_LAST]
    known = [name for name in dict.fromkeys(columns) if name in sweep.trials]
    return sweep.trials[known]


def table_section(sweep: SweepFolder) -> Section:
    """The table of trials, which sorts and filters."""
    if not len(sweep.trials):
        return Section("All trials", [Paragraph("There are no trials yet.")])
    same = constant(sweep.trials, sweep.hyperparameters)
    table = trials_table(sweep).drop_duplicates("trial_id").drop(columns=same).head(MAX_ROWS)
    # pandas' NA, of a trial that has no epoch yet, cannot be compared with anything
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    ids = table["trial_id"].tolist()
    marked = ids.index(sweep.highlight) if sweep.highlight in ids else None
    note = "Best first; a click on a heading sorts. As a file: tables/trials.csv."
    if len(table) < len(sweep.trials):
        note = f"The best {len(table):,} of {len(sweep.trials):,} trials. {note}"
    if same:
        values = [f"{name} {shown(_only_value(sweep, name))}" for name in same]
        note += f" The same in all trials: {', '.join(values)}."
    return Section(
        "All trials",
        [
            Paragraph(note),
            Table(list(map(sweep.measure.called, table)), rows, sortable=True, marked=marked),
        ],
    )


def _only_value(sweep: SweepFolder, name: str) -> object:
    known = sweep.trials[name].dropna()
    return known.iloc[0] if len(known) else None


def highlighted(sweep: SweepFolder) -> str:
    """The trial to point out, in words."""
    return f"The {sweep.role} ({sweep.highlight})"
