"""The report's sections of interactive figures, each with the still picture that stands for it."""

from pathlib import Path

import pandas as pd

from analysis import gallery, interactive, interactive_curves, interactive_findings
from analysis.findings import Findings
from analysis.folder import SweepFolder
from analysis.interplay import cells_of
from analysis.page import Block, Panel, Paragraph, Picture, Plot, Section
from analysis.values import varied
from analysis.workload import MAX_DRAWN, cost_of, thinned, thinning_note, workers_of

MAX_ROWS = 1000  # of the table of trials, and so of the parallel coordinates that filter it
HANDLING = (
    "Point at a mark for its trial, drag over a part to enlarge it, double-click to see all again;"
    " a click on an entry of the legend hides or shows it."
)


def history_section(sweep: SweepFolder, figures: Path) -> Section:
    """Accuracy in the order of the trials."""
    title, trials = "Accuracy against time", sweep.trials
    if not len(trials):
        return Section(title, [])
    gallery.save_timeline(sweep, figures / "timeline.png")
    drawn = thinned(trials, sweep.highlight)
    figure = interactive.history_figure(sweep, drawn)
    alt = (
        f"Validation accuracy of {len(trials)} trials against their start, with the best so far as"
        " a step line."
    )
    caption = (
        "Each trial is a dot; colour and shape tell its outcome. The black line is the best"
        " validation accuracy among the trials started so far. Trials without an accuracy stand"
        " below."
    )
    hint = f"{HANDLING} {thinning_note(len(drawn), len(trials))}".strip()
    return Section(title, [Plot([Panel(figure, alt)], Picture("timeline", alt, caption), hint)])


