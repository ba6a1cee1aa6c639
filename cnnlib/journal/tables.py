"""The tables of a sweep, trials, epochs and recalls by class, from its journal or CSV files."""

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlib.journal.columns import CLASS_COLUMNS, EPOCH_COLUMNS, Epochs, Recalls
from cnnlib.journal.events import journal_exists, read_events
from cnnlib.networks.metric import SHARES, VAL_ACC, Metric
from cnnlib.networks.saved_files import read_metrics
from cnnlib.storage.csv_file import accuracies, numbers, read_table
from cnnlib.storage.files import replaced
from cnnlib.storage.json_file import read_json
from cnnlib.system.units import short

logger = logging.getLogger(__name__)

FIXED_TRIAL_COLUMNS = [
    "trial_id", "status", "epochs", "best_epoch", "val_acc", "val_loss", "val_balanced_acc",
    "val_f1", "seconds", "node", "error", "started", "audited",
]  # fmt: skip
SOMETIMES = ("val_balanced_acc", "val_f1", "audited")  # there only where something is known of it
TABLES = {  # and the columns without which nothing can be told
    "trials": ["trial_id"],
    "epochs": ["trial_id", "epoch"],
    "class_recalls": ["trial_id", "class", "val_recall"],
}
TEXT = {"trial_id", "status", "node", "error", "started", "class"}  # a class may be called "7"
ACCURACIES = {*SHARES, "train_acc", "val_recall"}
COUNTS = {"epoch", "epochs", "best_epoch", "audited", "n"}
LOSSES = {"train_loss", "val_loss"}  # may be infinite: the network diverged
LOGGED = "logged"
"""By this name a trial reports what its network logs beside the EPOCH_COLUMNS."""


@dataclass(frozen=True)
class Results:
    """A sweep as tables; DESIGN.md lists their columns."""

    trials: pd.DataFrame
    epochs: pd.DataFrame
    class_recalls: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CLASS_COLUMNS))
    """Validation recall by class, at the epochs that were their trial's best so far."""
    metric: Metric = VAL_ACC
    openings: Sequence[dict[str, Any]] = ()
    """The journal's, as `openings` says them."""

    @property
    def hyperparameters(self) -> list[str]:
        """Every column of `trials` that is not a fixed one."""
        fixed = {*FIXED_TRIAL_COLUMNS, self.metric.name}
        return [c for c in self.trials.columns if c not in fixed]

    def best(self) -> pd.Series | None:
        """The best trial by the metric, the first of equals; None where none has a value."""
        name = self.metric.name
        if name not in self.trials or self.trials[name].isna().all():
            return None
        return self.trials.loc[scores(self.trials, self.metric).idxmax()]

    def write(self, folder: Path) -> None:
        """Writes trials.csv, epochs.csv and what is known by class, each replaced in one step."""
        tables = {"trials": self.trials, "epochs": self.epochs}
        if len(self.class_recalls):
            tables["class_recalls"] = self.class_recalls
        for name, table in tables.items():
            replaced(folder / f"{name}.csv", partial(table.to_csv, index=False))


def scores(table: pd.DataFrame, metric: Metric) -> pd.Series:
    """The metric's column so that the higher is better."""
    return table[metric.name].astype(float) * metric.score(1.0)


def read_results(folder: str | Path) -> Results:
    """The tables of a sweep's folder: from its journal if it has one, else from its CSV files.

    Of these only trials.csv is needed; what was taken for what in them is logged. Raises
    FileNotFoundError where there is neither, ValueError with file, trial and remedy where a table
    has another shape than its name says.
    """
    folder = Path(folder)
    if journal_exists(folder):
        return fold(read_events(folder))
    if not (folder / "trials.csv").is_file():
        raise FileNotFoundError(f"no results in {folder}: expected trials.csv or a journal")
    tables = {name: _read(folder / f"{name}.csv", keys) for name, keys in TABLES.items()}
    trials, epochs, class_recalls = (tables[name] for name in TABLES)
    twice = trials["trial_id"].duplicated()
    if twice.any():
        name = short(trials.loc[twice, "trial_id"].iloc[0])
        raise ValueError(f"{folder / 'trials.csv'}: two rows are of trial {name}; remove one")
    return Results(trials, epochs, class_recalls, _metric(folder))


def _metric(folder: Path) -> Metric:
    """What sweep.json says of it; of tables from elsewhere it is the validation accuracy."""
    try:
        return Metric(**read_json(folder / "sweep.json")["metric"])
    except (OSError, ValueError, TypeError, LookupError):
        return VAL_ACC


