"""W&B's sweep files, read as W&B reads them; what is read in another way is told in a line each."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.families import FAMILIES, family_named
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import nearest
from cnnlib.networks.metric import VAL_ACC, Metric, read_metric
from cnnlib.networks.values import Choice, Space
from cnnlib.search.bounds import real, whole
from cnnlib.search.early_terminate import early_terminate
from cnnlib.search.parameters import read_parameters
from cnnlib.storage.yaml_file import read_yaml
from cnnlib.system.mistakes import Collected, MistakesError, lines_of
from cnnlib.system.units import short

METHODS = {"bayes": "tpe", "random": "random", "grid": "random"}  # without repeats, all of a grid
NETWORK = "network"  # the constant that names the kind of network
KEYS = ("method", "metric", "parameters", "early_terminate", "run_cap")
# What belongs to W&B's agents and has no meaning here; of the first few nobody expects one.
SILENT = ("apiVersion", "kind", "description")
IGNORED = (
    "program", "command", "job", "image_uri", "controller", "name", "project", "entity"
)  # fmt: skip


@dataclass(frozen=True)
class SweepFile:
    """What a W&B sweep file asks for."""

    space: Space
    family: Family = CNN
    search: str = "tpe"  # or "random"
    is_grid: bool = False  # every configuration is tried, where `trials` does not say less
    early_terminate: bool = True  # false where the file says `early_terminate: null`
    stopping: str | None = None  # the rule at the rungs: asha or promote; None: not said
    grace_period: int | None = None  # epochs before the first rung; None: from the longest trial
    reduction_factor: float = 3.0
    rungs: tuple[int, ...] = ()  # those of max_iter and s; (): what follows from the grace period
    strict: bool = False  # a trial is judged by its score at the rung, not by its best so far
    metric: Metric = VAL_ACC
    target: float | None = None  # of the metric, after which nothing new is tried
    trials: int | None = None  # run_cap
    settings: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)  # ours: what the file calls it
    notes: tuple[str, ...] = ()  # what was read as what, and otherwise than W&B would, a line each


def read_sweep_file(
    path: str | Path,
    family: Family | None = None,
    *,
    rename: Mapping[str, str] | None = None,
    other_metric: bool = False,
) -> SweepFile:
    """The sweep file, checked. MistakesError name field, value, rule and the nearest right name."""
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"no sweep file {path}") from None
    try:
        return sweep_from_mapping(content, family, rename=rename, other_metric=other_metric)
    except ValueError as error:
        raise MistakesError([f"{path}: {line}" for line in lines_of(error)]) from None


def sweep_from_mapping(
    content: object,
    family: Family | None = None,
    *,
    rename: Mapping[str, str] | None = None,
    other_metric: bool = False,
) -> SweepFile:
    """The same from the dictionary that wandb.sweep takes.

    `family` is the kind of network that a flag asks for; None: the one that the file names.
    `rename` says of names of the file whose they are. With `other_metric` a flag names the metric,
    and it is no mistake that the file's own cannot be one. Raises MistakesError, all at once.
    """
    if not isinstance(content, Mapping) or not isinstance(content.get("parameters"), Mapping):
        raise ValueError("a sweep needs `parameters:` with a name and its values each")
    found, notes = Collected(), list[str]()
    with found.kept():
        notes += _ignored(content)
    method = content.get("method", "bayes")
    if not isinstance(method, str) or method not in METHODS:
        near = nearest(method, METHODS)
        found.lines.append(f"method: {short(method)} is not one of {', '.join(METHODS)}{near}")
        method = "bayes"
    metric, target, trials, early = VAL_ACC, None, None, dict[str, Any]()
    with suppress(ValueError) if other_metric else found.kept():
        metric, target = _metric(content.get("metric"), notes)
    with found.kept():
        if "run_cap" in content:
            trials = whole("run_cap", content["run_cap"], "trials")
    if trials and method == "grid":
        notes.append("run_cap: of a grid so many points are drawn at random; W&B takes the first")
    with found.kept():
        early = early_terminate(content.get("early_terminate", {}), notes)
    entries = {str(name): entry for name, entry in content["parameters"].items()}
    asked = family
    with found.kept():
        family = family or _family(entries)
    entries.pop(NETWORK, None)
    read = read_parameters(
        entries,
        family or CNN,
        method=method,
        rename=rename or {},
        found=found,
    )
    if found.lines and asked is None and NETWORK not in content["parameters"]:
        return _of_another_kind(content, rename, other_metric, found)
    found.raise_any()
    return SweepFile(
        space=read.space,
        family=family or CNN,
        settings=read.settings,
        search=METHODS[method],
        is_grid=method == "grid",
        metric=metric,
        target=target,
        trials=trials,
        **early,
        names=read.names,
        notes=(*read.notes, *notes),
    )


def _of_another_kind(
    content: Mapping[str, Any],
    rename: Mapping[str, str] | None,
    other_metric: bool,
    found: Collected,
) -> SweepFile:
    """A file that is wrong for a cnn, where it names what another kind of network has, and more.

    Else MistakesError: the one line that says with which flag it can be read, or all of `found`.
    """
    for family in (family for family in FAMILIES.values() if family.signs):
        with suppress(ValueError):
            sweep = sweep_from_mapping(content, family, rename=rename, other_metric=other_metric)
            own = [n for n in family.signs if n in sweep.names or n in content["parameters"]]
            if not own or not _all_known(sweep.space, family):
                continue
            said = " and ".join(sweep.names.get(name, name) for name in own)
            if own[0] == next(iter(family.signs)) and len(own) > 1:
                line = f"{said}: of {family.name} networks, so the network is {family.name}"
                return replace(sweep, notes=(line, *sweep.notes))
            found.lines[:] = [
                f"{said}: of {family.name} networks; with --network {family.name} this file is read"
            ]
    raise MistakesError(list(dict.fromkeys(found.lines)))


def _all_known(space: Space, family: Family) -> bool:
    """Whether the values are known by which a file shows that it is of this kind."""
    return all(
        is_known(value)
        for name, is_known in family.signs.items()
        if isinstance(values := space.get(name), Choice)
        for value in values.values
    )


def _family(parameters: Mapping[Any, Any]) -> Family:
    """The kind of network that the file names; the cnn where it names none."""
    entry = parameters.get(NETWORK, {"value": CNN.name})
    if not isinstance(entry, Mapping) or list(entry) != ["value"]:
        said = f"{NETWORK}: {{value: NAME}}"
        raise ValueError(f"{NETWORK}: a sweep has one kind of network; write {said}")
    return family_named(str(entry["value"]))


def _ignored(content: Mapping[Any, Any]) -> list[str]:
    """A line about the keys that only W&B's agents need; ValueError for one that nobody knows."""
    for name in content:
        if name in ("scheduler", "metrics"):
            raise ValueError(f"{name}: is W&B's custom search, which there is not here; leave out")
        if name not in (*KEYS, *SILENT, *IGNORED):
            near = nearest(name, (*KEYS, *IGNORED))
            raise ValueError(f"{short(name)}: no such key of a sweep{near}")
    names = [name for name in IGNORED if name in content]
    if not names:
        return []
    instead = " (--name and --wandb-project name a sweep here)"
    hint = instead if {"name", "project", "entity"} & set(names) else ""
    return [f"{', '.join(names)}: for W&B's agents, without meaning here{hint}"]


