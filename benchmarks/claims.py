"""What the report says of each of many sweeps: a table of verdicts, written or shown.

python benchmarks/claims.py FOLDER_OF_SWEEPS [--write FILE.csv]

`tests/analysis/statistics/public_sweeps.csv` holds those of thirty public sweeps, and a test says
where the code says something else by now: write it again, and look at what has changed. Last it
says of each hyperparameter in how many sweeps it was compared and in how many it mattered, which
is what `analysis/mattered.yaml` holds: by p-values that were not corrected, for which no
hyperparameter is believed in more than another, so not from itself.
Points of accuracy at the epoch that nearly all trials reached, with the 95% interval where a claim
is decided. "·": not searched, or fewer than three trials on a side.
"""

import argparse
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from analysis.page.sections.findings import MARKS
from analysis.reading.folder import SweepFolder, read_folder
from analysis.reading.values import signed
from analysis.statistics.averaging import Explanations
from analysis.statistics.claims import SHIPPED, read_claims
from analysis.statistics.comparison import Comparison, compare
from analysis.statistics.course import estimate_ends, follow
from analysis.statistics.effects import (
    SIGNIFICANT,
    Effects,
    estimate_effects,
    kept_levels,
    with_reference,
)
from analysis.statistics.learning import who_learns
from analysis.statistics.pairs import interplay
from analysis.statistics.regression import averaged
from analysis.statistics.verdicts import NO_EVIDENCE, Verdict, judge

CLAIMS = read_claims(SHIPPED)
MATTERS = 0.01  # p, not corrected


def said_of(folder: Path) -> dict[str, str | int]:
    """What the report says of a sweep, in a row."""
    sweep, comparison, effects = _effects_of(folder)
    ends, learning = estimate_ends(follow(sweep, comparison), effects), who_learns(comparison)
    pairs = interplay(comparison)
    sure = pairs[pairs["p_adjusted"] <= SIGNIFICANT]
    everyone = compare(sweep, everyone=True)
    verdicts = judge(CLAIMS, comparison, effects, everyone, learning)
    return {
        "sweep": folder.name,
        "n": len(comparison.scores),
        "did not learn": learning.num_failed,
        "epoch": comparison.epoch or 0,
        **{str(number): cell(verdict) for number, verdict in enumerate(verdicts, start=1)},
        "matters": _listed(effects.p_values),
        "decides who learns": _listed(learning.p_values),
        "at the end": _listed(ends.p_values),
        "pairs": "; ".join(f"{p.first}, {p.second}" for p in sure.itertuples()) or "–",
    }


@cache
def _effects_of(folder: Path) -> tuple[SweepFolder, Comparison, Effects]:
    sweep = read_folder(folder)
    comparison = compare(sweep)
    return sweep, comparison, estimate_effects(comparison)


def _listed(p_values: dict[str, float]) -> str:
    """The hyperparameters that chance does not explain, the surest first."""
    order = sorted(p_values.items(), key=lambda item: item[1])
    return ", ".join(name for name, p in order if p <= SIGNIFICANT) or "–"


def cell(verdict: Verdict) -> str:
    """Points at the common epoch with the 95% interval where a claim is decided; "·": not asked."""
    found = verdict.contrast
    if math.isnan(found.effect):  # not searched, or fewer than three trials on a side
        return "·"
    mark = MARKS[verdict.verdict].partition(" ")[0]
    text = f"{mark} {signed(found.effect)}"
    if verdict.verdict == NO_EVIDENCE:
        return text
    return f"{text} ({signed(found.low)}, {signed(found.high)})"


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("folder", type=Path)
    flags.add_argument("--write", type=Path, metavar="FILE.csv")
    asked = flags.parse_args()
    folders = [path for path in sorted(asked.folder.iterdir()) if (path / "trials.csv").is_file()]
    table = pd.DataFrame([said_of(folder) for folder in folders])
    if asked.write:
        table.to_csv(asked.write, index=False)
    print(f"| {' | '.join(table)} |\n|{'---|' * table.shape[1]}")
    for row in table.itertuples(index=False):
        print(f"| {' | '.join(map(str, row))} |")
    cells = table[[str(number) for number in range(1, len(CLAIMS) + 1)]].to_numpy().ravel()
    counts = Counter(cell.partition(" ")[0] for cell in cells)
    print(", ".join(f"{counts[mark.partition(' ')[0]]} {mark[2:]}" for mark in MARKS.values()))
    print(", ".join(f"{name} {some} of {of}" for name, (some, of) in mattered(folders).items()))


def mattered(folders: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """In how many sweeps each hyperparameter had p < 0.01, of those that compared it."""
    found: defaultdict[str, list[bool]] = defaultdict(list)
    for folder in folders:
        _, comparison, effects = _effects_of(folder)
        known = comparison.explanations
        is_open = Explanations(
            known.scores, known.columns, known.owner, np.full(len(known.beliefs), 0.5), known.noise
        )
        for name in effects.alone:
            factor = with_reference(comparison.levels[name])
            others = is_open.without(comparison.numbers([name]))
            fit = averaged(known.scores, factor, others, known.noise)
            assert fit is not None
            p = fit.p_value(kept_levels(factor), comparison.steps(factor))
            found[name].append(p < MATTERS)
    return {name: (sum(some), len(some)) for name, some in sorted(found.items())}


if __name__ == "__main__":
    main()
