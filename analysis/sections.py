"""The report's sections: which there are, in which order, and what each says and shows."""

from pathlib import Path

import pandas as pd

from analysis import (
    final_section,
    finding_sections,
    gallery,
    photo_sections,
    plot_sections,
    summary,
)
from analysis.audit import audit_section
from analysis.exam_section import exam_blocks
from analysis.findings import Findings
from analysis.folder import SweepFolder
from analysis.page import (
    Block,
    Folded,
    KeyFigures,
    Page,
    Paragraph,
    Picture,
    Section,
    Table,
)
from analysis.plot_sections import MAX_ROWS
from analysis.predictions import class_order, class_recalls, confusion_counts, most_confused
from analysis.values import constant, is_missing, shown

TRIALS_FIRST = ("trial_id", "status", "val_acc")
TRIALS_LAST = ("epochs", "audited", "best_epoch", "val_loss", "seconds", "node", "started", "error")


def build_page(
    sweep: SweepFolder, findings: Findings, report: Path, *, photo_folders: list[Path]
) -> Page:
    """The page, whose figures are drawn into `report`/figures on the way."""
    figures = report / "figures"
    sections = [
        _summary(sweep, findings),
        finding_sections.takeaway_section(findings),
        finding_sections.claim_section(findings),
        finding_sections.effect_section(sweep, findings, figures),
        audit_section(sweep),
        finding_sections.class_section(findings),
        finding_sections.next_section(findings),
        plot_sections.history_section(sweep, figures),
        plot_sections.curve_section(sweep, figures),
        plot_sections.hyperparameter_section(sweep, figures),
        plot_sections.cost_section(sweep, figures),
        plot_sections.worker_section(sweep, figures),
        plot_sections.parallel_section(sweep, figures),
        _trials(sweep),
        _best(sweep),
        final_section.final_section(sweep),
        _test(sweep, report, photo_folders),
        photo_sections.mistake_section(sweep, figures, photo_folders),
        photo_sections.network_section(sweep, figures, photo_folders),
        _how(sweep),
    ]
    started = sweep.settings.get("started")
    subtitle = "Hyperparameter sweep" + (
        f", started {summary.moment(str(started))}" if started else ""
    )
    return Page(sweep.name, subtitle, [section for section in sections if section.blocks])


def trials_table(sweep: SweepFolder) -> pd.DataFrame:
    """All trials, the best first, with the columns that say most first."""
    columns = [*TRIALS_FIRST, *sweep.hyperparameters, *TRIALS_LAST]
    known = [name for name in columns if name in sweep.trials]
    return sweep.trials[known]


def _summary(sweep: SweepFolder, findings: Findings) -> Section:
    score, best, epochs = summary.champion_score(sweep), sweep.best, summary.count_epochs(sweep)
    items = []
    if score is not None:
        items.append((summary.percent(score.value), f"test accuracy, n = {score.n:,}"))
    if best is not None:
        num_measured = int(sweep.trials["val_acc"].notna().sum())
        items.append(
            (
                summary.percent(best["val_acc"]),
                f"validation accuracy, best of {summary.counted(num_measured, 'trial')}",
            )
        )
    n = len(sweep.trials)
    items.append((f"{n:,}", "trial" if n == 1 else "trials"))
    if epochs is not None:
        unit = "epoch" if epochs.trained == 1 else "epochs"
        items.append((f"{epochs.trained:,}", f"{unit} trained"))
        if epochs.saved is not None:
            items.append((f"{epochs.saved:.0%}", "of epochs saved by early stopping"))
    sentences = [
        " ".join(summary.champion_sentences(sweep)),
        " ".join(summary.tested_sentences(sweep)),
        finding_sections.summary_sentence(findings),
        " ".join([summary.outcome_sentence(sweep), *summary.effort_sentences(sweep)]),
    ]
    return Section("Summary", [KeyFigures(items), *(Paragraph(text) for text in sentences)])


def _best(sweep: SweepFolder) -> Section:
    best = sweep.best
    config = sweep.champion.get("config")
    if not isinstance(config, dict):
        config = {} if best is None else best[sweep.hyperparameters].to_dict()
    rows = [(name, shown(value, 6)) for name, value in config.items()]
    for name in ("image_size", "num_classes", "epoch", "seed"):
        if name in sweep.champion and name not in config:
            rows.append((name, shown(sweep.champion[name])))
    blocks: list[Block] = [Table(("hyperparameter", "value"), rows)] if rows else []
    if sweep.model_summary:
        blocks.append(Folded("Summary of the model, layer by layer", sweep.model_summary))
    return Section("Best configuration", blocks)


