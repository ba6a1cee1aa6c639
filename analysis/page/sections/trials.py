"""The sections in which every trial is shown: plots, and the table that they filter."""

import pandas as pd

from analysis.page.blocks import Block, Panel, Paragraph, Plot, Section, Table, plot
from analysis.plots import curves, trials
from analysis.plots.parallel import parallel_figure
from analysis.reading.folder import SweepFolder
from analysis.reading.values import constant, shown, varied
from analysis.reading.workload import MAX_DRAWN, cost_of, starts, thinned, thinning_note, workers_of
from cnnlib.system.units import counted

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
MAX_ROWS = 1000  # of the table of trials, and so of the parallel coordinates that filter it
HANDLING = (
    "Point at a mark for its trial, drag over a part to enlarge it, double-click to see all again;"
    " a click on an entry of the legend hides or shows it."
)


def history_section(sweep: SweepFolder) -> Section:
    """The metric against the start of the trials."""
    title, table, measure = f"{sweep.measure.heading} against time", sweep.trials, sweep.measure
    if not len(table):
        return Section(title, [])
    drawn = thinned(table, sweep.highlight, measure)
    alt = (
        f"{measure.first} of {len(table)} trials against their start, with the best so far as"
        " a step line."
    )
    caption = (
        "Each trial is a dot; colour and shape tell its outcome. The black line is the best"
        f" {measure.long} among the trials started so far. Trials without {measure.one} stand"
        f" {measure.beyond}. {thinning_note(len(drawn), len(table), measure)}"
    )
    undated = int(starts(table).isna().sum())
    if 0 < undated < len(table):
        caption += f" When {counted(undated, 'trial')} began is not known, so not drawn."
    figure = trials.history_figure(sweep, drawn)
    return Section(title, [plot("timeline", figure, alt, caption.strip(), hint=HANDLING)])


