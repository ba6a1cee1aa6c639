"""What a LightningModule of the user's own logs, under the names of this package."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.utils import get_total_norm

from cnnlib.networks.metric import STAGES, read_metric, words_of

KINDS = {"accuracy": "acc", "top1": "acc"}


def our_names(logged: Mapping[str, Any]) -> dict[str, Any]:
    """The same values; those named like validation/accuracy or val_acc_epoch are val_acc too."""
    found = dict(logged)
    for name, value in logged.items():
        words = [word for word in words_of(name) if word != "epoch"]
        words = [STAGES.get(word, KINDS.get(word, word)) for word in words]
        known = "_".join(words)
        found.setdefault(known, value)
        if known.startswith("val_"):
            found.setdefault(read_metric(name)[0].name, value)
    return found


def is_finite(model: nn.Module, losses: list[float]) -> bool:
    """Whether a network predicts anything: argmax makes of what is not finite the first class."""
    weights = [t for t in model.state_dict().values() if t.is_floating_point()]
    whole = torch.isfinite(get_total_norm(weights, math.inf)).item() if weights else True
    return bool(whole) and all(map(math.isfinite, losses))
