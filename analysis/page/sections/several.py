"""The page that compares several sweeps."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.page.blocks import (
    Block,
    Folded,
    KeyFigures,
    Page,
    Panel,
    Paragraph,
    Plot,
    Points,
    Section,
    Table,
)
from analysis.page.files import write_page
from analysis.page.sections.findings import MARKS
from analysis.plots import several
from analysis.reading.values import signed, signed_interval
from analysis.reading.workload import MAX_DRAWN
from analysis.statistics.claims import Claim
from analysis.statistics.effects import SIGNIFICANT
from analysis.statistics.several import (
    Compared,
    champion_table,
    common,
    compare_sweeps,
    duels_table,
    overview,
    settings_table,
    sweeps_in,
    that_differ,
)
from analysis.statistics.summary import duration, percent
from analysis.statistics.verdicts import CONTRADICTED, NO_EVIDENCE, SUPPORTED, Verdict

MAX_NAMES = 6  # more are counted


def write_comparison(folder: Path, report: Path, claims: Sequence[Claim]) -> Path:
    """The path of the new page `report`/index.html, which compares the sweeps in `folder`.

    Raises ValueError if fewer than two can be read.
    """
    compared = compare_sweeps(sweeps_in(folder), claims)
    (report / "tables").mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("sweeps", overview(compared)),
        ("claims", compared.claims_table()),
        ("champions", duels_table(compared.duels)),
    ):
        table.to_csv(report / "tables" / f"{name}.csv", index=False)
    settings_table(compared).to_csv(report / "tables" / "settings.csv")
    return write_page(build_page(compared, folder.resolve().name), report)


def build_page(compared: Compared, name: str) -> Page:
    """The page of several sweeps."""
    sections = [
        _summary(compared),
        _tests(compared),
        _configurations(compared),
        _progress(compared),
        _claims(compared),
        _changed(compared),
    ]
    subtitle = f"Comparison of {named(list(compared.sweeps))}"
    return Page(name, subtitle, sections)


def _summary(compared: Compared) -> Section:
    table, scores = overview(compared), compared.scores
    items = [(f"{len(table):,}", "sweeps"), (f"{table['trials'].sum():,}", "trials")]
    if scores:
        name, score = next(iter(scores.items()))
        items.append((percent(score.value), f"highest test accuracy: {name}, n = {score.n:,}"))
    if best := _best(compared):
        items.append(best)
    blocks: list[Block] = [KeyFigures(items), Paragraph(" ".join(_winner_sentences(compared)))]
    if cautions := _cautions(compared):
        blocks.append(Points(cautions))
    shares = table[["test_acc"]].map(_percent_or_none)
    columns = [name for name in table if name.partition(" ")[0] == "best"]
    for name in columns:
        shares[name] = [
            sweep.measure.text(value) or None
            for sweep, value in zip(compared.sweeps.values(), table[name], strict=True)
        ]
    if "its val_acc" in table:
        shares["its val_acc"] = table["its val_acc"].map(_percent_or_none)
    intervals = [
        None if pd.isna(row["test_low"]) else f"{percent(row['test_low'])} to"
        f" {percent(row['test_high'])} (n = {row['test_n']:.0f})"
        for _, row in table.iterrows()
    ]  # fmt: skip
    shown = table.assign(**shares).drop(columns=["test_low", "test_high", "test_n"])
    shown.insert(list(shown).index("test_acc") + 1, "test, 95% interval", intervals)
    for name in ("hours", "trial hours"):
        shown[name] = [None if pd.isna(h) else duration(3600 * h) for h in shown[name]]
    shown = shown.rename(columns={"hours": "time", "trial hours": "trials' time added up"})
    known = shown.dropna(axis=1, how="all")
    known = known.astype(object).where(known.notna(), None)
    return Section("Summary", [*blocks, Table(list(known), known.to_numpy(object).tolist())])


def _best(compared: Compared) -> tuple[str, str] | None:
    """The best value of all sweeps, if they are compared by the same metric."""
    measure = common(compared)
    bests = {name: sweep.best for name, sweep in compared.sweeps.items() if sweep.best is not None}
    if measure is None or not bests:
        return None
    name = max(bests, key=lambda name: measure.of(bests[name]))
    return measure.text(bests[name][measure.name]), f"{measure.best} {measure.said}: {name}"


def _percent_or_none(share: object) -> str | None:
    return percent(float(share)) if isinstance(share, float) and share == share else None


def _winner_sentences(compared: Compared) -> list[str]:
    scores = compared.scores
    if not scores:
        return ["No champion of these sweeps was tested: validation accuracies are all there is."]
    first = next(iter(scores))
    sentences = [f"The champion of {first} is right most often on test photographs:"
                 f" {scores[first]}."]  # fmt: skip
    duels = [duel for duel in compared.duels if first in (duel.first, duel.second)]
    for duel in duels:
        other = duel.second if duel.first == first else duel.first
        verdict = (
            "a difference that chance does not explain"
            if duel.p_adjusted <= SIGNIFICANT
            else "which may be chance"
        )
        if len(duels) <= 3:
            points = 100 * abs(duel.difference.effect)
            sentences.append(f"It is {points:.1f} points ahead of {other}'s, {verdict}.")
    if len(duels) > 3:
        sure = sum(duel.p_adjusted <= SIGNIFICANT for duel in duels)
        sentences.append(f"It is ahead of {sure} of the {len(duels)} others beyond chance.")
    untested = [name for name in compared.sweeps if name not in scores]
    if untested:
        sentences.append(f"Not tested: {named(untested)}.")
    return sentences


def _cautions(compared: Compared) -> list[str]:
    """What makes these accuracies hard to compare."""
    settings, measure = settings_table(compared), common(compared)
    changed = set(that_differ(settings).index)
    sentences = [*compared.broken]
    if "data: fingerprint" in changed:
        sentences.append(
            "The sweeps did not all use the same photographs: an accuracy that is higher on others"
            " says little."
        )
    elif "seed" in changed:
        sentences.append(
            "The seeds differ, and with them the photographs that validate: compare"
            f" {measure.said if measure else 'metrics'} across sweeps with care."
        )
    changed |= set(that_differ(champion_table(compared)).index)
    if {"image_size", "max_epochs"} & changed:
        sentences.append("Epochs or image size differ: the networks were not given the same means.")
    if len(compared.scores) > 1:
        sentences.append(
            "To choose among champions by their test accuracies makes the test part of the choice:"
            " the chosen one's is then a little too high, the more the more champions there are."
        )
    return sentences


def _tests(compared: Compared) -> Section:
    title = "Champions on the test photographs"
    if not compared.duels:
        text = "Fewer than two champions were tested: there is no difference to tell."
        return Section(title, [Paragraph(text)])
    text = (
        "Accuracy on test photographs, the first champion's less the second's, with 95%"
        " interval. Where both were tested on the same photographs each photograph is compared"
        " with itself (McNemar's exact test, Newcombe's interval for pairs); else the shares"
        " are compared (chi-squared, Newcombe). p is corrected for all pairs (Holm)."
    )
    head = ("first", "second", "points", "95% interval", "p", "only first right",
            "only second right", "photographs")  # fmt: skip
    rows = [
        (
            duel.first,
            duel.second,
            signed(duel.difference.effect),
            signed_interval(duel.difference.low, duel.difference.high),
            f"{duel.p_adjusted:.3f}" if duel.p_adjusted >= 0.001 else "below 0.001",
            duel.difference.only_first,
            duel.difference.only_second,
            "the same" if duel.is_paired else "different ones",
        )
        for duel in compared.duels
    ]
    return Section(title, [Paragraph(text), Table(head, rows)])


def _configurations(compared: Compared) -> Section:
    title, table = "Champions' configurations", champion_table(compared)
    differing = that_differ(table)
    if differing.empty:
        text = "They are the same." if len(table) else "None is known."
        return Section(title, [Paragraph(f"{text} {_the_same(table)}")])
    text = f"Of a sweep without a champion it is the best trial's. {_the_same(table)}"
    return Section(title, [Paragraph(text), _side_by_side("hyperparameter", differing)])


def _side_by_side(what: str, table: pd.DataFrame) -> Table:
    rows = [(name, *cells) for name, cells in zip(table.index, table.to_numpy(), strict=True)]
    return Table((what, *table.columns), rows)


def _the_same(table: pd.DataFrame) -> str:
    """What all sweeps have in common, in a sentence."""
    same = table[table.nunique(axis=1) == 1]
    values = [f"{name} {value}" for name, value in zip(same.index, same.iloc[:, 0], strict=True)]
    return f"The same in all: {', '.join(values)}." if values else ""


def _progress(compared: Compared) -> Section:
    measure = common(compared)
    if measure is None:
        text = f"The sweeps have different metrics: {_metrics(compared)}. There is no common axis."
        return Section("Metrics against trials and time", [Paragraph(text)])
    trials = {name: sweep.trials for name, sweep in compared.sweeps.items()}
    numbers = {name: several.by_number(table, measure) for name, table in trials.items()}
    hours = {name: several.by_hours(table, measure) for name, table in trials.items()}
    title = f"{measure.heading} against trials and time"
    if all(table.empty for table in numbers.values()):
        return Section(title, [Paragraph(f"No trial has a {measure.long} to draw.")])
    without = [name for name, table in hours.items() if table.empty]
    panels = [(numbers, "trial, in the order of the table")]
    if len(without) < len(hours):
        times, unit = several.in_readable_unit(hours)
        panels.append((times, f"{unit} since the first trial began"))
    unknown = " Starts and durations were not logged by {}." if without else ""
    caption = (
        f"Each trial with {measure.one} is a dot, the line is the best so far of its sweep; against"
        " time a trial counts when its training ended. The more trials, the luckier the best:"
        f" compare the lines at one number of trials.{unknown.format(named(without))}"
    )
    if max(map(len, numbers.values())) > MAX_DRAWN // len(numbers):
        caption += " Of very many trials only some are drawn, and each that was the best so far."
    alt = f"Best {measure.long} so far of {len(trials)} sweeps against trials and time."
    drawn = [
        Panel(several.progress_figure(tables, label, measure), f"{alt[:-1]}: {label}.")
        for tables, label in panels
    ]
    return Section(title, [Plot("progress", drawn, alt, caption)])


def _metrics(compared: Compared) -> str:
    """The metric of each sweep, in words."""
    return "; ".join(f"{name} by {s.measure.said}" for name, s in compared.sweeps.items())


def _claims(compared: Compared) -> Section:
    """Each claim with the sweeps that support or contradict it, drawn and as a table."""
    by_claim = list(zip(*compared.verdicts.values(), strict=True))
    names = list(compared.verdicts)
    rows = [
        (name, *(_cell(verdict) for verdict in verdicts))
        for name, verdicts in compared.verdicts.items()
    ]
    return Section(
        "The same claims",
        [
            Paragraph(
                "Each claim is judged by each sweep's own trials, as in its own report. A sweep"
                " without evidence does not contradict one that has it: look whether the intervals"
                " overlap. As a file: tables/claims.csv."
            ),
            Points(
                [f"{row[0].claim.text} {_agreement(names, row)}" for row in by_claim], numbered=True
            ),
            *(_claims_plot(names, by_claim) if common(compared) else []),
            Table(("sweep", *(f"claim {i}" for i in range(1, len(by_claim) + 1))), rows),
        ],
    )


def _cell(verdict: Verdict) -> str:
    effect = verdict.contrast.effect
    mark = MARKS[verdict.verdict].partition(" ")[0]
    return mark if effect != effect else f"{mark} {verdict.measure.change(effect)}"


def _agreement(names: Sequence[str], verdicts: Sequence[Verdict]) -> str:
    """Which sweeps say what of one claim."""
    sides: dict[str, list[str]] = defaultdict(list)
    for name, verdict in zip(names, verdicts, strict=True):
        sides[verdict.verdict].append(name)
    if len(sides) == 1 and NO_EVIDENCE in sides:
        return "No sweep has evidence."
    parts = [f"{verdict} by {named(sides[verdict])}"
             for verdict in (SUPPORTED, CONTRADICTED) if sides[verdict]]  # fmt: skip
    if sides[NO_EVIDENCE]:
        parts.append(f"no evidence in {named(sides[NO_EVIDENCE])}")
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _claims_plot(names: Sequence[str], by_claim: Sequence[Sequence[Verdict]]) -> list[Block]:
    """A panel for each claim that a sweep could be asked about."""
    asked = {
        number: verdicts
        for number, verdicts in enumerate(by_claim, start=1)
        if any(verdict.contrast.effect == verdict.contrast.effect for verdict in verdicts)
    }
    if not asked:
        return []
    panels = [
        Panel(
            several.claim_figure(number, list(zip(names, verdicts, strict=True))),
            f"What {len(names)} sweeps say of claim {number}: {verdicts[0].claim.text}",
        )
        for number, verdicts in asked.items()
    ]
    measure = by_claim[0][0].measure
    unit, more = ("points", "many points") if measure.is_share else (measure.said, "much")
    alt = f"What {len(names)} sweeps say of {len(asked)} claims, in {unit} with intervals."
    caption = (
        f"How {more} more {measure.said} the trials on the claim's higher side reach, with 95%"
        " intervals: ▲ supported, ▼ contradicted, ● no evidence. Claims that no sweep's trials"
        " can be asked about are not drawn."
    )
    return [Plot("claims", panels, alt, caption)]


def _changed(compared: Compared) -> Section:
    settings = settings_table(compared)
    without = [name for name, sweep in compared.sweeps.items() if not sweep.settings]
    text = f"No sweep.json, so how it was run is not known: {named(without)}."
    blocks: list[Block] = [Paragraph(text)] if without else []
    differing = that_differ(settings)
    if len(differing):
        blocks.append(_side_by_side("setting", differing))
    same = settings.drop(differing.index).iloc[:, 0]
    if len(same):
        lines = "\n".join(f"{name}: {value}" for name, value in same.items())
        blocks.append(Folded("The same in all of them", lines))
    return Section("What changed", blocks)


def named(names: Sequence[str]) -> str:
    """The names, or how many there are if a reader would not read them all."""
    return ", ".join(names) if len(names) <= MAX_NAMES else f"{len(names)} sweeps"
