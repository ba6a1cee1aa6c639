"""`python -m cnnlib.journal FOLDER` prints the events of a sweep, `--trial ID` that of one trial.

A failed one is told with its log; `--replay` derives every decision again and exits 1 at a
difference.
"""

import sys
from pathlib import Path

from cnnlib.journal.events import journal_exists, read_events
from cnnlib.journal.replay import event_lines, replay
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
    asked = flags.parse_args()
    if not journal_exists(asked.folder):
        print(f"no journal in {asked.folder}", file=sys.stderr)
        return 2
    try:
        events = list(read_events(asked.folder))
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


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # `| head`
        sys.stdout = None  # type: ignore[assignment]
