"""What the test says beyond its accuracy: classes, calibration, a rival, copies. Only computes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from analysis.reading.predictions import class_recalls
from analysis.statistics.differences import Difference, paired_difference
from analysis.statistics.summary import Share

BINS = 10  # of equal count
RESAMPLES = 1000  # for the interval of the calibration error


def top_three(predictions: pd.DataFrame) -> Share | None:
    """How often the true class is among the first three guesses; None where that says nothing."""
    if not {"second", "third"} <= set(predictions) or predictions["label"].nunique() <= 3:
        return None  # not known, or always
    guesses = predictions[["predicted", "second", "third"]]
    return Share(int(guesses.eq(predictions["label"], axis=0).any(axis=1).sum()), len(guesses))


def class_table(predictions: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Per class: label, n, correct, recall, low, high, precision, predicted (photographs)."""
    table = class_recalls(predictions, classes)
    predicted = predictions["predicted"].value_counts()
    table["predicted"] = table["label"].map(predicted).fillna(0).astype(int)
    table["precision"] = table["correct"] / table["predicted"]  # NaN where it never is
    return table


def reliability(predictions: pd.DataFrame, bins: int = BINS) -> pd.DataFrame:
    """Photographs in groups of equal count by confidence, the least confident first.

    Columns: n, confidence (mean), accuracy, low, high (95%).
    """
    known = predictions.dropna(subset=["confidence"]).sort_values("confidence", kind="stable")
    rows = []
    for part in np.array_split(np.arange(len(known)), min(bins, len(known)) or 1):
        group = known.iloc[part]
        if not len(group):
            continue
        share = Share(int(group["correct"].sum()), len(group))
        rows.append((share.n, group["confidence"].mean(), share.value, *share.interval))
    return pd.DataFrame(rows, columns=["n", "confidence", "accuracy", "low", "high"])


@dataclass(frozen=True)
class Calibration:
    """How far confidence and accuracy are apart, in bins of equal count, with a 95% interval."""

    error: float
    low: float
    high: float
    chance: float  # what a perfectly calibrated network of these confidences shows on average
    gap: float  # mean confidence less accuracy: above 0 is overconfident
    gap_low: float
    gap_high: float
    loss: float | None  # mean of -log of the true class's probability


def calibration(predictions: pd.DataFrame) -> Calibration | None:
    """The expected calibration error; None without confidences.

    The interval is of resampled photographs, moved by what resampling adds to the error itself
    (the basic bootstrap), and never below 0.
    """
    known = predictions.dropna(subset=["confidence"])
    if not len(known):
        return None
    confidence, correct = known["confidence"].to_numpy(), known["correct"].to_numpy(float)
    error = _error(confidence, correct)
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(RESAMPLES):  # one at a time: all at once need 8 GB at a million photographs
        chosen = generator.integers(0, len(known), len(known))
        errors.append(_error(confidence[chosen], correct[chosen]))
    high, low = (2 * error - np.quantile(errors, share) for share in (0.025, 0.975))
    lucky = (generator.random(len(known)) < confidence for _ in range(RESAMPLES))
    chance = float(np.mean([_error(confidence, right) for right in lucky]))
    loss = None
    if "label_probability" in known:
        loss = float(-np.log(known["label_probability"].clip(lower=1e-12)).mean())
    differences = confidence - correct
    gap, reach = float(differences.mean()), 1.0
    if len(known) > 1:  # Student's t: a mean of differences that lie between -1 and 1
        reach = float(student.ppf(0.975, len(known) - 1) * differences.std(ddof=1))
        reach /= len(known) ** 0.5
    ends = gap - reach, gap + reach
    return Calibration(error, max(0.0, low), max(error, high), chance, gap, *ends, loss)


def _error(confidence: np.ndarray, correct: np.ndarray) -> float:
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    gaps = [abs((confidence[part] - correct[part]).sum()) for part in parts]
    return float(sum(gaps) / len(order))


def against_reference(predictions: pd.DataFrame) -> Difference | None:
    """The champion less the reference configuration; None where none was tested."""
    if "reference_predicted" not in predictions or not len(predictions):
        return None
    theirs = predictions["reference_predicted"] == predictions["label"]
    return paired_difference(predictions["correct"].to_numpy(bool), theirs.to_numpy(bool))


def without_copies(predictions: pd.DataFrame, leaks: pd.DataFrame) -> Share:
    """Accuracy on the test photographs that are no copies of ones trained on."""
    rest = predictions[~predictions["file"].isin(leaks["test_file"])]
    return Share(int(rest["correct"].sum()), len(rest))
