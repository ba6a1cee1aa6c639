"""JSON files: written in one step, read whole or refused in one line, whatever their bytes are."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cnnlib.storage.files import refuse_special, replaced
from cnnlib.system.units import short

REMEDY = "take it from a copy, or let jobs/tune.py --resume or jobs/train.py write it again"
LONGEST = 200  # letters of a value or an error that a message repeats


class Kind(NamedTuple):
    """What an entry may be, and how a fault says it."""

    words: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= 2**53  # which infinity and NaN are not


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _is_text(value: Any) -> bool:
    """Half of a character in UTF-16 is none: nothing could print it."""
    return isinstance(value, str) and value.encode(errors="replace").decode() == value


def list_of(kind: Kind) -> Kind:
    return Kind(
        f"a list, each {kind.words}",
        lambda value: isinstance(value, list) and all(map(kind.holds, value)),
    )


def either(*kinds: Kind) -> Kind:
    words = " or ".join(kind.words for kind in kinds)
    return Kind(words, lambda value: any(kind.holds(value) for kind in kinds))


TEXT = Kind("a text", _is_text)
NUMBER = Kind("a number", _is_number)
WHOLE = Kind("a whole number", _is_whole)
NULL = Kind("null", lambda value: value is None)

Entries = Mapping[str, "Kind | Entries"]  # what the entries of a file are where they are there


class DamagedError(ValueError):
    """A file is not what its name says; the line names it and the remedy."""

    def __init__(self, path: Path, fault: str, remedy: str = REMEDY) -> None:
        super().__init__(f"{path}: {fault}; {remedy}")
        self.fault = fault


def write_json(path: Path, content: object) -> None:
    """Writes the file, replaced in one step."""
    text = json.dumps(content, indent=2) + "\n"
    replaced(path, lambda part: part.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    refuse_special(path)
    return json.loads(path.read_text(encoding="utf-8"))


def read_entries(
    path: Path, entries: Entries, *needed: str, remedy: str = REMEDY
) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    FileNotFoundError where there is none; DamagedError where it is no such file, an entry is of
    another kind than `entries` says or one that is `needed` is missing.
    """
    content = read_checked(path, remedy)
    if fault := _fault(content, entries, "") or _missing(content, needed):
        raise DamagedError(path, fault, remedy)
    return content


def _missing(content: Mapping[str, Any], needed: tuple[str, ...]) -> str | None:
    return next((f"{name} is missing" for name in needed if name not in content), None)


def _fault(content: Any, entries: Entries, place: str) -> str | None:
    """What is wrong with an object, None where nothing is."""
    if not isinstance(content, dict):
        return f"{place or 'the file'}: {in_words(content)} is not an object"
    for name in (name for name in entries if name in content):
        kind, value, inner = entries[name], content[name], f"{place}.{name}".lstrip(".")
        if not isinstance(kind, Kind):
            if fault := _fault(value, kind, inner):
                return fault
        elif not kind.holds(value):
            return f"{inner}: {in_words(value)} is not {kind.words}"
    return None


def read_checked(path: Path, remedy: str = REMEDY) -> Any:
    """The content of a JSON file; FileNotFoundError where there is none, DamagedError if torn."""
    refuse_special(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, f"is not JSON ({short(error, LONGEST)})", remedy) from None


def in_words(value: object) -> str:
    """A value as JSON writes it, shortened."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return short(json.dumps(value), LONGEST)
