"""The sweep's metric as a report needs it: scores, of which the higher is better, and words.

Whatever compares trials compares `scores`; what is shown are the values as they were logged, by
the user's own name. The report of a sweep on the validation accuracy speaks of points and per
cent, as a share does; that of a loss of the loss.
"""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from analysis.reading.values import is_missing, signed
from cnnlib.networks.metric import MAXIMIZE, Metric

PARTS = 20  # of the middle half of the scores: a difference smaller than one matters to nobody


@dataclass(frozen=True)
class Measure(Metric):
    """A metric with what is said of it."""

    @classmethod
    def of_metric(cls, metric: Metric) -> "Measure":
        return cls(**asdict(metric))

    @property
    def is_accuracy(self) -> bool:
        """Whether it is the validation accuracy by its own name."""
        return self.name == self.said == "val_acc"

    @property
    def rises(self) -> bool:
        return self.goal == MAXIMIZE

    def scores(self, table: pd.DataFrame) -> pd.Series:
        """The column of the metric so that the higher is better; NaN where there is none."""
        if self.name not in table:
            return pd.Series(float("nan"), table.index)
        return table[self.name].astype(float) * self.score(1.0)

    def values(self, scores: Any) -> Any:
        """What has these scores."""
        return scores * self.score(1.0)

    def differences(self, table: pd.DataFrame) -> pd.DataFrame:
        """Differences of scores (effect, low, high) as those of the values."""
        if self.rises:
            return table
        ends = {"low": "high", "high": "low"}
        return table.assign(
            **{name: -table[ends.get(name, name)] for name in ("effect", "low", "high")}
        )

    def sorted(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows with the best first and those without a value last."""
        return table.sort_values(self.name, ascending=not self.rises, kind="stable")

    def called(self, column: str) -> str:
        """What a column of the tables is called on the page."""
        return self.said if column == self.name else column

    def text(self, value: float | None) -> str:
        """A value as it is read: 43.2% of an accuracy, 1.234 of a loss."""
        if value is None or is_missing(value):
            return ""
        if self.is_share:
            return f"{round(value, 3):.1%}"  # as the figures round: 0.4405 is 0.441 and 44.1%
        return f"{value:.4g}"

    def change(self, effect: float) -> str:
        """A difference of scores as one of values, with its sign: +1.2 points, -0.034."""
        return self.gain(self.value(effect))

    def gain(self, effect: float) -> str:
        """A difference of scores with its sign, above 0 for the better: +1.2, +0.034."""
        return signed(effect) if self.is_share else _signed(effect)

    def interval(self, low: float, high: float) -> str:
        """An interval of such a difference, the lower end first."""
        ends = (low, high) if self.rises else (high, low)
        return f"{self.change(ends[0])} to {self.change(ends[1])}"

    def size(self, effect: float) -> str:
        """How large a difference is, without its sign: 1.2 points, 0.034."""
        if self.is_share:
            return f"{100 * abs(effect):.1f} points"
        return f"{abs(effect):.3g}"

    def apart(self, effect: float) -> str:
        """A difference of scores in words: 1.2 points more, 0.034 less val_loss."""
        more = "more" if self.value(effect) > 0 else "less"
        return f"{self.size(effect)} {more}{'' if self.is_accuracy else f' {self.said}'}"

    @property
    def unit(self) -> str:
        """What differences are in, as a column's heading."""
        return "points" if self.is_share else self.said

    @property
    def scale(self) -> float:
        """By which a difference is drawn: points are per cent."""
        return 100.0 if self.is_share else 1.0

    @property
    def format(self) -> str:
        """How a value is written in figures, in the format of Python and of plotly's d3."""
        return ".3f" if self.is_share else ".4g"

    @property
    def digits(self) -> str:
        """How such a difference is written, in plotly's format."""
        return ".1f" if self.is_share else ".3~g"

    @property
    def axis(self) -> str:
        """The title of an axis of its values."""
        return f"{self.said} (fraction)" if self.is_share else self.said

    @property
    def long(self) -> str:
        """Its name in a sentence."""
        return "validation accuracy" if self.is_accuracy else self.said

    @property
    def heading(self) -> str:
        """Its name in a heading."""
        return "Accuracy" if self.is_accuracy else self.said

    @property
    def first(self) -> str:
        """Its name at the beginning of a sentence."""
        return "Validation accuracy" if self.is_accuracy else self.said

    @property
    def noun(self) -> str:
        """What a trial has of it."""
        return "accuracy" if self.is_accuracy else self.said

    @property
    def one(self) -> str:
        """A value of it."""
        return "an accuracy" if self.is_accuracy else f"a {self.said}"

    def negligible(self, scores: pd.Series) -> float:
        """A difference that is worth nothing: 1 point, or a small part of how scores differ."""
        if self.is_share:
            return 0.01
        return float(scores.quantile(0.75) - scores.quantile(0.25)) / PARTS


ACCURACY = Measure()


def _signed(value: float) -> str:
    return f"{float(f'{value:.3g}') + 0.0:+.3g}"
