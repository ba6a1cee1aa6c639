"""By what the marks of trials are coloured, and the numbers by which the page links its plots.

A mark of a trial carries its number (`customdata`). Plots whose layout.meta says linked are drawn
again by the page in any of these colourings, and with the trials alone that its table shows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    OUTCOMES,
    PURPLE,
    SKY,
    VERMILLION,
    Look,
    plain,
)
from analysis.reading.folder import SweepFolder
from analysis.reading.measure import Measure
from analysis.reading.values import NOT_LOGGED, numbers_of
from analysis.statistics.comparison import levels_of

ORDERED = ("#eda100", "#e0640f", "#c02f5b", "#8a2181", "#521a86", "#1c0f45")
"""From the lowest to the highest: told apart by lightness alone."""
NAMED = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY)
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "x", "triangle-down")
DASHES = ("solid", "dash", "dot", "dashdot", "longdashdot", "solid")
UNKNOWN = Look(GREY, "circle-open", "longdashdot")
OUTCOME = "outcome"
NUM_PARTS = 5  # of the metric, when trials are coloured by it


@dataclass(frozen=True)
class Colouring:
    """A look for each value, and which of them each trial has."""

    name: str
    looks: dict[str, Look]
    codes: np.ndarray
    """The number of a look by trial."""

    def as_data(self) -> dict[str, Any]:
        """For the page."""
        looks = [
            {"color": look.color, "symbol": look.symbol, "dash": look.dash}
            for look in self.looks.values()
        ]
        return {"name": plain(self.name), "labels": [plain(label, 24) for label in self.looks],
                "looks": looks, "codes": self.codes.tolist()}  # fmt: skip


@dataclass(frozen=True)
class Linked:
    """The trials that the linked plots may draw, numbered; those of the page's table come first."""

    trials: pd.DataFrame
    colourings: Sequence[Colouring]
    """The first is the one that the page begins with."""

    @cached_property
    def numbers(self) -> dict[str, int]:
        """By trial_id."""
        ids = self.trials["trial_id"].tolist()
        return dict(zip(reversed(ids), reversed(range(len(ids))), strict=True))

    def of(self, trial_ids: pd.Series) -> np.ndarray:
        """The numbers of these trials."""
        return trial_ids.map(self.numbers).to_numpy(int)

    def groups(self, trial_ids: pd.Series) -> Iterator[tuple[str, Look, np.ndarray]]:
        """Label, look and mask of each part of these trials, as the page first colours them."""
        colouring = self.colourings[0]
        codes = colouring.codes[self.of(trial_ids)]
        for code, (label, look) in enumerate(colouring.looks.items()):
            if (codes == code).any():
                yield label, look, codes == code


def linked(sweep: SweepFolder, trials: pd.DataFrame, names: Sequence[str]) -> Linked:
    """These trials, coloured by the first of `names`, the others, the metric or the outcome."""
    colourings = [_by_value(trials, name) for name in names]
    colourings += [*_by_metric(trials, sweep.measure), _by_outcome(trials)]
    return Linked(trials, colourings)


def _by_value(trials: pd.DataFrame, name: str) -> Colouring:
    levels = levels_of(trials[name])
    labels = [str(label) for label in levels.cat.categories]
    known = [label for label in labels if label != NOT_LOGGED]
    looks = _ordered(known) if numbers_of(trials[name]) is not None else _named(known)
    looks |= {label: UNKNOWN for label in labels if label == NOT_LOGGED}
    return Colouring(name, looks, levels.cat.codes.to_numpy(int))


def _ordered(labels: Sequence[str]) -> dict[str, Look]:
    """Numbers: the larger, the darker."""
    places = np.linspace(0, len(ORDERED) - 1, len(labels)).round().astype(int)
    return {
        label: Look(ORDERED[place], SYMBOLS[number % len(SYMBOLS)])
        for number, (label, place) in enumerate(zip(labels, places, strict=True))
    }


def _named(labels: Sequence[str]) -> dict[str, Look]:
    cases = zip(NAMED, SYMBOLS, DASHES, strict=True)
    looks = [Look(*case) for case in cases]
    looks += [Look(look.color, look.symbol, "dot") for look in looks]  # of very many names
    return {label: looks[number % len(looks)] for number, label in enumerate(labels)}


def _by_metric(trials: pd.DataFrame, measure: Measure) -> list[Colouring]:
    """In parts of equal width, the better the darker."""
    values = trials[measure.name].astype(float)
    if values.nunique() < 2:
        return []
    low, high = float(values.min()), float(values.max())
    parts = ((values - low) / (high - low) * NUM_PARTS).clip(upper=NUM_PARTS - 1)
    edges = np.linspace(low, high, NUM_PARTS + 1)
    labels = [f"{measure.text(a)} to {measure.text(b)}" for a, b in pairwise(edges)]
    looks = _ordered(labels if measure.rises else labels[::-1])
    looks = {label: looks[label] for label in labels} | {f"no {measure.said}": UNKNOWN}
    codes = parts.fillna(NUM_PARTS).astype(int).to_numpy()
    return [Colouring(measure.said, looks, codes)]


def _by_outcome(trials: pd.DataFrame) -> Colouring:
    names = list(OUTCOMES)
    status = trials["status"] if "status" in trials else pd.Series("unknown", trials.index)
    codes = status.map({name: number for number, name in enumerate(names)})
    return Colouring(OUTCOME, dict(OUTCOMES), codes.fillna(len(names) - 1).to_numpy(int))
