"""The sections on the test: how often it was opened, what it says, photographs and mistakes."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis.page.blocks import (
    Block,
    Gallery,
    Paragraph,
    Photograph,
    Picture,
    Plot,
    Points,
    Section,
    Table,
    plot,
)
from analysis.plots import photographs
from analysis.plots.test import (
    MAX_COUNTED,
    calibration_figure,
    confidence_figure,
    confusion_figure,
    recalls_figure,
)
from analysis.reading.folder import SweepFolder
from analysis.reading.predictions import (
    class_order,
    class_recalls,
    confused_pairs,
    confusion_counts,
    most_confused,
    stratified_sample,
    surest_mistakes,
)
from analysis.reading.values import is_missing, signed, signed_interval
from analysis.statistics.effects import SIGNIFICANT
from analysis.statistics.summary import percent, seen_before, tested_sentences
from analysis.statistics.test import (
    Calibration,
    against_reference,
    calibration,
    class_table,
    reliability,
    top_three,
    without_copies,
)
from cnnlib.system.units import counted

NAMED = 10  # pairs of copies that are listed
NUM_PHOTOS, NUM_MISTAKES, NUM_PAIRS = 30, 20, 5
NUM_SEEN = 200  # photographs of which one must be there, and among which neurons have favourites
MISSING = "The photographs are not where the test found them (--data says where they are now)"


def tested_tables(sweep: SweepFolder) -> dict[str, pd.DataFrame]:
    """What the test says as tables, by name."""
    found: dict[str, pd.DataFrame] = {}
    predictions = sweep.predictions
    if predictions is None or not len(predictions):
        return found
    found["classes"] = class_table(predictions, class_order(predictions, sweep.classes))
    if predictions["confidence"].notna().any():
        found["calibration"] = reliability(predictions)
    if sweep.leaks is not None and len(sweep.leaks):
        found["leaks"] = sweep.leaks
    return found


def tested_section(sweep: SweepFolder, folders: list[Path]) -> Section:
    """The test's accuracy, what it says beyond it, its classes, and some photographs."""
    title, predictions = "The test", sweep.predictions
    if not sweep.champion and predictions is None and not sweep.metrics:
        return Section(title, [])
    blocks: list[Block] = [Paragraph(" ".join(tested_sentences(sweep))), *exam_blocks(sweep)]
    if predictions is None or not len(predictions):
        text = (
            "There are no test predictions in champion/, so no classes and no photographs can be"
            " shown."
        )
        return Section(title, [*blocks, Paragraph(text)])
    order = class_order(predictions, sweep.classes)
    blocks += [*_class_blocks(predictions, order), *_photographs(predictions, folders)]
    return Section(title, blocks)


def exam_blocks(sweep: SweepFolder) -> list[Block]:
    """What stands in the section between its accuracy and its classes."""
    sentences, tables = list(_sentences(sweep)), tested_tables(sweep)
    blocks: list[Block] = [Points(sentences)] if sentences else []
    predictions = sweep.predictions
    found = calibration(predictions) if predictions is not None and len(predictions) else None
    if found:
        bins = tables["calibration"]
        blocks += [Paragraph(_calibration_sentence(found)), _calibration_plot(bins)]
    if "leaks" in tables:
        blocks += _leak_blocks(tables["leaks"])
    return blocks


def _sentences(sweep: SweepFolder) -> Iterator[str]:
    yield from _opening_sentences(sweep)
    predictions = sweep.predictions
    if predictions is None or not len(predictions):
        return
    if best := top_three(predictions):
        yield f"The true class is among the first three guesses for {best}."
    yield _duel_sentence(predictions)
    yield _leak_sentence(predictions, sweep.leaks)
    yield from seen_before(sweep)


def _opening_sentences(sweep: SweepFolder) -> Iterator[str]:
    told = [
        f"{test['time'][:10]} for trial {test['champion']} ({percent(test['test_acc'])})"
        + (f", because: {test['reason']}" if test["reason"] else "")
        for test in sweep.openings
    ]
    if len(told) == 1:
        yield f"The test photographs were opened once, on {told[0]}."
    elif told:
        yield (
            f"The test photographs were opened {len(told)} times: {'; '.join(told)}. Whoever"
            " chooses among these by their test accuracy gets an optimistic figure."
        )


