"""The report's section of the test: how often it was opened, and all that it says."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis import gallery
from analysis.effects import SIGNIFICANT
from analysis.exam import (
    Calibration,
    against_reference,
    calibration,
    class_table,
    reliability,
    top_three,
    without_copies,
)
from analysis.folder import SweepFolder
from analysis.page import Block, Paragraph, Picture, Points, Table
from analysis.predictions import class_order
from analysis.summary import counted, percent
from analysis.values import signed, signed_interval

NAMED = 10  # pairs of copies that are listed


def exam_blocks(sweep: SweepFolder, report: Path) -> list[Block]:
    """What stands in the section after its accuracy; tables are written into `report`/tables."""
    sentences = list(_sentences(sweep))
    blocks: list[Block] = [Points(sentences)] if sentences else []
    predictions = sweep.predictions
    if predictions is None or not len(predictions):
        return blocks
    classes = class_table(predictions, class_order(predictions, sweep.classes))
    classes.to_csv(report / "tables" / "classes.csv", index=False)
    found = calibration(predictions)
    if found:
        bins = reliability(predictions)
        bins.to_csv(report / "tables" / "calibration.csv", index=False)
        gallery.save_calibration(bins, report / "figures" / "calibration.png")
        blocks += [Paragraph(_calibration_sentence(found)), _calibration_picture(bins)]
    if sweep.leaks is not None and len(sweep.leaks):
        sweep.leaks.to_csv(report / "tables" / "leaks.csv", index=False)
        blocks += _leak_blocks(sweep.leaks)
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
    lean = "more sure than right" if found.gap > 0 else "less sure than right"
    text = (
        f"The champion is on average {lean}: its mean confidence is"
        f" {100 * abs(found.gap):.1f} points {'above' if found.gap > 0 else 'below'} its accuracy."
        f" The expected calibration error is {100 * found.error:.1f} points (95% interval"
        f" {100 * found.low:.1f} to {100 * found.high:.1f}; ten bins of equal count; a perfectly"
        f" calibrated network would show {100 * found.chance:.1f} by chance)."
    )
    loss = "" if found.loss is None else f" Its mean log loss is {found.loss:.3f}."
    return text + loss


def _calibration_picture(bins: pd.DataFrame) -> Picture:
    return Picture(
        "calibration",
        f"Reliability diagram: accuracy against confidence in {len(bins)} bins.",
        "Test photographs in bins of equal count by confidence: the share that is right, with its"
        " 95% interval, against the mean confidence. On the dashed line confidence is what it"
        " says; below it the champion is too sure.",
        small=True,
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
