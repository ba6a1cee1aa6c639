"""What lies beside a trained network's weights: config.json, classes.json, metrics.json, checked.

Whatever the bytes of such a file are, it is read whole or refused in one line. Knows no torch.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cnnlib.networks.metric import MAXIMIZE, MINIMIZE, Metric
from cnnlib.storage.files import digest
from cnnlib.storage.json_file import (
    NULL,
    NUMBER,
    TEXT,
    WHOLE,
    DamagedError,
    Entries,
    Kind,
    either,
    in_words,
    list_of,
    read_checked,
    read_entries,
)
from cnnlib.storage.training_files import epoch_of

WEIGHTS = "weights.safetensors"
LARGEST_SIDE = 16_384  # pixels; one larger photograph alone would be gigabytes

SHARE = Kind("a number from 0 to 1", lambda value: NUMBER.holds(value) and 0 <= value <= 1)
SIDE = Kind(
    f"a whole number from 2 to {LARGEST_SIDE}",
    lambda value: WHOLE.holds(value) and 2 <= value <= LARGEST_SIDE,
)


def _is_test(value: Any) -> bool:
    """Whether this is the record of an opening of the test."""
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(key), str) for key in ("time", "champion"))
        and SHARE.holds(value.get("test_acc"))
        and isinstance(value.get("reason"), str | None)
    )


def _is_metric(value: Any) -> bool:
    """Whether this is a metric of the sweep with its value."""
    return (
        isinstance(value, dict)
        and value.keys() == {"name", "goal", "said", "value"}
        and all(TEXT.holds(value[key]) for key in ("name", "said"))
        and value["goal"] in (MAXIMIZE, MINIMIZE)
        and (value["value"] is None or NUMBER.holds(value["value"]))
    )


# What a network was chosen by, with what it has of that; there where it is not val_acc.
METRIC = Kind("a metric with name, goal, said and value", _is_metric)
# What the entries of a file are where they are there; who cannot do without one says so.
CONFIG: Entries = {
    "trial_id": either(TEXT, WHOLE), "network": TEXT, "network_digest": TEXT,
    "config": {}, "image_size": SIDE, "epoch": WHOLE,
    "val_acc": either(SHARE, NULL), "metric": METRIC,
    "val_acc_is": TEXT, "origin": TEXT, "seed": either(WHOLE, NULL), "name": TEXT,
    "data": {
        "source": TEXT, "fingerprint": TEXT, "classes": list_of(TEXT), "train": WHOLE,
        "val": WHOLE, "test": WHOLE,
    },
    "versions": {}, "commit": either(TEXT, NULL), "weights": either(TEXT, NULL),
}  # fmt: skip
METRICS: Entries = {
    "val_acc": either(SHARE, NULL), "val_acc_is": TEXT, "metric": METRIC,
    "search_value": either(NUMBER, NULL), "search_val_acc": either(SHARE, NULL),
    "luck": either(NUMBER, NULL),
    "finals": {
        "seeds": list_of(WHOLE), "val_accs": list_of(SHARE), "values": list_of(NUMBER),
        "sd": either(NUMBER, NULL),
        "standard_error": either(NUMBER, NULL), "interval": either(list_of(NUMBER), NULL),
    },
    "openings": list_of(Kind("a test with time, champion and test_acc", _is_test)),
    "test_acc": SHARE, "test_low": SHARE, "test_high": SHARE, "test_correct": WHOLE,
    "test_n": WHOLE, "test_balanced_acc": SHARE, "test_f1": SHARE, "test_loss": NUMBER,
}  # fmt: skip


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


def metric_of(content: Mapping[str, Any]) -> Metric:
    """The metric that a config.json or metrics.json tells of; where it tells none, val_acc."""
    return Metric(**{n: v for n, v in content.get("metric", {}).items() if n != "value"})


def read_classes(folder: Path) -> tuple[str, ...]:
    """The names of the classes in classes.json, in the order of the network's outputs."""
    path = folder / "classes.json"
    names = read_checked(path)
    if not list_of(TEXT).holds(names):
        raise DamagedError(path, f"holds {in_words(names)} and not a list of the classes' names")
    if not names or len({*names}) < len(names):
        raise DamagedError(path, "holds a name twice" if names else "holds no class")
    return tuple(names)
