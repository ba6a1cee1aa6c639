"""Makes the two tables of a sweep out of what W&B exports, or another table of runs.

python analysis/convert.py RUNS.csv [HISTORY.csv ...] --out FOLDER

RUNS.csv is the table of runs ("Export CSV" above it), or one like it, such as Optuna's
trials_dataframe. A HISTORY.csv is what a chart of W&B exports against the epoch (a column a run,
"NAME - val_acc"), or run.history() of all runs in one table with a column of their names. A run's
name, or where there is one its ID, must be unique. Each guess is said in a line.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

if __name__ == "__main__":  # as a script: see the project's root, not this folder's modules
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis.reading.columns import OPTUNA, Choice, add_choice, chosen, sort_columns, statuses
from analysis.reading.histories import RUN_COLUMNS, Say, named, read_epochs
from cnnlib.journal.tables import EPOCH_COLUMNS, Results
from cnnlib.storage.csv_file import accuracies, numbers, read_table
from cnnlib.storage.json_file import write_json
from cnnlib.system.flags import Flags
from cnnlib.system.redaction import one_line
from cnnlib.system.units import short

SECONDS = ("runtime", "duration")
STARTED = ("created", "datetime_start", "start time")


def convert(
    runs: pd.DataFrame,
    histories: Sequence[pd.DataFrame],
    rename: Mapping[str, str] | None = None,
    *,
    choice: Choice | None = None,
    sources: Sequence[str] | None = None,
    say: Say = lambda line: None,
) -> Results:
    """The tables; ValueError where runs cannot be told apart or nothing is left of them.

    `rename` says what a metric or column is called here: {"val_score": "val_acc"}; `choice` which
    columns are hyperparameters; `sources` are the names of the files, the runs' first. `say` is
    called with a line for each thing that was guessed.
    """
    names = dict(rename or {})
    runs_csv, *others = sources or ["the table of runs", *("the history" for _ in histories)]
    runs = named(runs, names, say)
    lower = {str(column).lower(): str(column) for column in runs}
    keys = _keys(runs, lower, runs_csv)
    known = _identities(runs, [lower[key] for key in keys], runs_csv)
    trial_id = known[0]
    epochs = read_epochs(
        list(zip(others, histories, strict=True)), _ids(known, histories, names), names, say
    )
    trials = pd.DataFrame({"trial_id": trial_id})
    if "state" in lower:
        trials["status"] = statuses(runs[lower["state"]])
    identity = {lower[key] for key in (*keys, "state") if key in lower}
    metrics = {*EPOCH_COLUMNS} - {"learning_rate"}  # it is both
    rest = runs.drop(columns=[c for c in runs if c in identity | metrics])
    columns = sort_columns(rest, choice)
    for line in columns.lines():
        say(line)
    for column, name in columns.hyperparameters.items():
        trials[name] = runs[column]
    return Results(_with_outcomes(trials, runs, epochs, lower, runs_csv, say), epochs)


def _keys(runs: pd.DataFrame, lower: Mapping[str, str], source: str) -> list[str]:
    """The columns, in small letters, that say what a run is called: ID and name, or one."""
    keys = [key for key in ("id", "name") if key in lower]
    others = [key for key in RUN_COLUMNS if key in lower]
    if any(column.startswith(OPTUNA) for column in lower) and "number" in lower:
        others.append("number")
    if not keys and not others:
        has = short(", ".join(map(str, runs.columns)), 300)
        raise ValueError(f"{source}: no column Name or ID; has {has}; --rename COLUMN=id names it")
    return keys or others[:1]


def _identities(runs: pd.DataFrame, columns: list[str], source: str) -> list[pd.Series]:
    """What each run is called in each of these columns; the first tells them apart."""
    if not len(runs):
        raise ValueError(f"{source} has a header and no rows: no runs to convert")
    for column in columns:
        empty = runs[column].isna()
        if empty.any():
            row = int(empty.to_numpy().argmax()) + 1
            raise ValueError(f"{source}: row {row} has no {column}; write one or remove it")
    known = [runs[column].astype(str) for column in columns]
    if known[0].duplicated().any():
        twice = known[0][known[0].duplicated()].iloc[0]
        raise ValueError(f"two runs are called {short(twice)}; export the column ID as well")
    return known


def _ids(
    known: list[pd.Series], histories: Sequence[pd.DataFrame], rename: Mapping[str, str]
) -> dict[str, str]:
    """The trial that each name or ID means; ValueError where a history's name means several."""
    ids = dict(p for column in reversed(known) for p in zip(column, known[0], strict=True))
    shared = {name for name in known[-1][known[-1].duplicated()] if name not in set(known[0])}
    for history in histories:
        table = history.rename(columns=dict(rename))
        lower = {str(column).lower(): column for column in table}
        owner = next((lower[name] for name in RUN_COLUMNS if name in lower), None)
        told = {str(column).rpartition(" - ")[0] for column in table}
        if owner is not None:
            told |= set(table[owner].astype(str))
        if shared & told:
            name = short(min(shared & told))
            raise ValueError(f"{name}: which of the runs of this name is meant?")
    return ids


