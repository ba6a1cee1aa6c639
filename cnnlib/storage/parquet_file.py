"""Reads Parquet files of photographs: which column holds encoded images, and the rows in turn."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyarrow.types as kinds

from cnnlib.system.units import short

ROWS = 256  # that are in memory at once


@dataclass(frozen=True)
class Shape:
    """The columns of a Parquet file."""

    columns: tuple[str, ...]
    image: str | None  # the first of encoded images, as bytes or as Hugging Face's structure
    class_names: dict[str, Sequence[str]]  # of columns of whole numbers, as `datasets` writes them


def shape_of(path: Path) -> Shape:
    """Raises ValueError where it is no Parquet file."""
    try:
        schema = pq.read_schema(path)
    except Exception as error:  # whatever pyarrow raises
        raise ValueError(f"{path} is no Parquet file: {short(error)}; write it again") from error
    images = (
        str(column.name)
        for column in schema
        if kinds.is_binary(column.type)
        or kinds.is_large_binary(column.type)
        or (kinds.is_struct(column.type) and column.type.get_field_index("bytes") >= 0)
    )
    return Shape(tuple(schema.names), next(images, None), _class_names(schema.metadata or {}))


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, Sequence[str]]:
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {n: f["names"] for n, f in features.items() if isinstance(f.get("names"), list)}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows with these columns. Raises ValueError where the file is damaged."""
    try:
        with pq.ParquetFile(path) as table:
            for batch in table.iter_batches(batch_size=ROWS, columns=list(columns)):
                yield from batch.to_pylist()
    except OSError as error:  # pyarrow's way to say so
        raise ValueError(f"{path} is damaged: {short(error)}; copy it again") from error
