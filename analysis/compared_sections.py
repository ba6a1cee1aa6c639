"""The page that compares several sweeps: its sections, and the folder it is written into."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis import compared_figures
from analysis.claims import Claim
from analysis.compared import (
    Compared,
    champion_table,
    compare_sweeps,
    duels_table,
    overview,
    settings_table,
    sweeps_in,
    that_differ,
)
from analysis.compared_claims import claims_section, named
from analysis.effects import SIGNIFICANT
from analysis.gallery import saved_figure
from analysis.html_page import as_html
from analysis.markdown_page import as_markdown
from analysis.page import (
    Block,
    Folded,
    KeyFigures,
    Page,
    Paragraph,
    Picture,
    Points,
    Section,
    Table,
)
from analysis.summary import duration, percent
from analysis.values import signed, signed_interval

FIGURES = ("progress", "claims")


def write_comparison(folder: Path, report: Path, claims: Sequence[Claim]) -> Path:
    """The path of the new page `report`/index.html, which compares the sweeps in `folder`.

    Raises ValueError if fewer than two can be read.
    """
    compared = compare_sweeps(sweeps_in(folder), claims)
    for part in ("figures", "tables"):
        (report / part).mkdir(parents=True, exist_ok=True)
    for name in FIGURES:  # an earlier comparison may have had one that this has no data for
        (report / "figures" / f"{name}.png").unlink(missing_ok=True)
    page = build_page(compared, report / "figures", folder.resolve().name)
    for name, table in (
        ("sweeps", overview(compared)),
        ("claims", compared.claims_table()),
        ("champions", duels_table(compared.duels)),
    ):
        table.to_csv(report / "tables" / f"{name}.csv", index=False)
    settings_table(compared).to_csv(report / "tables" / "settings.csv")
    (report / "report.md").write_text(as_markdown(page), "utf-8")
    index = report / "index.html"
    index.write_text(as_html(page, report / "figures"), "utf-8")
    return index


def build_page(compared: Compared, figures: Path, name: str) -> Page:
    """The page, whose figures are drawn into `figures` on the way."""
    sections = [
        _summary(compared),
        _tests(compared),
        _configurations(compared),
        _progress(compared, figures),
        claims_section(compared, figures),
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
    measured = table.dropna(subset="best val_acc")
    if len(measured):
        best = measured.loc[measured["best val_acc"].astype(float).idxmax()]
        items.append((percent(float(best["best val_acc"])), f"highest val_acc: {best['sweep']}"))
    blocks: list[Block] = [KeyFigures(items), Paragraph(" ".join(_winner_sentences(compared)))]
    if cautions := _cautions(compared):
        blocks.append(Points(cautions))
    shares = table[["best val_acc", "test_acc"]].map(_percent_or_none)
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
    settings = settings_table(compared)
    changed = set(that_differ(settings).index)
    sentences = [*compared.broken]
    if "data: fingerprint" in changed:
        sentences.append(
            "The sweeps did not all use the same photographs: an accuracy that is higher on others"
            " says little."
        )
    elif "seed" in changed:
        sentences.append(
            "The seeds differ, and with them the photographs that validate: compare val_acc across"
            " sweeps with care."
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


def _progress(compared: Compared, figures: Path) -> Section:
    trials = {name: sweep.trials for name, sweep in compared.sweeps.items()}
    numbers = {name: compared_figures.by_number(table) for name, table in trials.items()}
    hours = {name: compared_figures.by_hours(table) for name, table in trials.items()}
    title = "Accuracy against trials and time"
    if all(table.empty for table in numbers.values()):
        return Section(title, [Paragraph("No trial has a validation accuracy to draw.")])
    without = [name for name, table in hours.items() if table.empty]
    panels = [(numbers, "trial, in the order of the table")]
    if len(without) < len(hours):
        times, unit = compared_figures.in_readable_unit(hours)
        panels.append((times, f"{unit} since the first trial began"))
    with saved_figure(figures / "progress.png", 4.2 + 0.2 * (len(trials) // 4)) as figure:
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, panel in zip(axes, panels, strict=True):
            compared_figures.plot_progress(ax, *panel)
            ax.label_outer(remove_inner_ticks=True)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=4)
    unknown = " Starts and durations were not logged by {}." if without else ""
    caption = (
        "Each trial with an accuracy is a dot, the line is the best so far of its sweep; against"
        " time a trial counts when its training ended. The more trials, the luckier the best:"
        f" compare the lines at one number of trials.{unknown.format(named(without))}"
    )
    alt = f"Best validation accuracy so far of {len(trials)} sweeps against trials and time."
    return Section(title, [Picture("progress", alt, caption)])


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
