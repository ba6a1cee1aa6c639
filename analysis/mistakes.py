"""Which test photographs are worth a look: the surest mistakes, and the classes taken for others.

Tables only; the same table gives the same choice, whatever its order.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd


def surest_mistakes(predictions: pd.DataFrame, number: int) -> pd.DataFrame:
    """The wrong predictions of highest confidence, the surest first."""
    wrong = predictions[~predictions["correct"] & predictions["confidence"].notna()]
    return wrong.sort_values(["confidence", "file"], ascending=[False, True]).head(number)


@dataclass(frozen=True)
class ConfusedPair:
    """A class, the one it is often taken for, and a photograph of each."""

    label: str
    predicted: str
    count: int  # photographs of `label` taken for `predicted`
    n: int  # photographs of `label`
    mistake: pd.Series
    """The surest of those mistakes."""
    typical: pd.Series
    """A rightly recognised photograph of `predicted`, of median confidence among those; where
    other classes are taken for it too, each has another one."""


def confused_pairs(predictions: pd.DataFrame, number: int) -> list[ConfusedPair]:
    """The commonest confusions of one class with another that was recognised at least once.

    Counted in photographs, as the confusion matrix shows them; of equals the first by name.
    """
    wrong, right = predictions[~predictions["correct"]], predictions[predictions["correct"]]
    counts = wrong[wrong["predicted"].isin(right["label"])].groupby(["label", "predicted"]).size()
    sizes = predictions["label"].value_counts()
    pairs: list[ConfusedPair] = []
    order = counts.sort_index().sort_values(ascending=False, kind="stable").head(number)
    for (label, predicted), count in order.items():
        taken = wrong[(wrong["label"] == label) & (wrong["predicted"] == predicted)]
        known = _by_confidence(right[right["label"] == predicted])
        shown = sum(pair.predicted == predicted for pair in pairs)
        middle = (len(known) // 2 + shown) % len(known)
        pairs.append(
            ConfusedPair(
                str(label), str(predicted), int(count), int(sizes[label]),
                mistake=_by_confidence(taken).iloc[0], typical=known.iloc[middle],
            )
        )  # fmt: skip
    return pairs


def _by_confidence(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["confidence", "file"], ascending=[False, True], na_position="last")


def confidence_shares(predictions: pd.DataFrame, correct: bool) -> tuple[np.ndarray, np.ndarray]:
    """The sorted confidences of right or of wrong predictions, and the share up to each."""
    chosen = predictions.loc[predictions["correct"] == correct, "confidence"].dropna()
    values = np.sort(chosen.to_numpy(float))
    return values, np.arange(1, len(values) + 1) / max(len(values), 1)
