"""The sweep in plain sentences, each from its tables; no sentence where nothing is known."""

import math
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from analysis.reading.folder import SweepFolder
from analysis.reading.values import constant, is_missing, shown
from cnnlib.journal.scores import wilson_interval
from cnnlib.search.decision import DIVERGED
from cnnlib.system.units import counted

OUTCOME_WORDS = {
    "completed": "completed",
    "stopped": "stopped early",
    "failed": "failed",
    "running": "still running or interrupted",
    "unknown": "of unknown outcome",
}


def percent(fraction: float) -> str:
    """0.4321 as 43.2%."""
    return f"{round(fraction, 3):.1%}"  # as the figures round: 0.4405 is 0.441 and 44.1%


def duration(seconds: float) -> str:
    """Seconds as a reader says it: 45 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def moment(text: str) -> str:
    """A time of ISO 8601 as 2026-11-24 10:03 UTC; any other text as it is."""
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return text


@dataclass(frozen=True)
class Share:
    """So many of n, as an accuracy is, with the 95% interval (Wilson)."""

    count: int
    n: int

    @property
    def value(self) -> float:
        return self.count / self.n if self.n else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.count, self.n)

    def __str__(self) -> str:
        low, high = map(percent, self.interval)
        return (
            f"{percent(self.value)} (95% interval {low} to {high}, {self.count:,} of n ="
            f" {self.n:,})"
        )


def champion_score(sweep: SweepFolder) -> Share | None:
    """On the test photographs: from the predictions, which can be counted, or metrics.json."""
    if sweep.predictions is not None and len(sweep.predictions):
        correct, n = int(sweep.predictions["correct"].sum()), len(sweep.predictions)
    elif not is_missing(sweep.metrics.get("test_correct")) and sweep.metrics.get("test_n"):
        correct, n = int(sweep.metrics["test_correct"]), int(sweep.metrics["test_n"])
    else:
        return None
    return Share(correct, n)


@dataclass(frozen=True)
class EpochCount:
    """Epochs trained by all trials, and of those that ended by themselves, what they could have."""

    trained: int
    ended_trained: int
    ended_planned: int | None
    num_ended: int

    @property
    def saved(self) -> float | None:
        """The share of the planned epochs that early stopping saved; None if not known."""
        if not self.ended_planned:
            return None
        return max(0.0, 1 - self.ended_trained / self.ended_planned)


def count_epochs(sweep: SweepFolder) -> EpochCount | None:
    """None if no trial's epochs are known."""
    trials = sweep.trials
    if "epochs" in trials and trials["epochs"].notna().any():
        trained = pd.to_numeric(trials["epochs"], errors="coerce").fillna(0)
    elif len(sweep.epochs):
        trained = trials["trial_id"].map(sweep.epochs.groupby("trial_id").size()).fillna(0)
    else:
        return None
    status = trials.get("status", pd.Series("completed", trials.index))
    ended = status.isin(["completed", "stopped"])
    planned: int | None = None
    if sweep.settings.get("max_epochs"):
        planned = int(sweep.settings["max_epochs"]) * int(ended.sum())
    elif "max_epochs" in trials and trials.loc[ended, "max_epochs"].notna().all():
        planned = int(trials.loc[ended, "max_epochs"].sum())
    return EpochCount(int(trained.sum()), int(trained[ended].sum()), planned, int(ended.sum()))


def outcome_sentence(sweep: SweepFolder) -> str:
    """How many trials there are and how they ended."""
    trials = sweep.trials
    asked = sweep.settings.get("trials")
    of_asked = f" of {asked} asked for" if isinstance(asked, int) and asked != len(trials) else ""
    start = f"{counted(len(trials), 'trial')}{of_asked}"
    if "status" not in trials or not len(trials):
        return f"{start}."
    counts = trials["status"].value_counts()
    ends = ", ".join(f"{n} {OUTCOME_WORDS.get(str(name), name)}" for name, n in counts.items())
    return f"{start}: {ends}.{_diverged(trials, sweep.measure.noun)}"


def _diverged(trials: pd.DataFrame, noun: str) -> str:
    """What to know of the trials that failed because their network diverged."""
    errors = trials.get("error", pd.Series("", trials.index)).astype(str)
    count = int(errors.str.startswith(DIVERGED).sum())
    if not count:
        return ""
    return (
        f" Of those that failed {count} {DIVERGED}: the network's outputs were no longer finite,"
        f" so {'it has' if count == 1 else 'they have'} no {noun} and"
        f" {'counts' if count == 1 else 'count'} as the worst."
    )


