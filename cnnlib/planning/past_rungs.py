"""What each choice of rungs would have saved and lost in earlier sweeps: --rungs auto FOLDER..."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from statistics import mean

from cnnlib.journal.tables import read_results
from cnnlib.search.halving import Halving
from cnnlib.search.stopping import STOPPING, StoppingRule

FACTOR = 3.0
ORDERS = 50  # random orders in which a sweep's trials come
LEAST = 10  # trials of a sweep that tell something
WAYS = {"1/3": (3,), "1/9 and 1/3": (9, 3), "1/27, 1/9 and 1/3": (27, 9, 3)}
RULES = {"asha": "stop", "promote": "promote"}

Curves = list[list[float]]  # by trial, the best score so far after each epoch


@dataclass(frozen=True)
class Choice:
    """One choice of rungs over all sweeps, means of random orders."""

    rule: str  # of STOPPING
    way: str
    trained: float  # share of the epochs that were trained without it
    lost: float  # of the best score, in the unit of the metric
    kept: float  # share of the orders in which nothing is lost

    def __str__(self) -> str:
        return (
            f"{RULES[self.rule]} at {self.way} of the way: {self.trained:.0%} of the epochs, "
            f"{self.lost:.4f} lost of the best, nothing in {self.kept:.0%} of the orders"
        )


def past_curves(folder: str | Path) -> Curves:
    """The curves of a sweep, as scores; a trial that was stopped stays at what it had by then.

    ValueError where too few trials tell something of rungs.
    """
    results = read_results(Path(folder))
    metric = results.metric
    epochs, curves = results.epochs, []
    if metric.name in epochs:
        for _, trial in epochs.dropna(subset=[metric.name]).groupby("trial_id"):
            scores = map(metric.score, trial.sort_values("epoch")[metric.name])
            curves.append([*accumulate(scores, max)])
    length = max(map(len, curves), default=0)
    if len(curves) < LEAST or length < 3:
        raise ValueError(
            f"--rungs: {folder} holds {len(curves)} curves of up to {length} epochs; "
            f"{LEAST} of 3 tell something of rungs"
        )
    return [curve + curve[-1:] * (length - len(curve)) for curve in curves]


def choices(sweeps: Sequence[Curves]) -> Iterator[Choice]:
    """Every choice of rule and rungs, replayed over the sweeps."""
    for rule in RULES:
        for way, parts in WAYS.items():
            found = [
                _replayed(curves, rule, parts, order)
                for curves in sweeps
                for order in range(ORDERS)
            ]
            trained, lost = (mean(column) for column in zip(*found, strict=True))
            yield Choice(rule, way, trained, lost, mean(loss <= 0 for _, loss in found))


def _replayed(curves: Curves, rule: str, parts: tuple[int, ...], order: int) -> tuple[float, float]:
    """The share of the epochs that are trained, and what the best score lacks: one worker."""
    length = len(curves[0])
    rungs = tuple(dict.fromkeys(max(1, round(length / part)) for part in parts))
    halving = Halving(length, rungs[0], FACTOR, rungs)
    stopping = STOPPING[rule](
        max_epochs=length, halving=halving, trials=len(curves), audit=0.0, seed=0, worst=-1e9
    )
    new = [str(number) for number in range(len(curves))]
    random.Random(order).shuffle(new)
    reached = dict.fromkeys(new, 0)
    while new or stopping.pick(idle=True):
        trial = stopping.pick(idle=not new) or new.pop()
        stopping.leave(trial)
        reached[trial] = _leg(stopping, trial, reached[trial], curves[int(trial)], rungs)
    best = max(curve[-1] for curve in curves)
    found = max(curves[int(trial)][epoch - 1] for trial, epoch in reached.items())
    return sum(reached.values()) / (length * len(curves)), best - found


def _leg(
    stopping: StoppingRule, trial: str, after: int, curve: list[float], rungs: Iterable[int]
) -> int:
    """The epoch at which a trial leaves its worker."""
    for rung in [rung for rung in rungs if after < rung < len(curve)]:
        score = curve[rung - 1]
        decision = stopping.decide(trial, rung, score)
        if decision is None:
            continue
        stopping.add(trial, decision, score)
        if not decision.goes_on:
            if decision.pause:
                stopping.wait(trial, rung)
            return rung
    return len(curve)


def past_rungs(folders: Sequence[str]) -> Iterator[str]:
    """A line for each choice of rungs, and how the best of them is written in a sweep file.

    The best trains the fewest epochs of those that lose hardly more than the least: a hundredth of
    the distance from a sweep's mean trial to its best.
    """
    sweeps = [past_curves(folder) for folder in folders]
    found = list(choices(sweeps))
    yield from map(str, found)
    least = min(choice.lost for choice in found)
    spread = mean(max(c[-1] for c in curves) - mean(c[-1] for c in curves) for curves in sweeps)
    good = [choice for choice in found if choice.lost <= least + spread / 100]
    best = min(good, key=lambda choice: choice.trained)
    length = round(mean(len(curves[0]) for curves in sweeps))
    grace = max(1, round(length / WAYS[best.way][0]))
    kind = "hyperband" if best.rule == "asha" else best.rule
    yield (
        f"the cheapest that loses little, for {length} epochs: "
        f"early_terminate: {{type: {kind}, min_iter: {grace}, eta: {FACTOR:g}}}"
    )