def _metric(content: object, notes: list[str]) -> tuple[Metric, float | None]:
    """What is searched for, and its target where it has one."""
    known = ("name", "goal", "target", "impute", "impute_while_running")
    if content is None:
        return VAL_ACC, None
    if not isinstance(content, Mapping) or "name" not in content:
        said = "{name: val_acc, goal: maximize}"
        raise ValueError(f"metric: {short(content)} is not {said}; --metric val_acc says it too")
    for key in content:
        if key not in known:
            raise ValueError(f"metric: no key {short(key)}{nearest(key, known)}")
    metric, more = read_metric(content["name"], content.get("goal"))
    notes += more
    imputed = content.get("impute", "best")
    if imputed not in ("latest", "best", "worst"):
        raise ValueError(f"metric: impute {short(imputed)} is not latest, best or worst")
    if imputed != "best":
        notes.append(
            f"metric: impute {imputed}: a trial that fails counts here by its best epoch, "
            "and as the worst if it has none"
        )
    running = content.get("impute_while_running", "false")
    if running not in ("latest", "best", "worst", "false", False):
        raise ValueError(
            f"metric: impute_while_running {short(running)} is not latest, best, worst or false"
        )
    if running not in ("false", False):
        notes.append(
            f"metric: impute_while_running {running}: a trial that runs counts here as the worst"
        )
    if "target" not in content:
        return metric, None
    target = real("metric: target", content["target"])
    if metric.is_share and not 0 < target <= 1:
        raise ValueError(f"metric: target {target:g} is not an accuracy above 0 and up to 1")
    return metric, target
