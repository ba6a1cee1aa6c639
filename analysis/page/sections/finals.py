"""The finals in the report: candidates trained again on new seeds, and how lucky they had been."""

from analysis.page.blocks import Block, Paragraph, Section, Table
from analysis.reading.folder import SweepFolder
from analysis.reading.measure import Measure
from cnnlib.journal.scores import (
    REFERENCE,
    Final,
    SeedScores,
    mean_interval,
    read_seed_scores,
    sd_between_seeds,
)
from cnnlib.search.decision import DIVERGED
from cnnlib.system.units import counted

TITLE = "The finals"


def final_section(sweep: SweepFolder) -> Section:
    """The finals, from champion/finals.csv; empty where there were none."""
    path = sweep.path / "champion" / "finals.csv"
    table = [s for s in read_seed_scores(path, sweep.measure) if s.finals] if path.exists() else []
    if not table:
        return Section(TITLE, [])
    blocks: list[Block] = [Paragraph(_what(table, sweep.measure)), _table(table, sweep)]
    luck = [candidate for candidate in table if candidate.whole and candidate.luck is not None]
    if luck:
        blocks.append(Paragraph(_luck(luck, table, sweep.measure)))
    return Section(TITLE, blocks)


def _what(table: list[SeedScores], measure: Measure) -> str:
    num_finalists = sum(candidate.trial_id != REFERENCE for candidate in table)
    seeds = max(len(candidate.finals) for candidate in table)
    of = "" if measure.is_accuracy else f" of {measure.said}"
    high = "high" if measure.rises else "low"
    also = " and the reference" if num_finalists < len(table) else ""
    return (
        f"The best {counted(num_finalists, 'trial')} of the search{also} trained again, in full,"
        f" with {counted(seeds, 'new seed')} each for weights and order, on the same training and"
        f" validation photographs. The champion is the finalist with the {measure.best} mean{of};"
        f" the scores of the search, which were picked for being {high}, had no say."
    )


def _table(table: list[SeedScores], sweep: SweepFolder) -> Table:
    seeds = list(dict.fromkeys(final.seed for candidate in table for final in candidate.finals))
    head = ("candidate", "in the search", *(f"seed {seed}" for seed in seeds), "mean",
            "95% interval",
            "luck in points" if sweep.measure.is_share else "luck")  # fmt: skip
    rows = [_row(candidate, table, seeds, sweep.measure) for candidate in table]
    ids = [candidate.trial_id for candidate in table]
    champion = sweep.champion.get("trial_id")
    return Table(head, rows, marked=ids.index(champion) if champion in ids else None)


def _row(
    candidate: SeedScores, table: list[SeedScores], seeds: list[int], measure: Measure
) -> list[object]:
    scores = {final.seed: final for final in candidate.finals}
    told = [_score(scores[seed], measure) if seed in scores else "" for seed in seeds]
    searched = measure.text(candidate.search)
    if not candidate.whole:
        return [candidate.trial_id, searched, *told, "", "", ""]
    interval = mean_interval(candidate, table)
    sure = "one seed each: not known"
    if interval:
        sure = f"{measure.text(interval[0])} to {measure.text(interval[1])}"
    luck = "" if candidate.luck is None else measure.gain(candidate.luck)
    return [candidate.trial_id, searched, *told, measure.text(candidate.mean), sure, luck]


def _score(final: Final, measure: Measure) -> str:
    value = final.by(measure)
    if value is None:
        return DIVERGED if (final.error or "").startswith(DIVERGED) else "failed"
    return measure.text(value)


def _luck(luck: list[SeedScores], table: list[SeedScores], measure: Measure) -> str:
    """How much of the scores in the search was luck, on average, and how sure a mean is."""
    mean = sum(candidate.luck or 0.0 for candidate in luck) / len(luck)
    points = " points" if measure.is_share else ""
    how = (
        "the score in the search less the mean on new seeds"
        if measure.rises
        else f"the mean {measure.said} on new seeds less that in the search"
    )
    text = (
        f"Luck is {how};"
        f" {counted(len(luck), 'finalist')} had {measure.gain(mean)}{points} of it on average."
    )
    found = sd_between_seeds(table)
    if found is None:
        return text
    return (
        f"{text} Intervals are Student's, from the spread between seeds of all candidates"
        f" together: a standard deviation of {measure.size(found[0])} with"
        f" {counted(found[1], 'degree')} of freedom."
    )
