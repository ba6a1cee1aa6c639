"""What W&B calls a sweep's runs: their names, their ids, and the line that says where they are."""

import hashlib
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from cnnlib.networks.families import short_names

MAX_NAME_LENGTH = 128  # W&B refuses longer names and ids


def run_name(config: Mapping[str, object]) -> str:
    """A run's name in the study's manner, `ac-relu-filters-128-...`, at most 128 characters."""
    short = short_names()
    keys = [key for key in short if key in config]
    keys += [key for key in config if key not in short]
    name = "-".join(f"{short.get(key, key)}-{_value(config[key])}" for key in keys)
    if len(name) <= MAX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]  # what is cut off still tells them apart
    return f"{name[: MAX_NAME_LENGTH - 9]}-{digest}"


def run_id(sweep: str, trial_id: str, *, started: str = "") -> str:
    """The id of a trial's run in every attempt, in characters that W&B allows.

    W&B goes on with a run of the same id, so sweeps of one name have different ones.
    """
    digest = hashlib.sha256(f"{sweep} {started}".encode()).hexdigest()[:8]
    name = f"{sweep[:64]}-{digest}" if started else sweep[:64]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", f"{name}-{trial_id}")


def refused_id(identifier: str) -> str:
    """The id that former versions gave a run which the server did not accept."""
    return f"{identifier}-offline"


def where(
    folder: Path,
    *,
    mode: str,
    project: str,
    sweep: str,
    online: int = 0,
    offline: int = 0,
    left: int | None = 0,
    url: str = "",
) -> str:
    """Where the runs are, and how to send what is only on this disk; `left` None: not known."""
    path = shlex.quote(str(folder))
    parts = []
    if online or mode == "online":
        parts.append(f"{_runs(online)} online: {url or f'project {project}, group {sweep}'}")
    if offline or (mode == "offline" and not online):
        send = f"wandb sync {path}/wandb/offline-run-*"
        parts.append(f"{_runs(offline)} offline; send them with: {send}")
    if left is None or left:
        what = "what is left" if left is None else f"{_runs(left)} not sent"
        parts.append(f"{what}; send with: python -m cnnlib.tracking {path}")
    return "W&B: " + ("; ".join(parts) or "off")


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _value(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
