"""Which hyperparameter helps one class and hurts another, beyond what it does to all of them."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from analysis.reading.folder import SweepFolder
from analysis.reading.values import signed, signed_interval
from analysis.statistics.comparison import Comparison
from analysis.statistics.effects import SIGNIFICANT, kept_levels, with_reference
from analysis.statistics.regression import Fit, averaged, detectable, fit, holm, one_hot, spread_of
from cnnlib.system.units import counted

MAX_SENTENCES = 5
COLUMNS = [
    "hyperparameter", "value", "reference", "class", "effect", "beyond", "low", "high",
    "p_adjusted", "n", "n_reference",
]  # fmt: skip


@dataclass(frozen=True)
class ClassEffects:
    """What each value does to the recall of each class."""

    table: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))
    """`effect` on the recall of the class, against the reference; `beyond` is the part that the
    mean over the classes does not share, with its 95% interval and p-value."""
    num_trials: int = 0
    detectable: float = float("nan")
    """The `beyond` that half of such sweeps would find: the median of all comparisons."""

    @property
    def significant(self) -> pd.DataFrame:
        """The rows that chance does not explain, the largest first."""
        rows = self.table[self.table["p_adjusted"] <= SIGNIFICANT]
        return rows.sort_values("beyond", key=abs, ascending=False, kind="stable")


def recalls_at(sweep: SweepFolder, comparison: Comparison) -> pd.DataFrame:
    """Validation recall (trials, classes) at the epoch that a trial is compared at."""
    known = sweep.class_recalls.dropna(subset="val_recall")
    known = known[known["trial_id"].isin(comparison.scores.index)]
    if "epoch" in known:
        if comparison.epoch is not None:
            known = known[known["epoch"] <= comparison.epoch]
        known = known.sort_values("epoch", kind="stable")
    latest = known.drop_duplicates(["trial_id", "class"], keep="last")
    return latest.pivot(index="trial_id", columns="class", values="val_recall").dropna()


def class_effects(sweep: SweepFolder, comparison: Comparison) -> ClassEffects:
    """The effects of all values on all classes.

    Asked of a class is its recall less the mean over the classes, so that what helps all of them
    alike is no answer. A network that names one class for every photograph is left out: which one,
    is chance. The questions are all pairs of a hyperparameter and a class (Holm), then the values
    of each: in at most 5% of sweeps without any answer there is one.
    """
    recalls = recalls_at(sweep, comparison)
    recalls = recalls[(recalls > 0).sum(axis=1) > 1]
    levels = comparison.levels.loc[recalls.index]
    levels = levels.apply(lambda column: column.cat.remove_unused_categories())
    if recalls.shape[1] < 2 or len(recalls) < 2:
        return ClassEffects()
    mean = recalls.mean(axis=1).to_numpy(float)
    scores = {str(name): recalls[name].to_numpy(float) - mean for name in recalls}
    columns = one_hot(levels)
    spreads = {name: spread_of(values, columns) for name, values in scores.items()}
    explanations = comparison.explained(recalls.mean(axis=1), levels, None)
    tables, asked = [], []
    for name in levels:
        factor, others = with_reference(levels[name]), one_hot(levels.drop(columns=name))
        average = averaged(mean, factor, explanations.without(comparison.numbers([name])))
        if average is None or not kept_levels(factor):
            continue
        for label, values in scores.items():
            found = fit(values, factor, others, spreads[label])
            if found is None:  # this class's spread leaves no room for noise
                continue
            found = replace(found, is_cautious=True)
            asked.append((found, kept_levels(factor)))
            tables.append(_rows(found, average, factor).assign(**{"class": label}))
    if not tables:
        return ClassEffects()
    family = holm(np.array([table["p_all"].iloc[0] for table in tables]))
    for table, p_value in zip(tables, family, strict=True):
        table["p_adjusted"] = np.maximum(holm(table["p"].to_numpy()), p_value)
    table = pd.concat(tables, ignore_index=True)[COLUMNS]
    return ClassEffects(table, len(recalls), detectable(asked))


def _rows(found: Fit, average: Fit, factor: pd.Series) -> pd.DataFrame:
    """What the values of one hyperparameter do to one class, with p-values not yet corrected."""
    counts, kept = factor.value_counts(sort=False), kept_levels(factor)
    answers = np.array([found.contrast(number) for number in kept])
    return pd.DataFrame(
        {
            "hyperparameter": factor.name,
            "value": [counts.index[number + 1] for number in kept],
            "reference": counts.index[0],
            "effect": answers[:, 0] + average.effects[kept],
            "beyond": answers[:, 0],
            "low": answers[:, 1],
            "high": answers[:, 2],
            "p": answers[:, 3],
            "p_all": found.p_value(kept),
            "n": [int(counts.iloc[number + 1]) for number in kept],
            "n_reference": int(counts.iloc[0]),
        }
    )


def class_sentences(found: ClassEffects) -> list[str]:
    """At most five, one for each hyperparameter that tells classes apart; or that there is none."""
    if found.table.empty:
        return []
    rows = found.significant
    if rows.empty:
        return [
            "No evidence that any hyperparameter helps one class and hurts another:"
            f" {counted(len(found.table), 'comparison')} in {counted(found.num_trials, 'trial')},"
            " none beyond chance. A class and a value that differ from the rest by less than about"
            f" {100 * found.detectable:.0f} points would mostly be missed."
        ]
    strongest = rows.drop_duplicates("hyperparameter").head(MAX_SENTENCES)
    return [
        _sentence(
            rows[(rows["hyperparameter"] == one.hyperparameter) & (rows["value"] == one.value)]
        )
        for one in strongest.itertuples()
    ]


def _sentence(rows: pd.DataFrame) -> str:
    """The classes that one value favours, and those that it does not; the strongest of each."""
    first = rows.iloc[0]
    sides = [rows[rows["beyond"] > 0], rows[rows["beyond"] < 0]]
    parts = [_side(side) for side in sides if len(side)]
    return (
        f"{first['hyperparameter']} {first['value']} rather than {first['reference']}"
        f" {' and '.join(parts)} (n = {first['n']} and {first['n_reference']} trials)."
    )


def _side(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    gains, more = row["beyond"] > 0, row["effect"] > 0
    verb, than = ("helps" if more else "hurts"), ""
    if gains != more:
        than = " less than the other classes"
    others = "" if len(rows) == 1 else f", and {len(rows) - 1} more"
    return (
        f"{verb} {row['class']}{than} ({signed(row['effect'])} points,"
        f" {signed(row['beyond'])} against the mean of the classes, 95% interval"
        f" {signed_interval(row['low'], row['high'])}{others})"
    )
