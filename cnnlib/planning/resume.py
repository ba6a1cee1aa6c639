"""What a sweep goes on from: its own journal, or what another one found."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlib.journal.events import journal_exists, read_events, read_segments, segments
from cnnlib.journal.ledger import read_ledger
from cnnlib.journal.tables import read_results
from cnnlib.journal.terms import Terms
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.networks.values import Choice, Interval, Space, Weighted
from cnnlib.search.searcher import Outcome
from cnnlib.storage import folder_lock

MAY_GROW = ("trials", "max_epochs")
# What the first driver decides for all that go on.
FIRST_ONES = ("num_initial", "known", "experience", "family", "names", "rename")


def renamed_before(folder: Path) -> dict[str, str]:
    """What the sweep that goes on was begun with; nothing where its journal is not here yet."""
    if not journal_exists(folder):
        return {}
    begun = next((event for event in read_events(folder) if event["event"] == "sweep"), {})
    return dict(begun.get("rename", {}))


def read_terms(folder: Path, family: Family | None = None) -> Terms | None:
    """The terms of the sweep in a folder, None where it was killed before they were written.

    Raises ValueError where the folder holds no sweep.
    """
    if not journal_exists(folder):
        if folder.is_dir() and {path.name for path in folder.iterdir()} <= {folder_lock.NAME}:
            return None
        raise ValueError(f"--resume: no sweep in {folder}; leave out --resume to begin it")
    if missing := _missing(folder):
        raise ValueError(
            f"--resume: {folder}/journal/000001*.jsonl is missing, but {missing} is there; bring "
            "the journal back, or begin a new sweep by another --name"
        )
    telling = (event for event in read_events(folder) if event["event"] in ("sweep", "resumed"))
    ledger = read_ledger(telling, write=lambda event, **content: {}, family=family)
    return ledger.terms if ledger.begun else None


def _missing(folder: Path) -> str | None:
    """What a sweep has left that its journal, which holds no event, does not tell of; or None."""
    if any(content for _, content in read_segments(folder / "journal")):
        return None
    # A driver writes sweep.json after it has begun a segment, and before its first event.
    before = [] if segments(folder / "journal") else ["sweep.json"]
    left = [*before, "trials.csv", "checkpoints", "champion"]
    return next((name for name in left if (folder / name).exists()), None)


def check_compatible(before: Terms, now: Terms) -> None:
    """Raises ValueError with every difference that makes `now` another sweep than `before`.

    More trials are no difference, nor are more epochs with the same rungs: they are for the trials
    that are proposed from now on. Those proposed before keep theirs.
    """
    differences = []
    if before.family.name != now.family.name:
        differences.append(f"network was {before.family.name} and is now {now.family.name}")
    elif before.family.digest != now.family.digest:
        raise ValueError(
            f"--resume: {now.family.name} was changed since the sweep began; bring it back as it "
            "was, or begin a new sweep by another --name"
        )
    for name in (f.name for f in fields(Terms) if f.name not in FIRST_ONES):
        old, new = getattr(before, name), getattr(now, name)
        if name == "metric":
            differences += _metric_differences(old, new)
        elif name == "space":
            differences += _space_differences(old, new)
        elif (name in MAY_GROW and new < old) or (name not in MAY_GROW and new != old):
            differences.append(f"{name} was {old} and is now {new}")
    if differences:
        raise ValueError(f"--resume: this is another sweep: {'; '.join(differences)}")


def _metric_differences(old: Metric, new: Metric) -> list[str]:
    """What a metric is called is no difference."""
    if (old.name, old.goal) == (new.name, new.goal):
        return []
    return [f"metric was the {old.best} {old.said} and is now the {new.best} {new.said}"]


def _space_differences(old: Space, new: Space) -> list[str]:
    names = dict.fromkeys([*old, *new])
    return [
        f"{name} was {_said(old.get(name))} and is now {_said(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _said(values: Choice | Interval | None) -> str:
    if values is None:
        return "not searched"
    if isinstance(values, Choice):
        weights = values.weights if isinstance(values, Weighted) else ()
        odds = f" as {' : '.join(f'{weight:g}' for weight in weights)}" if weights else ""
        return " or ".join(map(str, values.values)) + odds
    steps = f" in steps of {values.step:g}" if values.step else ""
    steps += " (rounded)" if values.rounded else ""
    return f"{values.low:g} to {values.high:g}{' (log)' if values.log else ''}{steps}"


def read_known(
    folder: str | Path, space: Space, family: Family = CNN, metric: Metric = VAL_ACC
) -> tuple[Outcome, ...]:
    """What the ended trials of another sweep say of this space, in their order.

    Raises ValueError where none of its configurations lies in the space, or it had another metric.
    """
    results = read_results(folder)
    table, theirs = results.trials, results.metric
    if _metric_differences(theirs, metric):
        raise ValueError(
            f"--warm-start: {folder} was searched for the {theirs.best} {theirs.said}, and this "
            f"sweep is for the {metric.best} {metric.said}"
        )
    if "status" in table:
        table = table[table["status"] != "running"]
    known = tuple(
        Outcome(config, score)
        for row in table.to_dict("records")
        if (config := _config(row, space, family)) and (score := _score(row, metric)) is not None
    )
    if not known:
        raise ValueError(
            f"--warm-start: none of the {len(table)} ended trials in {folder} lies in this space"
        )
    return known


def _config(row: Mapping[Any, Any], space: Space, family: Family) -> Configuration | None:
    """The row's configuration, None where this space does not hold it."""
    known = hyperparameters(family.config)
    given = {name: row[name] for name in known if name in row}
    try:
        config = family.configuration(given)
    except ValueError:
        return None
    for name, hyperparameter in known.items():
        value = getattr(config, name)
        values = space.get(name, Choice((hyperparameter.default,)))
        if value not in values:
            return None
    return config


def _score(row: Mapping[Any, Any], metric: Metric) -> float | None:
    value = row.get(metric.name)
    if not pd.isna(value):
        return metric.score(float(value))  # type: ignore[arg-type]
    return metric.worst if row.get("status") == "failed" else None
