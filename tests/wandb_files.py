"""Reads what wandb wrote offline, without sending it anywhere.

A `run-*.wandb` file is a 7-byte header, then LevelDB-log blocks of 32 KiB with protobuf records.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE_HEADER = b":W&B"  # then a uint16 magic number and a uint8 version
FILE_HEADER_BYTES = 7
BLOCK_BYTES = 32 * 1024
RECORD_HEADER_BYTES = 7  # uint32 checksum, uint16 length, uint8 kind
FULL, LAST = 1, 4  # the others: 2 is the first fragment, 3 a middle one


@dataclass
class OfflineRun:
    """One run as its files tell it; rows of several files of one run follow each other."""

    name: str = ""
    group: str = ""
    project: str = ""
    job_type: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None


def read_offline_runs(folder: Path) -> dict[str, OfflineRun]:
    """Every offline run under `<folder>/wandb/`, by run id."""
    from wandb.proto import wandb_internal_pb2

    record: Any = wandb_internal_pb2.Record  # type: ignore[attr-defined]  # made at run time
    runs: dict[str, OfflineRun] = {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        run = runs.setdefault(path.stem.removeprefix("run-"), OfflineRun())
        content = path.read_bytes()
        if not content.startswith(FILE_HEADER):  # its process was killed before it began
            continue
        for payload in _payloads(content):
            _apply(run, record.FromString(payload))
    return runs


def _payloads(content: bytes) -> Iterator[bytes]:
    """The records of a file, whole; a last one that is cut off is left out."""
    position = FILE_HEADER_BYTES
    fragments = b""
    while position + RECORD_HEADER_BYTES <= len(content):
        left_in_block = BLOCK_BYTES - position % BLOCK_BYTES
        if left_in_block < RECORD_HEADER_BYTES:  # a block's tail too short for a header is padding
            position += left_in_block
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        if kind == 0:  # zeros up to the end of the block
            position += left_in_block
            continue
        position += RECORD_HEADER_BYTES
        if position + length > len(content):
            return
        fragments += content[position : position + length]
        position += length
        if kind in (FULL, LAST):
            yield fragments
            fragments = b""


def _apply(run: OfflineRun, record: Any) -> None:
    kind = record.WhichOneof("record_type")
    if kind == "run":
        run.name = record.run.display_name
        run.group = record.run.run_group
        run.project = record.run.project
        run.job_type = record.run.job_type
        run.config.update(_values(record.run.config.update))
    elif kind == "config":
        run.config.update(_values(record.config.update))
    elif kind == "history":
        run.history.append(_values(record.history.item))
    elif kind == "summary":
        run.summary.update(_values(record.summary.update))
    elif kind == "exit":
        run.exit_code = record.exit.exit_code


def _values(items: Any) -> dict[str, Any]:
    """Keys to values without wandb's own keys (`_step`, `_wandb`, ...)."""
    pairs = ((item.key or "/".join(item.nested_key), item.value_json) for item in items)
    return {key: json.loads(value) for key, value in pairs if not key.startswith("_")}
