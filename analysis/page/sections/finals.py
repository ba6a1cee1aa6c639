"""The finals in the report: candidates trained again on new seeds, and how lucky they had been."""

from analysis.page.blocks import Block, Paragraph, Section, Table
from analysis.reading.folder import SweepFolder
from analysis.reading.values import signed
from analysis.statistics.summary import percent
from cnnlib.journal.scores import REFERENCE, Final, Standing, mean_interval, read_standings, spread
from cnnlib.search.halving import DIVERGED
from cnnlib.system.units import counted

TITLE = "The finals"


def final_section(sweep: SweepFolder) -> Section:
    """The finals, from champion/finals.csv; empty where there were none."""
    path = sweep.path / "champion" / "finals.csv"
    table = [s for s in read_standings(path) if s.finals] if path.exists() else []
    if not table:
        return Section(TITLE, [])
    blocks: list[Block] = [Paragraph(_what(table)), _table(table, sweep)]
    luck = [standing for standing in table if standing.whole and standing.luck is not None]
    if luck:
        blocks.append(Paragraph(_luck(luck, table)))
    return Section(TITLE, blocks)


def _what(table: list[Standing]) -> str:
    num_finalists = sum(standing.trial_id != REFERENCE for standing in table)
    seeds = max(len(standing.finals) for standing in table)
    also = " and the reference" if num_finalists < len(table) else ""
    return (
        f"The best {counted(num_finalists, 'trial')} of the search{also} trained again, in full,"
        f" with {counted(seeds, 'new seed')} each for weights and order, on the same training and"
        " validation photographs. The champion is the finalist with the highest mean; the scores"
        " of the search, which were picked for being high, had no say."
    )


def _table(table: list[Standing], sweep: SweepFolder) -> Table:
    seeds = list(dict.fromkeys(final.seed for standing in table for final in standing.finals))
    head = ("candidate", "in the search", *(f"seed {seed}" for seed in seeds), "mean",
            "95% interval", "luck in points")  # fmt: skip
    rows = [_row(standing, table, seeds) for standing in table]
    ids = [standing.trial_id for standing in table]
    champion = sweep.champion.get("trial_id")
    return Table(head, rows, marked=ids.index(champion) if champion in ids else None)


def _row(standing: Standing, table: list[Standing], seeds: list[int]) -> list[object]:
    scores = {final.seed: final for final in standing.finals}
    told = [_score(scores[seed]) if seed in scores else "" for seed in seeds]
    if not standing.whole:
        return [standing.trial_id, _percent(standing.search_acc), *told, "", "", ""]
    interval = mean_interval(standing, table)
    sure = "one seed each: not known"
    if interval:
        sure = f"{percent(interval[0])} to {percent(interval[1])}"
    luck = "" if standing.luck is None else signed(standing.luck)
    return [
        standing.trial_id,
        _percent(standing.search_acc),
        *told,
        percent(standing.mean),
        sure,
        luck,
    ]


def _score(final: Final) -> str:
    if final.val_acc is None:
        return DIVERGED if (final.error or "").startswith(DIVERGED) else "failed"
    return percent(final.val_acc)


def _percent(score: float | None) -> str:
    return "" if score is None else percent(score)


def _luck(luck: list[Standing], table: list[Standing]) -> str:
    """How much of the scores in the search was luck, on average, and how sure a mean is."""
    mean = sum(standing.luck or 0.0 for standing in luck) / len(luck)
    text = (
        "Luck is the score in the search less the mean on new seeds;"
        f" {counted(len(luck), 'finalist')} had {signed(mean)} points of it on average."
    )
    found = spread(table)
    if found is None:
        return text
    return (
        f"{text} Intervals are Student's, from the spread between seeds of all candidates"
        f" together: a standard deviation of {100 * found[0]:.1f} points with"
        f" {counted(found[1], 'degree')} of freedom."
    )