def _with_outcomes(
    trials: pd.DataFrame,
    runs: pd.DataFrame,
    epochs: pd.DataFrame,
    lower: Mapping[str, str],
    source: str,
    say: Say,
) -> pd.DataFrame:
    """`trials` with what each reached: the higher of its epochs' best and of RUNS.csv's figure."""
    owners = trials["trial_id"]
    told = pd.Series(float("nan"), trials.index)
    if "val_acc" in runs:
        told, notes = accuracies(runs["val_acc"], owners, source)
        for note in notes:
            say(note)
    best = pd.DataFrame(columns=["trial_id", "epoch", "val_acc"]).set_index("trial_id")
    if "val_acc" in epochs and epochs["val_acc"].notna().any():
        scored = epochs.dropna(subset="val_acc")
        best = scored.loc[scored.groupby("trial_id")["val_acc"].idxmax()].set_index("trial_id")
    elif "val_acc" not in runs:
        raise ValueError(
            "no val_acc; say what it is called with --rename NAME=val_acc"
            f" (columns: {short(', '.join(map(str, runs)))})"
        )
    logged = owners.map(best["val_acc"]).astype(float)
    _compare(logged, told, say)
    is_logged = logged.notna() & ~(told > logged)
    if len(best):
        trials["epochs"] = owners.map(epochs.groupby("trial_id")["epoch"].max())
        trials["best_epoch"] = owners.map(best["epoch"]).where(is_logged)
    trials["val_acc"] = logged.where(is_logged, told)
    losses = owners.map(best["val_loss"]).astype(float) if "val_loss" in best else None
    if "val_loss" in runs:
        summary = numbers(runs["val_loss"], owners, source)
        losses = summary if losses is None else losses.where(is_logged, summary)
    if losses is not None and losses.notna().any():
        trials["val_loss"] = losses
    return _with_times(trials, runs, lower, say)


def _compare(logged: pd.Series, told: pd.Series, say: Say) -> None:
    """Says where the two sources of val_acc differ and which of them counts."""
    missing = int((logged.isna()).sum())
    if logged.notna().any() and missing:
        say(
            f"{missing} of {len(logged)} runs have no history; their val_acc is that of the table"
            " of runs, where it has one"
        )
    higher = int((told > logged + 1e-9).sum())
    if higher:
        say(
            f"in {higher} runs the table's val_acc is higher than the best of their history, which"
            " may be a sample; the higher one counts, at an epoch that is not known"
        )


def _with_times(
    trials: pd.DataFrame, runs: pd.DataFrame, lower: Mapping[str, str], say: Say
) -> pd.DataFrame:
    """`trials` with how long each took and when it began, where the table says it."""
    column = next((lower[name] for name in SECONDS if name in lower), None)
    if column is not None:
        seconds = pd.to_numeric(runs[column], errors="coerce")
        if seconds.isna().all() and runs[column].notna().any():  # 0 days 00:01:23
            spans = pd.to_timedelta(runs[column].astype(str), errors="coerce")
            seconds = spans.dt.total_seconds()
        seconds = seconds.where((seconds >= 0) & (seconds < 1e9))
        if seconds.isna().sum() > runs[column].isna().sum():
            say(f"{column}: not all of it is seconds; the rest is left out")
        trials["seconds"] = seconds
    column = next((lower[name] for name in STARTED if name in lower), None)
    if column is not None:
        trials["started"] = runs[column]
    return trials


def _renamed(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not old or not equals or not new:
        raise argparse.ArgumentTypeError(f"{text}: write OLD=NEW")
    return old, new


def parser() -> argparse.ArgumentParser:
    """The flags."""
    flags = Flags(
        prog="analysis/convert.py",
        description="Make the two tables of a sweep out of what W&B exports, for the report.",
    )
    flags.add_argument("runs", metavar="RUNS.csv", type=Path, help="the table of runs")
    flags.add_argument(
        "histories", metavar="HISTORY.csv", type=Path, nargs="*",
        help="exported charts of val_acc and others against epoch, or run histories",
    )  # fmt: skip
    flags.add_argument("--out", type=Path, required=True, help="the folder to be written")
    flags.add_argument(
        "--rename", metavar="OLD=NEW", type=_renamed, action="append", default=[],
        help="what a column is called here, as in --rename valid_score=val_acc",
    )  # fmt: skip
    add_choice(flags)
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 done, 2 a mistake of the user's."""
    flags = parser().parse_args(arguments)
    try:
        results = _convert(flags)
    except (ValueError, OSError) as error:
        print(f"analysis/convert.py: {one_line(error)}", file=sys.stderr)
        return 2
    print(
        f"{len(results.trials)} trials, {len(results.epochs)} epochs, hyperparameters"
        f" {', '.join(results.hyperparameters) or 'none'} -> {flags.out}"
    )
    return 0


def _convert(flags: argparse.Namespace) -> Results:
    """Reads, converts, and writes into a folder that was empty."""
    if flags.out.exists() and (not flags.out.is_dir() or any(flags.out.iterdir())):
        what = "a sweep already" if (flags.out / "trials.csv").exists() else "other files"
        raise FileExistsError(f"--out: {flags.out} holds {what}; name another folder")
    tables = []
    for path in (flags.runs, *flags.histories):
        table, notes = read_table(path, RUN_COLUMNS)
        for note in notes:
            print(note)
        tables.append(table)
    results = convert(
        tables[0],
        tables[1:],
        dict(flags.rename),
        choice=chosen(flags),
        sources=[path.name for path in (flags.runs, *flags.histories)],
        say=print,
    )
    flags.out.mkdir(parents=True, exist_ok=True)
    results.write(flags.out)
    sources = [path.name for path in (flags.runs, *flags.histories)]
    about = {"converted_from": sources, "hyperparameters": results.hyperparameters}
    write_json(flags.out / "sweep.json", about)
    return results


if __name__ == "__main__":
    sys.exit(main())
