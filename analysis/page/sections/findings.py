"""The report's sections on hyperparameters: takeaways, claims, effects, classes, the next sweep."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.page.blocks import (
    Block,
    Drawn,
    Folded,
    Hidden,
    Panel,
    Paragraph,
    Plot,
    Points,
    Section,
    Table,
    plot,
)
from analysis.plots.effects import (
    effects_figure,
    importance_figure,
    is_continuous,
    pair_figure,
    surface_figure,
)
from analysis.reading.folder import SweepFolder
from analysis.reading.values import is_missing
from analysis.statistics.classes import class_sentences
from analysis.statistics.findings import NEXT_SWEEP, Findings
from analysis.statistics.pairs import MIN_FREEDOM, shown_cells
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
        blocks += [Paragraph("What was seen, and may be chance:"), Points(seen)]
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


def effect_section(sweep: SweepFolder, findings: Findings) -> Section:
    """What each value adds, how much each hyperparameter explains, and which depend on others."""
    title, effects, n = "What each value adds", findings.effects, len(findings.comparison.scores)
    if effects.effects.empty:
        return Section(title, [Paragraph(findings.takeaways[0])])
    when, measure = findings.comparison.when, findings.comparison.measure
    num_names, num_values = len(effects.importance), len(effects.effects)
    alt = (
        f"Effects of {num_values} values of {num_names} hyperparameters on {measure.said}, with 95%"
        " intervals."
    )
    better = "" if measure.rises else " The lower the better: blue is the better side."
    caption = (
        f"Each mark is how much more {measure.said} trials reach {when} with that value than with"
        f" the one in bold, adjusted for the other hyperparameters (n = {n} trials). The thick bar"
        " is the 95% interval of this difference by itself, the thin one is as much wider as the"
        " number of comparisons asks for. A triangle is a difference that chance does not explain,"
        " whose thin bar leaves 0 out; a dot may be chance."
        f"{better} As a file: tables/effects.csv."
    )
    figure = effects_figure(effects.effects, effects.importance, when, measure)
    return Section(
        title,
        [
            plot("effects", figure, alt, caption),
            _importance_plot(findings),
            *_pair_blocks(findings),
            *_strongest_pair(sweep.trials, findings),
        ],
    )


def _importance_plot(findings: Findings) -> Plot:
    importance, n = findings.effects.importance, len(findings.comparison.scores)
    alt = (
        f"Share of the variance explained by each of {len(importance)} hyperparameters, with 95%"
        " intervals."
    )
    caption = (
        f"The share of the variance of {findings.comparison.measure.said} that a hyperparameter"
        " would explain if each of its values were tried equally often; a hyperparameter without"
        f" effect has 0. What is left is noise and interplay (n = {n} trials). A bar is full where"
        " chance does not explain the effect, by the p-value that the marks above go by."
    )
    drawn = importance_figure(importance, findings.effects.p_values, findings.comparison.measure)
    return plot("importance", drawn, alt, caption)


def _pair_blocks(findings: Findings) -> list[Block]:
    if len(findings.effects.importance) < 2:
        return []
    pairs = findings.pairs.head(NUM_PAIRS)
    if not len(pairs):
        text = f"Pairs need {MIN_FREEDOM} trials more than there are values; these are too few."
        return [Paragraph(text)]
    measure = findings.comparison.measure
    rows = [
        (f"{p.first}, {p.second}", f"{p.share:.0%}", f"{p.p_adjusted:.3f}", p.best,
         measure.change(p.best_effect), p.n)
        for p in pairs.itertuples()
    ]  # fmt: skip
    text = (
        "Do hyperparameters depend on each other? The pairs that explain most of what they leave"
        " unexplained one by one, with a p-value corrected for all pairs: above 0.05 it may be"
        " chance. The last columns are the values that do best together, beyond the sum of both."
    )
    head = ("pair", "of the rest", "p", "best together", measure.unit, "n")
    return [Paragraph(text), Table(head, rows)]


def _strongest_pair(trials: pd.DataFrame, findings: Findings) -> list[Block]:
    """The pair that explains most of what hyperparameters leave unexplained one by one."""
    if not len(findings.pairs):
        return []
    pair = findings.pairs.iloc[0]
    first, second = str(pair["first"]), str(pair["second"])
    measure = findings.comparison.measure
    alt = f"Mean {measure.long} for each value of {first} with each value of {second}."
    caption = (
        f"The first of these pairs, {first} and {second}: the mean {measure.said}"
        f" {findings.comparison.when} of the trials that had both values, and their number. These"
        " are raw means, not adjusted for the other hyperparameters."
    )
    cells = shown_cells(findings.comparison, first, second)
    panels = [Panel(pair_figure(cells, first, second, measure), alt)]
    known = trials.dropna(subset=[measure.name, first, second])
    if is_continuous(known, (first, second)):
        surface = f"Best {measure.said} of trials over {first} and {second}, smoothed between them."
        panels.append(Panel(surface_figure(known, first, second, measure), surface))
        caption += (
            f" Beside it each trial's best {measure.said}, smoothed: every place shows the mean"
            " of the trials near it, which are dots."
        )
    return [Plot("pair", panels, alt, caption)]


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
