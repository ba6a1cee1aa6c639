"""Makes the two tables of a sweep out of what W&B exports.

python analysis/convert.py RUNS.csv [HISTORY.csv ...] --out FOLDER

RUNS.csv is the table of runs ("Export CSV" above it). A HISTORY.csv is what a chart of W&B exports
(a column a run, "NAME - val_acc"), or run.history() of all runs in one table with a column of
their names. A run's name, or where there is one its ID, must be unique.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

if __name__ == "__main__":  # as a script: see the project's root, not this folder's modules
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from cnnlib.results import EPOCH_COLUMNS, Results

STATES = {
    "finished": "completed", "killed": "stopped", "crashed": "failed", "failed": "failed",
    "preempted": "failed", "running": "running", "pending": "running",
}  # fmt: skip
# What W&B writes of a run that is no hyperparameter of it.
OWN_COLUMNS = {
    "name", "id", "state", "notes", "user", "tags", "created", "updated", "runtime", "sweep",
    "group", "job type", "hostname", "commit", "gpu count", "gpu type", "end time", "os",
    "python version", "host", "command", "url", "path", "entity", "project", "description",
}  # fmt: skip
METRICS = {
    "val_accuracy": "val_acc", "validation_accuracy": "val_acc", "valid_acc": "val_acc",
    "validation_loss": "val_loss", "valid_loss": "val_loss", "accuracy": "train_acc",
    "train_accuracy": "train_acc", "training_accuracy": "train_acc", "acc": "train_acc",
    "loss": "train_loss", "training_loss": "train_loss",
}  # fmt: skip
METRIC_STARTS = ("_", "train_", "val_", "valid_", "test_", "best_", "trainer/", "epoch", "grad")
RUN_COLUMNS = ("trial_id", "run_id", "id", "run", "run_name", "name")


def convert(
    runs: pd.DataFrame, histories: Sequence[pd.DataFrame], rename: Mapping[str, str] | None = None
) -> Results:
    """The tables; ValueError where runs cannot be told apart or nothing is left of them.

    `rename` says what a metric or column is called here: {"val_score": "val_acc"}.
    """
    names = dict(rename or {})
    runs = _named(runs, names)
    lower = {str(column).lower(): column for column in runs}
    if "name" not in lower and "id" not in lower:
        raise ValueError(f"no column Name or ID; has {', '.join(map(str, runs.columns))}")
    known = [runs[lower[key]].astype(str) for key in ("id", "name") if key in lower]
    trial_id = known[0]
    if trial_id.duplicated().any():
        twice = trial_id[trial_id.duplicated()].iloc[0]
        raise ValueError(f"two runs are called {twice}; export the column ID as well")
    epochs = _epochs(histories, known, names)
    trials = pd.DataFrame({"trial_id": trial_id})
    if "state" in lower:
        states = runs[lower["state"]].astype(str).str.lower()
        trials["status"] = states.map(STATES).fillna("unknown")
    for name in _hyperparameters(runs):
        trials[name] = runs[name]
    return Results(_with_outcomes(trials, runs, epochs, lower), epochs)


def _named(table: pd.DataFrame, rename: Mapping[str, str]) -> pd.DataFrame:
    """The table with its metrics called as here; of two for one name, the first that is found.

    A column that the user renames takes the place of the one that had the name.
    """
    asked = {old: new for old, new in rename.items() if old in table}
    table = table.drop(columns=[c for c in asked.values() if c in table and c not in asked])
    table = table.rename(columns=asked)
    for old, new in METRICS.items():
        if old in table and new not in table:
            table = table.rename(columns={old: new})
    return table


def _epochs(
    histories: Sequence[pd.DataFrame], known: list[pd.Series], names: Mapping[str, str]
) -> pd.DataFrame:
    """One row a run and epoch, (trial_id, epoch, metrics)."""
    pairs = [p for column in reversed(known) for p in zip(column, known[0], strict=True)]
    ids = dict(pairs)
    shared = {name for name in known[-1][known[-1].duplicated()] if name not in set(known[0])}
    long = pd.DataFrame(columns=["trial_id", "epoch"])
    for history in histories:
        part = _named(_long(history), names)
        unknown = set(part["trial_id"]) - set(ids)
        if unknown:
            raise ValueError(f"{min(unknown)}: a run of the history is not in the table of runs")
        doubtful = shared & set(part["trial_id"])
        if doubtful:
            raise ValueError(f"{min(doubtful)}: which of the runs of this name is meant?")
        part["trial_id"] = part["trial_id"].map(ids)
        part = part[["trial_id", *(c for c in EPOCH_COLUMNS[1:] if c in part)]]
        part = part.groupby(["trial_id", "epoch"], as_index=False).last()
        long = long.merge(part, on=["trial_id", "epoch"], how="outer") if len(long) else part
    for name in ("val_acc", "train_acc"):
        if name in long and long[name].max() > 1.5:
            long[name] = long[name] / 100  # per cent
    columns = [c for c in EPOCH_COLUMNS if c in long]
    return long[columns].sort_values(["trial_id", "epoch"], ignore_index=True)


def _long(history: pd.DataFrame) -> pd.DataFrame:
    """Any history with the columns trial_id and epoch, epochs counted from 1."""
    first = str(history.columns[0])
    if any(" - " in str(column) for column in history.columns[1:]):
        parts = []
        for column in history.columns[1:]:
            run, _, metric = str(column).rpartition(" - ")
            if run:
                values = pd.DataFrame({"epoch": history[first], metric: history[column]})
                parts.append(values.dropna().assign(trial_id=run))
        table = pd.concat(parts, ignore_index=True)
    else:
        lower = {str(column).lower(): column for column in history}
        owner = next((lower[name] for name in RUN_COLUMNS if name in lower), None)
        step = next((lower[name] for name in ("epoch", "step", "_step") if name in lower), None)
        if owner is None or step is None:
            raise ValueError(
                "a history needs columns 'RUN - METRIC' of a chart, or a column of runs"
                f" ({', '.join(RUN_COLUMNS)}) and epoch; has {', '.join(map(str, history))}"
            )
        table = history.rename(columns={owner: "trial_id", step: "epoch"}).dropna(subset="epoch")
        table["trial_id"] = table["trial_id"].astype(str)
    starts_at_zero = len(table) and table["epoch"].min() == 0
    return table.assign(epoch=table["epoch"].astype(int) + int(starts_at_zero))


def _hyperparameters(runs: pd.DataFrame) -> list[str]:
    """The columns that are neither W&B's own nor a metric."""
    metrics = {*METRICS, *EPOCH_COLUMNS} - {"learning_rate"}  # it is both
    return [
        column
        for column in runs
        if str(column).lower() not in OWN_COLUMNS
        and not str(column).startswith(METRIC_STARTS)
        and column not in metrics
        and runs[column].notna().any()
    ]


