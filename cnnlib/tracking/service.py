"""wandb in a process that is ours alone: quiet, and gone with all that it started when it ends."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from cnnlib.system.processes import children, end, has_open

SERVICE = b"wandb"  # in the command line of what wandb starts
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


def finish(run: Any, mode: str, *, exit_code: int = 0) -> None:
    """Finishes a run; the file of an offline one is whole when this returns.

    wandb's own `finish` returns before its service has written the end of that file, and all of a
    short one; `leave` kills the service.
    """
    run.finish(exit_code=exit_code)
    if mode == "offline":
        for file in Path(run.sync_dir).glob("*.wandb"):
            while any(has_open(pid, file) for pid in children()):
                time.sleep(0.01)


def is_silence(error: BaseException) -> bool:
    """Whether a server did not answer, rather than refuse."""
    # wandb has no class of its own for it.
    texts = ("timed out", "not respond in time", "deadline exceeded", "connection refused")
    return isinstance(error, TimeoutError) or any(text in str(error) for text in texts)


def leave(code: int) -> NoReturn:
    """Ends this process at once with what it started: wandb would wait for what it cannot send."""
    sys.stdout.flush()
    end(children(), SERVICE)
    os._exit(code)


def asked_elsewhere(code: str, given: str = "") -> dict[str, Any]:
    """What a process answers that runs this code, given this text; its problem where it fails."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=given,
        capture_output=True,
        text=True,
        env=child_environment(),
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        return {"problem": f"wandb cannot be asked: {last[0]}"}
    return json.loads(done.stdout.splitlines()[-1])


def answer(content: Mapping[str, Any]) -> NoReturn:
    """Answers whoever has asked, and ends this process."""
    print(json.dumps(content))
    leave(0)


def child_environment() -> dict[str, str]:
    """The environment of a process that finds cnnlib, and has a wandb of its own."""
    environment = {n: v for n, v in os.environ.items() if n != "WANDB_SERVICE"}
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return environment | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
