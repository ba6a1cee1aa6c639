"""Tunes CNN image classifiers: `from cnnlib import Sweep, CustomCNN, CustomDataModule`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlib.journal.tables import read_results
    from cnnlib.networks.cnn.custom_cnn import CustomCNN
    from cnnlib.networks.cnn.family import TrialConfig
    from cnnlib.networks.pretrained.fine_tuned import LitClassifier
    from cnnlib.pixels.datamodule import CustomDataModule
    from cnnlib.running.sweep import Sweep

__all__ = ["CustomCNN", "CustomDataModule", "LitClassifier", "Sweep", "TrialConfig", "read_results"]

_HOMES = {
    "CustomCNN": "networks.cnn.custom_cnn",
    "LitClassifier": "networks.pretrained.fine_tuned",
    "CustomDataModule": "pixels.datamodule",
    "Sweep": "running.sweep",
    "TrialConfig": "networks.cnn.family",
    "read_results": "journal.tables",
}


def __getattr__(name: str) -> Any:
    """Imports on first use, so that reading a table needs neither torch nor Ray."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnlib' has no attribute {name!r}")
    return getattr(import_module(f"cnnlib.{_HOMES[name]}"), name)
