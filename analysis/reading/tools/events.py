"""TensorBoard's event files, as far as scalars go: TFRecords of protocol buffers.

A record is its length (8 bytes), a checksum (4), the content, and a checksum (4). Of an Event the
fields 1 (wall time), 2 (step) and 5 (summary) are read; of a summary's values 1 (tag), 2 (a float)
and 8 (a tensor of one number, as newer writers have it).
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FLOAT, DOUBLE = 1, 2  # a tensor's types


def read_scalars(files: Sequence[Path]) -> tuple[pd.DataFrame, dict[str, object]]:
    """A row a step with a column a tag, and when the run began (created) and how long it took.

    Where the tag epoch is logged, as Lightning does, it is the epoch of each step.
    """
    rows: dict[int, dict[str, float]] = {}
    times: list[float] = []
    for path in files:
        for time, step, scalars in _events(path):
            times.append(time)
            if scalars:
                rows.setdefault(step, {"step": step}).update(scalars)
    table = pd.DataFrame([rows[step] for step in sorted(rows)])
    table = table.drop(columns=[name for name in ("hp_metric",) if name in table])
    if "epoch" in table:
        table["epoch"] = table["epoch"].ffill().bfill()
    told: dict[str, object] = {}
    if times:
        told["created"] = pd.Timestamp(min(times), unit="s", tz="UTC").isoformat()
        told["runtime"] = max(times) - min(times)
    return table, told


def _events(path: Path) -> Iterator[tuple[float, int, dict[str, float]]]:
    """Wall time, step and scalars of each event; a last record that a kill tore ends the file."""
    content, at = path.read_bytes(), 0
    while at + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        record = content[at + 12 : at + 12 + length]
        if len(record) < length:
            return
        at += length + 16
        time, step = 0.0, 0
        scalars: dict[str, float] = {}
        try:
            for number, value in _fields(record):
                if number == 1 and isinstance(value, bytes):
                    (time,) = struct.unpack("<d", value)
                elif number == 2 and isinstance(value, int):
                    step = value
                elif number == 5 and isinstance(value, bytes):
                    scalars |= dict(_scalars(value))
        except (struct.error, IndexError, UnicodeDecodeError):
            raise ValueError(f"{path} is no event file of TensorBoard's") from None
        yield time, step, scalars


def _scalars(summary: bytes) -> Iterator[tuple[str, float]]:
    for number, value in _fields(summary):
        if number != 1 or not isinstance(value, bytes):
            continue
        tag, found = "", None
        for part, content in _fields(value):
            if part == 1 and isinstance(content, bytes):
                tag = content.decode()
            elif part == 2 and isinstance(content, bytes) and len(content) == 4:
                (found,) = struct.unpack("<f", content)
            elif part == 8 and isinstance(content, bytes):
                found = _number(content)
        if tag and found is not None:
            yield tag, float(found)


def _number(tensor: bytes) -> float | None:
    """A tensor's only number; None for texts and for more than one."""
    kind, packed = 0, b""
    for number, value in _fields(tensor):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number in (4, 5, 6) and isinstance(value, bytes):  # content, floats, doubles
            packed = value
    form = {FLOAT: "<f", DOUBLE: "<d"}.get(kind)
    if form is None or len(packed) != struct.calcsize(form):
        return None
    return float(struct.unpack(form, packed)[0])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: number, and a whole number or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == VARINT:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == BYTES:
            size, at = _varint(message, at)
        else:
            size = {FIXED64: 8, FIXED32: 4}[kind] if kind in (FIXED64, FIXED32) else -1
        if size < 0 or at + size > len(message):
            raise IndexError(f"field of kind {kind}")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A whole number of seven bits a byte, and where it ends."""
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
