"""Which tool wrote a file or folder."""

from dataclasses import dataclass, field
from pathlib import Path

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


def read_search(source: str, study: str | None = None) -> Search | None:
    """The search at a path or sqlite:/// address; None where that is a table.

    `study` is which of Optuna's studies is meant. Raises ValueError, or FileNotFoundError.
    """
    from analysis.reading.tools import lightning, optuna, ray_tune  # each knows its own files

    scheme, separator, rest = source.partition("://")
    if separator:
        if scheme.partition("+")[0] != "sqlite":
            raise ValueError(
                f"{scheme}://: of databases only SQLite's files are read here; write the study as"
                " a table with study.trials_dataframe().to_csv(...)"
            )
        return optuna.read_database(_existing(Path(rest.removeprefix("/"))), study)
    path = Path(source)
    if path.is_dir():
        found = lightning.read_logs(path) or ray_tune.read_results(path)
        if found is None:
            raise ValueError(
                f"{path}: neither Ray Tune's trials (params.json) nor Lightning's runs (metrics.csv"
                " or events.out.tfevents) lie below it"
            )
        return found
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(4096)
        if start.startswith(b"SQLite format 3\0"):
            return optuna.read_database(path, study)
        if start.startswith(b"{") and b'"op_code"' in start:
            return optuna.read_journal(path, study)
    if study is not None:
        raise ValueError(f"--study: {path} is no storage of Optuna's")
    return None


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    return path


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
