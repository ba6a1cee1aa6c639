"""W&B's sweep files, read as W&B reads them; what is read in another way is told in a line each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

from cnnlib.networks.hyperparameter import Hyperparameter, Value, hyperparameter_named, nearest
from cnnlib.search.bounds import LIMITS, checked, real
from cnnlib.search.halving import MOST_RUNGS
from cnnlib.search.space import LISTABLE, Choice, Interval, Space, Weighted
from cnnlib.storage.yaml_file import read_yaml
from cnnlib.system.units import short

METHODS = {"bayes": "tpe", "random": "random", "grid": "random"}  # without repeats, all of a grid
# Constants that W&B users keep among the parameters.
SETTINGS = ("max_epochs", "image_size", "finalists", "seeds")
KEYS = ("method", "metric", "parameters", "early_terminate", "run_cap")
# What belongs to W&B's agents and has no meaning here; of the first few nobody expects one.
SILENT = ("apiVersion", "kind", "description")
IGNORED = (
    "program", "command", "job", "image_uri", "controller", "name", "project", "entity"
)  # fmt: skip
MOST_MULTIPLES = 10**9  # steps of a q between min and max


@dataclass(frozen=True)
class SweepFile:
    """What a W&B sweep file asks for."""

    space: Space
    search: str = "tpe"  # or "random"
    is_grid: bool = False  # every configuration is tried, where `trials` does not say less
    early_terminate: bool = True  # false where the file says `early_terminate: null`
    grace_period: int | None = None  # epochs before the first rung; None: from the longest trial
    reduction_factor: float = 3.0
    rungs: tuple[int, ...] = ()  # those of max_iter and s; (): what follows from the grace period
    strict: bool = False  # a trial is judged by its score at the rung, not by its best so far
    target: float | None = None  # val_acc after which nothing new is tried
    trials: int | None = None  # run_cap
    settings: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what is read otherwise than W&B would, a line each


def read_sweep_file(path: str | Path) -> SweepFile:
    """The sweep file, checked. ValueError names field, value, rule and the nearest right name."""
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"no sweep file {path}") from None
    try:
        return sweep_from_mapping(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def sweep_from_mapping(content: object) -> SweepFile:
    """The same from the dictionary that wandb.sweep takes."""
    if not isinstance(content, Mapping) or not isinstance(content.get("parameters"), Mapping):
        raise ValueError("a sweep needs `parameters:` with a name and its values each")
    notes = _ignored(content)
    method = content.get("method", "bayes")
    if not isinstance(method, str) or method not in METHODS:
        near = nearest(method, METHODS)
        raise ValueError(f"method: {short(method)} is not one of {', '.join(METHODS)}{near}")
    target = _metric(content.get("metric", {"name": "val_acc", "goal": "maximize"}), notes)
    parameters = content["parameters"]
    trials = _whole("run_cap", content["run_cap"], "trials") if "run_cap" in content else None
    if trials and method == "grid":
        notes.append("run_cap: of a grid so many points are drawn at random; W&B takes the first")
    return SweepFile(
        space={
            n: read_values(n, v, method=method, notes=notes)
            for n, v in parameters.items()
            if n not in SETTINGS
        },
        settings={n: _setting(n, v) for n, v in parameters.items() if n in SETTINGS},
        search=METHODS[method],
        is_grid=method == "grid",
        target=target,
        trials=trials,
        **_early_terminate(content.get("early_terminate", {}), notes),
        notes=tuple(notes),
    )


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


def _metric(content: object, notes: list[str]) -> float | None:
    """The target of a metric, None where it has none; only val_acc is searched for."""
    known = ("name", "goal", "target", "impute", "impute_while_running")
    if not isinstance(content, Mapping) or content.get("name") != "val_acc":
        raise ValueError(f"metric: {short(content)} is not {{name: val_acc, goal: maximize}}")
    for key in content:
        if key not in known:
            raise ValueError(f"metric: no key {short(key)}{nearest(key, known)}")
    if content.get("goal", "maximize") != "maximize":
        raise ValueError(
            f"metric: goal {short(content['goal'])}: val_acc is maximised here; "
            "write goal: maximize"
        )
    if "goal" not in content:
        notes.append("metric: without a goal W&B would minimise val_acc; here it is maximised")
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
        return None
    target = real("metric: target", content["target"])
    if not 0 < target <= 1:
        raise ValueError(f"metric: target {target:g} is not an accuracy above 0 and up to 1")
    return target


def _early_terminate(content: object, notes: list[str]) -> dict[str, Any]:
    """ASHA's plan from W&B's Hyperband: from min_iter on, or s rungs below max_iter."""
    if content is None:
        return {"early_terminate": False}
    if not isinstance(content, Mapping):
        said = short(content)
        raise ValueError(f"early_terminate: {said} is not `type: hyperband` and `min_iter:`")
    if not content:
        return {}
    known = ("type", "min_iter", "max_iter", "s", "eta", "strict")
    for name in content:
        if name not in known:
            raise ValueError(f"early_terminate: no key {short(name)}{nearest(name, known)}")
    if content.get("type", "hyperband") != "hyperband":
        raise ValueError(f"early_terminate: type {short(content['type'])} is not hyperband")
    eta = _eta(content.get("eta", 3))
    strict = content.get("strict", False)
    if not isinstance(strict, bool):
        raise ValueError(f"early_terminate: strict {short(strict)} is not true or false")
    if "strict" not in content:
        notes.append(
            "early_terminate: without strict a trial is judged at a rung by its best epoch so far; "
            "W&B would judge it by the rung's: write strict: true for that, strict: false for this"
        )
    asked = {"reduction_factor": eta, "strict": strict}
    if "max_iter" in content:
        rungs = _rungs_below(content, eta)
        if "min_iter" in content:
            notes.append("early_terminate: max_iter and s count, and min_iter does not, as in W&B")
        return asked | {"grace_period": rungs[0], "rungs": rungs}
    if "min_iter" not in content:
        raise ValueError("early_terminate: needs min_iter, or max_iter and s")
    if "s" in content:
        notes.append("early_terminate: s counts with max_iter only, as in W&B")
    grace = _whole("early_terminate: min_iter", content["min_iter"], "max_epochs")
    return asked | {"grace_period": grace}


def _eta(raw: object) -> float:
    try:
        eta = real("eta", raw)
    except ValueError:
        eta = 0.0
    if eta <= 1:
        raise ValueError(f"early_terminate: eta {short(raw)} is not a number above 1")
    return eta


def _rungs_below(content: Mapping[str, Any], eta: float) -> tuple[int, ...]:
    """W&B's rungs: max_iter divided by eta again and again, s times, with nothing rounded up."""
    longest = _whole("early_terminate: max_iter", content["max_iter"], "max_epochs")
    if "s" not in content:
        raise ValueError("early_terminate: max_iter needs s, the number of rungs below it")
    if (number := _whole("early_terminate: s", content["s"], "trials")) > MOST_RUNGS:
        raise ValueError(f"early_terminate: s {number:,} is more than {MOST_RUNGS}")
    rungs, rung = [], float(longest)
    for _ in range(number):
        rung /= eta
        rungs.append(int(rung))
    rungs = sorted({rung for rung in rungs if rung})
    if not rungs:
        raise ValueError(
            f"early_terminate: max_iter {longest} by eta {eta:g} leaves no rung of an epoch; "
            "raise max_iter or lower eta"
        )
    return tuple(rungs)


