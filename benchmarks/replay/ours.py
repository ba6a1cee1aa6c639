"""This project's searches, run by the ledger, searchers and stopping rules of a sweep."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.replay.clock import Job
from benchmarks.replay.tables import Curves
from cnnlib.journal.ledger import Ledger
from cnnlib.journal.terms import Terms
from cnnlib.search.experience import Experience, fitting
from cnnlib.search.searcher import num_initial
from cnnlib.search.stopping import default_rungs

FACTOR = 3.0


@dataclass
class Ours:
    """A sweep's ledger, whose events are kept by nobody."""

    curves: Curves
    workers: int
    seed: int
    search: str = "curves"
    stopping: str = "promote"
    known: Sequence[Experience] = ()  # of earlier sweeps
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        trials, epochs = len(self.curves), self.curves.num_epochs
        self.ledger = Ledger(lambda event, **content: {"event": event, **content})
        space, network = self.curves.space, self.curves.network
        experience = fitting(self.known, space, network)
        halving = default_rungs(self.stopping, epochs, FACTOR, experience)
        self.ledger.family = network
        self.ledger.begin(
            Terms(
                space=space,
                image_size=1,
                search=self.search,
                seed=self.seed,
                trials=trials,
                max_epochs=epochs,
                patience=0,
                grace_period=halving.grace_period,
                reduction_factor=halving.reduction_factor,
                rungs=halving.named,
                last_share=halving.last_share,
                fingerprint="",
                num_initial=num_initial(trials, self.workers),
                family=network,
                experience=experience,
                stopping=self.stopping,
            )
        )

    def ask(self, seconds: float) -> Job | None:
        trial = self.ledger.next_trial()
        if trial is None:
            return None
        self.ledger.start(trial.trial_id)
        return Job(trial.trial_id, vars(trial.config), trial.epoch)

    def tell(self, trial: str, epoch: int, score: float, seconds: float) -> bool:
        row: dict[str, Any] = {"epoch": epoch, "val_acc": score, "seconds": seconds}
        decision = self.ledger.epoch(trial, row)
        goes_on = decision is None or decision.goes_on
        if not goes_on or epoch == self.curves.num_epochs:
            self.ledger.end(trial)
        return goes_on
