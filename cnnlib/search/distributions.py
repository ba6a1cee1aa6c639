"""One parameter of a W&B sweep file: value, values, or min and max with a distribution."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from cnnlib.networks.hyperparameter import Hyperparameter, Value, nearest
from cnnlib.networks.values import Choice, Interval, Weighted
from cnnlib.search.bounds import real
from cnnlib.search.space import LISTABLE
from cnnlib.system.units import short

MOST_MULTIPLES = 10**9  # steps of a q between min and max


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


def read_values(
    hyperparameter: Hyperparameter, entry: object, *, method: str, notes: list[str]
) -> Choice | Interval:
    """What one entry of `parameters` means: value, values, or min and max with a distribution.

    What W&B would understand otherwise is added to `notes`.
    """
    name = hyperparameter.name
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
    if not all(hyperparameter.allows(power) for power in powers):
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
    if hyperparameter.low is None or hyperparameter.high is None:
        return drawn
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