def curve_section(sweep: SweepFolder) -> Section:
    """Learning curves with the rungs."""
    title = "Learning curves"
    names = dict.fromkeys((sweep.measure.name, *curves.METRICS))
    metrics = [name for name in names if name in sweep.epochs]
    logged = sweep.epochs.dropna(subset=metrics, how="all")
    logged = logged[logged["trial_id"].isin(sweep.trials["trial_id"])]
    if not metrics or not len(logged):
        text = "No epoch of these trials was logged, so there are no curves."
        return Section(title, [Paragraph(text)])
    metrics = [name for name in metrics if logged[name].notna().any()]
    num_logged = logged["trial_id"].nunique()
    kept = curves.drawn_curves(logged, sweep.trials, sweep.highlight)
    table = sweep.trials[sweep.trials["trial_id"].isin(kept)]
    alt = f"Validation and training accuracy and loss of {num_logged} trials against epoch."
    thick = f" {highlighted(sweep)} is thick." if sweep.highlight else ""
    caption = (
        f"A thin line per trial (n = {num_logged:,}); colour and line style tell its outcome, and"
        f" trials that were stopped end in a marker.{thick}"
    )
    if sweep.rungs:
        caption += " Dotted verticals are the rungs, at which trials are stopped."
    if len(kept) < num_logged:
        step = -(-num_logged // len(kept))
        caption += (
            f" {len(kept):,} of {num_logged:,} curves are drawn: about one of every {step} in order"
            f" of {sweep.measure.said}, the best among them."
        )
    figures = curves.curve_figures(sweep, logged, table, metrics)
    panels = [
        Panel(figure, f"{sweep.measure.called(metric)} of {len(kept)} trials against epoch.")
        for metric, figure in zip(metrics, figures, strict=True)
    ]
    return Section(title, [Plot("curves", panels, alt, caption)])


def hyperparameter_section(sweep: SweepFolder) -> Section:
    """Slices: each hyperparameter against the metric."""
    title = "Each hyperparameter by itself"
    measured, measure = sweep.measured, sweep.measure
    drawn = thinned(measured, sweep.highlight, measure)
    names = varied(drawn, sweep.hyperparameters)
    if not names:
        return Section(title, [])
    panels = [
        Panel(figure, f"{measure.first} of {len(drawn)} trials against {name}.")
        for name, figure in zip(names, trials.slice_figures(sweep, drawn, names), strict=True)
    ]
    alt = f"{measure.first} of {len(measured)} trials against each hyperparameter."
    caption = (
        f"Each trial with {measure.one} is a dot, the bar is the median, and n counts the dots of a"
        " value. Numbers with many values are summarised in four groups of equal size, from left"
        f" to right. {thinning_note(len(drawn), len(measured), measure)}"
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


def cost_section(sweep: SweepFolder) -> Section:
    """The metric against cost, and how it is distributed."""
    blocks: list[Block] = []
    measured, measure = sweep.measured, sweep.measure
    cost = cost_of(sweep.trials, measure)
    if cost is not None and len(cost.trials) > 1:
        drawn = thinned(measured, sweep.highlight, measure)
        note = thinning_note(len(drawn), len(measured), measure)
        alt = f"{measure.first} of {len(cost.trials)} trials against {cost.label}."
        caption = (
            f"Each trial is a dot at what it took, in {cost.label}. The dotted line joins the"
            f" trials that no cheaper one equals; a trial {measure.beyond} it was surpassed by one"
            " that took no more."
        )
        if note:
            caption += f" {note} So are all on the dotted line."
        blocks.append(plot("cost", trials.cost_figure(sweep, cost, drawn), alt, caption))
    if len(measured) > 1:
        alt = f"Distribution function of the {measure.long} of {len(measured)} trials."
        caption = (
            f"The share of trials whose {measure.said} is at most the value below: the steeper the"
            " rise, the more trials lie there."
        )
        blocks.append(
            plot("distribution", trials.distribution_figure(measured, measure), alt, caption)
        )
    return Section(f"{measure.heading} against cost", blocks)


def worker_section(sweep: SweepFolder) -> Section:
    """Which worker ran which trial when."""
    workers = workers_of(sweep.trials)
    if workers is None:
        return Section("Workers", [])
    recent = workers.trials.tail(MAX_DRAWN)
    num_nodes = workers.trials["node"].nunique()
    alt = (
        f"Timeline of {len(recent)} trials on {len(workers.names)} workers of"
        f" {num_nodes} node{'s' * (num_nodes > 1)}."
    )
    caption = (
        f"A bar per trial from its start for the seconds it took; colour and hatching tell its"
        f" outcome, and in a gap none ran. The workers trained {workers.busy:.0%} of the time from"
        " the first start to the last end. Which worker of a node ran a trial is not logged: trials"
        " are laid into as few rows as they need."
    )
    if len(recent) < len(workers.trials):
        caption += f" The last {len(recent):,} of {len(workers.trials):,} trials are drawn."
    return Section(
        "Workers",
        [plot("workers", trials.workers_figure(workers, recent, sweep.measure), alt, caption)],
    )


def parallel_section(sweep: SweepFolder) -> Section:
    """Parallel coordinates that filter the table of trials."""
    title = "Parallel coordinates"
    measured, measure = sweep.measured, sweep.measure
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
        f" hyperparameter down to its {measure.said}: the darker, the better."
        f" {highlighted(sweep)} is thick, its values stand beside the names. Values that"
        " trials share are spread a little so that no line hides another; numbers that span two"
        " decades or more are on a log scale."
        f"{left_out}"
    )
    if len(rows) < len(measured):
        caption += f" The best {len(rows):,} of {len(measured):,} trials are drawn."
    hint = (
        "Drag along an axis to keep the trials that pass there, on several axes one after the"
        " other; a double-click shows all again. The table below keeps the same trials, and what"
        " is typed into its filters is marked here."
    )
    panel = Panel(parallel_figure(rows, names, sweep.highlight, measure), alt)
    return Section(title, [Plot("parallel", [panel], alt, caption, hint, filters=True)])


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
    table = trials_table(sweep).drop(columns=same).head(MAX_ROWS)
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
