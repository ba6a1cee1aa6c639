"""The verdicts on the study's nine claims for each of many sweeps: the table of EXPERIMENTS.md.

python benchmarks/claims.py FOLDER_OF_SWEEPS

Points of accuracy at the epoch that nearly all trials reached, with the 95% interval where a claim
is decided. "·": not searched, or fewer than three trials on a side.
"""

import argparse
import math
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


from analysis.page.sections.findings import MARKS
from analysis.reading.folder import read_folder
from analysis.reading.values import signed
from analysis.statistics.claims import SHIPPED, read_claims
from analysis.statistics.comparison import compare
from analysis.statistics.effects import SIGNIFICANT, estimate_effects
from analysis.statistics.verdicts import NO_EVIDENCE, Verdict, judge


def cell(verdict: Verdict) -> str:
    found = verdict.contrast
    if math.isnan(found.effect):  # could not be asked
        return "·"
    mark = MARKS[verdict.verdict].partition(" ")[0]
    text = f"{mark} {signed(found.effect)}"
    if verdict.verdict == NO_EVIDENCE:
        return text
    return f"{text} ({signed(found.low)}, {signed(found.high)})"


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("folder", type=Path)
    claims, counts = read_claims(SHIPPED), Counter[str]()
    heads = ["sweep", "n", "epoch", *map(str, range(1, len(claims) + 1)), "significant"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for path in sorted(flags.parse_args().folder.iterdir()):
        if not (path / "trials.csv").is_file():
            continue
        comparison = compare(read_folder(path))
        verdicts = judge(claims, comparison)
        counts.update(verdict.verdict for verdict in verdicts)
        p_values = sorted(estimate_effects(comparison).p_values.items(), key=lambda item: item[1])
        called = ", ".join(name for name, p in p_values if p <= SIGNIFICANT) or "–"
        row = [path.name, len(comparison.scores), comparison.epoch, *map(cell, verdicts), called]
        print(f"| {' | '.join(map(str, row))} |")
    print(", ".join(f"{counts[verdict]} {verdict}" for verdict in MARKS))


if __name__ == "__main__":
    main()
