"""Reads the JSON files of a sweep's folder and checks what each key holds, key by key."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cnnlib.storage.files import refuse_special
from cnnlib.system.units import short

Rule = tuple[str, Callable[[Any], bool]]  # in words, and whether a value keeps it


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e15 and math.isfinite(value)


def _is_count(value: object) -> bool:
    return _is_number(value) and float(value).is_integer() and value >= 0  # type: ignore


NUMBER: Rule = ("a number", _is_number)
COUNT: Rule = ("a whole number from 0", _is_count)
TEXT: Rule = ("text", lambda value: isinstance(value, str))
MAPPING: Rule = ("a mapping", lambda value: isinstance(value, dict))
LIST: Rule = ("a list", lambda value: isinstance(value, list))
NAMES: Rule = (
    "a list of names",
    lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
)
SETTINGS: Mapping[str, Rule] = {
    "name": TEXT, "started": TEXT, "search": TEXT, "trials": COUNT, "max_epochs": COUNT,
    "seconds": NUMBER, "rungs": LIST, "reduction_factor": NUMBER, "data": MAPPING,
    "network": TEXT, "space": MAPPING, "versions": MAPPING, "hyperparameters": NAMES,
}  # fmt: skip


def read_mapping(path: Path, rules: Mapping[str, Rule]) -> dict[str, Any]:
    """The file's content, empty where there is none; a key that is null is not known.

    Raises ValueError with the file and the key that breaks its rule.
    """
    content = _read(path, dict)
    for key, (words, holds) in rules.items():
        value = content.get(key)
        if value is not None and not holds(value):
            raise ValueError(
                f"{path}: {key}: {short(json.dumps(value))} is not {words}; correct or remove it"
            )
    return content


def _read(path: Path, kind: type) -> Any:
    if not path.exists():
        return kind()
    refuse_special(path)
    try:
        content = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(content, kind):
        raise ValueError(f"{path}: holds a {type(content).__name__}, expected a {kind.__name__}")
    return content
