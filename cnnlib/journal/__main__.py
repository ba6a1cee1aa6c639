"""`python -m cnnlib.journal FOLDER` prints the events of a sweep, `--trial ID` that of one trial.

A failed one is told with its log; `--replay` derives every decision again and exits 1 at a
difference. `--stop ID`, `--pause ID` and `--raise ID` ask the driver of a sweep for a trial.
"""

import sys
from pathlib import Path
from typing import Any

from cnnlib.journal.events import journal_exists, read_events
from cnnlib.journal.followers import SeenTrials
from cnnlib.journal.ledger import HANDS
from cnnlib.journal.replay import event_lines, replay
from cnnlib.journal.requests import DONE, ask, fault
from cnnlib.storage.folder_lock import NAME, is_locked, read_lock, refused
from cnnlib.system.flags import Flags
from cnnlib.system.redaction import named


def main() -> int:
    """Prints the events of a sweep, or replays it; returns the exit code."""
    flags = Flags(
        prog="python -m cnnlib.journal",
        description="Prints the events of a sweep.",
    )
    flags.add_argument("folder", type=Path, help="a sweep's folder")
    flags.add_argument("--replay", action="store_true", help="derive every decision again")
    flags.add_argument("--trial", metavar="ID", help="one trial only, and its log if it failed")
    hands = flags.add_mutually_exclusive_group()
    for hand in HANDS:
        hands.add_argument(f"--{hand}", metavar="ID", dest=hand, help=f"this trial {DONE[hand]}")
    asked = flags.parse_args()
    if not journal_exists(asked.folder):
        print(f"no journal in {asked.folder}", file=sys.stderr)
        return 2
    try:
        events = list(read_events(asked.folder))
        for hand in HANDS:
            if trial_id := getattr(asked, hand):
                print(_ask(asked.folder, events, trial_id, hand))
                return 0
        if not asked.replay:
            if asked.trial:
                events = [event for event in events if event.get("trial_id") == asked.trial]
            lines = list(event_lines(events, logs=bool(asked.trial)))
            if asked.trial and not lines:
                raise ValueError(f"--trial: no trial {asked.trial} in {asked.folder}")
            for line in lines:
                print(line)
            return 0
        difference, checked = replay(events)
    except (ValueError, OSError) as error:
        print(named(error), file=sys.stderr)
        return 2
    print(difference or f"every decision follows from the journal: {checked}")
    return 1 if difference else 0


def _ask(folder: Path, events: list[dict[str, Any]], trial_id: str, hand: str) -> str:
    """Asks the driver of a sweep; a line that says what follows."""
    seen = SeenTrials()
    for event in events:
        seen.see(event)
    if mistake := fault(seen, trial_id, hand):
        raise ValueError(f"{mistake} in {folder}")
    ask(folder, trial_id, hand)
    is_at_work = refused(folder, read_lock(folder / NAME), held=is_locked(folder))
    when = "" if is_at_work else "; no driver is at work, so it is done when one goes on (--resume)"
    return f"trial {trial_id} {DONE[hand]}{when}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `| head`
        sys.stdout = None  # type: ignore[assignment]
