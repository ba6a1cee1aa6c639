"""What a tool wrote of a search, in the form in which all of them are read."""

from dataclasses import dataclass, field

import pandas as pd

CONFIG = "config/"
"""What marks a hyperparameter in a table of runs."""


@dataclass(frozen=True)
class Search:
    """What a tool wrote: a row a run, and what was logged of them by epoch or step."""

    runs: pd.DataFrame
    history: pd.DataFrame
    source: str
    """What it was read from, in words."""
    goal: str = ""
    """Of Optuna's `value`: maximize or minimize; empty where the metric has a name."""
    notes: list[str] = field(default_factory=list)


def flat(mapping: object, prefix: str = "") -> dict[str, object]:
    """Settings within settings as names with slashes; lists as texts."""
    if not isinstance(mapping, dict):
        return {}
    found: dict[str, object] = {}
    for name, value in mapping.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}/")
        else:
            found[f"{prefix}{name}"] = str(value) if isinstance(value, list | tuple) else value
    return found
