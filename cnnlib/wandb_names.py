"""What W&B calls a sweep's runs: their names and their ids."""

import hashlib
import re
from collections.abc import Mapping

MAX_NAME_LENGTH = 128  # W&B refuses longer names and ids

# The study's own short names, in its order, and then those of the recipe.
SHORT_NAMES = {
    "activation": "ac",
    "first_layer_filters": "filters",
    "filter_org": "filt_org",
    "conv_layers": "layers",
    "dropout": "drop",
    "batch_norm": "bn",
    "batch_size": "bs",
    "learning_rate": "lr",
    "use_augmentation": "aug",
    "num_neurons_dense": "dense",
    "optimizer": "opt",
    "weight_decay": "wd",
    "learning_rate_schedule": "sched",
    "label_smoothing": "smooth",
    "kernel_size": "kernel",
    "head": "head",
    "ema": "ema",
    "augmentation": "augm",
}


def run_name(config: Mapping[str, object]) -> str:
    """A run's name in the study's manner, `ac-relu-filters-128-...`, at most 128 characters."""
    keys = [key for key in SHORT_NAMES if key in config]
    keys += [key for key in config if key not in SHORT_NAMES]
    name = "-".join(f"{SHORT_NAMES.get(key, key)}-{_value(config[key])}" for key in keys)
    if len(name) <= MAX_NAME_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]  # what is cut off still tells them apart
    return f"{name[: MAX_NAME_LENGTH - 9]}-{digest}"


def run_id(sweep: str, trial_id: str, *, started: str = "") -> str:
    """The id of a trial's run in every attempt, in characters that W&B allows.

    W&B goes on with a run of the same id, so sweeps of one name have different ones.
    """
    digest = hashlib.sha256(f"{sweep} {started}".encode()).hexdigest()[:8]
    name = f"{sweep[:64]}-{digest}" if started else sweep[:64]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", f"{name}-{trial_id}")


def refused_id(identifier: str) -> str:
    """The id of a run that the server did not accept, and that is kept here."""
    return f"{identifier}-offline"


def _value(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