def curve_section(sweep: SweepFolder, figures: Path) -> Section:
    """Learning curves with the rungs."""
    title = "Learning curves"
    metrics = [name for name in gallery.CURVES if name in sweep.epochs]
    logged = sweep.epochs.dropna(subset=metrics, how="all")
    logged = logged[logged["trial_id"].isin(sweep.trials["trial_id"])]
    if not metrics or not len(logged):
        return Section(
            title, [Paragraph("No epoch of these trials was logged, so there are no curves.")]
        )
    gallery.save_curves(sweep, figures / "curves.png")
    metrics = [name for name in metrics if logged[name].notna().any()]
    num_logged = logged["trial_id"].nunique()
    kept = interactive_curves.drawn_curves(logged, sweep.trials, sweep.highlight)
    trials = sweep.trials[sweep.trials["trial_id"].isin(kept)]
    panels = interactive_curves.curve_figures(sweep, logged, trials, metrics)
    alt = f"Validation and training accuracy and loss of {num_logged} trials against epoch."
    thick = f" {highlighted(sweep)} is thick." if sweep.highlight else ""
    caption = (
        f"A thin line per trial (n = {num_logged:,}); colour and line style tell its outcome, and"
        f" trials that were stopped end in a marker.{thick}"
    )
    if sweep.rungs:
        caption += " Dotted verticals are the rungs, at which trials are stopped."
    hint = ""
    if len(kept) < num_logged:
        step = -(-num_logged // len(kept))
        hint = (
            f"{len(kept):,} of {num_logged:,} curves are drawn here: about one of every {step}"
            " in order of val_acc, the best among them."
        )
    parts = [
        Panel(figure, f"{metric} of {len(kept)} trials against epoch.", 320)
        for metric, figure in zip(metrics, panels, strict=True)
    ]
    plot = Plot(
        parts,
        Picture("curves", alt, caption),
        hint,
    )
    return Section(title, [plot])


def hyperparameter_section(sweep: SweepFolder, figures: Path) -> Section:
    """Slices: each hyperparameter against accuracy."""
    title = "Each hyperparameter by itself"
    measured = sweep.trials[sweep.trials["val_acc"].notna()]
    names = varied(measured, sweep.hyperparameters)
    if not names:
        return Section(title, [])
    gallery.save_hyperparameters(sweep, figures / "hyperparameters.png")
    drawn = thinned(measured, sweep.highlight)
    names = varied(drawn, names)
    slices = interactive.slice_figures(sweep, drawn, names)
    panels = [
        Panel(figure, f"Validation accuracy of {len(drawn)} trials against {name}.", 280)
        for name, figure in zip(names, slices, strict=True)
    ]
    alt = f"Validation accuracy of {len(measured)} trials against each hyperparameter."
    caption = (
        "Each trial with an accuracy is a dot, the bar is the median, and n counts the dots of a"
        " value. Numbers with many values are summarised in four groups of equal size, from left"
        " to right."
    )
    warning = (
        "These are raw accuracies, not adjusted for anything: the trials differ in their other"
        " hyperparameters too, and the search tries promising values more often. A difference here"
        " is a hint, not an effect."
    )
    return Section(
        title,
        [
            Paragraph(warning),
            Plot(
                panels,
                Picture("hyperparameters", alt, caption),
                thinning_note(len(drawn), len(measured)),
            ),
        ],
    )


def cost_section(sweep: SweepFolder, figures: Path) -> Section:
    """Accuracy against cost, and how accuracy is distributed."""
    blocks: list[Block] = []
    measured = sweep.trials[sweep.trials["val_acc"].notna()]
    cost = cost_of(sweep.trials)
    drawn = thinned(measured, sweep.highlight)
    note = thinning_note(len(drawn), len(measured))
    if cost is not None and len(cost.trials) > 1:
        gallery.save_cost(cost, sweep.highlight, figures / "cost.png")
        alt = f"Validation accuracy of {len(cost.trials)} trials against {cost.label}."
        text = (
            f"Each trial is a dot at what it took, in {cost.label}. The dotted line joins the"
            " trials that no cheaper one equals; a trial below it was surpassed by one that took no"
            " more."
        )
        figure = interactive.cost_figure(sweep, cost, drawn)
        hint = f"{note} So are all on the dotted line." if note else ""
        blocks.append(Plot([Panel(figure, alt)], Picture("cost", alt, text), hint))
    if len(measured) > 1:
        gallery.save_distribution(measured, figures / "distribution.png")
        alt = f"Distribution function of the validation accuracy of {len(measured)} trials."
        text = (
            "The share of trials whose val_acc is at most the value below: the steeper the rise,"
            " the more trials lie there."
        )
        figure = interactive.distribution_figure(drawn)
        blocks.append(Plot([Panel(figure, alt, 320)], Picture("distribution", alt, text)))
    return Section("Accuracy against cost", blocks)


def worker_section(sweep: SweepFolder, figures: Path) -> Section:
    """Which worker ran which trial when."""
    workers = workers_of(sweep.trials)
    if workers is None:
        return Section("Workers", [])
    recent = workers.trials.tail(MAX_DRAWN)
    gallery.save_workers(workers, recent, figures / "workers.png")
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
    height = min(900, 120 + 26 * len(workers.names))
    figure = interactive.workers_figure(workers, recent)
    return Section(
        "Workers", [Plot([Panel(figure, alt, height)], Picture("workers", alt, caption))]
    )


def parallel_section(sweep: SweepFolder, figures: Path) -> Section:
    """Parallel coordinates that filter the table of trials."""
    title = "Parallel coordinates"
    measured = sweep.trials[sweep.trials["val_acc"].notna()]
    names = varied(measured, sweep.hyperparameters)
    if not len(measured):
        return Section(title, [Paragraph("No trial has a validation accuracy to draw.")])
    if not names:
        return Section(title, [Paragraph("No hyperparameter takes two values in these trials.")])
    gallery.save_parallel(sweep, figures / "parallel.png")
    rows = measured.head(MAX_ROWS)
    alt = f"Parallel coordinates of {len(measured)} trials over {', '.join(names)} and val_acc."
    same = [name for name in sweep.hyperparameters if name not in names]
    left_out = f" Not drawn, because they do not vary: {', '.join(same)}." if same else ""
    caption = (
        f"Each trial with an accuracy (n = {len(measured):,}) is a line from its first"
        f" hyperparameter down to its val_acc: the darker, the better. {highlighted(sweep)} is"
        " thick. Values that trials share are spread a little so that no line hides another;"
        f" numbers that span two decades or more are on a log scale.{left_out}"
    )
    hint = (
        "Drag along an axis to keep the trials that pass there, on several axes one after the"
        " other; a double-click shows all again. The table below keeps the same trials, and what"
        " is typed into its filters is marked here."
    )
    if len(rows) < len(measured):
        hint += f" The best {len(rows):,} of {len(measured):,} trials are drawn here."
    figure = interactive_curves.parallel_figure(rows, names, sweep.highlight)
    panel = Panel(figure, alt, 56 * (len(names) + 1) + 16)
    return Section(title, [Plot([panel], Picture("parallel", alt, caption), hint, filters=True)])


def importance_plot(findings: Findings) -> Plot:
    """What each hyperparameter explains."""
    importance, n = findings.effects.importance, len(findings.comparison.scores)
    alt = (
        f"Share of the variance explained by each of {len(importance)} hyperparameters, with 95%"
        " intervals."
    )
    caption = (
        "The share of the variance of val_acc that a hyperparameter would explain if each of its"
        " values were tried equally often; a hyperparameter without effect has 0. What is left is"
        f" noise and interplay (n = {n} trials)."
    )
    figure = interactive_findings.importance_figure(importance)
    height = 90 + 30 * len(importance)
    return Plot([Panel(figure, alt, height)], Picture("importance", alt, caption))


def pair_blocks(sweep_trials: pd.DataFrame, findings: Findings, figures: Path) -> list[Block]:
    """The pair that explains most of what hyperparameters leave unexplained one by one."""
    if not len(findings.pairs):
        return []
    pair = findings.pairs.iloc[0]
    first, second = str(pair["first"]), str(pair["second"])
    cells = cells_of(findings.comparison, first, second)
    gallery.save_pair(cells, first, second, figures / "pair.png")
    alt = f"Mean validation accuracy for each value of {first} with each value of {second}."
    caption = (
        f"The first of these pairs, {first} and {second}: the mean val_acc"
        f" {findings.comparison.when} of the trials that had both values, and their number. These"
        " are raw means, not adjusted for the other hyperparameters."
    )
    still = Picture("pair", alt, caption)
    known = sweep_trials.dropna(subset=["val_acc", first, second])
    if not interactive_findings.is_continuous(known, (first, second)):
        figure = interactive_findings.heat_map(cells, first, second)
        return [Plot([Panel(figure, alt, 130 + 48 * cells["first"].nunique())], still)]
    figure = interactive_findings.contour_figure(known, first, second)
    hint = "Here: each trial's best val_acc, interpolated between the trials, which are dots."
    return [Plot([Panel(figure, alt, 420)], still, hint)]


def highlighted(sweep: SweepFolder) -> str:
    """The trial to point out, in words."""
    return f"The {sweep.role} ({sweep.highlight})"
