"""W&B's early_terminate: Hyperband begins at min_iter, or has s rungs; and so does promotion."""

from collections.abc import Mapping
from typing import Any

from cnnlib.networks.hyperparameter import nearest
from cnnlib.search.bounds import real, whole
from cnnlib.search.halving import MOST_RUNGS
from cnnlib.system.units import short

RULES = {"hyperband": "asha", "promote": "promote"}  # the stopping rule by its `type`


def early_terminate(content: object, notes: list[str]) -> dict[str, Any]:
    """The rule and its rungs from W&B's Hyperband: from min_iter on, or s below max_iter.

    `type: promote` pauses where Hyperband stops, and needs no rungs: there are some by default.
    """
    if content is None:
        return {"early_terminate": False}
    if not isinstance(content, Mapping):
        said = short(content)
        raise ValueError(
            f"early_terminate: {said} is not `type: hyperband` and `min_iter:`, or `type: promote`"
        )
    if not content:
        return {}
    known = ("type", "min_iter", "max_iter", "s", "eta", "strict")
    for name in content:
        if name not in known:
            raise ValueError(f"early_terminate: no key {short(name)}{nearest(name, known)}")
    content = {name: _only(name, value, notes) for name, value in content.items()}
    if {"min_iter", "max_iter"} <= set(content) and "s" not in content:
        notes.append(
            "early_terminate: max_iter left out, as it needs s, without which W&B fails; "
            "min_iter counts"
        )
        del content["max_iter"]
    kind = content.get("type", "hyperband")
    if not isinstance(kind, str) or kind not in RULES:
        raise ValueError(f"early_terminate: type {short(kind)} is not hyperband or promote")
    eta = _eta(content.get("eta", 3))
    strict = content.get("strict", False)
    if not isinstance(strict, bool):
        raise ValueError(f"early_terminate: strict {short(strict)} is not true or false")
    if "strict" not in content and kind == "hyperband":
        notes.append(
            "early_terminate: without strict a trial is judged at a rung by its best epoch so far; "
            "W&B would judge it by the rung's: write strict: true for that, strict: false for this"
        )
    asked = {"reduction_factor": eta, "strict": strict, "stopping": RULES[kind]}
    if "max_iter" in content:
        rungs = _rungs_below(content, eta)
        if "min_iter" in content:
            notes.append("early_terminate: max_iter and s count, and min_iter does not, as in W&B")
        return asked | {"grace_period": rungs[0], "rungs": rungs}
    if kind == "promote" and not {"min_iter", "s"} & set(content):
        return asked
    if "min_iter" not in content:
        raise ValueError("early_terminate: needs min_iter, or max_iter and s")
    if "s" in content:
        notes.append("early_terminate: s counts with max_iter only, as in W&B")
    grace = whole("early_terminate: min_iter", content["min_iter"], "max_epochs")
    return asked | {"grace_period": grace}


def _only(name: str, value: object, notes: list[str]) -> object:
    """The number of a list of one, which people write as they write values."""
    if not isinstance(value, list) or len(value) != 1:
        return value
    notes.append(f"early_terminate: {name}: {short(value)} as {short(value[0])}")
    return value[0]


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
    longest = whole("early_terminate: max_iter", content["max_iter"], "max_epochs")
    if "s" not in content:
        raise ValueError("early_terminate: max_iter needs s, the number of rungs below it")
    if (number := whole("early_terminate: s", content["s"], "trials")) > MOST_RUNGS:
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
