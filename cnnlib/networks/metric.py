"""The metric of a sweep: its name as networks log it, its direction, and what the user calls it.

The only place that knows which way is better. Whatever searches, stops or chooses compares scores,
of which the higher is better; tables and events hold the values as they were logged.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnnlib.system.units import short

MAXIMIZE, MINIMIZE = "maximize", "minimize"
# What CustomCNN logs of the validation photographs; the shares are from 0 to 1.
SHARES = ("val_acc", "val_balanced_acc", "val_f1")
LOGGED = (*SHARES, "val_loss")
LOWEST = -1e9  # below the scores of metrics without a bound


@dataclass(frozen=True)
class Metric:
    """`Metric("val_loss", "minimize", "validation loss")`; by default the validation accuracy."""

    name: str = "val_acc"
    goal: str = MAXIMIZE
    said: str = "val_acc"  # the user's name for it, which whatever is shown uses

    @property
    def is_share(self) -> bool:
        """Whether its values are shares of one, as accuracies are."""
        return self.name in SHARES

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that there can be."""
        if self.is_share:
            return 0.0, 1.0
        return (0.0 if self.name == "val_loss" else -math.inf), math.inf

    @property
    def worst(self) -> float:
        """Below every score: what a value that is not finite, or not there, counts as."""
        return -1.0 if self.is_share else LOWEST

    @property
    def highest(self) -> float:
        """Above which there is no score."""
        return max(map(self.score, self.bounds))

    def score(self, value: float) -> float:
        """A value so that the higher is better; NaN stays NaN."""
        return value if self.goal == MAXIMIZE else -value

    def value(self, score: float) -> float:
        """The value that has this score."""
        return score if self.goal == MAXIMIZE else -score

    def of(self, row: Mapping[str, Any]) -> float:
        """The score of an epoch with these metrics; NaN where this one is not among them."""
        return self.score(row.get(self.name, math.nan))

    def diverged(self, row: Mapping[str, Any]) -> bool:
        """Whether an epoch's network predicts nothing: it has no finite value, nor accuracy.

        Where nothing validates, its training tells.
        """
        telling = [name for name in (self.name, "val_acc") if name in row]
        # A network of the user's own may log few.
        telling = telling or [name for name in ("train_acc", "train_loss") if name in row][:1]
        return not all(math.isfinite(row[name]) for name in telling)

    @property
    def best(self) -> str:
        """highest or lowest."""
        return "highest" if self.goal == MAXIMIZE else "lowest"

    @property
    def beyond(self) -> str:
        """Where a value lies that is worse than another: below or above it."""
        return "below" if self.goal == MAXIMIZE else "above"


VAL_ACC = Metric()

# Words in the names that people give to metrics, and what they stand for.
STAGES = {
    **dict.fromkeys(("val", "valid", "validation", "validate", "eval", "evaluation", "dev"), "val"),
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
}
MEASURES = {
    ("acc",): "acc",
    ("top1",): "acc",
    ("acc", "top1"): "acc",
    ("1", "acc"): "acc",
    ("1", "acc", "top"): "acc",
    ("loss",): "loss",
    ("acc", "balanced"): "balanced_acc",
    ("f1",): "f1",
    ("f1", "macro"): "f1",
}
MEANINGS = {
    "acc": "the accuracy",
    "loss": "the loss",
    "balanced_acc": "the balanced accuracy",
    "f1": "the macro F1",
}
SPELLINGS = {"accuracy": "acc", "accuracies": "acc", "acc1": "top1", "bal": "balanced",
             "bacc": "balanced acc", "losses": "loss", "fscore": "f1", "valacc": "val acc",
             "valaccuracy": "val acc", "valloss": "val loss"}  # fmt: skip
EMPTY = ("best", "epoch", "final", "max", "min", "score", "mean", "avg", "average", "categorical",
         "sparse")  # fmt: skip
RISING = ("acc", "top1", "top5", "f1", "precision", "recall", "auc", "auroc", "iou", "kappa")
FALLING = ("loss", "error", "err", "nll", "mse", "rmse", "mae", "perplexity")


def read_metric(
    name: object, goal: object = None, *, field: str = "metric"
) -> tuple[Metric, list[str]]:
    """What a user's name and goal of a metric mean, with a line each for what is read into them.

    A name that stands for nothing known is taken as it is. ValueError, beginning with the field,
    for a goal against the name, and for photographs that cannot guide a search.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{field}: name {short(name)} is not a text such as val_acc")
    said = short(name.strip())
    words = _words(said)
    stages = {STAGES[word] for word in words if word in STAGES}
    rest = [word for word in words if word not in STAGES]
    measure = MEASURES.get(tuple(sorted({word for word in rest if word not in EMPTY})))
    for stage, why in (
        ("test", "the test photographs take no part in a search"),
        ("train", "what a network has learnt by heart is no reason to choose it"),
    ):
        if stage in stages:
            instead = f"val_{measure}" if measure else "val_acc"
            flag = "" if field.startswith("--") else f", or --metric {instead}"
            raise ValueError(f"{field}: {said}: {why}; write {instead}{flag}")
    notes = []
    known = f"val_{measure}" if measure else said
    if measure and said != known:
        of = "" if stages else ", as a search needs"
        notes.append(f"{field}: {said} is {known}, {MEANINGS[measure]} in validation{of}")
    return Metric(known, _goal(field, known, rest, goal, notes), said), notes


def _words(name: str) -> list[str]:
    """The words of a name in small letters: val/Accuracy and ValAccuracy are val, acc."""
    return " ".join(SPELLINGS.get(word, word) for word in words_of(name)).split()


def words_of(name: str) -> list[str]:
    """The words of a name in small letters, as they are spelled: val/topAcc is val top acc."""
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())


def _goal(field: str, name: str, words: list[str], goal: object, notes: list[str]) -> str:
    """The direction that is asked for, or that the name says; W&B's default where none does."""
    meant = None
    if any(word in FALLING for word in words):
        meant = MINIMIZE
    elif any(word in RISING for word in words):
        meant = MAXIMIZE
    if goal is None:
        if meant == MAXIMIZE and not field.startswith("--"):  # a flag is none of W&B's
            notes.append(f"{field}: without a goal W&B would minimise {name}; here it is maximised")
        elif meant is None:
            notes.append(f"{field}: without a goal {name} is minimised, as in W&B")
        return meant or MINIMIZE
    if goal not in (MAXIMIZE, MINIMIZE):
        raise ValueError(f"{field}: goal {short(goal)} is not maximize or minimize")
    if meant and goal != meant:
        done = "maximised" if meant == MAXIMIZE else "minimised"
        raise ValueError(f"{field}: goal {goal}: {name} is {done} here; write goal: {meant}")
    return str(goal)