def _duel_sentence(predictions: pd.DataFrame) -> str:
    found = against_reference(predictions)
    if found is None:
        return "No reference configuration other than the champion was tested to compare it with."
    verdict = "may be no" if found.p_value > SIGNIFICANT else "is"
    verdict += " worse" if found.effect < 0 else " better"
    return (
        f"Against the reference configuration the champion {verdict}: {signed(found.effect)}"
        f" points (95% interval {signed_interval(found.low, found.high)}); it alone"
        f" recognises {found.only_first:,} photographs and the reference alone"
        f" {found.only_second:,} (McNemar's exact test: p = {found.p_value:.2g})."
    )


def _leak_sentence(predictions: pd.DataFrame, leaks: pd.DataFrame | None) -> str:
    if leaks is None:
        return "Whether test photographs are copies of ones trained on was not looked at."
    if not len(leaks):
        return (
            "No test photograph is a copy of one that was trained on, as far as a comparison of"
            " all pairs can tell (other sizes, compressions and brightness, mirrored and grey ones"
            " included)."
        )
    kinds = leaks["kind"].value_counts()
    rest = without_copies(predictions, leaks)
    left = f"Without them the accuracy is {rest}." if rest.n else "None is left without them."
    are = "is a copy of one that was" if len(leaks) == 1 else "are copies of ones that were"
    return (
        f"{counted(len(leaks), 'test photograph')} {are} trained on"
        f" ({kinds.get('exact', 0)} exact, {kinds.get('near', 0)} nearly so). {left}"
    )


def _calibration_sentence(found: Calibration) -> str:
    side = "above" if found.gap > 0 else "below"
    apart = f"{100 * abs(found.gap):.1f} points {side} its accuracy"
    sure = f"95% interval {signed_interval(found.gap_low, found.gap_high)}"
    if found.gap_low <= 0 <= found.gap_high:
        text = f"The champion's mean confidence is {apart} ({sure}), which may be chance."
    else:
        lean = "more" if found.gap > 0 else "less"
        text = (
            f"The champion is on average {lean} sure than right: its mean confidence is {apart}"
            f" ({sure})."
        )
    text += (
        f" The expected calibration error is {100 * found.error:.1f} points (95% interval"
        f" {100 * found.low:.1f} to {100 * found.high:.1f}; ten bins of equal count; a perfectly"
        f" calibrated network would show {100 * found.chance:.1f} by chance)."
    )
    loss = "" if found.loss is None else f" Its mean log loss is {found.loss:.3f}."
    return text + loss


def _calibration_plot(bins: pd.DataFrame) -> Plot:
    return plot(
        "calibration",
        calibration_figure(bins),
        f"Reliability diagram: accuracy against confidence in {len(bins)} bins.",
        "Test photographs in bins of equal count by confidence: the share that is right, with its"
        " 95% interval, against the mean confidence. On the dashed line confidence is what it"
        " says; below it the champion is too sure.",
    )


def _leak_blocks(leaks: pd.DataFrame) -> list[Block]:
    columns = ["test_file", "train_file", "kind", "similarity", "test_label", "train_label"]
    rows = leaks[columns].head(NAMED).to_numpy(dtype=object).tolist()
    blocks: list[Block] = [Table(columns, rows)]
    other = leaks[leaks["test_label"] != leaks["train_label"]]
    if len(other):
        have = "has" if len(other) == 1 else "have"
        blocks.append(
            Paragraph(
                f"{counted(len(other), 'pair')} of them {have} two labels: of an exact copy, at"
                " most one of them is right."
            )
        )
    return blocks


def _class_blocks(predictions: pd.DataFrame, order: list[str]) -> list[Block]:
    recalls = class_recalls(predictions, order)
    tested = recalls[recalls["n"] > 0]
    best, worst = tested.iloc[0], tested.iloc[-1]
    text = ""
    if len(tested) > 1:
        text = (
            f"Best recognised is {best['label']} ({percent(best['recall'])} of"
            f" {best['n']}), worst {worst['label']} ({percent(worst['recall'])} of"
            f" {worst['n']})."
        )
    mistake = most_confused(confusion_counts(predictions, order))
    if mistake:
        text += (
            f" The commonest mistake: {mistake[0]} taken for {mistake[1]},"
            f" {counted(mistake[2], 'photograph')}."
        )
    confidence = predictions.groupby("correct")["confidence"].median()
    if len(confidence) == 2 and confidence.notna().all():
        text += (
            f" The median confidence is {confidence[True]:.0%} where the champion is right"
            f" and {confidence[False]:.0%} where it is wrong."
        )
    figures = recalls_figure(recalls), confusion_figure(confusion_counts(predictions, order))
    counts = " and numbers are photographs." if len(order) <= MAX_COUNTED else "."
    return [
        Paragraph(text.strip()),
        plot(
            "recalls",
            figures[0],
            f"Recall of {len(order)} classes with 95% intervals.",
            "The share of each class's test photographs that was recognised, best first, with"
            " its 95% Wilson interval.",
        ),
        plot(
            "confusion",
            figures[1],
            f"Confusion matrix of {len(order)} classes.",
            "Rows are true classes and columns predicted ones; shading is the share of the"
            f" row{counts}",
        ),
    ]


