"""What public sweeps say before any trial of this one: its noise, and which hyperparameters matter.

Of thirty public sweeps of networks trained from scratch, each by itself (`benchmarks/claims.py`).
Where a hyperparameter mattered in many of them, less evidence is asked of it than of one that
never did: Holm's correction with weights, which holds all errors together to 5% whatever the
weights are, if they do not come from the sweep itself (Genovese, Roeder and Wasserman 2006).
"""

from collections.abc import Iterable

import numpy as np

from analysis.statistics.averaging import Noise
from cnnlib.networks.words import key

USUAL_NOISE = Noise(0.025, 2.0)  # of accuracies (docs/EXPERIMENTS.md)
MATTERED = {  # in so many of so many sweeps: p < 0.01, before any correction
    "learning_rate": (6, 13),
    "batch_norm": (5, 12),
    "filter_org": (3, 8),
    "use_augmentation": (3, 13),
    "batch_size": (2, 14),
    "optimizer": (1, 6),
    "dropout": (1, 16),
    "num_neurons_dense": (0, 18),
    "first_layer_filters": (0, 13),
    "activation": (0, 11),
    "kernel_size": (0, 10),
    "max_epochs": (0, 9),
    "weight_decay": (0, 4),
    "conv_layers": (0, 1),
}
PRIOR = 4.0  # sweeps: a hyperparameter of fewer is taken for one like all others

_USUAL = sum(some for some, _ in MATTERED.values()) / sum(of for _, of in MATTERED.values())
_BY_WORDS = {key(name): counts for name, counts in MATTERED.items()}


def evidence_weights(names: Iterable[object]) -> np.ndarray:
    """How likely each hyperparameter is to matter, against the others, by its name."""
    counts = [_BY_WORDS.get(key(str(name)), (0, 0)) for name in names]
    return np.array([(some + PRIOR * _USUAL) / (of + PRIOR) for some, of in counts])
