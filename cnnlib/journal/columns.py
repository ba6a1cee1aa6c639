"""Epochs of many trials in columns: a dictionary for each would take gigabytes."""

from array import array
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

EPOCH_COLUMNS = [
    "trial_id", "epoch", "train_loss", "train_acc", "val_loss", "val_acc", "learning_rate",
    "seconds", "images_per_second",
]  # fmt: skip
CLASS_COLUMNS = ["trial_id", "epoch", "class", "val_recall", "n"]
CLASS_COUNTS = "class_counts"
"""What an epoch that is its trial's best so far reports: of each class, [recognised, all]."""


class Epochs:
    """The numbers of epochs, a list for each name."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int], int] = {}
        self._columns: dict[str, list[Any]] = {name: [] for name in EPOCH_COLUMNS}

    def put(self, trial_id: str, event: Mapping[str, Any]) -> None:
        """Takes in an epoch; a trial that has gone on from before it has it anew."""
        size = len(self._places)
        place = self._places.setdefault((trial_id, event["epoch"]), size)
        for column in self._columns.values():
            if place == size:
                column.append(None)
            else:
                column[place] = None
        self._columns["trial_id"][place] = trial_id
        for name, value in event.items():
            if type(value) is float or type(value) is int:
                if name not in self._columns:
                    self._columns[name] = [None] * len(self._places)
                self._columns[name][place] = value

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self._columns)


class Recalls:
    """Which share of each class a trial's best epochs so far recognised, in columns too."""

    def __init__(self) -> None:
        self._trials: list[str] = []
        self._epochs = array("q")
        self._classes: list[str] = []
        self._hits = array("q")
        self._numbers = array("q")

    def add(self, trial_id: str, event: Mapping[str, Any]) -> None:
        for name, (hits, number) in event.get(CLASS_COUNTS, {}).items():
            self._trials.append(trial_id)
            self._epochs.append(event["epoch"])
            self._classes.append(name)
            self._hits.append(hits)
            self._numbers.append(number)

    def table(self) -> pd.DataFrame:
        hits, numbers = np.array(self._hits, np.int64), np.array(self._numbers, np.int64)
        recalls = np.full(len(hits), np.nan)
        np.divide(hits, numbers, out=recalls, where=numbers > 0)
        columns = (self._trials, np.array(self._epochs, np.int64), self._classes, recalls, numbers)
        return pd.DataFrame(dict(zip(CLASS_COLUMNS, columns, strict=True)))
