"""What the user asks of a sweep: plain data, and what of it is no such number or text at all."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlib.search.bounds import LIMITS, checked
from cnnlib.search.reference import STUDY
from cnnlib.system.units import short

NAMES = (
    "data", "sweep", "metric", "goal", "reference", "storage", "name", "warm_start", "first",
    "wandb_project",
)  # fmt: skip
OPEN = (
    "metric",
    "goal",
    "storage",
    "name",
    "warm_start",
    "first",
)  # of those, where None is the default


def check_flags(flags: object) -> None:
    """Raises ValueError for the first flag that is no such number, or too small or too large.

    None asks for the default.
    """
    for name in LIMITS:
        value = getattr(flags, name, None)
        if value is None or (name == "gpus_per_trial" and value == "auto"):
            continue
        flag = f"--{name.replace('_', '-')}"
        if name == "gpus_per_trial" and isinstance(value, str):
            raise ValueError(f"{flag}: {short(value)} is not a number or auto")
        checked(name, value, said=flag)
    for name in NAMES:
        value = getattr(flags, name, "")
        is_text = isinstance(value, str | Path) or (value is None and name in OPEN)
        if not is_text and name != "sweep":  # which may be a dictionary
            raise ValueError(f"--{name.replace('_', '-')}: {short(value)} is not a text")
        if isinstance(value, str | Path) and "\0" in str(value):
            raise ValueError(f"--{name.replace('_', '-')}: {short(value)} holds a NUL character")
    if str(getattr(flags, "name", None)).startswith("-"):
        raise ValueError(f"--name: {short(flags.name)} begins like a flag")  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Settings:
    """What the user asks for; the flags of jobs/tune.py by the same names."""

    # sample, or a folder, table, zip, shards or URL of photographs; or a data set object
    data: Any = "sample"
    columns: str | None = None  # of a table: 'path=file,label=species,split=set,group=patient'
    min_per_class: int | None = None  # photographs; smaller classes are left out
    # A W&B sweep file, or wide, or wandb.sweep's dictionary; None: the file that fits the data.
    sweep: str | Path | Mapping[str, Any] | None = None
    # A kind of network, file.py:NAME or package.module:NAME of your own, or the function or class
    # itself; None: the sweep file's, or the cnn.
    network: Any = None
    metric: str | None = None  # such as val_loss or val_f1; None: as the file says, or val_acc
    goal: str | None = None  # of --metric: maximize or minimize; None: as its name says
    set: Iterable[str] = ()  # 'name=value' fixes, 'name=value,value' narrows
    rename: Iterable[str] = ()  # 'name=known': whose a name of the sweep file is
    trials: int | None = None
    max_epochs: int | None = None
    image_size: int | None = None  # px
    gpus_per_trial: float | str | None = None  # or auto, measured before the sweep
    cpus_per_trial: int = 1
    max_concurrent: int | None = None  # None: as many trials as fit
    time_budget: str | None = None  # '2h', '90m', '1h30m'
    first: str | Path | None = None  # a file of configurations that are tried first
    prior: Iterable[str] = ()  # 'name=value,value' believes in values, till trials tell better
    # Expected gain of the metric below which nothing new is tried, or noise: the chance of the
    # validation photographs; None: all trials are.
    stop_when: float | str | None = None
    explore: float | None = None  # share of the proposals that are balanced and random; None: none
    audit: float = 0.0  # share of the trials that ASHA would stop and that run on all the same
    patience: int = 5  # epochs without a better value of the metric that end a trial; 0: none do
    seed: int = 42
    finalists: int | None = None  # trials that are trained again at the end; 0 or 1: none are
    seeds: int | None = None  # for each of them; 0: none are
    retrain: bool = True  # trains the champion on the validation photographs too
    reference: str | Path = STUDY  # the study's best; a file of hyperparameters; none
    storage: str | Path | None = None  # None: results/, or ~/results in a Ray job
    name: str | None = None  # None: from the data and the time
    resume: bool = False  # goes on with the sweep of this name
    warm_start: str | Path | None = None  # another sweep's folder, whose outcomes TPE is told
    # Folders of earlier sweeps that the search begins with; none; (): what is known of public ones.
    past: Iterable[str] = ()
    search: str | None = None  # of SEARCHERS; None: as the file's `method` says
    wandb: str = "auto"  # or online, offline, off
    wandb_project: str = "cnnlib"
    verbose: bool = False  # shows what Ray prints


def seconds_of(text: str) -> float:
    """'2h', '90m', '1h30m' or '45s' in seconds."""
    number = r"(\d{1,9})"  # of seconds, these are 31 years
    match = re.fullmatch(f"(?:{number}h)?(?:{number}m)?(?:{number}s)?", str(text).strip())
    if not match or not any(match.groups()):
        said = short(text) or "nothing"
        raise ValueError(f"--time-budget: {said} is not a time like 2h, 90m, 1h30m or 45s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = float(hours * 3600 + minutes * 60 + seconds)
    if not total:
        raise ValueError("--time-budget: there is nothing to do in no time")
    return total


def renamed(flags: object) -> dict[str, str]:
    """{speed: learning_rate} for the flags 'speed=learning_rate'."""
    if isinstance(flags, Mapping):
        return {str(said): str(known) for said, known in flags.items()}
    if isinstance(flags, str) or not isinstance(flags, Iterable):
        flags = [flags]
    names: dict[str, str] = {}
    for text in flags:
        said, _, known = str(text).partition("=")
        if not said.strip() or not known.strip():
            raise ValueError(f"--rename {short(text)}: write NAME=KNOWN")
        if names.setdefault(said.strip(), known.strip()) != known.strip():
            raise ValueError(f"--rename {short(said)}: is given twice")
    return names
