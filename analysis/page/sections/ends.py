"""The report's sections on what comes before effects and after: who learns, and how trials end."""

from analysis.page.blocks import Block, Paragraph, Points, Section, Table
from analysis.reading.measure import Measure
from analysis.statistics.effects import SIGNIFICANT
from analysis.statistics.findings import Findings
from analysis.statistics.learning import learning_sentences


def learning_section(findings: Findings) -> Section:
    """How many networks learned at all, and with which values they did not."""
    title, found = "Who learns at all", findings.learning
    if not found.num_failed:
        return Section(title, [])
    note = (
        "A network did not learn if it never left chance, diverged, or fell far behind all others."
        " A hyperparameter's p-value is that of dealing the failures out at random, corrected for"
        " all hyperparameters. All other figures on effects are of the networks that learned. As a"
        " file: tables/learning.csv."
    )
    blocks: list[Block] = [Points(learning_sentences(found)), Paragraph(note)]
    rows = [
        (f"{row.hyperparameter} {row.value}", f"{row.failed} of {row.n}",
         f"{row.low:.0%} to {row.high:.0%}", f"{row.p_adjusted:.3f}")
        for row in found.table[found.table["p_adjusted"] <= SIGNIFICANT].itertuples()
    ]  # fmt: skip
    if rows:
        blocks.append(Table(("value", "did not learn", "95% interval", "p"), rows))
    return Section(title, blocks)


def end_section(findings: Findings) -> Section:
    """Each effect early and at the end, side by side."""
    title, table, ends = "Early and at the end", findings.ends.table, findings.ends
    if table.empty:
        return Section(title, [])
    measure, when = findings.comparison.measure, findings.comparison.when
    if ends.nobody_knows:
        note = (
            f"Nobody knows what the effects {when} are at the end:"
            f" {'; '.join(table['unknown'].drop_duplicates().head(3))}."
            " No value is dropped from the next sweep on what is seen early."
        )
        return Section(title, [Paragraph(note)])
    note = (
        f"The difference from the value in brackets {when}, when nearly all trials still ran, and"
        f" by epoch {ends.epoch}. Trials that were stopped or paused count with what was seen of"
        " them: how trials went on from the score that they had says how those would have. p is"
        " corrected for all hyperparameters; ▲ and ▼ are differences at the end that chance does"
        " not explain. As a file: tables/effects_at_the_end.csv."
    )
    rows = [
        (f"{row.hyperparameter} {row.value} ({row.reference})",
         _figures(measure, row.early, row.early_low, row.early_high),
         f"nobody knows: {row.unknown}" if row.unknown else
         _mark(measure, row.effect, row.p_adjusted)
         + _figures(measure, row.effect, row.low, row.high),
         "" if row.unknown else f"{row.p_adjusted:.3f}", f"{row.n}, {row.n_reference}")
        for row in table.itertuples()
    ]  # fmt: skip
    head = ("value", when, f"by epoch {ends.epoch}", "p", "n at the end")
    return Section(title, [Paragraph(note), Table(head, rows)])


def _mark(measure: Measure, effect: float, p_value: float) -> str:
    if p_value > SIGNIFICANT:
        return ""
    return "▲ " if measure.value(effect) > 0 else "▼ "


def _figures(measure: Measure, effect: float, low: float, high: float) -> str:
    return f"{measure.change(effect)} ({measure.interval(low, high)})"
