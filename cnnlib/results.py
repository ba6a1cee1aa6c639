"""The tables of a sweep, trials, epochs and recalls by class, from its journal or CSV files."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlib.journal import journal_exists, read_events

FIXED_TRIAL_COLUMNS = [
    "trial_id", "status", "epochs", "best_epoch", "val_acc", "val_loss", "seconds", "node",
    "error", "started", "audited",
]  # fmt: skip
EPOCH_COLUMNS = [
    "trial_id", "epoch", "train_loss", "train_acc", "val_loss", "val_acc", "learning_rate",
    "seconds", "images_per_second",
]  # fmt: skip
TABLES = {  # and the columns without which nothing can be told
    "trials": ["trial_id"],
    "epochs": ["trial_id", "epoch"],
    "class_recalls": ["trial_id", "class", "val_recall"],
}
# A class may be called "NA", or "7".
READING: dict[str, Any] = {
    "class_recalls": {
        "dtype": {"trial_id": str, "class": str},
        "keep_default_na": False,
        "na_values": {"val_recall": [""], "n": [""]},
    }
}
CLASS_COLUMNS = ["trial_id", "epoch", "class", "val_recall", "n"]
CLASS_COUNTS = "class_counts"
"""What an epoch that is its trial's best so far reports: of each class, [recognised, all]."""


@dataclass(frozen=True)
class Results:
    """A sweep as tables; DESIGN.md lists their columns."""

    trials: pd.DataFrame
    epochs: pd.DataFrame
    class_recalls: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=CLASS_COLUMNS))
    """Validation recall by class, at the epochs that were their trial's best so far."""

    @property
    def hyperparameters(self) -> list[str]:
        """Every column of `trials` that is not a fixed one."""
        return [c for c in self.trials.columns if c not in FIXED_TRIAL_COLUMNS]

    def best(self) -> pd.Series | None:
        """The trial with the highest val_acc, the first of equals; None where none has one."""
        if "val_acc" not in self.trials or self.trials["val_acc"].isna().all():
            return None
        return self.trials.loc[self.trials["val_acc"].idxmax()]

    def write(self, folder: Path) -> None:
        """Writes trials.csv, epochs.csv and what is known by class, each replaced in one step."""
        tables = {"trials": self.trials, "epochs": self.epochs}
        if len(self.class_recalls):
            tables["class_recalls"] = self.class_recalls
        for name, table in tables.items():
            part = folder / f".{name}.csv.part"
            table.to_csv(part, index=False)
            part.replace(folder / f"{name}.csv")


def write_json(path: Path, content: object) -> None:
    """Writes the file, replaced in one step."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    part.replace(path)


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_results(folder: str | Path) -> Results:
    """The tables of a sweep's folder: from its journal if it has one, else from its CSV files.

    Raises FileNotFoundError where there is neither, ValueError where a table lacks its key columns.
    """
    folder = Path(folder)
    if journal_exists(folder):
        return fold(read_events(folder))
    tables = {}
    for name, keys in TABLES.items():
        path = folder / f"{name}.csv"
        if name == "class_recalls" and not path.exists():
            continue
        if not path.is_file():
            raise FileNotFoundError(f"no results in {folder}: expected {path.name} or a journal")
        try:
            table = pd.read_csv(path, **{"dtype": {"trial_id": str}} | READING.get(name, {}))
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a CSV table: {error}") from None
        missing = [key for key in keys if key not in table]
        if missing:
            raise ValueError(f"{path}: no column {missing[0]}; has {', '.join(table.columns)}")
        tables[name] = table
    return Results(**tables)


def openings(folder: Path) -> list[dict[str, Any]]:
    """Each time that the test photographs were opened, as it was written down, the first first."""
    if journal_exists(folder):
        return [event for event in read_events(folder) if event["event"] == "tested"]
    metrics = folder / "champion" / "metrics.json"
    return list(read_json(metrics).get("openings", [])) if metrics.exists() else []


def fold(events: Iterable[dict[str, Any]]) -> Results:
    """The tables that these journal events amount to."""
    trials: dict[str, dict[str, Any]] = {}
    epochs: dict[tuple[str, int], dict[str, Any]] = {}
    recalls: list[tuple] = []
    audited: dict[str, Any] = {}  # the column is there only where trials were to be audited
    for event in events:
        kind, trial_id = event["event"], str(event.get("trial_id"))
        if kind == "sweep" and event.get("audit"):
            audited = {"audited": None}
        elif kind == "proposed":
            own = {"trial_id": trial_id, "status": "running", **audited}
            trials[trial_id] = {**own, **event["config"]}
        elif kind == "started":
            trials[trial_id].setdefault("started", event["time"])
        elif kind == "epoch":
            epochs[trial_id, event["epoch"]] = {c: event.get(c) for c in EPOCH_COLUMNS}
            for name, (hits, n) in event.get(CLASS_COUNTS, {}).items():
                recalls.append((trial_id, event["epoch"], name, hits / n if n else math.nan, n))
            trials[trial_id]["node"] = event.get("node")
            if event.get("decision", {}).get("audited"):
                trials[trial_id]["audited"] = event["epoch"]
        elif kind in ("finished", "stopped", "failed"):
            status = "completed" if kind == "finished" else kind
            trials[trial_id] |= {"status": status, "error": event.get("error")}
    epoch_table = pd.DataFrame(list(epochs.values()), columns=EPOCH_COLUMNS)
    return Results(
        _with_bests(pd.DataFrame(list(trials.values())), epoch_table),
        epoch_table,
        pd.DataFrame(recalls, columns=CLASS_COLUMNS),
    )


def _with_bests(trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """`trials` in DESIGN.md's order of columns, completed by what its epochs say."""
    fixed = [c for c in FIXED_TRIAL_COLUMNS if c != "audited" or c in trials]
    names = [c for c in trials.columns if c not in fixed]
    order = [*fixed[:2], *names, *fixed[2:]]
    trials = trials.reindex(columns=order)
    if "audited" in trials:
        trials["audited"] = trials["audited"].astype("Int64")
    if epochs.empty:
        return trials[order]
    by_trial = epochs.groupby("trial_id")
    is_scored = epochs["val_acc"].notna()
    diverged = epochs.loc[~is_scored, "trial_id"]  # so what came before does not count
    scored = epochs[is_scored & ~epochs["trial_id"].isin(diverged)]
    best = scored.loc[scored.groupby("trial_id")["val_acc"].idxmax()].set_index("trial_id")
    trials = trials.set_index("trial_id")
    trials["epochs"] = by_trial["epoch"].max().astype("Int64")
    trials["best_epoch"] = best["epoch"].astype("Int64")
    trials["val_acc"] = best["val_acc"]
    trials["val_loss"] = best["val_loss"]
    trials["seconds"] = by_trial["seconds"].sum()
    return trials.reset_index()[order]
