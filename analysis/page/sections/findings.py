"""The report's sections on hyperparameters: takeaways, claims, effects, classes, the next sweep."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from analysis.page.blocks import (
    Block,
    Drawn,
    Folded,
    Hidden,
    Paragraph,
    Points,
    Section,
    Table,
)
from analysis.reading.values import is_missing
from analysis.statistics.classes import class_sentences
from analysis.statistics.findings import NEXT_SWEEP, Findings
from analysis.statistics.unsettled import seen_sentences
from analysis.statistics.verdicts import CONTRADICTED, NO_EVIDENCE, SUPPORTED, Verdict
from cnnlib.system.units import counted

MARKS = {SUPPORTED: "✓ supported", CONTRADICTED: "✗ contradicted", NO_EVIDENCE: "? no evidence"}
LOOKS = {SUPPORTED: "higher", CONTRADICTED: "lower"}
WIDEST = 3.0  # times the median interval
WAYS = {True: "higher", False: "lower"}
NUM_PAIRS = 5


def takeaway_section(findings: Findings) -> Section:
    """The report's own sentences, the strongest first, and what weakens them."""
    blocks: list[Block] = [Points(findings.takeaways, numbered=True)]
    compared = findings.comparison
    seen = seen_sentences(findings.effects, len(compared.scores), compared.measure, compared.when)
    if seen:
        text = "What was seen, and may be chance; what looks largest is mostly less than it looks:"
        blocks += [Paragraph(text), Points(seen)]
    if findings.cautions:
        blocks.append(Hidden("What weakens these figures", [Points(findings.cautions)]))
    return Section("What stands out", blocks)


def claim_section(findings: Findings) -> Section:
    """The verdict on each claim that these trials can be asked about; the others are folded."""
    asked = [v for v in findings.verdicts if not is_missing(v.contrast.effect)]
    others = [v for v in findings.verdicts if is_missing(v.contrast.effect)]
    blocks: list[Block] = [Paragraph(_about_claims(findings, len(asked)))]
    if asked:
        head = ("claim", "verdict", findings.comparison.measure.unit, "in words")
        rows = [
            (verdict.claim.text, MARKS[verdict.verdict], drawn, verdict.sentence)
            for verdict, drawn in zip(asked, _drawn(asked), strict=True)
        ]
        blocks.append(Table(head, rows, prose=True))
    if others:
        title = f"{counted(len(others), 'claim')} that these trials cannot be asked about"
        points = [f"{verdict.claim.text} {verdict.sentence}" for verdict in others]
        blocks.append(Hidden(title, [Points(points)]))
    return Section("Claims", blocks)


def _about_claims(findings: Findings, num_asked: int) -> str:
    counts = Counter(verdict.verdict for verdict in findings.verdicts)
    measure = findings.comparison.measure
    other = (
        ""
        if measure.is_accuracy
        else f" These trials are judged by {measure.said}, the {WAYS[measure.rises]} the better:"
        " where a claim says higher, read better."
    )
    return (
        f"Of {counted(num_asked, 'claim')} put to the trials, {counts[SUPPORTED]}"
        f" {'is' if counts[SUPPORTED] == 1 else 'are'} supported, {counts[CONTRADICTED]}"
        f" contradicted, and for {num_asked - counts[SUPPORTED] - counts[CONTRADICTED]} there is"
        " no evidence. A claim is a comparison that the trials can refute, adjusted for the"
        " hyperparameters it does not name; it is decided where its p-value, corrected for the"
        " number of claims, is at most 0.05. “No evidence” is not “no effect”: the interval says"
        f" what is still possible.{other} As a file: tables/claims.csv."
    )


def _drawn(verdicts: Sequence[Verdict]) -> list[Drawn]:
    """Each contrast with its interval, on one scale, in values of the metric."""
    measure = verdicts[0].measure
    rows = []
    for verdict in verdicts:
        contrast = verdict.contrast
        low, high = sorted(measure.value(end) for end in (contrast.low, contrast.high))
        rows.append((float(measure.value(contrast.effect)), float(low), float(high)))
    reach = max(max(map(abs, row)) for row in rows) or 1.0
    middle = max(float(np.median([max(map(abs, row)) for row in rows])), 1e-9)
    reach = 1.05 * min(reach, WIDEST * middle)  # one giant interval must not squeeze the rest
    return [
        Drawn(
            f"{measure.change(v.contrast.effect)}"
            f" ({measure.interval(v.contrast.low, v.contrast.high)})",
            effect,
            low,
            high,
            (-reach, reach),
            LOOKS.get(v.verdict, ""),
        )
        for v, (effect, low, high) in zip(verdicts, rows, strict=True)
    ]


def class_section(findings: Findings) -> Section:
    """What helps one class and hurts another, where the trials' recalls by class are known."""
    title, found = "What helps one class and hurts another", findings.class_effects
    if found.table.empty:
        return Section(title, [])
    note = (
        "The validation recall of each class, less the mean over the classes, compared as"
        f" {findings.comparison.measure.said} is above, {findings.comparison.when}"
        f" ({counted(found.num_trials, 'trial')}). The p-values are corrected for all pairs of a"
        " hyperparameter and a class. As a file:"
        " tables/class_effects.csv."
    )
    return Section(title, [Points(class_sentences(found)), Paragraph(note)])


def next_section(findings: Findings) -> Section:
    """What to try next, and the sweep file for it."""
    blocks: list[Block] = [Points(findings.suggestion.sentences)]
    if findings.suggestion.yaml:
        blocks.append(Folded(f"As a sweep file, {NEXT_SWEEP}", findings.suggestion.yaml))
    return Section("What to try next", blocks)
