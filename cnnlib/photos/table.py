"""Photographs that a table lists: a path and a label a row, perhaps a set, a group and a time.

A table is a CSV, TSV, Parquet or JSON Lines file. Its columns are found by their names, or given.
What was taken for what is told; rows without a file or a label are refused all at once.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cnnlib.photos.digests import is_called_image
from cnnlib.photos.folders import is_regular, listed, shown, walk
from cnnlib.photos.layout import role_of
from cnnlib.photos.source_text import ROLES
from cnnlib.system.units import short

if TYPE_CHECKING:
    import pandas as pd

    Content = tuple[pd.DataFrame, list[str]]  # of a file, as text, and what was guessed of it

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
TEST_SHARE = 0.2  # of the photographs, where a column of times chooses them


@dataclass(frozen=True)
class Row:
    """One photograph of a table."""

    path: Path
    name: str  # as the table has it, with forward slashes
    label: str
    group: str = ""


@dataclass(frozen=True)
class Table:
    """What a table lists."""

    train: tuple[Row, ...]
    test: tuple[Row, ...] | None  # None: no row is of a test set
    notes: tuple[str, ...] = field(default=(), compare=False)


def read_rows(
    source: Path, columns: Mapping[str, str] | None = None, content: "Content | None" = None
) -> Table:
    """The rows of a table, whose paths are relative to its folder.

    `columns` gives the name of a column for what it holds: path, label, split, group or time;
    `content` saves reading the file again.
    Raises ValueError with all that is wrong in one line: columns that are not there, files that are
    missing, rows without a label, photographs listed twice with different labels.
    """
    frame, notes = content or content_of(source)
    notes = list(notes)
    if frame.empty:
        raise ValueError(f"{shown(source)} has no rows; list a photograph a row")
    found, lines = _columns(source, list(frame.columns), dict(columns or {}))
    notes += lines
    values = {role: frame[name].fillna("").astype(str).str.strip() for role, name in found.items()}
    roles, lines = _roles(source, found, values, given="split" in (columns or {}))
    notes += lines
    rows, lines = _rows(source, found, values, roles)
    notes += lines
    if "time" in values:
        roles, line = _latest(source, found["time"], values, len(frame))
        notes.append(line)
    train = _of(rows, roles, "train")
    test = _of(rows, roles, "test")
    chosen, unused = test or _of(rows, roles, "val"), _of(rows, roles, "val") if test else []
    if unused:
        notes.append(
            f"{len(unused):,} rows of {source.name} of a validation set are not used, because "
            "there is a test set; a part of the training photographs validates"
        )
    _check_groups(source, train, chosen)
    return Table(tuple(train), tuple(chosen) if chosen else None, tuple(notes))


def joined(parts: Mapping[str, Table], folder: Path) -> Table:
    """One table of those of the train, the test and perhaps the val set of a folder."""
    if "train" not in parts:
        raise ValueError(f"{shown(folder)}: there is no table of a train set")
    notes = tuple(note for part in parts.values() for note in part.notes)
    train, held = parts["train"], parts.get("test") or parts.get("val")
    return Table(train.train, held.train if held else train.test, notes)


def labelled(source: Path, columns: Mapping[str, str]) -> "Content | None":
    """The content of a table that names files and labels, as that of an image folder may."""
    try:
        content = content_of(source)
        _columns(source, list(content[0].columns), dict(columns))  # raises where one is not there
        return content
    except ValueError:
        return None


def content_of(source: Path) -> "Content":
    """The table as text."""
    import pandas as pd

    from cnnlib.storage.csv_file import read_table

    suffix = source.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_table(source, None)
    try:
        if suffix == ".parquet":
            return pd.read_parquet(source), []
        lines = source.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{shown(source)} is not UTF-8: {error}; save it again") from None
    except Exception as error:  # whatever pyarrow raises
        raise ValueError(
            f"{shown(source)} is no Parquet table: {short(error)}; write it again"
        ) from error
    rows = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise ValueError(f"{shown(source)}: line {number} is no JSON object; mend it")
            rows.append(row)
    return pd.DataFrame(rows), []


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def _columns(
    source: Path, names: Sequence[str], given: dict[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The column of each role, and a line on those that were found by name."""
    if unknown := [role for role in given if role not in ROLES]:
        raise ValueError(f"--columns: {listed(unknown)} is none of {', '.join(ROLES)}")
    for role, name in given.items():
        if name not in names:
            there = ", ".join(map(str, names))
            raise ValueError(f"--columns {role}={name}: {shown(source)} has the columns {there}")
    plain = {_plain(name): name for name in reversed(names)}
    found = dict(given)
    for role, words in ROLES.items():
        free = [plain[word] for word in words if plain.get(word) not in (None, *found.values())]
        if role not in found and free:
            found[role] = free[0]
    for role in ("path", "label"):
        if role not in found:
            raise ValueError(
                f"{shown(source)}: which of its columns is the {role}? Say it by --columns "
                f"{role}=NAME; there are {', '.join(map(str, names))}"
            )
    if {*found} - {*given}:
        told = ", ".join(f"{role} from {name}" for role, name in found.items())
        return found, [f"{source.name}: {told} (--columns says it otherwise)"]
    return found, []


