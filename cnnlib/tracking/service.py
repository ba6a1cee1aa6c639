"""wandb in a process that is ours alone: quiet, and gone with all that it started when it ends."""

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

SETTINGS: dict[str, Any] = {
    "console": "off",  # never capture a screen
    "finish_timeout_raises": True,
    "stop_fn": lambda: None,  # W&B's stop button on one run would end all of them
    "use_dot_wandb": False,
    "symlink": False,  # `latest-run` means nothing with several runs at once
    "save_code": False,
    "disable_git": True,
    "label_disable": True,
}
# Seconds for a server to accept a run, and for a run's last rows; WANDB_INIT_TIMEOUT says others.
TIMEOUTS = {"init_timeout": 30.0, "finish_timeout": 60.0}
# What has no public name: nothing is measured of this process, which trains nothing.
WISHES = {"x_disable_stats": True, "x_disable_machine_info": True, "x_save_requirements": False}


def one_line(error: BaseException) -> str:
    """The error's text in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def quieten() -> None:
    """Before wandb is imported: nothing on the screen, and no reports to its makers at exit."""
    os.environ.setdefault("WANDB_SILENT", "true")
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")


def run_settings() -> Any:
    """The settings of a run, with those wishes that this version of wandb knows."""
    import wandb

    wishes = {n: v for n, v in WISHES.items() if n in wandb.Settings.model_fields}
    said = {n: v for n, v in TIMEOUTS.items() if f"WANDB_{n.upper()}" not in os.environ}
    settings: dict[str, Any] = {**SETTINGS, **said, **wishes}
    return wandb.Settings(**settings)


def is_silence(error: BaseException) -> bool:
    """Whether a server did not answer, rather than refuse."""
    # wandb has no class of its own for it.
    texts = ("timed out", "not respond in time", "deadline exceeded", "connection refused")
    return isinstance(error, TimeoutError) or any(text in str(error) for text in texts)


def children() -> dict[int, str]:
    """The processes that this one started, and when by the kernel's clock."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if (fields := _stat(int(folder.name))) and int(fields[1]) == os.getpid():
            found[int(folder.name)] = fields[19]
    return found


def end(processes: dict[int, str]) -> None:
    """Kills those of these processes that live and are wandb's, and waits until they are gone."""
    for pid, began in processes.items():
        while (fields := _stat(pid)) and fields[19] == began and fields[0] not in "ZX":
            if b"wandb" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                break  # noted on another machine, and a stranger here
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; none where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def leave(code: int) -> NoReturn:
    """Ends this process at once with what it started: wandb would wait for what it cannot send."""
    sys.stdout.flush()
    end(children())
    os._exit(code)