def _test(sweep: SweepFolder, report: Path, photo_folders: list[Path]) -> Section:
    figures = report / "figures"
    sentences = summary.tested_sentences(sweep)
    predictions = sweep.predictions
    if not sweep.champion and predictions is None and not sweep.metrics:
        return Section("The test", [])
    blocks: list[Block] = [Paragraph(" ".join(sentences)), *exam_blocks(sweep, report)]
    if predictions is None or not len(predictions):
        blocks.append(
            Paragraph(
                "There are no test predictions in champion/, so no classes and no"
                " photographs can be shown."
            )
        )
        return Section("The test", blocks)
    gallery.save_recalls(predictions, sweep.classes, figures / "recalls.png")
    gallery.save_confusion(predictions, sweep.classes, figures / "confusion.png")
    order = class_order(predictions, sweep.classes)
    photographs = _photographs(predictions, figures, photo_folders)
    return Section("The test", [*blocks, *_class_blocks(predictions, order), photographs])


def _photographs(predictions: pd.DataFrame, figures: Path, folders: list[Path]) -> Block:
    if not photo_sections.are_found(predictions, folders):
        return Paragraph(f"{photo_sections.MISSING}, so none is shown here.")
    gallery.save_photographs(predictions, folders, figures / "photographs.png")
    return Picture(
        "photographs",
        "Test photographs with predicted and true class; wrong predictions have a red frame"
        " and a cross.",
        "Photographs drawn at random with a fixed seed, as evenly over the true classes as"
        " possible, in order of class: ✓ right, ✗ wrong and framed, with the predicted"
        " class, its confidence, and below it what a wrongly recognised photograph is.",
    )


def _class_blocks(predictions: pd.DataFrame, order: list[str]) -> list[Block]:
    recalls = class_recalls(predictions, order)
    tested = recalls[recalls["n"] > 0]
    best, worst = tested.iloc[0], tested.iloc[-1]
    text = ""
    if len(tested) > 1:
        text = (
            f"Best recognised is {best['label']} ({summary.percent(best['recall'])} of"
            f" {best['n']}), worst {worst['label']} ({summary.percent(worst['recall'])} of"
            f" {worst['n']})."
        )
    mistake = most_confused(confusion_counts(predictions, order))
    if mistake:
        text += (
            f" The commonest mistake: {mistake[0]} taken for {mistake[1]},"
            f" {summary.counted(mistake[2], 'photograph')}."
        )
    confidence = predictions.groupby("correct")["confidence"].median()
    if len(confidence) == 2 and confidence.notna().all():
        text += (
            f" The median confidence is {confidence[True]:.0%} where the champion is right"
            f" and {confidence[False]:.0%} where it is wrong."
        )
    return [
        Paragraph(text.strip()),
        Picture(
            "recalls",
            f"Recall of {len(order)} classes with 95% intervals.",
            "The share of each class's test photographs that was recognised, best first, with"
            " its 95% Wilson interval.",
        ),
        Picture(
            "confusion",
            f"Confusion matrix of {len(order)} classes.",
            "Rows are true classes and columns predicted ones; shading is the share of the"
            " row" + (" and numbers are photographs." if len(order) <= 20 else "."),
            wide=len(order) > gallery.WIDE_FROM,
        ),
    ]


def _trials(sweep: SweepFolder) -> Section:
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
        [Paragraph(note), Table(list(table.columns), rows, sortable=True, marked=marked)],
    )


def _only_value(sweep: SweepFolder, name: str) -> object:
    known = sweep.trials[name].dropna()
    return known.iloc[0] if len(known) else None


def _how(sweep: SweepFolder) -> Section:
    title = "How it was run"
    if not sweep.settings:
        return Section(
            title, [Paragraph("The folder has no sweep.json, so how it was run is not known.")]
        )
    rows: list[tuple[str, object]] = []
    for name, value in sweep.settings.items():
        if name == "seconds" and isinstance(value, int | float):
            rows.append(("time taken", summary.duration(value)))
        elif isinstance(value, dict) and name in ("data", "space", "versions"):
            rows.extend((f"{name}: {key}", shown(item)) for key, item in value.items())
        elif not is_missing(value):
            rows.append((name, shown(value)))
    return Section(title, [Table(("setting", "value"), rows)])
