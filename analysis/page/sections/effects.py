"""The report's sections on effects: who learns at all, what each value adds early and at the end,
how much each hyperparameter explains, and which depend on others.
"""

from collections.abc import Sequence

import pandas as pd

from analysis.page.blocks import (
    Block,
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
    effect_ends,
    effects_figure,
    importance_figure,
    is_continuous,
    pair_figure,
    surface_figure,
)
from analysis.plots.learning import MOST, learning_figure
from analysis.plots.scales import headed
from analysis.reading.folder import SweepFolder
from analysis.statistics.effects import effects_against
from analysis.statistics.findings import Findings
from analysis.statistics.learning import learning_sentences
from analysis.statistics.pairs import MIN_FREEDOM, shown_cells

NUM_PAIRS = 5


def learning_section(findings: Findings) -> Section:
    """How many networks learned at all, and with which values they did not."""
    title, found = "Does it learn at all?", findings.learning
    if not found.num_failed:
        return Section(title, [])
    note = (
        "A network did not learn if it never left chance, diverged, or fell far behind all others."
        " All figures on effects below are of the networks that learned."
    )
    blocks: list[Block] = [Points(learning_sentences(found)), Paragraph(note)]
    if len(found.table):
        names = found.table["hyperparameter"].nunique()
        some = f" The {MOST} surest of {names} hyperparameters are drawn." if names > MOST else ""
        caption = (
            "The share of networks with each value that did not learn, with its 95% Wilson"
            " interval. p is that of dealing the failures out at random, corrected for all"
            f" hyperparameters and their effects.{some} As a file: tables/learning.csv."
        )
        alt = f"Share of networks that did not learn by the values of {names} hyperparameters."
        blocks.append(plot("learning", learning_figure(found.table), alt, caption))
    return Section(title, blocks)


def effect_section(sweep: SweepFolder, findings: Findings) -> Section:
    """What each value adds, how much each hyperparameter explains, and which depend on others."""
    title, effects = "What each value adds", findings.effects
    if effects.effects.empty:
        return Section(title, [Paragraph(findings.takeaways[0])])
    return Section(
        title,
        [
            *_effect_blocks(findings),
            _importance_plot(findings),
            *_pair_blocks(findings),
            *_strongest_pair(sweep.trials, findings),
        ],
    )


def _effect_blocks(findings: Findings) -> list[Block]:
    """The effects, at the end beside early where some trials went on."""
    effects, measure = findings.effects, findings.comparison.measure
    when, n, ends = findings.comparison.when, len(findings.comparison.scores), findings.ends.table
    better = "" if measure.rises else " The lower the better: blue is the better side."
    caption = (
        f"Each mark is how much more {measure.said} trials reach with that value than with the one"
        f" in bold, adjusted for the other hyperparameters (n = {n} trials). The thick bar is the"
        " 95% interval of this difference by itself, the thin one is as much wider as the number"
        " of comparisons asks for: less for a hyperparameter that mattered in many of thirty public"
        " sweeps, more for one that did not. A triangle is a difference that chance does not"
        f" explain, whose thin bar leaves 0 out; a dot may be chance.{better}"
    )
    alt = (
        f"Effects of {len(effects.effects)} values of {len(effects.importance)} hyperparameters on"
        f" {measure.said}, with 95% intervals."
    )
    if ends.empty or findings.ends.nobody_knows:
        drawn = effects_figure(effects.effects, effects.importance, when, measure)
        text = f"{caption} As a file: tables/effects.csv."
        return [*_open_end(findings), plot("effects", drawn, alt, text)]
    until = f"by epoch {findings.ends.epoch}"
    early = _early(findings)
    span = effect_ends([early, ends], measure)
    panels = [
        Panel(
            headed(effects_figure(table, effects.importance, at, measure, span), f"{word}, {at}"),
            f"{alt[:-1]} {at}.",
        )
        for table, word, at in ((ends, "At the end", until), (early, "Early", when))
    ]
    text = (
        f"{caption} On the left at the end, {until}; on the right {when}, when nearly all trials"
        " still ran. Trials that were stopped count at the end with what was seen of them: how"
        " others went on from the score that they had says how those would have. As files:"
        " tables/effects_at_the_end.csv and effects.csv."
    )
    return [Plot("effects", panels, alt, text), *_unknown(ends)]


def _open_end(findings: Findings) -> list[Block]:
    """Why there are no effects at the end, where trials went on."""
    if not findings.ends.nobody_knows:
        return []
    reasons = "; ".join(findings.ends.table["unknown"].drop_duplicates().head(3))
    text = (
        f"Nobody knows what these effects are at the end: {reasons}. No value is dropped from the"
        " next sweep on what is seen early."
    )
    return [Paragraph(text)]


def _early(findings: Findings) -> pd.DataFrame:
    """The early effects against the references that the effects at the end have, in their order."""
    ends = findings.ends.table
    pairs = ends.drop_duplicates("hyperparameter")[["hyperparameter", "reference"]]
    tables = [
        effects_against(findings.comparison, findings.effects, name, reference)
        for name, reference in pairs.itertuples(index=False)
    ]
    return pd.concat(tables, ignore_index=True)


def _unknown(ends: pd.DataFrame) -> list[Block]:
    """Why of some values nobody knows how they end."""
    reasons = list(dict.fromkeys(reason for reason in ends["unknown"] if reason))
    if not reasons:
        return []
    return [Hidden("Why nobody knows how some values end", [Points(_sentences(reasons))])]


def _sentences(reasons: Sequence[str]) -> list[str]:
    return [f"{reason[0].upper()}{reason[1:]}." for reason in reasons]


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
        " chance. The last columns are the values whose mean together is best, and how far it lies"
        " beyond the sum of both."
    )
    head = ("pair", "of the rest", "p", "best mean", f"beyond, {measure.unit}", "n")
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
