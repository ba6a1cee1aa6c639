"""Reads a CSV table as people and programs save them: separator, encoding and shape are checked,
a name stays a name, and per cent become fractions. What was guessed is said in a line.
"""

import csv
import io
import math
import re
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from cnnlib.storage.files import refuse_special
from cnnlib.system.units import short

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.IGNORECASE)
LOGICAL = {"true": True, "false": False}
NOTHING = {"", "nan", "none", "null", "na", "n/a", "<na>", "nat", "-"}  # in columns of numbers
PER_CENT_FROM = 1.5  # a median above this is one of per cents, as no fraction is


def read_table(path: Path, text: Collection[str] | None = ()) -> tuple[pd.DataFrame, list[str]]:
    """The table, and a line about each thing that was taken for what it is not by name.

    A column is one of whole numbers, numbers or booleans where each of its cells is one, and text
    elsewhere; an empty cell is missing, None and NA are names. The columns `text` (in small
    letters) stay text; with None all do, and an empty cell is empty text. Raises FileNotFoundError,
    and ValueError with the line and the remedy where the file is no such table.
    """
    content, notes = _decoded(path)
    separator = _separator(content)
    header, rows = _rows(path, content, separator)
    comma = separator == ";"
    if separator != ",":
        also = ", decimal commas by points" if comma and DECIMAL_COMMA.search(content) else ""
        notes.append(f"{path.name}: {SEPARATORS[separator]} were taken for separators{also}")
    columns = {}
    for number, name in enumerate(header):
        cells = [row[number] for row in rows]
        if not name:
            if not _is_index(cells):
                raise ValueError(f"{path}: column {number + 1} has no name; name it or remove it")
            notes.append(f"{path.name}: column {number + 1}, which has no name, is left out")
        elif text is None:
            columns[name] = pd.Series(cells, dtype=str)
        elif name.lower() in text:
            columns[name] = pd.Series([cell or None for cell in cells], dtype=str)
        else:
            columns[name] = _typed(cells, comma=comma)
    return pd.DataFrame(columns, columns=list(columns), index=range(len(rows))), notes


def _decoded(path: Path) -> tuple[str, list[str]]:
    refuse_special(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    content = path.read_bytes()
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16"), [f"{path.name}: UTF-16, read as such"]
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}: line {line} is not UTF-8, perhaps Latin-1 or Windows-1252; save the table as"
            " CSV in UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{path}: line {line} holds zero bytes; save the table as CSV in UTF-8")
    return text, []


def _separator(content: str) -> str:
    """The one of which the header has most, a comma if none."""
    header = re.sub('"[^"]*"', "", content.lstrip("\r\n").partition("\n")[0])
    return max(SEPARATORS, key=header.count)


def _rows(path: Path, content: str, separator: str) -> tuple[list[str], list[list[str]]]:
    """The names of the columns, and the cells of all rows, as many as there are names."""
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator, strict=True)
    rows = []
    try:
        header = [name.strip() for name in next((row for row in reader if row), [])]
        for row in reader:
            if row and len(row) != len(header):
                raise ValueError(
                    f"{path} is not a CSV table: line {reader.line_num} has {len(row)} cells and"
                    f" the header {len(header)}; cells are torn off, or the separator is another"
                )
            rows.append(row)
    except csv.Error as error:
        raise ValueError(
            f"{path} is not a CSV table: line {reader.line_num}: {error}; save it again as CSV"
        ) from None
    if not any(header):
        raise ValueError(f"{path} is not a CSV table: it has no header")
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{path}: two columns are called {short(twice)}; remove or rename one")
    return header, [row for row in rows if row]


def _is_index(cells: list[str]) -> bool:
    """Whether a column without a name holds nothing, or numbers the rows as pandas does."""
    return not any(cells) or cells in (
        [str(start + n) for n in range(len(cells))] for start in (0, 1)
    )


