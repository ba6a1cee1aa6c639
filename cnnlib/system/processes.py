"""The processes that this one started: which there are, and an end to those that are left over."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path


def children() -> dict[int, str]:
    """The processes that this one started, and when by the kernel's clock."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if (fields := state(int(folder.name))) and int(fields[1]) == os.getpid():
            found[int(folder.name)] = fields[19]
    return found


def end(processes: dict[int, str], called: bytes = b"") -> None:
    """Kills those of these processes that live, and waits until they are gone.

    One whose command line does not hold `called` stays: it is a stranger by a number that is used
    again, or of another machine.
    """
    for pid, began in processes.items():
        while (fields := state(pid)) and fields[19] == began and fields[0] not in "ZX":
            with suppress(ProcessLookupError, FileNotFoundError):  # it has just gone
                if called not in Path(f"/proc/{pid}/cmdline").read_bytes():
                    break
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def has_open(pid: int, file: Path) -> bool:
    """Whether a process has a file open; False where it has gone."""
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):  # it has just been closed
            if descriptor.samefile(file):
                return True
    return False


def state(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
