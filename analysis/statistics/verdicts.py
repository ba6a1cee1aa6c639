"""What the trials of a sweep say of each claim: supported, contradicted, or no evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.reading.measure import ACCURACY, Measure
from analysis.statistics.claims import Claim, compared_groups, words
from analysis.statistics.comparison import Comparison
from analysis.statistics.effects import MIN_TRIALS, SIGNIFICANT, Effects, estimate_effects
from analysis.statistics.learning import Learning
from analysis.statistics.regression import holm
from cnnlib.system.units import counted

SUPPORTED, CONTRADICTED, NO_EVIDENCE = "supported", "contradicted", "no evidence"
COLUMNS = ["claim", "verdict", "effect", "low", "high", "n_for", "n_against"]
ALL = " Networks that did not learn count here, as this decides who does."
SIDES = ["lower", "higher", "neither"]


@dataclass(frozen=True)
class Contrast:
    """The score of a claim's higher side less its lower one, and both n."""

    n_for: int = 0
    n_against: int = 0
    effect: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_value: float = 1.0
    rests_on_few: bool = False


@dataclass(frozen=True)
class Verdict:
    """What a sweep says of a claim, and why."""

    claim: Claim
    verdict: str
    sentence: str
    contrast: Contrast = Contrast()
    measure: Measure = ACCURACY
    """What the contrast is a difference of."""


def judge(
    claims: Sequence[Claim],
    comparison: Comparison,
    effects: Effects | None = None,
    everyone: Comparison | None = None,
    learning: Learning | None = None,
) -> list[Verdict]:
    """The verdict on each claim.

    A claim about one hyperparameter is decided where that one matters by its p-value in `effects`,
    and the claim's own, corrected for the claims about it (Holm), is at most 0.05: what is said of
    a hyperparameter in one place is said in all. Where it decides who learns at all, by its p-value
    in `learning`, the claim is put to `everyone`. Claims about several at once are corrected for
    their own number. Else there is no evidence.
    """
    p_values = dict((effects or estimate_effects(comparison)).p_values)
    found = learning.p_values if everyone and learning else {}
    decides = {name for name, p in found.items() if p <= SIGNIFICANT}
    answers: list[Contrast | Verdict] = []
    families: dict[str, list[int]] = {}
    for number, claim in enumerate(claims):
        name = claim.names[0] if len(claim.names) == 1 else ""
        asked = everyone if everyone and name in decides else comparison
        answers.append(_answer(claim, asked))
        if isinstance(answers[-1], Contrast):
            families.setdefault(name, []).append(number)
    adjusted: dict[int, float] = {}
    for name, family in families.items():
        own = holm(np.array([answers[i].p_value for i in family]))  # type: ignore[union-attr]
        least = 0.0 if not name or name in decides else p_values.get(name, 1.0)
        adjusted |= {i: max(float(p), least) for i, p in zip(family, own, strict=True)}
    return [
        _verdict(claim, answer, adjusted[i], comparison, ALL if claim.names[0] in decides else "")
        if isinstance(answer, Contrast)
        else replace(answer, measure=comparison.measure)
        for i, (claim, answer) in enumerate(zip(claims, answers, strict=True))
    ]


def _answer(claim: Claim, comparison: Comparison) -> Contrast | Verdict:
    """The contrast, or at once the verdict where these trials have none."""
    trials = comparison.trials
    missing = [n for n in claim.names if n not in trials or trials[n].isna().all()]
    if missing:
        return Verdict(claim, NO_EVIDENCE, f"This sweep does not log {' and '.join(missing)}.")
    higher, lower = compared_groups(claim, trials)
    n_for, n_against = int(higher.sum()), int(lower.sum())
    if min(n_for, n_against) < MIN_TRIALS:
        reason = _too_few(claim, n_for, n_against)
        return Verdict(claim, NO_EVIDENCE, reason, Contrast(n_for, n_against))
    by_side = pd.Series(np.select([lower, higher], SIDES[:2], SIDES[2]), trials.index)
    factor = by_side.astype(pd.CategoricalDtype(SIDES)).cat.remove_unused_categories()
    found = comparison.fit(factor, claim.names)
    if found is None:
        reason = f"{len(comparison.scores)} trials leave no room to tell an effect from noise."
        return Verdict(claim, NO_EVIDENCE, reason, Contrast(n_for, n_against))
    return Contrast(n_for, n_against, *found.contrast(0), found.rests_on_few(0))


def _too_few(claim: Claim, n_for: int, n_against: int) -> str:
    counts = [(n_for, claim.higher), (n_against, claim.lower)]
    few = [(n, words(side)) for n, side in counts if n < MIN_TRIALS]
    parts = [
        f"only {counted(n, 'trial')} with {side}" if n else f"no trial with {side}"
        for n, side in few
    ]
    there = "are" if few[0][0] > 1 else "is"
    return f"There {there} {' and '.join(parts)}; {MIN_TRIALS} on either side are needed."


def _verdict(
    claim: Claim, answer: Contrast, p_value: float, comparison: Comparison, who: str = ""
) -> Verdict:
    """`p_value` is corrected; `who` says which trials were asked."""
    measure = comparison.measure
    interval = f"95% interval {measure.interval(answer.low, answer.high)}"
    verdict, end = NO_EVIDENCE, _why_not(answer, p_value, measure)
    if p_value <= SIGNIFICANT:
        verdict = SUPPORTED if answer.effect > 0 else CONTRADICTED
        end = "" if answer.effect > 0 else f" {claim.refuted_by}"
    sentence = (
        f"With {words(claim.higher)}, trials reach {measure.apart(answer.effect)}"
        f" {comparison.when} than with {words(claim.lower)} ({interval};"
        f" n = {answer.n_for} and {answer.n_against}).{who}{end}"
    )
    return Verdict(claim, verdict, sentence, answer, measure)


def _why_not(answer: Contrast, p_value: float, measure: Measure) -> str:
    if answer.rests_on_few:
        return (
            " Only a few trials tell this from the other hyperparameters, which changed at"
            " the same time."
        )
    if answer.low > 0 or answer.high < 0:
        return (
            " By itself that would count, but not when corrected for all that was asked"
            f" (p = {p_value:.2f})."
        )
    bound = measure.size(max(-answer.low, answer.high))
    return f" That may be chance; a difference above {bound} either way is unlikely."


def claims_table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """The verdicts as the report's table, with differences in values of the metric."""
    rows = [
        (v.claim.text, v.verdict, v.contrast.effect, v.contrast.low, v.contrast.high,
         v.contrast.n_for, v.contrast.n_against)
        for v in verdicts
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=COLUMNS)
    return verdicts[0].measure.differences(table) if verdicts else table