def _typed(cells: list[str], *, comma: bool) -> pd.Series:
    known = {cell for cell in cells if cell}
    if comma and any(DECIMAL_COMMA.fullmatch(cell.strip()) for cell in known):
        with_points = {cell: cell.replace(",", ".") for cell in known}
        if all(NUMBER.fullmatch(cell.strip()) for cell in with_points.values()):
            return pd.Series([float(with_points[cell]) if cell else math.nan for cell in cells])
    if not known:
        return pd.Series(math.nan, index=range(len(cells)), dtype=float)
    if all(cell.strip().lower() in LOGICAL for cell in known):
        logical = {cell: LOGICAL[cell.strip().lower()] for cell in known}
        return pd.Series([logical.get(cell, math.nan) for cell in cells])
    if all(NUMBER.fullmatch(cell.strip()) for cell in known):
        is_whole = len(known) and all(re.fullmatch(r"\s*[+-]?\d{1,18}\s*", cell) for cell in cells)
        return pd.Series(
            [int(c) for c in cells] if is_whole else [float(c or "nan") for c in cells]
        )
    return pd.Series([cell or None for cell in cells], dtype=str)


def numbers(values: pd.Series, owners: pd.Series, where: str) -> pd.Series:
    """The column as floats, NaN where a cell is empty or says none.

    Raises ValueError with the owner, a trial, and the cell that is no number.
    """
    if pd.api.types.is_numeric_dtype(values) and values.dtype != bool:
        return values.astype(float)
    cells = values.where(values.notna(), "").astype(str).str.strip()
    known = ~cells.str.lower().isin(NOTHING)
    for owner, cell in zip(owners[known], cells[known], strict=True):
        if not NUMBER.fullmatch(cell):
            raise ValueError(
                f"{where}: {values.name} of {short(owner)} is {short(cell)}, which is no number;"
                " write a number, or nothing"
            )
    return cells.where(known, "nan").astype(float)


def accuracies(values: pd.Series, owners: pd.Series, where: str) -> tuple[pd.Series, list[str]]:
    """The column as fractions from 0 to 1, NaN where not known, and lines about what was taken how.

    Per cent are told by a sign in every cell or by the median of what is finite. Raises ValueError
    where fractions and per cent are mixed, or a value is neither; it names a trial.
    """
    notes = []
    cells = values.where(values.notna(), "").astype(str).str.strip()
    signed = cells.str.endswith("%")
    known = ~cells.str.lower().isin(NOTHING)
    found = numbers(cells.str.rstrip("% ").rename(values.name) if signed.any() else values, owners,
                    where)  # fmt: skip
    infinite = np.isinf(found)
    if infinite.any():
        notes.append(
            f"{where}: {values.name} of {_listed(owners[infinite])} is infinite, which is no"
            " accuracy: taken as not known"
        )
        found = found.where(~infinite)
    if found.notna().sum() == 0:
        return found, notes
    if signed.any() and (odd := known & ~signed).any():
        raise ValueError(f"{where}: {_mixed(values.name, owners, cells, odd)}")
    is_per_cent = bool(signed.any() or found.median() > PER_CENT_FROM)
    top = 100.0 if is_per_cent else 1.0
    odd = (found < 0) | (found > top * (1 + 1e-6))
    if odd.any() and (is_per_cent or (found < 0).any()):
        owner, value = owners[odd].iloc[0], found[odd].iloc[0]
        unit = "per cent" if is_per_cent else ""
        raise ValueError(
            f"{where}: {values.name} of {short(owner)} is {value:g} {unit}".rstrip()
            + f", and an accuracy is from 0 to {top:g}; correct it"
        )
    if is_per_cent and not signed.any():
        best = found.groupby(owners.to_numpy()).transform("max")
        odd = (best > 0) & (best <= 1)
    if odd.any():
        raise ValueError(f"{where}: {_mixed(values.name, owners, found, odd)}")
    if is_per_cent:
        notes.append(f"{where}: {values.name} is in per cent and was divided by 100")
    return found / 100 if is_per_cent else found, notes


def _mixed(name: object, owners: pd.Series, cells: pd.Series, odd: pd.Series) -> str:
    value = cells[odd].iloc[0]
    told = f"{value:g}" if isinstance(value, float) else short(value)
    return (
        f"{name} of {_listed(owners[odd])} is {told}, of others on another scale; write all as"
        " fractions from 0 to 1, or all in per cent"
    )


def _listed(names: Iterable[object], most: int = 3) -> str:
    """a, b, c and 7 more."""
    listed = list(dict.fromkeys(short(name) for name in names))
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