def _read(path: Path, keys: list[str]) -> pd.DataFrame:
    """The table, its fixed columns checked; without rows where there is no such file."""
    if not path.exists():
        return pd.DataFrame(columns=CLASS_COLUMNS if "class" in keys else keys)
    table, notes = read_table(path, TEXT)
    missing = [key for key in keys if key not in table]
    if missing:
        has = short(", ".join(table.columns), 300)
        raise ValueError(f"{path}: no column {missing[0]}; has {has}")
    for key in [key for key in keys if key in TEXT]:
        if table[key].isna().any():
            row = int(table[key].isna().to_numpy().argmax()) + 1
            raise ValueError(f"{path}: row {row} has no {key}; write one or remove the row")
    owners, fixed = table["trial_id"], {*FIXED_TRIAL_COLUMNS, *EPOCH_COLUMNS, *CLASS_COLUMNS}
    # in trials.csv a learning rate is a hyperparameter, which may be anything
    for name in [
        n for n in table if n in fixed - TEXT and (n != "learning_rate" or "epoch" in keys)
    ]:
        if name in ACCURACIES:
            table[name], more = accuracies(table[name], owners, str(path))
            notes += more
            continue
        table[name] = numbers(table[name], owners, str(path))
        _check(name, table[name], owners, path)
    for note in notes:
        logger.warning("%s", note)
    return table


def _check(name: str, values: pd.Series, owners: pd.Series, path: Path) -> None:
    """Counts are whole numbers that a sweep can reach, and only a loss is infinite."""
    known = values.dropna()
    wrong, rule = known.abs() == math.inf, "finite"
    if name in COUNTS:
        wrong, rule = (
            (known < 0) | (known > 1e9) | (known % 1 != 0),
            "a whole number from 0 to 10^9",
        )
    if wrong.any() and name not in LOSSES:
        row = known[wrong].index[0]
        told = f"{name} of {short(owners[row])} is {known[row]:g}"
        raise ValueError(f"{path}: {told}, which is not {rule}; correct it")


def openings(folder: Path) -> list[dict[str, Any]]:
    """Each time that the test photographs were opened, as it was written down, the first first."""
    if journal_exists(folder):
        return [event for event in read_events(folder) if event["event"] == "tested"]
    champion = folder / "champion"
    if not (champion / "metrics.json").exists():
        return []
    return list(read_metrics(champion).get("openings", []))


def fold(events: Iterable[dict[str, Any]]) -> Results:
    """The tables that these journal events amount to."""
    trials: dict[str, dict[str, Any]] = {}
    epochs, recalls = Epochs(), Recalls()
    audited: dict[str, Any] = {}  # the column is there only where trials were to be audited
    diverged: set[str] = set()  # trials of which what came before does not count
    metric = VAL_ACC
    tests: list[dict[str, Any]] = []
    for event in events:
        kind, trial_id = event["event"], str(event.get("trial_id"))
        if kind == "sweep":
            metric = Metric(**event.get("metric", {}))
            audited = {"audited": None} if event.get("audit") else {}
        elif kind == "proposed":
            own = {"trial_id": trial_id, "status": "running", **audited}
            trials[trial_id] = {**own, **event["config"]}
        elif kind == "started":
            trials[trial_id].setdefault("started", event["time"])
        elif kind == "epoch":
            epochs.put(trial_id, event)
            if metric.diverged(event):
                diverged.add(trial_id)
            recalls.add(trial_id, event)
            trials[trial_id]["node"] = event.get("node")
            if event.get("decision", {}).get("audited"):
                trials[trial_id]["audited"] = event["epoch"]
        elif kind in ("paused", "promoted"):  # what waits is stopped where it is, so far
            trials[trial_id]["status"] = "stopped" if kind == "paused" else "running"
        elif kind == "tested":
            tests.append(event)
        elif kind in ("finished", "stopped", "failed"):
            status = "completed" if kind == "finished" else kind
            trials[trial_id] |= {"status": status, "error": event.get("error")}
    epoch_table = epochs.table()
    return Results(
        _with_bests(pd.DataFrame(list(trials.values())), epoch_table, metric, diverged),
        epoch_table,
        recalls.table(),
        metric,
        tests,
    )


def _with_bests(
    trials: pd.DataFrame, epochs: pd.DataFrame, metric: Metric, diverged: set[str]
) -> pd.DataFrame:
    """`trials` in DESIGN.md's order of columns, completed by what its epochs say."""
    fixed = [c for c in FIXED_TRIAL_COLUMNS if c not in SOMETIMES or c in trials or c in epochs]
    if metric.name not in fixed:
        fixed.insert(fixed.index("seconds"), metric.name)
    names = [c for c in trials.columns if c not in fixed]
    order = [*fixed[:2], *names, *fixed[2:]]
    trials = trials.reindex(columns=order)
    if "audited" in trials:
        trials["audited"] = trials["audited"].astype("Int64")
    if epochs.empty:
        return trials[order]
    by_trial = epochs.groupby("trial_id")
    scored = epochs[~epochs["trial_id"].isin(diverged)]
    found = scores(scored, metric).groupby(scored["trial_id"]).idxmax()
    best = scored.loc[found].set_index("trial_id")
    trials = trials.set_index("trial_id")
    trials["epochs"] = by_trial["epoch"].max().astype("Int64")
    trials["best_epoch"] = best["epoch"].astype("Int64")
    for name in dict.fromkeys(("val_acc", "val_loss", *SHARES, metric.name)):
        if name in best:
            trials[name] = best[name]
    trials["seconds"] = by_trial["seconds"].sum()
    return trials.reset_index()[order]
