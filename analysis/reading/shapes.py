"""Reads the JSON files of a sweep's folder and checks what each key holds, key by key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnlib.networks.metric import MAXIMIZE, MINIMIZE
from cnnlib.storage.json_file import NULL, NUMBER, TEXT, Kind, either, list_of, read_entries

COUNT = Kind(
    "a whole number from 0",
    lambda value: NUMBER.holds(value) and float(value).is_integer() and value >= 0,
)
MAPPING = Kind("a mapping", lambda value: isinstance(value, dict))
LIST = Kind("a list", lambda value: isinstance(value, list))
METRIC = Kind(
    "a metric with name, goal (maximize or minimize) and said, the user's name for it",
    lambda value: (
        isinstance(value, dict)
        and value.keys() == {"name", "goal", "said"}
        and value["goal"] in (MAXIMIZE, MINIMIZE)
        and all(isinstance(value[key], str) and value[key] for key in ("name", "said"))
    ),
)
SETTINGS: Mapping[str, Kind] = {
    "name": TEXT, "started": TEXT, "search": TEXT, "begun_with": TEXT, "trials": COUNT,
    "max_epochs": COUNT, "seconds": NUMBER, "rungs": LIST, "reduction_factor": NUMBER,
    "last_share": NUMBER, "data": MAPPING, "network": TEXT, "space": MAPPING, "versions": MAPPING,
    "hyperparameters": list_of(TEXT), "metric": METRIC, "stopping": TEXT,
}  # fmt: skip


def read_mapping(path: Path, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """The file's content, empty where there is none; a key that is null is not known.

    Raises ValueError with the file and the key that is of another kind.
    """
    if not path.exists():
        return {}
    entries = {name: either(kind, NULL) for name, kind in kinds.items()}
    return read_entries(path, entries, remedy="correct or remove it")
