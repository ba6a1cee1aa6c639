"""What public sweeps say before any trial of this one: its noise, and which hyperparameters matter.

Where a hyperparameter mattered in many of them, less evidence is asked of it than of one that
never did: a correction with weights, which holds all errors together to 5% whatever the weights
are, if they do not come from the sweep itself (Genovese, Roeder and Wasserman 2006).
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from analysis.statistics.averaging import Noise
from cnnlib.networks.words import key
from cnnlib.storage.yaml_file import read_yaml

USUAL_NOISE = Noise(0.025, 2.0)  # of accuracies (docs/EXPERIMENTS.md)
PRIOR = 4.0  # sweeps: a hyperparameter of fewer is taken for one like all others

_TABLE = read_yaml(Path(__file__).parents[1] / "mattered.yaml")
MATTERED: dict[str, tuple[int, int]] = {name: (some, of) for name, (some, of) in _TABLE.items()}
_BY_WORDS = {key(name): counts for name, counts in MATTERED.items()}
_USUAL = sum(some for some, _ in MATTERED.values()) / sum(of for _, of in MATTERED.values())


def evidence_weights(names: Iterable[object]) -> np.ndarray:
    """How likely each hyperparameter is to matter, against the others, by its name."""
    counts = [_BY_WORDS.get(key(str(name)), (0, 0)) for name in names]
    return np.array([(some + PRIOR * _USUAL) / (of + PRIOR) for some, of in counts])