def _setting(name: str, entry: object) -> int:
    if not isinstance(entry, Mapping) or list(entry) != ["value"]:
        raise ValueError(f"{name}: is a setting of the whole sweep; write {name}: {{value: N}}")
    return _whole(name, entry["value"], name)


def _whole(said: str, raw: object, name: str) -> int:
    """A number of the file within the limits that the flag of this name has."""
    least, _ = LIMITS[name]
    if isinstance(raw, bool) or not isinstance(raw, Integral) or int(raw) < least:
        raise ValueError(f"{said}: {short(raw)} is not a whole number of at least {least}")
    return int(checked(name, raw, said=said))


@dataclass(frozen=True)
class Distribution:
    """How W&B's name of a distribution is to be understood."""

    log: bool = False
    by_q: bool = False  # rounded to multiples of q
    whole: bool = False
    exponents: int = 0  # 1: the ends are exponents of e; -1: of 1/e


DISTRIBUTIONS = {
    "uniform": Distribution(),
    "int_uniform": Distribution(whole=True),
    "q_uniform": Distribution(by_q=True),
    "log_uniform_values": Distribution(log=True),
    "q_log_uniform_values": Distribution(log=True, by_q=True),
    "inv_log_uniform_values": Distribution(log=True),  # W&B draws the same numbers of both
    "log_uniform": Distribution(log=True, exponents=1),
    "q_log_uniform": Distribution(log=True, by_q=True, exponents=1),
    "inv_log_uniform": Distribution(log=True, exponents=-1),
}
WITHOUT_ENDS = ("normal", "q_normal", "log_normal", "q_log_normal", "beta", "q_beta")
OF_VALUES = ("constant", "categorical", "categorical_w_probabilities")
PARAMETER_KEYS = (
    "value", "values", "min", "max", "distribution", "q", "probabilities",
    "mu", "sigma", "a", "b", "parameters",
)  # fmt: skip


