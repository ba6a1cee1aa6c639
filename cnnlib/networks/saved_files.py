"""What lies beside a trained network's weights: config.json, classes.json, metrics.json, checked.

Whatever the bytes of such a file are, it is read whole or refused in one line. Knows no torch.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from cnnlib.storage.files import digest
from cnnlib.storage.training_files import epoch_of
from cnnlib.system.units import short

REMEDY = "take it from a copy, or let jobs/tune.py --resume or jobs/train.py write it again"
WEIGHTS = "weights.safetensors"
LONGEST = 200  # letters of a value or an error that a message repeats
LARGEST_SIDE = 16_384  # pixels; one larger photograph alone would be gigabytes


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


def _list_of(kind: Kind) -> Kind:
    return Kind(
        f"a list, each {kind.words}",
        lambda value: isinstance(value, list) and all(map(kind.holds, value)),
    )


def _or(*kinds: Kind) -> Kind:
    words = " or ".join(kind.words for kind in kinds)
    return Kind(words, lambda value: any(kind.holds(value) for kind in kinds))


TEXT = Kind("a text", _is_text)
NUMBER = Kind("a number", _is_number)
WHOLE = Kind("a whole number", _is_whole)
NULL = Kind("null", lambda value: value is None)
SHARE = Kind("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
SIDE = Kind(
    f"a whole number from 2 to {LARGEST_SIDE}",
    lambda value: _is_whole(value) and 2 <= value <= LARGEST_SIDE,
)


def _is_test(value: Any) -> bool:
    """Whether this is the record of an opening of the test."""
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), str) for key in ("time", "champion"))
        and SHARE.holds(value.get("test_acc"))
        and isinstance(value.get("reason"), str | None)
    )


Entries = Mapping[str, "Kind | Entries"]
# What the entries of a file are where they are there; who cannot do without one says so.
CONFIG: Entries = {
    "trial_id": _or(TEXT, WHOLE), "network": TEXT, "config": {}, "image_size": SIDE, "epoch": WHOLE,
    "val_acc": SHARE, "val_acc_is": TEXT, "origin": TEXT, "seed": _or(WHOLE, NULL), "name": TEXT,
    "data": {
        "source": TEXT, "fingerprint": TEXT, "classes": _list_of(TEXT), "train": WHOLE,
        "val": WHOLE, "test": WHOLE,
    },
    "versions": {}, "commit": _or(TEXT, NULL), "weights": _or(TEXT, NULL),
}  # fmt: skip
METRICS: Entries = {
    "val_acc": SHARE, "val_acc_is": TEXT, "search_val_acc": _or(SHARE, NULL),
    "luck": _or(NUMBER, NULL),
    "finals": {
        "seeds": _list_of(WHOLE), "val_accs": _list_of(SHARE), "sd": _or(NUMBER, NULL),
        "standard_error": _or(NUMBER, NULL), "interval": _or(_list_of(NUMBER), NULL),
    },
    "openings": _list_of(Kind("a test with time, champion and test_acc", _is_test)),
    "test_acc": SHARE, "test_low": SHARE, "test_high": SHARE, "test_correct": WHOLE,
    "test_n": WHOLE,
}  # fmt: skip


class DamagedError(ValueError):
    """A file of a trained network is not what its name says; the line names it and the remedy."""

    def __init__(self, path: Path, fault: str, remedy: str = REMEDY) -> None:
        super().__init__(f"{path}: {fault}; {remedy}")
        self.fault = fault


def network_folder(folder: str | Path) -> Path:
    """Where the network of a sweep's folder lies, or of its own; FileNotFoundError without one."""
    inside = Path(folder) / "champion"
    own = inside if (inside / "config.json").is_file() else Path(folder)
    if not (own / "config.json").is_file():
        raise FileNotFoundError(f"no champion in {folder}: expected {inside}/config.json")
    return own


def read_config(folder: Path, *needed: str) -> dict[str, Any]:
    """The entries of config.json, with those `needed`; DamagedError as in read_entries."""
    return read_entries(folder / "config.json", CONFIG, *needed)


def check_pair(folder: Path, written_for: str | None) -> None:
    """DamagedError where config.json was written for other weights than those beside it.

    A kill between the two files, or a copy that ended there, would make one network of two. Nothing
    is proved by a config.json of an older version, which names no weights, nor by weights that no
    training has kept: whoever converts them by hand may.
    """
    weights = folder / WEIGHTS
    there = digest(weights)
    if None in (written_for, there) or written_for == there:
        return
    with suppress(OSError):  # they are torn, which is told by whoever reads them
        if epoch_of(weights) is not None:
            raise DamagedError(folder / "config.json", f"belongs to other weights than {WEIGHTS}")


def read_metrics(folder: Path, *needed: str) -> dict[str, Any]:
    """The entries of metrics.json, with those `needed`; DamagedError as in read_entries."""
    return read_entries(folder / "metrics.json", METRICS, *needed)


def read_classes(folder: Path) -> tuple[str, ...]:
    """The names of the classes in classes.json, in the order of the network's outputs."""
    path = folder / "classes.json"
    names = _content(path)
    if not _list_of(TEXT).holds(names):
        raise DamagedError(path, f"holds {_shown(names)} and not a list of the classes' names")
    if not names or len({*names}) < len(names):
        raise DamagedError(path, "holds a name twice" if names else "holds no class")
    return tuple(names)


def read_entries(path: Path, entries: Entries, *needed: str) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    FileNotFoundError where there is none; DamagedError where it is no such file, an entry is of
    another kind than `entries` says or one that is `needed` is missing.
    """
    content = _content(path)
    if fault := _fault(content, entries, "") or _missing(content, needed):
        raise DamagedError(path, fault)
    return content


def _missing(content: Mapping[str, Any], needed: tuple[str, ...]) -> str | None:
    return next((f"{name} is missing" for name in needed if name not in content), None)


def _fault(content: Any, entries: Entries, place: str) -> str | None:
    """What is wrong with an object, None where nothing is."""
    if not isinstance(content, dict):
        return f"{place or 'the file'}: {_shown(content)} is not an object"
    for name in (name for name in entries if name in content):
        kind, value, inner = entries[name], content[name], f"{place}.{name}".lstrip(".")
        if not isinstance(kind, Kind):
            if fault := _fault(value, kind, inner):
                return fault
        elif not kind.holds(value):
            return f"{inner}: {_shown(value)} is not {kind.words}"
    return None


def _content(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, f"is not JSON ({short(error, LONGEST)})") from None


def _shown(value: object) -> str:
    """A value as JSON writes it, shortened."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return short(json.dumps(value), LONGEST)
