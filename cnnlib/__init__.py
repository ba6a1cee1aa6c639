"""Tunes CNN image classifiers: `from cnnlib import Sweep, CustomCNN, CustomDataModule`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlib.config import TrialConfig
    from cnnlib.data import CustomDataModule
    from cnnlib.model import CustomCNN
    from cnnlib.results import read_results
    from cnnlib.sweep import Sweep

__all__ = ["CustomCNN", "CustomDataModule", "Sweep", "TrialConfig", "read_results"]

_HOMES = {
    "CustomCNN": "model",
    "CustomDataModule": "data",
    "Sweep": "sweep",
    "TrialConfig": "config",
    "read_results": "results",
}


def __getattr__(name: str) -> Any:
    """Imports on first use, so that reading a table needs neither torch nor Ray."""
    if name not in _HOMES:
        raise AttributeError(f"module 'cnnlib' has no attribute {name!r}")
    return getattr(import_module(f"cnnlib.{_HOMES[name]}"), name)
