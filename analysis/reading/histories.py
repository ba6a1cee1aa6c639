"""The epochs of runs, out of charts that were exported and histories of runs.

The axis is known by its name, never by its place: epochs count as they are, steps are numbered by
the epochs that they end, and a time is refused.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.reading.columns import OUTCOMES, holds_numbers, our_name, words_of
from cnnlib.journal.columns import EPOCH_COLUMNS
from cnnlib.networks.metric import SHARES, VAL_ACC, Metric
from cnnlib.storage.csv_file import accuracies, numbers
from cnnlib.system.units import short

RUN_COLUMNS = ("trial_id", "run_id", "id", "run", "run_name", "name")
EPOCH_WORDS = {"epoch", "epochs"}
STEP_WORDS = {"step", "steps", "iteration", "iterations", "batch", "batches"}
NO_AXIS = {"time", "max", "best", "size", "per", *OUTCOMES}
UNEVEN = 4  # points lie at uneven distances where these are on average more than so many units

Say = Callable[[str], None]


@dataclass(frozen=True)
class History:
    """What was logged of runs along one axis."""

    rows: pd.DataFrame
    """Columns trial_id, x, and metrics by the names that they have here."""
    axis: str
    is_epoch: bool
    source: str


def read_epochs(
    histories: Sequence[tuple[str, pd.DataFrame]],
    ids: Mapping[str, str],
    rename: Mapping[str, str],
    say: Say,
    metric: Metric = VAL_ACC,
) -> pd.DataFrame:
    """One row a run and epoch, (trial_id, epoch from 1, metrics), accuracies as fractions.

    `histories` come with the names of their files, `ids` says what a run of them is called here.
    Raises ValueError where an axis is no epoch and no step, or two are different ones.
    """
    known = logged_metrics(metric)
    parts = [_history(source, table, rename, say, known) for source, table in histories]
    if not parts:
        return pd.DataFrame(columns=["trial_id", "epoch"])
    for part in parts:
        unknown = sorted(set(part.rows["trial_id"]) - set(ids))
        if unknown:
            raise ValueError(
                f"{short(unknown[0])}: a run of the history is not in the table of runs"
            )
    other = next((part for part in parts if part.axis != parts[0].axis), None)
    if other and not (other.is_epoch and parts[0].is_epoch):
        raise ValueError(
            f"{parts[0].source} is drawn against {parts[0].axis} and {other.source} against"
            f" {other.axis}; export both against the epoch"
        )
    rows = pd.concat([part.rows for part in parts], ignore_index=True)
    rows["trial_id"] = rows["trial_id"].map(dict(ids))
    is_whole = (rows["x"] % 1 == 0).all()
    if parts[0].is_epoch and is_whole:
        first = rows["x"].min()
        table = rows.rename(columns={"x": "epoch"}).assign(epoch=rows["x"] + int(first == 0))
    else:
        table = _numbered(rows, parts[0].axis, say, metric.name)
    table = table.groupby(["trial_id", "epoch"], as_index=False).last()
    table["epoch"] = table["epoch"].astype(int)
    for name in (*SHARES, "train_acc"):
        if name in table:
            where = ", ".join(part.source for part in parts)
            table[name], notes = accuracies(table[name], table["trial_id"], where)
            for note in notes:
                say(note)
    columns = [c for c in (*EPOCH_COLUMNS[:2], *known) if c in table]
    return table[columns].sort_values(["trial_id", "epoch"], ignore_index=True)


def logged_metrics(metric: Metric) -> list[str]:
    """What is kept of an epoch: the usual metrics, and the sweep's own."""
    return [*dict.fromkeys((*EPOCH_COLUMNS[2:], metric.name))]


def named(table: pd.DataFrame, rename: Mapping[str, str], say: Say) -> pd.DataFrame:
    """The table with its metrics called as here; of two for one name, the first that is found.

    A column that the user renames takes the place of the one that had the name.
    """
    asked = {old: new for old, new in rename.items() if old in table}
    table = table.drop(columns=[c for c in asked.values() if c in table and c not in asked])
    table = table.rename(columns=asked)
    candidates: dict[str, list[str]] = {}
    for column in sorted(map(str, table), key=lambda column: "accuracy" not in words_of(column)):
        name = our_name(column)
        if name and name not in table and holds_numbers(table[column]):
            candidates.setdefault(name, []).append(column)
    for name, columns in candidates.items():
        first, *others = columns
        if name == "val_acc" and any(not table[first].equals(table[c]) for c in others):
            told = short(" or ".join(columns))
            raise ValueError(f"val_acc may be {told}; say which with --rename NAME=val_acc")
        say(f"{name} is {short(first)}")
        table = table.rename(columns={first: name})
    return table