def _with_outcomes(
    trials: pd.DataFrame, runs: pd.DataFrame, epochs: pd.DataFrame, lower: Mapping[str, str]
) -> pd.DataFrame:
    """`trials` with what each reached: from its epochs, else from the summary in RUNS.csv."""
    if "val_acc" in epochs and epochs["val_acc"].notna().any():
        scored = epochs.dropna(subset="val_acc")
        best = scored.loc[scored.groupby("trial_id")["val_acc"].idxmax()].set_index("trial_id")
        trials["epochs"] = trials["trial_id"].map(epochs.groupby("trial_id")["epoch"].max())
        trials["best_epoch"] = trials["trial_id"].map(best["epoch"])
        for name in ("val_acc", "val_loss"):
            if name in best:
                trials[name] = trials["trial_id"].map(best[name])
    elif "val_acc" in runs:
        values = pd.to_numeric(runs["val_acc"], errors="coerce")
        trials["val_acc"] = values / 100 if values.max() > 1.5 else values
    else:
        raise ValueError("no val_acc; say what it is called with --rename NAME=val_acc")
    for column, name in (("runtime", "seconds"), ("created", "started")):
        if column in lower:
            trials[name] = runs[lower[column]]
    return trials


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise FileNotFoundError(f"no file {path}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not a CSV table: {error}") from None


def _renamed(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not old or not equals or not new:
        raise argparse.ArgumentTypeError(f"{text}: write OLD=NEW")
    return old, new


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 done, 2 a mistake of the user's."""
    parser = argparse.ArgumentParser(
        prog="analysis/convert.py",
        description="Make the two tables of a sweep out of what W&B exports, for the report.",
    )
    parser.add_argument("runs", metavar="RUNS.csv", type=Path, help="the table of runs")
    parser.add_argument(
        "histories", metavar="HISTORY.csv", type=Path, nargs="*",
        help="exported charts of val_acc and others against epoch, or run histories",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="the folder to be written")
    parser.add_argument(
        "--rename", metavar="OLD=NEW", type=_renamed, action="append", default=[],
        help="what a column is called here, as in --rename valid_score=val_acc",
    )  # fmt: skip
    flags = parser.parse_args(arguments)
    try:
        histories = [_read(path) for path in flags.histories]
        results = convert(_read(flags.runs), histories, dict(flags.rename))
        if (flags.out / "trials.csv").exists():
            raise FileExistsError(f"{flags.out} holds a sweep already; name another folder")
        flags.out.mkdir(parents=True, exist_ok=True)
        results.write(flags.out)
    except (ValueError, OSError) as error:
        print(f"analysis/convert.py: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(
        f"{len(results.trials)} trials, {len(results.epochs)} epochs, hyperparameters"
        f" {', '.join(results.hyperparameters) or 'none'} -> {flags.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
