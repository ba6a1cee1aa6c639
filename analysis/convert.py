"""Makes the two tables of a sweep out of what another tool wrote.

python analysis/convert.py RUNS [HISTORY.csv ...] --out FOLDER

RUNS is W&B's table of runs ("Export CSV" above it), or one like it, such as Optuna's
trials_dataframe; an Optuna storage (sqlite:///FILE, its file, or a journal); a folder of Ray
Tune's results; or one of Lightning's runs (CSVLogger, TensorBoardLogger). A HISTORY.csv is what a
chart of W&B exports against the epoch (a column a run, "NAME - val_acc"), or run.history() of all
runs in one table with a column of their names. A run's name, or where there is one its ID, must
be unique. Each guess is said in a line.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

if __name__ == "__main__":  # as a script: see the project's root, not this folder's modules
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis.reading.columns import OPTUNA, Choice, add_choice, chosen, sort_columns, statuses
from analysis.reading.histories import RUN_COLUMNS, Say, named, read_epochs
from analysis.reading.tools.found import read_search
from analysis.reading.tools.search import Search
from cnnlib.journal.columns import EPOCH_COLUMNS
from cnnlib.journal.tables import Results, scores
from cnnlib.networks.metric import (
    MAXIMIZE,
    MINIMIZE,
    SHARES,
    VAL_ACC,
    Metric,
    read_metric,
)
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
    metric: Metric = VAL_ACC,
    say: Say = lambda line: None,
) -> Results:
    """The tables; ValueError where runs cannot be told apart or nothing is left of them.

    `rename` says what a metric or column is called here: {"val_score": "val_acc"}; `choice` which
    columns are hyperparameters; `metric` is what a run's best epoch is best by; `sources` are the
    names of the files, the runs' first. `say` is called with a line for each thing that was
    guessed.
    """
    names = dict(rename or {})
    if metric.said != metric.name:
        names.setdefault(metric.said, metric.name)
    runs_csv, *others = sources or ["the table of runs", *("the history" for _ in histories)]
    runs = named(runs, names, say)
    lower = {str(column).lower(): str(column) for column in runs}
    keys = _keys(runs, lower, runs_csv)
    known = _identities(runs, [lower[key] for key in keys], runs_csv)
    trial_id = known[0]
    epochs = read_epochs(
        list(zip(others, histories, strict=True)), _ids(known, histories, names), names, say, metric
    )
    trials = pd.DataFrame({"trial_id": trial_id})
    if "state" in lower:
        trials["status"] = statuses(runs[lower["state"]])
    identity = {lower[key] for key in (*keys, "state") if key in lower}
    metrics = {*EPOCH_COLUMNS, metric.name} - {"learning_rate"}  # it is both
    rest = runs.drop(columns=[c for c in runs if c in identity | metrics])
    columns = sort_columns(rest, choice)
    for line in columns.lines():
        say(line)
    for column, name in columns.hyperparameters.items():
        trials[name] = runs[column]
    table = _with_outcomes(trials, runs, epochs, lower, runs_csv, say, metric)
    return Results(table, epochs, metric=metric)


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
    metric: Metric,
) -> pd.DataFrame:
    """`trials` with what each reached: the better of its epochs' best and of RUNS.csv's figure."""
    owners, name = trials["trial_id"], metric.name
    told = _told(runs, name, owners, source, say)
    best = pd.DataFrame(columns=["trial_id", "epoch", name]).set_index("trial_id")
    if name in epochs and epochs[name].notna().any():
        scored = epochs.dropna(subset=name)
        found = scores(scored, metric).groupby(scored["trial_id"]).idxmax()
        best = scored.loc[found].set_index("trial_id")
    elif name not in runs:
        raise ValueError(
            f"no {name}; say what it is called with --rename NAME={name}"
            f" (columns: {short(', '.join(map(str, runs)))})"
        )
    logged = owners.map(best[name]).astype(float)
    gain = (told - logged) * metric.score(1.0)
    _compare(logged, gain, metric, say)
    is_logged = logged.notna() & ~(gain > 0)
    if len(best):
        trials["epochs"] = owners.map(epochs.groupby("trial_id")["epoch"].max())
        trials["best_epoch"] = owners.map(best["epoch"]).where(is_logged)
    trials[name] = logged.where(is_logged, told)
    for other in (n for n in ("val_acc", "val_loss") if n != name):
        values = owners.map(best[other]).astype(float) if other in best else None
        if other in runs:
            summary = _told(runs, other, owners, source, say)
            values = summary if values is None else values.where(is_logged, summary)
        if values is not None and values.notna().any():
            trials[other] = values
    return _with_times(trials, runs, lower, say)


def _told(runs: pd.DataFrame, name: str, owners: pd.Series, source: str, say: Say) -> pd.Series:
    """What the table of runs says of a metric; NaN where it does not."""
    if name not in runs:
        return pd.Series(float("nan"), runs.index)
    if name not in SHARES:
        return numbers(runs[name], owners, source)
    told, notes = accuracies(runs[name], owners, source)
    for note in notes:
        say(note)
    return told


def _compare(logged: pd.Series, gain: pd.Series, metric: Metric, say: Say) -> None:
    """Says where the two sources of the metric differ and which of them counts."""
    missing = int((logged.isna()).sum())
    if logged.notna().any() and missing:
        say(
            f"{missing} of {len(logged)} runs have no history; their {metric.name} is that of the"
            " table of runs, where it has one"
        )
    better = int((gain > 1e-9).sum())
    if better:
        way = "higher" if metric.goal == MAXIMIZE else "lower"
        say(
            f"in {better} runs the table's {metric.name} is {way} than the best of their history,"
            f" which may be a sample; the {way} one counts, at an epoch that is not known"
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
        description="Make a sweep's two tables, for the report, of what another tool wrote.",
    )
    flags.add_argument(
        "runs", metavar="RUNS",
        help="W&B's table of runs or one like it, an Optuna storage (sqlite:///FILE, or its file),"
        " or a folder of Ray Tune's or Lightning's runs",
    )  # fmt: skip
    flags.add_argument(
        "histories", metavar="HISTORY.csv", type=Path, nargs="*",
        help="exported charts of val_acc and others against epoch, or run histories",
    )  # fmt: skip
    flags.add_argument("--out", type=Path, required=True, help="the folder to be written")
    flags.add_argument(
        "--rename", metavar="OLD=NEW", type=_renamed, action="append", default=[],
        help="what a column is called here, as in --rename valid_score=val_acc",
    )  # fmt: skip
    flags.add_argument(
        "--metric", metavar="NAME", default=VAL_ACC.name,
        help="what a run's best epoch is best by, and the report compares (default val_acc)",
    )  # fmt: skip
    flags.add_argument("--goal", choices=(MAXIMIZE, MINIMIZE), help="its direction, where doubtful")
    flags.add_argument("--study", metavar="NAME", help="which of a storage's studies")
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
    metric, notes = read_metric(flags.metric, flags.goal, field="--metric")
    for note in notes:
        print(note)
    names, search = dict(flags.rename), read_search(flags.runs, flags.study)
    paths = [Path(name) for name in flags.histories]
    tables = []
    if search is None:
        paths.insert(0, Path(flags.runs))
    else:
        names = _objective(search, metric, names)
        tables = [search.runs, *([search.history] if len(search.history) else [])]
        for note in search.notes:
            print(note)
    for path in paths:
        table, notes = read_table(path, RUN_COLUMNS)
        for note in notes:
            print(note)
        tables.append(table)
    sources = [path.name for path in paths]
    if search is not None:
        sources = [search.source] * (len(tables) - len(paths)) + sources
    results = convert(
        tables[0],
        tables[1:],
        names,
        choice=chosen(flags),
        sources=sources,
        metric=metric,
        say=print,
    )
    flags.out.mkdir(parents=True, exist_ok=True)
    results.write(flags.out)
    about: dict[str, object] = {"converted_from": sources}
    about["hyperparameters"] = results.hyperparameters
    if metric != VAL_ACC:
        about["metric"] = asdict(metric)
    write_json(flags.out / "sweep.json", about)
    return results


def _objective(search: Search, metric: Metric, names: dict[str, str]) -> dict[str, str]:
    """`names` with what a study optimises, its value, as the metric; ValueError if it is not."""
    if not search.goal or "value" in names:
        return names
    if search.goal != metric.goal:
        raise ValueError(
            f"{search.source} is to {search.goal} its value, and {metric.said} is to"
            f" {metric.goal}: say what it is with --metric NAME --goal {search.goal}"
        )
    print(f"{metric.said} is what the study optimises, its value")
    return {**names, "value": metric.said}


if __name__ == "__main__":
    sys.exit(main())
