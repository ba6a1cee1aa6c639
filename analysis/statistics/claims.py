"""Claims about hyperparameters as data: what one is, how YAML says it, whom it is about."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.reading.values import shown
from cnnlib.networks.families import FAMILIES, declared
from cnnlib.storage.yaml_file import read_yaml
from cnnlib.system.units import short

SHIPPED = Path(__file__).parents[1] / "claims.yaml"
FINETUNING = SHIPPED.with_name("claims_finetuning.yaml")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included."""

    low: float
    high: float

    def __str__(self) -> str:
        if self.low == -math.inf:
            return f"at most {shown(self.high)}"
        if self.high == math.inf:
            return f"at least {shown(self.low)}"
        return f"{shown(self.low)} to {shown(self.high)}"


Condition = Mapping[str, tuple[str, ...] | Range]  # by hyperparameter, all of them at once


@dataclass(frozen=True)
class Claim:
    """That trials which meet `higher` reach a higher accuracy than those which meet `lower`."""

    text: str
    refuted_by: str
    higher: Condition  # empty: every trial that does not meet the other
    lower: Condition

    @property
    def names(self) -> list[str]:
        """The hyperparameters that it speaks of."""
        return list(dict.fromkeys([*self.higher, *self.lower]))


def about(claims: Sequence[Claim], network: str) -> list[Claim]:
    """Those about this kind of network: not those that speak of what only others choose."""
    own = {*declared(network)}
    others = {name for family in FAMILIES for name in declared(family)} - own
    return [claim for claim in claims if others.isdisjoint(claim.names)]


def read_claims(path: Path) -> list[Claim]:
    """The claims of a YAML file; ValueError says which claim is wrong and what it needs."""
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"no file of claims {path}") from None
    if not isinstance(content, list) or not content:
        raise ValueError(f"{path}: a list of claims is needed, each with claim:, higher:, lower:")
    try:
        return [_claim(number, entry) for number, entry in enumerate(content, start=1)]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _claim(number: int, entry: object) -> Claim:
    where, known = f"claim {number}", ("claim", "higher", "lower", "refuted_by")
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: {short(entry)} is not a mapping with claim:, higher:, lower:")
    unknown = [key for key in entry if key not in known]
    if unknown:
        raise ValueError(f"{where}: no key {short(unknown[0])}; known are {', '.join(known)}")
    if not isinstance(entry.get("claim"), str) or not entry["claim"].strip():
        raise ValueError(f"{where}: needs `claim:` with its text")
    higher, lower = (_condition(where, side, entry.get(side)) for side in ("higher", "lower"))
    if not higher and not lower:
        raise ValueError(f"{where}: needs `higher:` or `lower:` with a hyperparameter's values")
    refuted_by = entry.get("refuted_by", "The other side scores higher.")
    return Claim(entry["claim"].strip(), str(refuted_by), higher, lower)


def _condition(where: str, side: str, entry: object) -> Condition:
    if entry is None:
        return {}
    if not isinstance(entry, Mapping) or not entry:
        raise ValueError(f"{where}: {side}: {short(entry)} is not {{hyperparameter: values}}")
    return {
        str(name): _wanted(f"{where}: {side}: {short(name)}", raw) for name, raw in entry.items()
    }


def _wanted(where: str, raw: object) -> tuple[str, ...] | Range:
    if isinstance(raw, Mapping):
        ends = [raw.get("min", -math.inf), raw.get("max", math.inf)]
        if not raw or set(raw) - {"min", "max"} or not all(map(_is_number, ends)):
            raise ValueError(f"{where}: {short(dict(raw))} is not {{min: NUMBER, max: NUMBER}}")
        return Range(float(ends[0]), float(ends[1]))
    values = raw if isinstance(raw, list) else [raw]
    if not values or any(value is None or isinstance(value, list | Mapping) for value in values):
        raise ValueError(f"{where}: {short(raw)} is not a value or a list of values")
    return tuple(_text(value) for value in values)


def _is_number(value: object) -> bool:
    """Whether it is a number, and one that a double holds; .inf is one, .nan is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _text(value: object) -> str:
    """A value as it is compared: 2 is 2.0 and True is true, ReLU is relu, and '1e-3' is 0.001."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return str(value).casefold()
    return shown(value, 9)


def meets(trials: pd.DataFrame, condition: Condition) -> pd.Series:
    """Which trials meet every part of the condition; a value that is not logged meets none."""
    met = pd.Series(bool(condition), trials.index)
    for name, wanted in condition.items():
        if isinstance(wanted, Range):
            numbers = pd.to_numeric(trials[name], errors="coerce")
            met &= (numbers >= wanted.low) & (numbers <= wanted.high)
        else:
            met &= trials[name].map(_text, na_action="ignore").isin(wanted)
    return met


def words(condition: Condition) -> str:
    """A condition as a reader says it: optimizer sgd and dropout 0.5."""
    parts = [
        f"{name} {wanted if isinstance(wanted, Range) else ' or '.join(wanted)}"
        for name, wanted in condition.items()
    ]
    return " and ".join(parts) if parts else "other values"


def compared_groups(claim: Claim, trials: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Which trials are on the higher side of the claim, and which on the lower one.

    A side without a condition is every other trial whose values of the claim's names are known.
    """
    known = trials[claim.names].notna().all(axis=1)
    higher, lower = meets(trials, claim.higher), meets(trials, claim.lower)
    if not claim.higher:
        return known & ~lower, lower
    return higher, (lower if claim.lower else known) & ~higher
