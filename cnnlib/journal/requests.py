"""What a person asks of a running sweep from another shell: a file each, which its driver takes up.

The driver alone writes the journal. It notes a request there as the event `asked`, and then deletes
its file; so one that was killed between the two finds the request again and knows it.
"""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cnnlib.journal.followers import SeenTrials
from cnnlib.journal.ledger import HANDS
from cnnlib.storage.files import refuse_special, replaced
from cnnlib.system.units import short

FOLDER = "requests"
DONE = {
    "stop": "stops after the epoch that it is in",
    "pause": "pauses after the epoch that it is in, until it is raised or the sweep ends",
    "raise": "goes on to its last epoch, whatever the rungs say",
}


@dataclass(frozen=True)
class Request:
    """A trial to stop, to pause or to raise."""

    trial_id: str
    hand: str  # of HANDS
    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    def done(self) -> None:
        """It stands in the journal, or never will."""
        with suppress(OSError):
            self.path.unlink()


def fault(seen: SeenTrials, trial_id: str, hand: str) -> str | None:
    """Why this cannot be asked, by what is known of the trials; None where it can."""
    trial = seen.trials.get(trial_id)
    if trial is None:
        return f"--{hand}: no trial {short(trial_id)}"
    if trial.has_ended:
        return f"--{hand}: trial {trial_id} has {_ended(trial.status)}"
    return None


def _ended(status: str) -> str:
    return "failed" if status == "failed" else f"ended, {status}"


def ask(folder: Path, trial_id: str, hand: str) -> Request:
    """Leaves a request in a sweep's folder."""
    path = folder / FOLDER / f"{time.time_ns():020d}-{secrets.token_hex(4)}.json"
    path.parent.mkdir(exist_ok=True)
    content = json.dumps({"trial_id": trial_id, "hand": hand})
    replaced(path, lambda part: part.write_text(content, "utf-8"))
    return Request(trial_id, hand, path)


def requests(folder: Path) -> Iterator[Request]:
    """Those that are there, the oldest first; a file that is none is passed over."""
    for path in sorted((folder / FOLDER).glob("*.json")):
        try:
            refuse_special(path)
            content = json.loads(path.read_text("utf-8"))
            request = Request(str(content["trial_id"]), str(content["hand"]), path)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue
        if request.hand in HANDS:
            yield request
