"""What a table of test predictions says about classes, and which photographs are worth a look.

Nothing is drawn here.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cnnlib.journal.scores import wilson_interval
from cnnlib.storage.csv_file import numbers, read_table
from cnnlib.system.units import short

COLUMNS = ("file", "label", "predicted", "confidence")


def read_predictions(path: Path) -> pd.DataFrame:
    """The test photographs: file, label, predicted (class names as text), confidence, correct."""
    table, _ = read_table(path, None)  # a class may be called "NA"
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise ValueError(f"{path}: column {missing[0]} is missing; expected {', '.join(COLUMNS)}")
    for name in ("confidence", "label_probability"):
        if name in table:
            table[name] = _probabilities(table[name], table["file"], path)
    table["correct"] = table["label"] == table["predicted"]
    return table


def _probabilities(values: pd.Series, files: pd.Series, path: Path) -> pd.Series:
    """The column as numbers from 0 to 1, NaN where a cell is empty."""
    found = numbers(values, files, str(path))
    wrong = (found < -1e-6) | (found > 1 + 1e-6)
    if wrong.any():
        value, file = found[wrong].iloc[0], short(files[wrong].iloc[0])
        raise ValueError(
            f"{path}: {values.name} of {file} is {value:g}, which is not from 0 to 1; correct it"
        )
    return found


def class_order(predictions: pd.DataFrame, classes: list[str]) -> list[str]:
    """The model's classes in its order, then any that occur only in the table."""
    seen = sorted(set(predictions["label"]) | set(predictions["predicted"]))
    return list(dict.fromkeys([*classes, *seen]))


def confusion_counts(predictions: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Photographs by true class (rows) and predicted class (columns)."""
    counts = pd.crosstab(predictions["label"], predictions["predicted"])
    return counts.reindex(index=classes, columns=classes, fill_value=0)


def class_recalls(predictions: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Per class: label, n, correct, recall (NaN for n = 0), low, high; the best recall first."""
    rows = []
    counts = predictions.groupby("label")["correct"].agg(["size", "sum"])
    counts = counts.reindex(classes, fill_value=0).astype(int)
    for name, n, correct in counts.itertuples(name=None):
        low, high = wilson_interval(correct, n)
        rows.append((name, n, correct, correct / n if n else math.nan, low, high))
    table = pd.DataFrame(rows, columns=["label", "n", "correct", "recall", "low", "high"])
    return table.sort_values("recall", ascending=False, kind="stable", ignore_index=True)


def most_confused(counts: pd.DataFrame) -> tuple[str, str, int] | None:
    """The commonest mistake as (true class, predicted class, photographs), None without any."""
    mistakes = counts.to_numpy(copy=True)
    np.fill_diagonal(mistakes, 0)
    if not mistakes.size or not mistakes.max():
        return None
    row, column = np.unravel_index(mistakes.argmax(), mistakes.shape)
    return str(counts.index[row]), str(counts.columns[column]), int(mistakes.max())


def stratified_sample(predictions: pd.DataFrame, *, num_photos: int, seed: int) -> pd.DataFrame:
    """Photographs drawn at random, as many of each class as of any other where there are enough."""
    mixed = predictions.sample(frac=1, random_state=seed)
    turn = mixed.groupby("label").cumcount()
    order = np.random.default_rng(seed).permutation(sorted(set(predictions["label"])))
    place = mixed["label"].map({name: number for number, name in enumerate(order)})
    drawn = mixed.assign(turn=turn, place=place).sort_values(["turn", "place"]).head(num_photos)
    return drawn.sort_values(["label", "turn"]).drop(columns=["turn", "place"])


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