def read_values(name: str, entry: object, *, method: str, notes: list[str]) -> Choice | Interval:
    """What one entry of `parameters` means: value, values, or min and max with a distribution.

    What W&B would understand otherwise is added to `notes`.
    """
    hyperparameter = hyperparameter_named(name)
    if not isinstance(entry, Mapping) or not entry:
        raise ValueError(f"{name}: {short(entry)} is not `value:`, `values:` or `min:` and `max:`")
    for key in entry:
        if key not in PARAMETER_KEYS:
            near = nearest(key, PARAMETER_KEYS)
            raise ValueError(f"{name}: no key {short(key)} in a parameter{near}")
    if "parameters" in entry:
        raise ValueError(f"{name}: has parameters of its own; write each hyperparameter by itself")
    distribution = entry.get("distribution")
    known = (*DISTRIBUTIONS, *OF_VALUES, *WITHOUT_ENDS)
    if distribution is not None and distribution not in known:
        near = nearest(distribution, known) or f"; known: {', '.join(DISTRIBUTIONS)}"
        raise ValueError(f"{name}: no distribution {short(distribution)}{near}")
    if distribution in WITHOUT_ENDS:
        raise ValueError(
            f"{name}: {distribution} is not searched here; write uniform or log_uniform_values "
            "with min and max"
        )
    if "value" in entry or "values" in entry:
        return _choice(hyperparameter, entry, method=method, notes=notes)
    if "min" not in entry or "max" not in entry:
        raise ValueError(f"{name}: needs value, values, or both min and max")
    return _between(hyperparameter, entry, method=method, notes=notes)


