"""Damaged inputs, drawn by a seed: what people, programs and disks make of tables, JSON and YAML.

Each generator yields (what was done, the file's new bytes); the same seed gives the same ones. A
test writes them where a file of that kind belongs and asks for exit code 0, 1 or 2 and a line.
"""

import copy
import csv
import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

Damaged = tuple[str, bytes]

CELLS = [
    "", " ", "NaN", "inf", "-inf", "-1", "0", "1.5", "64.2", "1e400", "9" * 400, "abc", "87.5%",
    "0.64 \u00b1 0.01", "None", "NA", "true", "[1, 2]", "{}", "2025-13-45", "<b>", "\u00e9" * 900,
    "x" * 200_000, "'", "=1+1", "\u202eabc", "1,5", "1_000", "0x10", "-0.0", "1e-320",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 5, 1e300, 10**400, float("nan"), float("inf"), "", "x", "\u202e", [], {},
    [None], [[]], {"a": {"b": [1]}}, "9" * 5000, ["a", 1, None], {"": ""}, 0.5, "2025-13-45",
]  # fmt: skip
YAML_TEXTS = [
    "!!bool foo", "!!int ''", "!!float ''", "!!timestamp foo", "[" * 5000, "{" * 5000, "a: *b",
    "!!python/object:os.system x", "\t- a", "? [a, b]\n: c", "- &a [*a]", "%YAML 9.9\n---\n",
    "a: b: c", "---\n---\n", "\x07", "- 'x", "5", "null", "2025-13-45", "!!binary '=='",
    "- claim: x\n  higher: {a: {min: 1" + "0" * 400 + "}}", "!!set {a, b}", "!!omap [a: 1]",
]  # fmt: skip


def any_bytes(content: bytes, rng: random.Random) -> Damaged:
    """The file as a bad disk or a broken copy leaves it."""
    at = rng.randrange(len(content) + 1)
    ways: list[tuple[str, Callable[[], bytes]]] = [
        ("torn", lambda: content[:at]),
        ("a byte flipped", lambda: content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]),
        ("a hole of zeros", lambda: content[:at] + bytes(20) + content[at + 20 :]),
        ("empty", lambda: b""),
        ("random", lambda: rng.randbytes(300)),
        ("twice", lambda: content + content),
        ("UTF-16", lambda: content.decode("utf-8").encode("utf-16")),
        ("UTF-16 without mark", lambda: content.decode("utf-8").encode("utf-16-le")),
        ("UTF-8 with mark", lambda: b"\xef\xbb\xbf" + content),
        ("Latin-1", lambda: "\u00e9".encode("latin-1") + content),
        ("half a UTF-16", lambda: content.decode("utf-8").encode("utf-16")[:-1]),
        ("carriage returns", lambda: content.replace(b"\n", b"\r")),
        ("JSON", lambda: b'[{"a": 1}]'),
        ("HTML", lambda: b"<!doctype html><p>404</p>"),
    ]
    name, make = rng.choice(ways)
    return name, make()


def damaged_tables(text: str, *, number: int, seed: int) -> Iterator[Damaged]:
    """A CSV table with commas, damaged in `number` ways."""
    rng = random.Random(seed)
    for _ in range(number):
        if rng.random() < 0.3:
            yield any_bytes(text.encode(), rng)
            continue
        rows = list(csv.reader(io.StringIO(text)))
        name, separator = _damage_rows(rows, rng)
        out = io.StringIO()
        csv.writer(out, delimiter=separator, lineterminator="\n").writerows(rows)
        yield name, out.getvalue().encode()


def _damage_rows(rows: list[list[str]], rng: random.Random) -> tuple[str, str]:
    """What was done to the rows, in place, and the separator that they are written with."""
    row, column = rng.randrange(1, len(rows)), rng.randrange(len(rows[0]))
    way = rng.randrange(12)
    if way <= 4:
        cell = rng.choice(CELLS)
        rows[row][column] = cell
        return f"{rows[0][column]} of row {row} is {cell[:20]!r}", ","
    if way == 5:
        cell = rng.choice(CELLS)
        for other in rows[1:]:
            other[column] = cell
        return f"{rows[0][column]} is {cell[:20]!r} in all rows", ","
    if way == 6:
        for other in rows:
            del other[column]
        return "a column is gone", ","
    if way == 7:
        for other in rows:
            other.append(other[column])
        return "a column twice", ","
    if way == 8:
        rows.append(list(rows[row]))
        return "a row twice", ","
    if way == 9:
        del rows[1:]
        return "a header only", ","
    if way == 10:
        rows[row] = rows[row][:column] if rng.random() < 0.5 else [*rows[row], "more"]
        return "a row of another length", ","
    return "another separator", rng.choice(";\t|")


def damaged_json(content: Any, *, number: int, seed: int) -> Iterator[Damaged]:
    """A JSON file of this content, damaged in `number` ways."""
    rng = random.Random(seed)
    for _ in range(number):
        way = rng.random()
        if way < 0.25:
            yield any_bytes(json.dumps(content, indent=1).encode(), rng)
        elif way < 0.3:
            yield "nested deeply", b"[" * 100_000 + b"]" * 100_000
        else:
            name, changed = _with_odd_node(content, rng)
            yield name, json.dumps(changed).encode()


def _with_odd_node(content: Any, rng: random.Random) -> tuple[str, Any]:
    """A copy with one node replaced, or a key taken away."""
    value = rng.choice(VALUES)
    if rng.random() < 0.1:
        return f"all is {str(value)[:20]!r}", value
    changed = copy.deepcopy(content)
    node, path = changed, []
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = rng.choice(keys)
        path.append(str(key))
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.6:
            node = node[key]
            continue
        if rng.random() < 0.15:
            del node[key]
            return f"without {'.'.join(path)}", changed
        node[key] = value
        return f"{'.'.join(path)} is {str(value)[:20]!r}", changed


def damaged_yaml(content: Any, *, number: int, seed: int) -> Iterator[Damaged]:
    """A YAML file of this content, which JSON can write, damaged in `number` ways."""
    rng = random.Random(seed)
    for _ in range(number):
        way = rng.random()
        text = json.dumps(content, indent=1)
        if way < 0.35:
            odd = rng.choice(YAML_TEXTS)
            yield f"all is {odd[:20]!r}", odd.encode()
        elif way < 0.5:
            yield any_bytes(text.encode(), rng)
        else:
            name, changed = _with_odd_node(content, rng)
            yield name, json.dumps(changed).encode()
