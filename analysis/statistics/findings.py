"""Everything that the report finds out about the hyperparameters, and the tables of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.reading.folder import SweepFolder
from analysis.statistics.claims import Claim, about
from analysis.statistics.classes import ClassEffects, class_effects
from analysis.statistics.comparison import Comparison, compare
from analysis.statistics.course import Ends, estimate_ends, follow
from analysis.statistics.effects import EFFECT_COLUMNS, Effects, estimate_effects
from analysis.statistics.learning import Learning, who_learns
from analysis.statistics.next_sweep import Suggestion, suggest
from analysis.statistics.pairs import interplay
from analysis.statistics.takeaways import cautions, takeaways
from analysis.statistics.verdicts import Verdict, claims_table, judge

NEXT_SWEEP = "next_sweep.yaml"


@dataclass(frozen=True)
class Findings:
    """What a sweep's trials say of its hyperparameters."""

    comparison: Comparison
    effects: Effects
    pairs: pd.DataFrame
    verdicts: list[Verdict]
    takeaways: list[str]
    cautions: list[str]
    suggestion: Suggestion
    class_effects: ClassEffects
    ends: Ends
    learning: Learning

    def write(self, report: Path) -> None:
        """The tables, in values of the metric, and the sweep file that is suggested."""
        measure = self.comparison.measure
        beyond = measure.values(self.pairs["best_effect"])
        tables = {
            "effects": measure.differences(self.effects.effects[EFFECT_COLUMNS]),
            "importance": self.effects.importance,
            "interplay": self.pairs.assign(best_effect=beyond),
            "class_effects": self.class_effects.table,
            "claims": claims_table(self.verdicts),
            "learning": self.learning.table,
            "effects_at_the_end": self.ends.differences(measure),
        }
        for name, table in tables.items():
            table.to_csv(report / "tables" / f"{name}.csv", index=False)
        (report / NEXT_SWEEP).unlink(missing_ok=True)
        if self.suggestion.yaml:
            (report / NEXT_SWEEP).write_text(self.suggestion.yaml, "utf-8")


def find(sweep: SweepFolder, claims: Sequence[Claim]) -> Findings:
    """The findings of a sweep, and the verdicts on these claims."""
    comparison = compare(sweep)
    course, effects = follow(sweep, comparison), estimate_effects(comparison)
    ends, pairs = estimate_ends(course, effects), interplay(comparison)
    everyone, learning = compare(sweep, everyone=True), who_learns(comparison)
    return Findings(
        comparison=comparison,
        effects=effects,
        pairs=pairs,
        verdicts=judge(about(claims, sweep.network), comparison, effects, everyone, learning),
        takeaways=takeaways(sweep, course, effects, ends, learning, pairs),
        cautions=cautions(sweep, comparison, effects),
        suggestion=suggest(sweep, course, effects, pairs),
        class_effects=class_effects(sweep, comparison),
        ends=ends,
        learning=learning,
    )