def champion_sentences(sweep: SweepFolder) -> list[str]:
    """Who won, how it was measured, and what the test says."""
    best, champion, measure = sweep.best, sweep.champion, sweep.measure
    if best is None and not champion:
        return [f"No trial reached a {measure.long}, so there is no best configuration."]
    trial_id = champion.get("trial_id", None if best is None else best["trial_id"])
    config = champion.get("config") or ({} if best is None else best[sweep.hyperparameters])
    same = constant(sweep.trials, sweep.hyperparameters)
    known = [
        f"{name} {shown(value)}"
        for name, value in dict(config).items()
        if not is_missing(value) and name not in same
    ]
    role = "The champion is" if champion else "The best is"
    sentences = [f"{role} trial {trial_id}" + (f": {', '.join(known)}." if known else ".")]
    num_measured = len(sweep.measured)
    if best is not None and num_measured > 1:
        owner = "it" if str(trial_id) == best["trial_id"] else f"trial {best['trial_id']}"
        reached = measure.text(best[measure.name])
        sentences.append(
            f"In the sweep {owner} reached a {measure.long} of {reached}, the"
            f" best of {num_measured} trials, and the best of many is an optimistic figure: it was"
            f" picked because it came out {'high' if measure.rises else 'low'}, on the same"
            " photographs."
        )
    elif best is not None:
        sentences.append(f"Its {measure.long} is {measure.text(best[measure.name])}.")
    if best is not None and measure.name != "val_acc" and not is_missing(best.get("val_acc")):
        sentences.append(f"Its val_acc at that epoch was {percent(best['val_acc'])}.")
    final = champion_value(sweep)
    if final is not None and (best is None or abs(final - best[measure.name]) >= 0.0005):
        sentences.append(
            f"Trained again on new seeds it reaches {measure.text(final)} on average."
            if champion.get("origin") in ("final", "retrained")
            else f"The champion as it was saved reaches {measure.text(final)} on validation."
        )
    return sentences


def champion_value(sweep: SweepFolder) -> float | None:
    """What its own files say that the champion reached, of the sweep's metric."""
    stated = sweep.champion.get("metric") or {}
    value = stated.get("value") if stated.get("name") == sweep.measure.name else None
    if value is None and sweep.measure.name == "val_acc":
        value = sweep.champion.get("val_acc")
    return float(value) if isinstance(value, int | float) else None


def tested_sentences(sweep: SweepFolder) -> list[str]:
    """The test accuracy, and whether the folder's two records of it agree."""
    score = champion_score(sweep)
    if score is None:
        return [
            "The champion has not been tested."
            if sweep.champion
            else "There is no champion to test in this folder."
        ]
    sentences = [f"On the test photographs the champion's accuracy is {score}."]
    stated = sweep.metrics.get("test_acc")
    if isinstance(stated, int | float) and abs(stated - score.value) > 0.0005:
        sentences.append(
            f"Caution: metrics.json says {percent(stated)}, but the counted"
            f" predictions give {percent(score.value)}."
        )
    return sentences


def seen_before(sweep: SweepFolder) -> list[str]:
    """Where the champion's weights come from elsewhere, and may know the photographs."""
    said = sweep.champion.get("pretrained")
    if not isinstance(said, dict) or "trained_on" not in said:
        return []
    return [
        f"The champion began with weights that were trained on {said['trained_on']}: where test or"
        " validation photographs were among those, accuracies say how well they are remembered."
    ]


def _spared(sweep: SweepFolder) -> str:
    """What it is that trains no more of a trial."""
    if sweep.pauses:
        return "pausing trials at the rungs, so that only the best went on,"
    return "early stopping"


def effort_sentences(sweep: SweepFolder) -> list[str]:
    """Epochs trained and saved, and the time taken."""
    sentences = []
    epochs = count_epochs(sweep)
    if epochs:
        sentences.append(f"All trials together trained {counted(epochs.trained, 'epoch')}.")
    if epochs and epochs.ended_planned and epochs.saved is not None:
        sentences.append(
            f"The {counted(epochs.num_ended, 'trial')} that completed or stopped early would have"
            f" trained {epochs.ended_planned:,} at their maximum and trained"
            f" {epochs.ended_trained:,}: {_spared(sweep)} saved {epochs.saved:.0%}."
        )
    seconds = sweep.settings.get("seconds")
    if isinstance(seconds, int | float):
        sentences.append(f"The sweep took {duration(seconds)}.")
    if "seconds" in sweep.trials and sweep.trials["seconds"].notna().any():
        total = duration(float(sweep.trials["seconds"].sum()))
        sentences.append(f"Its trials took {total} added up.")
    return sentences
