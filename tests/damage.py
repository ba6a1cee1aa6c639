"""Damaged inputs, drawn by a seed: what people, programs and disks make of what a command reads.

A drawing takes what is whole and a generator, and returns what was done and the result: bytes of a
file, an object of Python's, arguments. `faults` runs a command on many of them; none may end in a
traceback, hang, or tell a mistake otherwise than in a line.
"""

import argparse
import copy
import csv
import io
import json
import os
import random
import re
import signal
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from tests.conftest import HANG

TIMES = int(os.environ.get("CNNLIB_DAMAGE", "1"))
"""How many times as many cases are drawn; other ones for each number."""
NUMBERS = {
    "flags of tune": 40, "flags of train": 25, "flags of predict": 10, "flags of report": 15,
    "flags of convert": 10, "settings": 30, "sweep mapping": 60, "--sweep": 30, "--reference": 15,
    "--config": 15, "--claims": 15, "data folder": 40, "zip": 40, "journal told": 25,
    "journal replayed": 25, "journal resumed": 25, "journal warm": 20, "journal past": 15,
    "journal reported": 8,
    "champion predicts": 25, "champion trained": 10, "champion read": 10, "champion reported": 6,
    "trials.csv": 10, "epochs.csv": 6, "class_recalls.csv": 5, "champion/test_predictions.csv": 6,
    "sweep.json": 6, "champion/metrics.json": 5, "champion/config.json": 5,
    "champion/classes.json": 4, "claims.yaml": 4,
    "table of runs": 20, "chart": 20, "history": 20,
}  # fmt: skip
"""How many cases of each kind there are, TIMES 1."""
A_LINE_A_PHOTOGRAPH = ("flags of predict",)
A_LINE_A_MISTAKE = ("sweep mapping", "--sweep")  # all that is wrong with a sweep file comes at once
MOST_CPU = 20.0  # seconds of a case, from where on it hangs

Damaged = tuple[str, bytes]
Draw = Callable[[random.Random], tuple[str, Callable[[], Any]]]

CELLS = [
    "", " ", "NaN", "inf", "-inf", "-1", "0", "1.5", "64.2", "1e400", "9" * 400, "abc", "87.5%",
    "0.64 \u00b1 0.01", "None", "NA", "true", "[1, 2]", "{}", "2025-13-45", "<b>", "\u00e9" * 900,
    "x" * 200_000, "'", "=1+1", "\u202eabc", "1,5", "1_000", "0x10", "-0.0", "1e-320",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 5, 1e300, 10**400, float("nan"), float("inf"), "", "x", "\u202e", [], {},
    [None], [[]], {"a": {"b": [1]}}, "9" * 5000, ["a", 1, None], {"": ""}, 0.5, "2025-13-45",
    "\ud800", "a\nb", "\0", -1e-320, 2**53, "\u0663", [10**400], {"a": float("nan")},
]  # fmt: skip
OBJECTS: list[Any] = [
    object(), b"abc", {1, 2}, range(10**9), Path("x"), 1j, int, print, ..., {None: 1}, {1: 2}, (),
    "\ud800", "a\nb" * 99, "\0", -(10**5000), [[[[[]]]]], {"a": 10**5000}, {(): ()}, float("-inf"),
    iter(()), bytearray(3), memoryview(b"a"), Exception("x\ny"), frozenset(), 2**64, 1e-320,
]  # fmt: skip
YAML_TEXTS = [
    "!!bool foo", "!!int ''", "!!float ''", "!!timestamp foo", "[" * 5000, "{" * 5000, "a: *b",
    "!!python/object:os.system x", "\t- a", "? [a, b]\n: c", "- &a [*a]", "%YAML 9.9\n---\n",
    "a: b: c", "---\n---\n", "\x07", "- 'x", "5", "null", "2025-13-45", "!!binary '=='",
    "- claim: x\n  higher: {a: {min: 1" + "0" * 400 + "}}", "!!set {a, b}", "!!omap [a: 1]",
    "? a\n: b\n? a", "<<: 5", "<<: [a]", "&a a: *a", "dropout: 0x1F", "dropout: 1:30:00.5",
    "dropout: 2001-01-01", "dropout: .nan", "conv_layers: 0o7", "dropout: !!binary YQ==",
    "\ufeffdropout: 0.1", "dropout: 1e999", "conv_layers: " + "9" * 5000, "- - - - -", "&a",
]  # fmt: skip
TEXTS = [
    "", " ", "0", "-1", "1", "2", "3.5", "nan", "inf", "-inf", "1e400", "9" * 5000, "abc", "auto",
    "none", "study", "sample", "wide", "\0", "\u00e9" * 300, "\ud800", "\udcff", "a\nb",
    "\x1b[31m", "x" * 200_000, "../..", "~nobody/x", "~", "/dev/null", ".", "..", "-", "--",
    "true", "[1, 2]", "{}", "1_000", "\u0663", "0x10", "\uff11", "-0", "+1", "1e3", "\u202ex",
    "=", "a=b", "dropout=", "dropout=0.1", "dropout=0.1,", "dropout=nan", "=0.1", "%s", "a,b,,",
    "batch_size=9999999999", "conv_layers=0", "conv_layers=2,3", "learning_rate=1e-4,1e-2",
    "dropout=0.1,0.1", "first_layer_filters=4096", "optimizer=sgd", "2h", "1h30m", "0s", "99999h",
    "9" * 99 + "h", "tpe", "random", "off", "offline", "s3://", "s3:///a", "gs:/", "x3://a/b",
    "http://", "https:///x.zip", "file:///tmp/x", "C:\\photos", "s", "con", ".hidden", "-v",
    "results/", "./" * 3000, "a/" * 60, "4294967295", "4294967296", "1024", "0.5", "16385",
]  # fmt: skip