def _refuse_beside(name: str, entry: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    """Two forms at once: which one is meant?"""
    for key in entry:
        if key not in allowed:
            raise ValueError(f"{name}: {allowed[0]} and {key} contradict each other; leave out one")


def _choice(
    hyperparameter: Hyperparameter, entry: Mapping[str, Any], *, method: str, notes: list[str]
) -> Choice:
    name, distribution = hyperparameter.name, entry.get("distribution")
    if "value" in entry:
        _refuse_beside(name, entry, ("value", "distribution"))
        if distribution not in (None, "constant"):
            raise ValueError(f"{name}: a value has no distribution {distribution}; leave it out")
        return Choice((hyperparameter.parse(entry["value"]),))
    _refuse_beside(name, entry, ("values", "probabilities", "distribution"))
    weighted = "probabilities" in entry
    fitting = "categorical_w_probabilities" if weighted else "categorical"
    if distribution not in (None, fitting):
        raise ValueError(f"{name}: its values have no distribution {distribution}; leave it out")
    values = entry["values"]
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ValueError(f"{name}: values {short(values)} is not a list with at least one value")
    parsed = [hyperparameter.parse(value) for value in values]
    if weighted:
        if method == "grid":
            raise ValueError(f"{name}: a grid has no probabilities; leave them out")
        if method == "bayes":
            notes.append(f"{name}: probabilities, on which W&B's bayes fails, are TPE's prior here")
        return _weighted(name, parsed, entry["probabilities"])
    distinct = tuple(dict.fromkeys(parsed))
    if len(distinct) < len(parsed) and method != "grid":
        notes.append(f"{name}: a value is there twice; W&B would draw it twice as often")
    return Choice(distinct)


def _weighted(name: str, values: list[Value], probabilities: object) -> Choice:
    """The values that are drawn at all, and how often."""
    if not isinstance(probabilities, Sequence) or len(probabilities) != len(values):
        raise ValueError(f"{name}: probabilities is not a list of {len(values)}, one for each")
    weights: dict[Value, float] = {}
    for value, raw in zip(values, probabilities, strict=True):
        weight = real(f"{name}: probabilities", raw)
        if weight < 0:
            raise ValueError(f"{name}: probabilities: {weight:g} is below 0")
        weights[value] = weights.get(value, 0.0) + weight
    total = sum(weights.values())
    if not math.isclose(total, 1, rel_tol=1e-5):
        raise ValueError(f"{name}: probabilities add up to {total:g}, not to 1")
    drawn = {value: weight for value, weight in weights.items() if weight}
    if len(drawn) == 1:
        return Choice(tuple(drawn))
    return Weighted(tuple(drawn), tuple(drawn.values()))


def _between(
    hyperparameter: Hyperparameter, entry: Mapping[str, Any], *, method: str, notes: list[str]
) -> Choice | Interval:
    """Numbers between min and max."""
    name, is_int = hyperparameter.name, hyperparameter.type is int
    if hyperparameter.type not in (int, float) or hyperparameter.choices:
        raise ValueError(f"{name}: has no min and max; it is {hyperparameter.rule}")
    _refuse_beside(name, entry, ("min", "max", "distribution", "q"))
    kind = _kind(hyperparameter, entry, method, notes)
    form = DISTRIBUTIONS[kind]
    if "q" in entry and not form.by_q:
        raise ValueError(f"{name}: q needs a distribution with q_, like q_uniform")
    low, high = _ends(hyperparameter, kind, entry, notes)
    if is_int and not (form.whole or form.by_q):
        notes.append(f"{name}: whole numbers only; W&B would draw any, from {low:g} to {high:g}")
    if form.by_q:
        return _by_q(hyperparameter, entry, Interval(low, high, form.log), method, notes)
    if method == "grid" and not form.whole:
        _refuse_endless(name, kind)
    return Interval(low, high, form.log, 1.0 if form.whole or is_int else 0.0)


def _kind(
    hyperparameter: Hyperparameter, entry: Mapping[str, Any], method: str, notes: list[str]
) -> str:
    """The distribution, which W&B takes from how min and max are written if there is none."""
    name, given = hyperparameter.name, entry.get("distribution")
    if given in OF_VALUES:
        raise ValueError(f"{name}: {given} needs value or values, not min and max")
    if given is not None:
        return str(given)
    low, high = entry["min"], entry["max"]
    of_wandb = "int_uniform" if all(isinstance(end, Integral) for end in (low, high)) else "uniform"
    said = f"from {short(low)} to {short(high)}"
    if of_wandb == "uniform" and hyperparameter.type is int:
        notes.append(f"{name}: whole numbers only; W&B would draw any, {said}")
        return "int_uniform"
    if of_wandb == "int_uniform" and hyperparameter.type is float and method != "grid":
        notes.append(
            f"{name}: any number {said}; W&B would draw whole ones only: write "
            "distribution: int_uniform for those, uniform for these"
        )
        return "uniform"
    return of_wandb


def _ends(
    hyperparameter: Hyperparameter, kind: str, entry: Mapping[str, Any], notes: list[str]
) -> tuple[float, float]:
    """The lowest and the highest number that min and max allow."""
    name, form, said = hyperparameter.name, DISTRIBUTIONS[kind], (entry["min"], entry["max"])
    if form.exponents:
        return _from_exponents(hyperparameter, kind, entry, notes)
    low, high = (float(hyperparameter.parse(end)) for end in said)
    if not low < high:
        raise ValueError(f"{name}: min {short(said[0])} is not below max {short(said[1])}")
    if form.log and low <= 0:
        raise ValueError(f"{name}: min {short(said[0])} has no logarithm; take one above 0")
    if form.whole and not (low.is_integer() and high.is_integer()):
        raise ValueError(
            f"{name}: int_uniform goes from one whole number to another, not from {low:g} to "
            f"{high:g}; write uniform, or q_uniform with q"
        )
    return low, high


def _refuse_endless(name: str, kind: str) -> None:
    raise ValueError(
        f"{name}: a grid has no end with {kind}; write values, int_uniform, or q_uniform with q"
    )


def _from_exponents(
    hyperparameter: Hyperparameter, kind: str, entry: Mapping[str, Any], notes: list[str]
) -> tuple[float, float]:
    """The ends that log_uniform means: powers of e, as W&B read them before it refused them."""
    name = hyperparameter.name
    ends = [real(name, entry[end]) for end in ("min", "max")]
    remedy = f"{name}: {kind} takes logarithms of the values; for values write {kind}_values"
    if any(0 < end < 1 for end in ends):  # hardly an exponent
        raise ValueError(remedy)
    sign = DISTRIBUTIONS[kind].exponents
    if ends[0] >= ends[1]:
        raise ValueError(f"{name}: min {ends[0]:g} is not below max {ends[1]:g}")
    try:
        powers = sorted(math.exp(sign * end) for end in ends)
    except OverflowError:
        powers = [0.0, math.inf]
    if hyperparameter.type is int and not DISTRIBUTIONS[kind].by_q and powers[1] < math.inf:
        powers = [float(round(power)) for power in powers]
    if not all(hyperparameter.low <= power <= hyperparameter.high for power in powers):  # type: ignore[operator]
        raise ValueError(f"{remedy} ({hyperparameter.rule})")
    if not powers[0] < powers[1]:
        raise ValueError(f"{name}: no number lies between e to the {ends[0]:g} and {ends[1]:g}")
    notes.append(
        f"{name}: {kind} from {powers[0]:.3g} to {powers[1]:.3g}, since min and max are exponents "
        f"of e; W&B now wants {kind}_values"
    )
    return powers[0], powers[1]


def _by_q(
    hyperparameter: Hyperparameter,
    entry: Mapping[str, Any],
    ends: Interval,
    method: str,
    notes: list[str],
) -> Choice | Interval:
    """Multiples of q; in a grid what lies q apart from min on, without max. Both as W&B has it."""
    name, is_int = hyperparameter.name, hyperparameter.type is int
    q = real(f"{name}: q", entry.get("q", 1))
    if q <= 0 or (is_int and not q.is_integer()):
        raise ValueError(f"{name}: q {q:g} is not a {'whole ' * is_int}number above 0")
    most = LISTABLE if method == "grid" else MOST_MULTIPLES
    if (ends.high - ends.low) / q > most:
        raise ValueError(f"{name}: q {q:g} makes more than {most:,} values; take a larger one")
    if method == "grid":
        if ends.log:
            _refuse_endless(name, str(entry["distribution"]))
        number = math.ceil((ends.high - ends.low) / q)
        values = (float(f"{ends.low + index * q:.12g}") for index in range(number))
        return Choice(tuple(hyperparameter.parse(value) for value in values))
    return _within_limits(hyperparameter, Interval(ends.low, ends.high, ends.log, q, True), notes)


def _within_limits(
    hyperparameter: Hyperparameter, drawn: Interval, notes: list[str]
) -> Choice | Interval:
    """The multiples that the hyperparameter may be: rounding goes beyond min and max."""
    name, q, steps = hyperparameter.name, drawn.step, drawn.multiples
    assert hyperparameter.low is not None and hyperparameter.high is not None
    first, last = steps[0], steps[-1]
    first += drawn.after(first) < hyperparameter.low
    last -= drawn.after(last) > hyperparameter.high
    if last < first:
        raise ValueError(
            f"{name}: there is no multiple of q {q:g} that is {hyperparameter.rule}; take another q"
        )
    if (first, last) != (steps[0], steps[-1]):
        gone = [n for n in (steps[0], steps[-1]) if not first <= n <= last]
        notes.append(
            f"{name}: without {' and '.join(f'{drawn.after(n):g}' for n in gone)}, which W&B would "
            f"draw too: it is {hyperparameter.rule}"
        )
    if first == last:
        return Choice((hyperparameter.parse(drawn.after(first)),))
    low, high = max(drawn.low, (first - 0.5) * q), min(drawn.high, (last + 0.5) * q)
    return Interval(low, high, drawn.log, q, True)
