"""How often it was wrong to stop a trial, told by the trials that went on all the same: `--audit`.

These are a random share of all that fell below a cutoff, or would have waited at a rung, so what
holds for them holds, within the interval, for those that were stopped.
"""

from dataclasses import dataclass

import pandas as pd

from analysis.reading.folder import SweepFolder
from analysis.reading.measure import ACCURACY, Measure


@dataclass(frozen=True)
class Audit:
    """The audited trials against the others."""

    trials: pd.DataFrame
    """Those that completed, by trial_id: rung, then (the best score by that rung), score (at the
    end) and more (epochs trained after the rung)."""
    num_audited: int
    num_stopped: int
    champion: float
    """The highest score of the trials that were not audited; NaN where there is none."""
    good: float
    """The score from which on a trial is among the best 1/eta of the completed trials that were
    not audited: the rule of the rungs, applied at the end. NaN where eta is not known."""
    eta: float
    more: int
    """Epochs that all audited trials trained after the rung where they would have stopped."""
    trained: int
    """Epochs of all trials."""
    pauses: bool = False
    """Whether trials wait at a rung, of which the best go on, in place of stopping there."""
    measure: Measure = ACCURACY

    def text(self, score: float) -> str:
        """A score as a value of the metric."""
        return self.measure.text(self.measure.value(score))

    @property
    def counts(self) -> dict[str, int]:
        """Of the completed audited trials, how many it was wrong to stop, by what is wrong."""
        above, among = (self.trials["score"] > self.champion, self.trials["score"] >= self.good)
        side, more = ("above", "more") if self.measure.rises else ("below", "less")
        found = {}
        if self.champion == self.champion:  # not NaN
            text = f"ended {side} the best trial that was not audited ({self.text(self.champion)})"
            found[text] = int(above.sum())
        if self.good == self.good:
            text = (
                f"ended among the best {1 / self.eta:.0%} of the other completed trials"
                f" ({self.text(self.good)} or {more})"
            )
            found[text] = int(among.sum())
        return found


def read_audit(sweep: SweepFolder) -> Audit | None:
    """None where no trial was to be audited."""
    if not {"audited", "status", "epochs"} <= set(sweep.trials):
        return None
    trials = sweep.trials.drop_duplicates("trial_id").set_index("trial_id")
    rung = pd.to_numeric(trials["audited"], errors="coerce").astype(float)
    epochs = pd.to_numeric(trials["epochs"], errors="coerce").fillna(0).astype(int)
    is_audited, completed = rung.notna(), trials["status"] == "completed"
    early = sweep.epochs[sweep.epochs["epoch"] <= sweep.epochs["trial_id"].map(rung).astype(float)]
    then = sweep.measure.scores(early).groupby(early["trial_id"]).max()
    scores = sweep.measure.scores(trials)
    table = pd.DataFrame({"score": scores, "rung": rung, "then": then.reindex(trials.index)})
    table["more"] = epochs - rung
    eta = float(sweep.settings.get("reduction_factor") or "nan")
    others = scores[~is_audited]
    return Audit(
        trials=table[is_audited & completed],
        num_audited=int(is_audited.sum()),
        num_stopped=int((trials["status"] == "stopped").sum()),
        champion=float(others.max()),
        good=float(others[completed].quantile(1 - 1 / eta)) if eta == eta else eta,
        eta=eta,
        more=int(table["more"].sum()),
        trained=int(epochs.sum()),
        pauses=sweep.pauses,
        measure=sweep.measure,
    )