def _history(
    source: str, table: pd.DataFrame, rename: Mapping[str, str], say: Say, known: list[str]
) -> History:
    """Any history as long rows, its axis found by its name."""
    columns = [str(column) for column in table]
    first = columns[0] if columns else ""
    charted = [column for column in columns[1:] if column.rpartition(" - ")[0]]
    if charted:
        axis = dict(rename).get(first, first)
        kind = _kind(axis)
        if kind is None:
            raise ValueError(_refusal(source, f"the chart's axis {short(first)}"))
        rows = _of_chart(source, table, first, charted, rename, say, known)
        return History(rows, axis, kind == "epoch", source)
    table = named(table, rename, lambda _: None)
    lower = {str(column).lower(): str(column) for column in table}
    owner = next((lower[name] for name in RUN_COLUMNS if name in lower), None)
    kinds = {c: _kind(c) for c in map(str, table) if _kind(c) and not table[c].isna().all()}
    axes = sorted(kinds, key=lambda c: (kinds[c] != "epoch", len(c)))
    if owner is None or not axes:
        has = short(", ".join(columns), 300)
        raise ValueError(
            f"{source}: a history needs columns 'RUN - METRIC' of a chart, or a column of runs"
            f" ({', '.join(RUN_COLUMNS)}) and epoch; has {has}"
        )
    if table[owner].isna().any():
        row = int(table[owner].isna().to_numpy().argmax()) + 1
        raise ValueError(f"{source}: row {row} has no {owner}; write one or remove it")
    owners = table[owner].astype(str)
    axis = axes[0]
    metrics = [c for c in known if c in table and c not in (owner, axis)]
    rows = pd.DataFrame({"trial_id": owners, "x": numbers(table[axis], owners, source)})
    rows[metrics] = table[metrics]
    return History(_finished(rows, metrics, source), axis, kinds[axis] == "epoch", source)


def _kind(axis: str) -> str | None:
    """epoch, step, or None where it is neither of them."""
    words = set(words_of(axis))
    if words & NO_AXIS:
        return None
    return "epoch" if words & EPOCH_WORDS else "step" if words & STEP_WORDS else None


def _refusal(source: str, what: str) -> str:
    return (
        f"{source}: {what} is neither an epoch nor a step; export it against the epoch, or say what"
        " is one with --rename NAME=epoch"
    )


def _of_chart(
    source: str,
    table: pd.DataFrame,
    axis: str,
    charted: list[str],
    rename: Mapping[str, str],
    say: Say,
    known: list[str],
) -> pd.DataFrame:
    """The rows of a chart with a column a run and metric."""
    parts = [pd.DataFrame({"trial_id": pd.Series(dtype=str), "x": pd.Series(dtype=float)})]
    for column in charted:
        run, _, metric = column.rpartition(" - ")
        name = dict(rename).get(metric) or our_name(metric) or metric
        if name not in known:
            continue
        owners = pd.Series(run, table.index)
        rows = pd.DataFrame({"trial_id": owners, "x": numbers(table[axis], owners, source)})
        rows[name] = table[column]
        parts.append(_finished(rows, [name], source).dropna(subset=[name]))
    if len(parts) == 1:
        metrics = sorted({column.rpartition(" - ")[2] for column in charted})
        say(f"{source}: {short(', '.join(metrics))} is no metric known here and left out")
    return pd.concat(parts, ignore_index=True)


