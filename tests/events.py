"""Events for journals of tests, whole as a driver writes them."""

from typing import Any

from cnnlib.journal.events import Journal
from tests.journal.test_ledger import TERMS


def begin(journal: Journal) -> None:
    journal.append("sweep", **TERMS.as_event())


def propose(journal: Journal, trial_id: str, *val_accs: float) -> None:
    """A trial that has these epochs."""
    journal.append("proposed", trial_id=trial_id, config={"dropout": 0.2}, max_epochs=9)
    journal.append("started", trial_id=trial_id, after_epoch=0)
    for number, val_acc in enumerate(val_accs, start=1):
        journal.append("epoch", trial_id=trial_id, **epoch(number, val_acc))


def epoch(number: int, val_acc: float) -> dict[str, Any]:
    return {"epoch": number, "val_acc": val_acc, "val_loss": 1.0, "seconds": 1.0}