def gallery(
    name: str, table: pd.DataFrame, folders: list[Path], alt: str, caption: str
) -> list[Block]:
    """The photographs of these predictions; none where none is to be found."""
    if not _are_found(table, folders):
        return []
    shown = [
        Photograph(
            photographs.thumbnail(photographs.find_photo(row.file, folders)),
            bool(row.correct),
            str(row.predicted),
            str(row.label),
            "" if is_missing(row.confidence) else f"{row.confidence:.0%}",
        )
        for row in table.itertuples()
    ]
    picture = photographs.grid_picture(table, folders)
    return [Gallery(name, shown, picture, alt, caption)]


def _photographs(predictions: pd.DataFrame, folders: list[Path]) -> list[Block]:
    sample = stratified_sample(predictions, num_photos=NUM_PHOTOS, seed=0)
    found = gallery(
        "photographs",
        sample,
        folders,
        "Test photographs with predicted and true class; wrong predictions have a red frame"
        " and a cross.",
        "Photographs drawn at random with a fixed seed, as evenly over the true classes as"
        " possible, in order of class: ✓ right, ✗ wrong and framed, with the predicted"
        " class, its confidence, and below it what a wrongly recognised photograph is.",
    )
    return found or [Paragraph(f"{MISSING}, so none is shown here.")]


def mistake_section(sweep: SweepFolder, folders: list[Path]) -> Section:
    """What the champion takes for what, and how sure it is."""
    title, predictions = "Its mistakes", sweep.predictions
    if predictions is None or not len(predictions):
        return Section(title, [])
    if predictions["correct"].all():
        n = counted(len(predictions), "test photograph")
        return Section(title, [Paragraph(f"None: all of {n} were recognised.")])
    blocks: list[Block] = []
    if predictions["confidence"].notna().any():
        blocks += [_confidence_plot(predictions)]
    if not _are_found(predictions, folders):
        blocks.append(Paragraph(f"{MISSING}, so no mistakes are shown."))
        return Section(title, blocks)
    return Section(title, [*blocks, *_mistakes(predictions, folders)])


def _are_found(predictions: pd.DataFrame, folders: list[Path]) -> bool:
    """Whether any of the photographs can be shown."""
    return any(photographs.find_photo(file, folders) for file in predictions["file"].head(NUM_SEEN))


def _confidence_plot(predictions: pd.DataFrame) -> Plot:
    sure = predictions[predictions["confidence"] >= 0.9]
    told = ""
    if len(sure):
        told = (
            f" Of {counted(len(sure), 'prediction')} with a confidence of 90% or more,"
            f" {percent(sure['correct'].mean())} are right."
        )
    return plot(
        "confidence",
        confidence_figure(predictions),
        "Cumulative share of right and of wrong predictions by confidence.",
        "How sure the champion is where it is right (solid) and where it is wrong (dashed): the"
        " share of predictions with at most that confidence. The farther the lines lie apart, the"
        f" more its confidence tells.{told}",
    )


def _mistakes(predictions: pd.DataFrame, folders: list[Path]) -> list[Block]:
    blocks: list[Block] = []
    mistakes = surest_mistakes(predictions, NUM_MISTAKES)
    if len(mistakes):
        wrong = counted(int((~predictions["correct"]).sum()), "mistake")
        blocks += gallery(
            "mistakes",
            mistakes,
            folders,
            f"The {counted(len(mistakes), 'wrong prediction')} of highest confidence.",
            f"The surest of {wrong}, the surest first: look for wrong labels, and for several"
            " things in one photograph.",
        )
    pairs = confused_pairs(predictions, NUM_PAIRS)
    if pairs:
        said = "; ".join(f"{p.label} taken for {p.predicted}, {p.count} of {p.n}" for p in pairs)
        blocks.append(
            Picture(
                "pairs",
                photographs.pairs_picture(pairs, folders),
                f"The {counted(len(pairs), 'pair')} of classes that are confused most often.",
                f"The commonest confusions: {said}. On the left the surest of those mistakes, on"
                " the right a photograph of the class that it was taken for, rightly recognised"
                " with a confidence in the middle of that class.",
            )
        )
    return blocks