def _finished(rows: pd.DataFrame, metrics: list[str], source: str) -> pd.DataFrame:
    """Rows with an axis, their metrics as numbers."""
    rows = rows.dropna(subset=["x"])
    wrong = (rows["x"] < 0) | (rows["x"] > 1e12)
    if wrong.any():
        value = rows.loc[wrong, "x"].iloc[0]
        raise ValueError(f"{source}: {value:g} is no epoch and no step; correct it")
    for name in metrics:
        if not pd.api.types.is_numeric_dtype(rows[name]):  # 87.5% is 87.5 of the others' per cents
            rows = rows.assign(**{name: rows[name].astype(str).str.rstrip("% ")})
        rows = rows.assign(**{name: numbers(rows[name], rows["trial_id"], source)})
    return rows


def _numbered(rows: pd.DataFrame, axis: str, say: Say, metric: str) -> pd.DataFrame:
    """Steps as epochs: those at which a run was validated end its epochs 1, 2, 3.

    Of a metric with as many points the first belongs to the first epoch, and so on; of one that
    was logged more often the last before an epoch's end counts.
    """
    metrics = [c for c in rows if c not in ("trial_id", "x")]
    grids = {}
    for trial_id, part in rows.groupby("trial_id", sort=False):
        scored = part.dropna(subset=[metric]) if metric in part else part
        if len(scored):
            grids[trial_id] = np.unique(scored["x"].to_numpy())
    spacings = {trial_id: _spacing(grid) for trial_id, grid in grids.items() if len(grid) > 1}
    usual = Counter(s for s in spacings.values() if s).most_common(1)
    parts, uneven, sizes = [], 0, set()
    for trial_id, part in rows[rows["trial_id"].isin(list(grids))].groupby("trial_id", sort=False):
        grid = grids[trial_id]
        spacing = spacings.get(trial_id, usual[0][0] if usual else None)
        uneven += len(grid) > 1 and spacing is None
        sizes |= {spacing[0]} if spacing and len(grid) > 1 else set()
        parts += [_placed(part, name, grid, _epochs_at(grid, spacing)) for name in metrics]
    _say_how(axis, sizes, uneven, say)
    return pd.concat(parts, ignore_index=True) if parts else rows.assign(epoch=1).iloc[:0]


def _placed(part: pd.DataFrame, name: str, grid: np.ndarray, epochs: np.ndarray) -> pd.DataFrame:
    """The points of one run and metric with their epochs."""
    points = part.dropna(subset=[name]).sort_values("x", kind="stable")
    x = points["x"].to_numpy()
    distinct = np.unique(x)
    at = np.searchsorted(distinct if len(distinct) == len(grid) else grid, x)
    inside = at < len(grid)  # what comes after the last validation belongs to no epoch
    epoch = epochs[at[inside]]
    return points.loc[inside, ["trial_id", name]].assign(epoch=epoch)


def _spacing(grid: np.ndarray) -> tuple[float, int] | None:
    """Steps of an epoch, and 1 where they count from 0; None where they lie unevenly."""
    if (grid % 1 != 0).any():
        if len(set(np.round(np.diff(grid), 6))) > 1:
            return None
        size = float(grid[1] - grid[0])
        return (size, 0) if abs(grid[0] / size - round(grid[0] / size)) < 1e-6 else None
    whole = [int(x) for x in grid]
    size, offset = max(((math.gcd(*(x + by for x in whole)), by) for by in (0, 1)),
                       key=lambda found: (found[0], -found[1]))  # fmt: skip
    return None if np.median(np.diff(grid)) > UNEVEN * size else (float(size), offset)


def _epochs_at(grid: np.ndarray, spacing: tuple[float, int] | None) -> np.ndarray:
    """The epoch that each point ends."""
    in_order = np.arange(1, len(grid) + 1)
    if spacing is None:
        return in_order
    size, offset = spacing
    places = (grid + offset) / size
    if np.abs(places - np.round(places)).max() > 1e-6:
        return in_order
    return np.round(places).astype(int) + int(grid[0] + offset == 0)


def _say_how(axis: str, sizes: set[float], uneven: int, say: Say) -> None:
    if sizes and sizes != {1.0}:
        low, high = min(sizes), max(sizes)
        of = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        say(f"{axis}: points lie {of} apart, and were numbered as epochs: 1, 2, 3")
    elif not uneven:
        say(f"{axis} was taken for the epoch")
    if uneven:
        say(f"{axis}: points lie unevenly in {uneven} runs, numbered in order as epochs: 1, 2, 3")