class HangError(BaseException):
    """No code catches it."""


@contextmanager
def no_hang() -> Iterator[None]:
    """Raises HangError in what computes for too long, or waits for what never comes."""

    def hangs(number: int, frame: Any) -> None:
        raise HangError

    before = [signal.signal(number, hangs) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, MOST_CPU)
    signal.setitimer(signal.ITIMER_REAL, HANG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in zip((signal.SIGPROF, signal.SIGALRM), before, strict=True):
            signal.signal(number, handler)


def faults(kind: str, draw: Draw, said: Callable[[], str]) -> Iterator[str]:
    """A text for each case of a kind that does not end as it should.

    `draw` makes a case: what was done, and the call of a command, which returns its exit code.
    `said` is what has been said on stderr since it was asked last.
    """
    for index in range(NUMBERS[kind] * TIMES):
        case = f"{kind} {index} x{TIMES}"
        done, call = draw(random.Random(case))
        several = kind in (*A_LINE_A_PHOTOGRAPH, *A_LINE_A_MISTAKE)
        if fault := _fault(call, said, many=several, named=kind in A_LINE_A_MISTAKE):
            yield f"{case}: {done[:300]!r}\n{fault}\n"


def _fault(
    call: Callable[[], Any], said: Callable[[], str], *, many: bool, named: bool
) -> str | None:
    """`many` allows several lines, and where they are `named` each begins a mistake of its own."""
    said()
    try:
        with no_hang():
            code = call()
    except SystemExit as end:
        code = end.code or 0
    except HangError:
        return f"no end after {MOST_CPU:g} s of CPU:\n{traceback.format_exc()[-2000:]}"
    except BaseException:
        return traceback.format_exc()[-2500:]
    error = said()
    lines = error.splitlines()
    if code not in (0, 1, 2, 130):
        return f"exit code {code!r}: {error[:500]}"
    if "Traceback" in error:
        return error[-2500:]
    if code == 2 and not (len(lines) == 1 or (many and lines)):
        return f"a mistake in {len(lines)} lines: {error[:1500]!r}"
    if named and code == 2 and len({*lines}) < len(lines):
        return f"a mistake told twice: {error[:1500]!r}"
    if named and code == 2 and not all(re.match(r"\w+Error: ", line) for line in lines):
        return f"a line that begins no mistake: {error[:1500]!r}"
    if any(not 20 < len(line) < 1500 for line in lines):
        return f"a line of another length: {error[:1500]!r}"
    return None


def any_bytes(content: bytes, rng: random.Random) -> Damaged:
    """The file as a bad disk or a broken copy leaves it."""
    at = rng.randrange(len(content) + 1)

    def text(encoding: str) -> bytes:
        return content.decode("utf-8", "replace").encode(encoding)

    ways: list[tuple[str, Callable[[], bytes]]] = [
        ("torn", lambda: content[:at]),
        ("its beginning gone", lambda: content[at:]),
        ("a byte flipped", lambda: content[:at] + rng.randbytes(1) + content[at + 1 :]),
        ("a hole of zeros", lambda: content[:at] + bytes(20) + content[at + 20 :]),
        ("empty", lambda: b""),
        ("random", lambda: rng.randbytes(300)),
        ("twice", lambda: content + content),
        ("UTF-16", lambda: text("utf-16")),
        ("UTF-16 without mark", lambda: text("utf-16-le")),
        ("UTF-8 with mark", lambda: b"\xef\xbb\xbf" + content),
        ("Latin-1", lambda: "\u00e9".encode("latin-1") + content),
        ("half a UTF-16", lambda: text("utf-16")[:-1]),
        ("carriage returns", lambda: content.replace(b"\n", b"\r")),
        ("JSON", lambda: b'[{"a": 1}]'),
        ("HTML", lambda: b"<!doctype html><p>404</p>"),
    ]
    name, make = rng.choice(ways)
    return name, make()


def flipped(content: bytes, rng: random.Random) -> bytes:
    """With one to five bits of it changed."""
    changed = bytearray(content or b"a")
    for _ in range(rng.randint(1, 5)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def damaged_table(text: str, rng: random.Random) -> Damaged:
    """A CSV table with commas."""
    if rng.random() < 0.3:
        return any_bytes(text.encode(), rng)
    rows = list(csv.reader(io.StringIO(text)))
    name, separator = _damage_rows(rows, rng)
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows(rows)
    return name, out.getvalue().encode()


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


def damaged_json(text: str, rng: random.Random) -> Damaged:
    """A JSON file."""
    way = rng.random()
    if way < 0.25:
        return any_bytes(text.encode(), rng)
    if way < 0.3:
        return "nested deeply", b"[" * 100_000 + b"]" * 100_000
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return "damaged before", text.encode()
    name, changed = with_odd_node(content, VALUES, rng)
    return name, json.dumps(changed).encode()


def damaged_yaml(text: str, rng: random.Random) -> Damaged:
    """A YAML file that is JSON."""
    if rng.random() < 0.35:
        odd = rng.choice(YAML_TEXTS)
        return f"all is {odd[:20]!r}", odd.encode()
    return damaged_json(text, rng)


def with_odd_node(content: Any, values: list[Any], rng: random.Random) -> tuple[str, Any]:
    """A copy with one to three nodes replaced, renamed or taken away, or all of it replaced."""
    if rng.random() < 0.05:
        value = rng.choice(values)
        return f"all is {named(value)}", value
    changed, names = copy.deepcopy(content), []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if isinstance(changed, dict | list) and changed:
            names.append(_damage_node(changed, values, rng))
    return "; ".join(names), changed


def _damage_node(node: Any, values: list[Any], rng: random.Random) -> str:
    path: list[str] = []
    while True:
        key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
        path.append(named(key))
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.7:
            node = node[key]
            continue
        way, value = rng.random(), rng.choice(values)
        value = copy.deepcopy(value) if isinstance(value, dict | list) else value  # once for all
        if way < 0.15:
            del node[key]
            return f"without {'.'.join(path)}"
        if way < 0.25 and isinstance(node, dict):
            odd = value if isinstance(value, str | int | float | tuple) else "odd"
            node[odd] = node.pop(key)
            return f"{'.'.join(path)} is called {named(odd)}"
        node[key] = value
        return f"{'.'.join(path)} is {named(value)}"


def named(value: Any) -> str:
    """A value as a failure tells it."""
    if isinstance(value, int) and value.bit_length() > 2000:
        return "a huge number"
    return repr(value)[:30] if not isinstance(value, dict | list) else f"a {type(value).__name__}"


def odd_flags(parser: argparse.ArgumentParser, places: list[str], rng: random.Random) -> list[str]:
    """One to four flags of the parser, most with an odd value, and now and then one too many."""
    actions = [a for a in parser._actions if a.option_strings and a.dest != "help"]
    flags: list[str] = []
    for action in rng.choices(actions, k=rng.choice((1, 1, 2, 3, 4))):
        flag = action.option_strings[-1]
        if action.nargs == 0:
            flags.append(flag)
            continue
        value = rng.choice(places) if rng.random() < 0.2 else rng.choice(TEXTS)
        flags += [f"{flag}={value}"] if rng.random() < 0.8 else [flag, value]
    if rng.random() < 0.05:
        flags.insert(rng.randrange(len(flags) + 1), rng.choice(TEXTS))
    return flags


def damage_folder(folder: Path, rng: random.Random) -> str:
    """Does one thing to a folder of photographs that people, disks and programs do."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    folders = sorted(p for p in folder.rglob("*") if p.is_dir() and not p.is_symlink())
    if not files or not folders:
        return "nothing left to damage"
    file, place = rng.choice(files), rng.choice(folders)
    name, way = rng.choice(sorted(FOLDER_WAYS.items()))
    way(file, place / rng.choice(["new.jpg", "new.png", "new", "train", "test", "\u00e9.jpg"]), rng)
    return f"{name}: {file.relative_to(folder)}, {place.relative_to(folder)}"


def _replace(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def _picture(file: Path, **kind: Any) -> None:
    """A photograph of an unusual kind under the name that is there."""
    mode, size, form = kind["mode"], kind.get("size", (9, 7)), kind.get("form", "PNG")
    Image.new(mode, size).save(file, form)


def _vast(file: Path) -> None:
    """A PNG whose header says that it is 60,000 pixels high."""
    _picture(file, mode="RGB")
    content = bytearray(file.read_bytes())
    content[16:24] = (60_000).to_bytes(4, "big") * 2
    file.write_bytes(content)


def _make(new: Path, how: Callable[[Path], Any]) -> None:
    if not (new.exists() or new.is_symlink()):
        how(new)


def _swap(file: Path, how: Callable[[Path], Any]) -> None:
    file.unlink()
    how(file)


def _odd_name(new: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(new.parent), name)))
    _picture(path, mode="RGB")


def _odd_class(new: Path, name: bytes) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(new.parent), name)))
    path.mkdir(exist_ok=True)
    _picture(path / "a.png", mode="RGB")


Way = Callable[[Path, Path, random.Random], Any]
ODD_NAMES = (b"\xff.png", b"a\nb.png", b"\xe2\x80\xae.png", b" .png", b"x" * 251 + b".png",
             b"NA", b"\x1b[31m.png", b"..png", b"-.png", b"a\xcc\x81.png", b"{0}.png")  # fmt: skip
FOLDER_WAYS: dict[str, Way] = {
    "damaged bytes": lambda f, n, r: _replace(f, any_bytes(f.read_bytes(), r)[1]),
    "bits flipped": lambda f, n, r: _replace(f, flipped(f.read_bytes(), r)),
    "torn": lambda f, n, r: _replace(f, f.read_bytes()[: r.randrange(90)]),
    "gone": lambda f, n, r: f.unlink(),
    "a folder for a file": lambda f, n, r: _swap(f, Path.mkdir),
    "a pipe for a file": lambda f, n, r: _swap(f, os.mkfifo),
    "a new pipe": lambda f, n, r: _make(n, os.mkfifo),
    "a dangling link": lambda f, n, r: _make(n, lambda p: p.symlink_to("nowhere")),
    "a link to itself": lambda f, n, r: _make(n, lambda p: p.symlink_to(p.name)),
    "a link to a folder above": lambda f, n, r: _make(n, lambda p: p.symlink_to("..")),
    "a link to a file": lambda f, n, r: _make(n, lambda p: p.symlink_to(f)),
    "a link to a device": lambda f, n, r: _swap(f, lambda p: p.symlink_to("/dev/zero")),
    "a link to a far folder": lambda f, n, r: _make(n, lambda p: p.symlink_to("/proc/self/fd")),
    "an empty folder": lambda f, n, r: _make(n, Path.mkdir),
    "an empty file": lambda f, n, r: _make(n, Path.touch),
    "a text": lambda f, n, r: _make(n, lambda p: p.write_text("no photograph")),
    "an odd name": lambda f, n, r: _odd_name(n, r.choice(ODD_NAMES)),
    "an odd class": lambda f, n, r: _odd_class(n, r.choice(ODD_NAMES)),
    "one pixel": lambda f, n, r: _picture(f, mode="RGB", size=(1, 1)),
    "a line of pixels": lambda f, n, r: _picture(f, mode="L", size=(1, 50_000)),
    "16 bits": lambda f, n, r: _picture(f, mode="I;16"),
    "a float TIFF": lambda f, n, r: _picture(f, mode="F", form="TIFF"),
    "a bilevel": lambda f, n, r: _picture(f, mode="1"),
    "a palette": lambda f, n, r: _picture(f, mode="P"),
    "a GIF": lambda f, n, r: _picture(f, mode="P", form="GIF"),
    "CMYK": lambda f, n, r: _picture(f, mode="CMYK", form="JPEG"),
    "a torn JPEG": lambda f, n, r: (_picture(f, mode="RGB", form="JPEG"),
                                    _replace(f, flipped(f.read_bytes(), r))),
    "a WebP": lambda f, n, r: _picture(f, mode="RGBA", form="WEBP"),
    "a vast PNG": lambda f, n, r: _vast(f),
    "a class in a class": lambda f, n, r: (_make(n, Path.mkdir), _odd_class(n / "x", b"y")),
}  # fmt: skip


def damaged_zip(content: bytes, rng: random.Random) -> Damaged:
    """A zip file."""
    way = rng.random()
    if way < 0.35:
        return any_bytes(content, rng)
    if way < 0.6:
        return "bits flipped", flipped(content, rng)
    if way < 0.7:  # the directory is at the end
        return "bits of its directory flipped", content[:-600] + flipped(content[-600:], rng)
    name, change = rng.choice(ZIP_WAYS)
    out = io.BytesIO(content)
    with zipfile.ZipFile(out, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        change(archive, rng)
    return name, out.getvalue()


def _entry(name: str, text: str = "x", **facts: Any) -> Callable[[zipfile.ZipFile, Any], None]:
    def add(archive: zipfile.ZipFile, rng: random.Random) -> None:
        entry = zipfile.ZipInfo(name)
        archive.writestr(entry, text)
        for key, value in facts.items():
            setattr(entry, key, value)

    return add


ZIP_WAYS: list[tuple[str, Callable[[zipfile.ZipFile, random.Random], None]]] = [
    ("a name outside", _entry("../outside.png")),
    ("an absolute name", _entry("/outside.png")),
    ("a drive", _entry("C:\\outside.png")),
    ("backslashes", _entry("train\\red\\b.png")),
    ("a name twice", _entry("train/red/000.png")),
    ("a folder where a file is", _entry("train/red/000.png/a.png")),
    ("a file where a folder is", _entry("train/red")),
    ("an endless name", _entry("train/red/" + "x" * 300 + ".png")),
    ("a deep name", _entry("a/" * 2000 + "x.png")),
    ("an empty name", _entry("a")),
    ("a line's end in a name", _entry("train/red/a\nb.png")),
    ("a name of dots", _entry("train/./red/..../a.png")),
    ("a link", _entry("train/red/l.png", "/etc/passwd", external_attr=0o120777 << 16)),
    ("a password", _entry("train/red/p.png", flag_bits=1)),
    ("an unknown compression", _entry("train/red/c.png", compress_type=99)),
    ("a huge size", _entry("train/red/h.png", file_size=2**60)),
    ("a wrong sum", _entry("train/red/s.png", CRC=7)),
    ("no date", _entry("train/red/d.png", date_time=(1980, 0, 0, 0, 0, 0))),
    ("a text as a photograph", _entry("train/red/t.png")),
    ("a new class", _entry("train/yellow/t.txt")),
    ("clutter", _entry("__MACOSX/train/red/._000.png")),
]


def damage_journal(journal: Path, rng: random.Random) -> str:
    """Does one thing to the segments of a journal."""
    found = sorted(p for p in journal.glob("*.jsonl") if p.is_file())
    if not found:
        return "nothing left to damage"
    segment = rng.choice(found)
    content = segment.read_bytes()
    lines = content.split(b"\n")[:-1] or [b"{}"]
    at, way = rng.randrange(len(lines)), rng.randrange(12)
    if way < 5:
        try:
            event = json.loads(lines[at])
        except ValueError:
            return "a line damaged before"
        done, changed = with_odd_node(event, VALUES, rng)
        lines[at] = json.dumps(changed).encode()
        segment.write_bytes(b"\n".join(lines) + b"\n")
        return f"line {at + 1} ({event.get('event')}): {done}" if isinstance(event, dict) else done
    if way == 5:
        segment.write_bytes(any_bytes(content, rng)[1])
        return f"{segment.name}: damaged bytes"
    if way == 6:
        segment.write_bytes(flipped(content, rng))
        return f"{segment.name}: bits flipped"
    if way == 7:
        gone = lines.pop(at)
        segment.write_bytes(b"\n".join(lines) + b"\n")
        return f"line {at + 1} dropped: {gone[:40]!r}"
    if way == 8:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
        segment.write_bytes(b"\n".join(lines) + b"\n")
        return f"a line twice: {at + 1}"
    if way == 9:
        segment.unlink()
        return f"{segment.name} gone"
    if way == 10:
        odd = rng.choice(["000000.jsonl", "000001-x.jsonl", "999999.jsonl", "000003-\n.jsonl",
                          "00000.jsonl", "000002.jsonl", "000009-a.jsonl"])  # fmt: skip
        segment.rename(journal / odd)
        return f"{segment.name} renamed {odd!r}"
    _swap(segment, rng.choice([Path.mkdir, lambda p: p.symlink_to("nowhere")]))
    return f"{segment.name} is no file"
