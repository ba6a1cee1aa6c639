"""What Ray's dashboard shows of a trial: its name, and its epochs as metrics.

The metrics are at each node's Prometheus address, and in Grafana where the cluster has one:
ray_cnnlib_val_acc and so on, by trial.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from ray import _raylet
from ray.util.metrics import Gauge

SHOWN = ("epoch", "train_loss", "train_acc", "val_loss", "val_acc", "images_per_second")


def name_process(trial: str) -> None:
    """Names this worker after its trial; Ray names it anew whenever it asks for a result."""
    printable = re.sub(r"[^ -~]", "?", trial)
    # Ray has no public way. The dashboard shows processes whose name begins so.
    _raylet.setproctitle(f"ray::trial {printable}")  # type: ignore[attr-defined]


@cache
def _gauge(name: str) -> Gauge:
    text = f"{name} of a trial after its last epoch"
    return Gauge(f"cnnlib_{name}", text, tag_keys=("trial",))


def show(trial: str, row: Mapping[str, Any]) -> None:
    """Sets the metrics to those of a trial's epoch."""
    for name in SHOWN:
        if name in row:
            _gauge(name).set(float(row[name]), tags={"trial": trial})
