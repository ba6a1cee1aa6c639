"""Which networks learn at all: not those that never leave chance or fall far behind all others.

Two groups are no noise around one mean, so what makes networks fail and what makes those better
that learn are two questions (Cragg 1971). A network is at chance by its best epoch, or by its loss
where it was stopped early: a slow one looks dead at first too.
"""

import math

import numpy as np
import pandas as pd

from analysis.reading.folder import SweepFolder
from cnnlib.networks.metric import VAL_ACC
from cnnlib.search.decision import DIVERGED

MARGIN = 0.25  # of chance itself, at most MOST_MARGIN, above which a network has learned something
MOST_MARGIN = 0.025
FALLEN = 0.02  # share by which the loss of a network that learns, slowly, has fallen
MIN_TRIALS = 8  # for one to be far behind the others
FEW_BEHIND, SHARE_BEHIND = 3, 0.05  # trials, of all trials, that may be far behind the others
GAP = 2.0  # interquartile ranges between them
FENCE = 3.0  # interquartile ranges below the lower quartile: one of 1.7 million, were it noise
CUT_SHORT = ("stopped", "paused", "running")
NEAR = 0.01  # of the loss of a network at chance to the logarithm of the number of classes


def chance_of(sweep: SweepFolder) -> float | None:
    """The accuracy of a network that guesses; None where the number of classes is not known.

    Where no file says the number of classes, networks at chance do: their loss is its logarithm
    while their accuracy is its inverse.
    """
    data = sweep.settings.get("data")
    stated = data.get("classes") if isinstance(data, dict) else None
    named = len(sweep.classes) or (len(stated) if isinstance(stated, list) else 0)
    named = named or sweep.class_recalls["class"].nunique()
    if named >= 2:
        return 1 / named
    if not {"val_loss", VAL_ACC.name} <= {*sweep.epochs}:
        return None
    known = sweep.epochs[["val_loss", VAL_ACC.name]].dropna()
    known = known[(known["val_loss"] > 0) & (known["val_loss"] < math.log(1e5))]
    number = np.exp(known["val_loss"]).round()
    is_near = (known["val_loss"] - np.log(number)).abs() < NEAR
    is_near &= (known[VAL_ACC.name] * number - 1).abs() < 0.1
    counts = number[is_near & (number >= 2)].value_counts()
    return 1 / float(counts.index[0]) if len(counts) and counts.iloc[0] >= 3 else None


def learned(sweep: SweepFolder, scores: pd.Series) -> pd.Series:
    """Whether each trial learned, by trial_id; `scores` are those that are compared.

    A training that ended because its network predicted nothing did not.
    """
    trials = sweep.trials.drop_duplicates("trial_id").set_index("trial_id")
    at_chance = _at_chance(sweep, trials).reindex(scores.index, fill_value=False)
    far_behind = _far_behind(scores[~at_chance]).reindex(scores.index, fill_value=False)
    if "status" in trials:  # nobody knows how one would have gone on
        far_behind &= ~trials["status"].reindex(scores.index).isin(CUT_SHORT)
    found = ~(at_chance | far_behind)
    diverged = diverged_trials(trials)
    return pd.concat([found[~found.index.isin(diverged)], pd.Series(False, diverged)]).sort_index()


def diverged_trials(trials: pd.DataFrame) -> pd.Index:
    """The trials (by trial_id) whose training ended because nothing was finite any more."""
    if "error" not in trials:
        return trials.index[:0]
    return trials.index[trials["error"].astype(str).str.startswith(DIVERGED)]


def _at_chance(sweep: SweepFolder, trials: pd.DataFrame) -> pd.Series:
    """The trials that never left chance, as far as that can be told."""
    found = pd.Series(False, trials.index)
    chance = chance_of(sweep)
    if chance is None:
        return found
    if VAL_ACC.name in trials and trials[VAL_ACC.name].notna().any():
        bound = chance + min(MARGIN * chance, MOST_MARGIN)
        found = trials[VAL_ACC.name].astype(float) <= bound
    elif "val_loss" in trials:
        found = trials["val_loss"].astype(float) >= -math.log(chance) - NEAR
    found &= ~_slow(sweep.epochs, chance).reindex(trials.index, fill_value=False)
    known = found[sweep.measure.scores(trials).notna()]
    return found & (not known.all())  # where none learned they can only be compared as they are


def _slow(epochs: pd.DataFrame, chance: float) -> pd.Series:
    """The trials that ended before others and whose loss, a cross entropy, was falling."""
    last = epochs.groupby("trial_id")["epoch"].max()
    found = pd.Series(False, last.index)
    column = next((name for name in ("val_loss", "train_loss") if name in epochs), None)
    if column is None or last.empty:
        return found
    losses = epochs.dropna(subset=column).sort_values("epoch").groupby("trial_id")[column]
    first, lowest, guess = losses.first(), losses.min(), -math.log(chance)
    is_plausible = (first > 0.5 * guess) & (lowest > 0.1 * guess)
    is_falling = is_plausible & (lowest < (1 - FALLEN) * np.minimum(first, guess))
    return is_falling.reindex(last.index, fill_value=False) & (last < last.max())


def _far_behind(scores: pd.Series) -> pd.Series:
    """The few trials that lie far below all others, with nothing between (Tukey's outer fence).

    More of them are no accident, but what their hyperparameters do.
    """
    found = pd.Series(False, scores.index)
    if len(scores) < MIN_TRIALS:
        return found
    lower, upper = scores.quantile([0.25, 0.75])
    rising = np.sort(scores.to_numpy(float))
    gaps = np.diff(rising[: max(FEW_BEHIND, round(SHARE_BEHIND * len(rising))) + 1])
    fence = lower - FENCE * (upper - lower)
    wide = np.flatnonzero((gaps >= GAP * (upper - lower)) & (rising[: len(gaps)] < fence))
    if upper > lower and len(wide):
        found = scores <= rising[wide[-1]]
    return found
