"""A sweep's values per hyperparameter, from a W&B sweep file and from --set."""

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cnnlib.config import TrialConfig, Value, hyperparameter_named, impossible, nearest


@dataclass(frozen=True)
class Choice:
    """One of these values; a single one is a constant."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Interval:
    """A number from `low` to `high`, evenly or, where `log`, evenly in its logarithm."""

    low: float
    high: float
    log: bool = False
    step: float = 0.0  # 0: any number; 1: whole numbers; else multiples of it


Space = dict[str, Choice | Interval]

# W&B's names of distributions: how each is read into (log, step). The two `log_uniform`s without
# `_values` give the exponents of e, as W&B does.
DISTRIBUTIONS = {
    "uniform": (False, 0.0),
    "int_uniform": (False, 1.0),
    "q_uniform": (False, None),
    "log_uniform": (True, 0.0),
    "q_log_uniform": (True, None),
    "log_uniform_values": (True, 0.0),
    "q_log_uniform_values": (True, None),
}
METHODS = {"bayes": "tpe", "random": "random", "grid": "random"}  # without repeats, all of a grid
# Constants that W&B users keep among the parameters.
SETTINGS = ("max_epochs", "image_size", "finalists", "seeds")
# What belongs to W&B's agents and has no meaning here.
IGNORED = {"program", "command", "name", "description", "project", "entity", "controller"}


@dataclass(frozen=True)
class SweepFile:
    """What a W&B sweep file asks for."""

    space: Space
    search: str = "tpe"  # or "random"
    early_terminate: bool = True  # false where the file says `early_terminate: null`
    grace_period: int | None = None  # epochs before the first rung; None: from the longest trial
    reduction_factor: float = 3.0
    trials: int | None = None  # run_cap
    settings: Mapping[str, int] = field(default_factory=dict)


def read_sweep_file(path: str | Path) -> SweepFile:
    """The sweep file, checked. ValueError names field, value, rule and the nearest right name."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"no sweep file {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        return sweep_from_mapping(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def sweep_from_mapping(content: object) -> SweepFile:
    """The same from the dictionary that wandb.sweep takes."""
    if not isinstance(content, Mapping) or not isinstance(content.get("parameters"), Mapping):
        raise ValueError("a sweep needs `parameters:` with a name and its values each")
    known = {"method", "metric", "parameters", "early_terminate", "run_cap"}
    for name in content:
        if name not in known | IGNORED:
            raise ValueError(f"{name}: no such key of a sweep{nearest(name, known | IGNORED)}")
    method = content.get("method", "bayes")
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method: {method} is not one of {', '.join(METHODS)}")
    metric = content.get("metric", {"name": "val_acc"})
    if metric not in ({"name": "val_acc"}, {"name": "val_acc", "goal": "maximize"}):
        raise ValueError(f"metric: {metric} is not {{name: val_acc, goal: maximize}}")
    parameters = content["parameters"]
    return SweepFile(
        space={n: read_values(n, v) for n, v in parameters.items() if n not in SETTINGS},
        settings={n: _setting(n, v) for n, v in parameters.items() if n in SETTINGS},
        search=METHODS[method],
        trials=_whole("run_cap", content["run_cap"]) if "run_cap" in content else None,
        **_early_terminate(content.get("early_terminate", {})),
    )


def _early_terminate(content: Mapping[str, Any] | None) -> dict[str, Any]:
    """ASHA's plan from W&B's Hyperband: its min_iter, or max_iter divided by eta s times."""
    if content is None:
        return {"early_terminate": False}
    if not isinstance(content, Mapping):
        raise ValueError(f"early_terminate: {content} is not `type: hyperband` and `min_iter:`")
    if not content:
        return {}
    known = ("type", "min_iter", "max_iter", "s", "eta", "strict")
    for name in content:
        if name not in known:
            raise ValueError(f"early_terminate: no key {name}{nearest(name, known)}")
    if content.get("type", "hyperband") != "hyperband":
        raise ValueError(f"early_terminate: type {content['type']} is not hyperband")
    eta = content.get("eta", 3)
    if isinstance(eta, bool) or not isinstance(eta, int | float) or not 1 < eta < math.inf:
        raise ValueError(f"early_terminate: eta {eta} is not a number above 1")
    if "min_iter" in content:
        grace = _whole("early_terminate: min_iter", content["min_iter"])
    elif "max_iter" in content:
        brackets = _whole("early_terminate: s", content.get("s", 1))
        longest = _whole("early_terminate: max_iter", content["max_iter"])
        grace = max(1, int(longest / eta**brackets))
    else:
        raise ValueError("early_terminate: needs min_iter, or max_iter and s")
    return {"grace_period": grace, "reduction_factor": float(eta)}


def _whole(name: str, raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int) or raw < 1:
        raise ValueError(f"{name}: {raw} is not a whole number of at least 1")
    return raw


def _number(name: str, raw: object) -> float:
    try:
        number = float(raw)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(raw, bool) or not math.isfinite(number):
        raise ValueError(f"{name}: {raw} is not a number")
    return number


def _setting(name: str, entry: object) -> int:
    if not isinstance(entry, Mapping) or list(entry) != ["value"]:
        raise ValueError(f"{name}: is a setting of the whole sweep; write {name}: {{value: N}}")
    return _whole(name, entry["value"])


def read_values(name: str, entry: object) -> Choice | Interval:
    """What one entry of `parameters` means: value, values, or min and max with a distribution."""
    hyperparameter = hyperparameter_named(name)
    known = ("value", "values", "min", "max", "distribution", "q", "probabilities")
    if not isinstance(entry, Mapping) or not entry:
        raise ValueError(f"{name}: {entry} is not `value:`, `values:` or `min:` and `max:`")
    for key in entry:
        if key not in known:
            raise ValueError(f"{name}: no key {key} in a parameter{nearest(key, known)}")
    if "probabilities" in entry:
        raise ValueError(f"{name}: probabilities are not supported; leave them out")
    if "value" in entry or "values" in entry:
        values = entry["values"] if "values" in entry else [entry["value"]]
        if not isinstance(values, list) or not values:
            raise ValueError(f"{name}: values {values} is not a list with at least one value")
        return Choice(tuple(dict.fromkeys(hyperparameter.parse(v) for v in values)))
    if "min" not in entry or "max" not in entry:
        raise ValueError(f"{name}: needs value, values, or both min and max")
    return _interval(name, entry)


def _interval(name: str, entry: Mapping[str, Any]) -> Interval:
    hyperparameter = hyperparameter_named(name)
    if hyperparameter.type not in (int, float) or hyperparameter.choices:
        raise ValueError(f"{name}: has no min and max; it is {hyperparameter.rule}")
    whole = hyperparameter.type is int
    distribution = entry.get("distribution", "int_uniform" if whole else "uniform")
    if not isinstance(distribution, str) or distribution not in DISTRIBUTIONS:
        near = nearest(distribution, DISTRIBUTIONS) or f"; known: {', '.join(DISTRIBUTIONS)}"
        raise ValueError(f"{name}: no distribution {distribution}{near}")
    log, step = DISTRIBUTIONS[distribution]
    ends = [entry["min"], entry["max"]]
    if log and not distribution.endswith("_values"):
        try:
            ends = [math.exp(_number(name, end)) for end in ends]
        except OverflowError:
            text = f"{name}: {distribution} takes logarithms of the values"
            raise ValueError(f"{text}; for values write {distribution}_values") from None
        ends = [round(end) if whole else end for end in ends]
    low, high = (float(hyperparameter.parse(end)) for end in ends)
    if not low < high:
        raise ValueError(f"{name}: min {entry['min']} is not below max {entry['max']}")
    if log and low <= 0:
        raise ValueError(f"{name}: min {entry['min']} has no logarithm; take one above 0")
    if step is None:
        step = _number(name, entry.get("q", 1))
        if step <= 0 or (whole and not step.is_integer()):
            raise ValueError(f"{name}: q {entry['q']} is not a {'whole ' * whole}number above 0")
    return Interval(low, high, log, step or float(whole))


def with_set(space: Space, settings: Iterable[str]) -> Space:
    """The space narrowed by flags 'name=value' (fixed) and 'name=value,value' (a choice)."""
    narrowed = dict(space)
    for text in settings:
        name, equals, values = text.partition("=")
        if not equals or not values:
            raise ValueError(f"--set {text}: write NAME=VALUE or NAME=VALUE,VALUE")
        hyperparameter = hyperparameter_named(name.strip())
        parsed = (hyperparameter.parse(value.strip()) for value in values.split(","))
        narrowed[hyperparameter.name] = Choice(tuple(dict.fromkeys(parsed)))
    return narrowed


def constants(space: Space) -> dict[str, Value]:
    """The hyperparameters that the space fixes to one value."""
    return {
        name: values.values[0]
        for name, values in space.items()
        if isinstance(values, Choice) and len(values.values) == 1
    }


def searched(space: Space) -> Space:
    """The hyperparameters of the space that have more than one value."""
    return {name: values for name, values in space.items() if name not in constants(space)}


def num_configurations(space: Space, image_size: int) -> float:
    """How many configurations of the space can exist; infinity where a value is a real number.

    Raises ValueError with the reason of the first where none can.
    """
    shape_names = ("first_layer_filters", "filter_org", "conv_layers")
    grids = {name: grid(values) for name, values in space.items()}
    shapes = {name: grids[name] for name in shape_names if name in grids}
    possible, reason = 0, ""
    for values in itertools.product(*(g or _ends(space[n]) for n, g in shapes.items())):
        config = TrialConfig.from_mapping(dict(zip(shapes, values, strict=True)))
        refusal = impossible(config, image_size)
        reason = reason or refusal or ""
        possible += refusal is None
    if not possible:
        raise ValueError(reason)
    if not all(grids.values()):
        return math.inf
    return possible * math.prod(len(g) for n, g in grids.items() if g and n not in shapes)


def grid(values: Choice | Interval) -> list[Value] | None:
    """The values one by one, or None where they are any number of an interval."""
    if isinstance(values, Choice):
        return list(values.values)
    if values.step != 1:
        return None
    return [int(v) for v in range(math.ceil(values.low), math.floor(values.high) + 1)]


def _ends(values: Choice | Interval) -> list[Value]:
    assert isinstance(values, Interval)
    return [values.low, values.high]