def _roles(
    source: Path, found: dict[str, str], values: "Mapping[str, pd.Series]", *, given: bool
) -> tuple[list[str], list[str]]:
    """Of each row train, test or val.

    A column that was guessed and says none of these is not used.
    """
    number = len(values["path"])
    if "split" not in values:
        return ["train"] * number, []
    known = {value: role_of(value) for value in values["split"].unique()}
    unknown = [value or "an empty cell" for value, role in known.items() if role is None]
    column = found["split"]
    if len(unknown) == len(known) and not given:
        line = f"{source.name}: {column} holds no train or test ({listed(unknown)}), so is not used"
        return ["train"] * number, [line]
    if unknown:
        raise ValueError(
            f"{shown(source)}: {column} holds {listed(unknown)}; a set is train, test or val"
        )
    return [known[value] or "" for value in values["split"]], []


def _rows(
    source: Path, found: dict[str, str], values: "Mapping[str, pd.Series]", roles: Sequence[str]
) -> tuple[list[Row | None], list[str]]:
    """The row of each line, None for one that is listed before or has no label to test with."""
    files = _Files(source.parent)
    groups = values["group"] if "group" in values else [""] * len(roles)
    lines = zip(values["path"], values["label"], groups, roles, strict=True)
    rows: list[Row | None] = []
    met: dict[Path, tuple[str, str]] = {}
    missing, unlabelled, torn, twice, untested = [], [], [], [], []
    for name, label, group, role in lines:
        path = files.find(name)
        row = None
        if path is None:
            missing.append(name or "an empty cell")
        elif not label and role == "train":
            unlabelled.append(name)
        elif not label:
            untested.append(name)
        elif (known := met.setdefault(path, (label, role))) != (label, role):
            torn.append(f"{name} is {' and '.join({*known} ^ {label, role})}")
        elif path in files.listed:
            twice.append(name)
        else:
            files.listed.add(path)
            row = Row(path, name.replace("\\", "/"), label, group)
        rows.append(row)
    problems = [
        f"{what}: {len(names):,} ({listed(names)})"
        for what, names in (
            ("missing files", missing),
            ("rows without a label", unlabelled),
            ("rows that contradict others", torn),
        )
        if names
    ]
    if problems:
        hint = "; the table's folder is where paths begin" if missing else ""
        raise ValueError(f"{shown(source)}: {'; '.join(problems)}; mend or remove them{hint}")
    notes = files.notes(source, found["path"])
    if twice:
        notes.append(
            f"rows of {source.name} that are listed twice: {len(twice):,} ({listed(twice)})"
        )
    if untested:
        told = listed(untested)
        notes.append(f"rows of {source.name} without a label, left out: {len(untested):,} ({told})")
    return rows, notes


class _Files:
    """The files that a table's cells name: as they say, or the only one of that name below."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.listed: set[Path] = set()
        self._searched: list[str] = []
        self._states: dict[Path, bool] = {}

    def find(self, name: str) -> Path | None:
        """The file; None where there is none, or where there are several."""
        if not name or "\0" in name or "://" in name:
            return None
        for spelling in dict.fromkeys((name, name.replace("\\", "/"))):
            path = self._folder / spelling
            if path.is_file():
                return path
        fits = self._by_name.get(Path(name.replace("\\", "/")).name, [])
        tail = name.replace("\\", "/").lstrip("./")
        fits = [p for p in fits if f"/{p.as_posix()}".endswith(f"/{tail}")] or (
            [] if "/" in tail else fits
        )
        if len(fits) != 1:
            return None
        self._searched.append(name)
        return fits[0]

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        """The images below the folder by their name, and by their name without its suffix."""
        found: dict[str, list[Path]] = {}
        for path, state in walk(self._folder):
            if is_regular(state) and is_called_image(path):
                found.setdefault(path.name, []).append(path)
                found.setdefault(path.stem, []).append(path)
        return found

    def notes(self, source: Path, column: str) -> list[str]:
        if not self._searched:
            return []
        return [
            f"{source.name}: {column} names {len(self._searched):,} files that were found below "
            f"the table's folder by their names ({listed(self._searched)})"
        ]


def _latest(
    source: Path, column: str, values: "Mapping[str, pd.Series]", number: int
) -> tuple[list[str], str]:
    """The latest fifth is the test set, with all of the groups that reach into it."""
    import pandas as pd

    times = pd.to_numeric(values["time"], errors="coerce")
    if times.isna().any():
        times = pd.to_datetime(values["time"], errors="coerce", utc=True, format="mixed")
    if times.isna().any():
        odd = values["time"][times.isna()].tolist()
        raise ValueError(
            f"{shown(source)}: {column} holds {len(odd):,} cells that are no time "
            f"({listed([cell or 'an empty cell' for cell in odd])})"
        )
    border = times.sort_values().iloc[-max(1, round(number * TEST_SHARE))]
    tested = times >= border
    if "group" in values:
        late = {*values["group"][tested]} - {""}
        tested |= values["group"].isin(late)
    roles = ["test" if late else "train" for late in tested]
    return roles, (
        f"{source.name}: tested with the {int(tested.sum()):,} photographs from {border} on, "
        f"by {column}"
    )


def _of(rows: Sequence[Row | None], roles: Sequence[str], role: str) -> list[Row]:
    return [row for row, of in zip(rows, roles, strict=True) if row and of == role]


def _check_groups(source: Path, train: Sequence[Row], test: Sequence[Row]) -> None:
    both = ({row.group for row in train} & {row.group for row in test}) - {""}
    if both:
        counts = Counter(row.group for row in (*train, *test))
        most = sorted(both, key=lambda group: (-counts[group], group))
        raise ValueError(
            f"{shown(source)}: {len(both):,} groups stand on both sides of the test "
            f"({listed(most)}), so that it would flatter; put each on one side"
        )
