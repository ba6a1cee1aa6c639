"""How long an epoch of a configuration takes, by what the trials before it took."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from cnnlib.journal.ledger import Trial
from cnnlib.networks.configuration import Configuration


@dataclass(frozen=True)
class Pace:
    """Seconds of an epoch, between those of the trials that took as much arithmetic."""

    trials: Callable[[], Iterable[Trial]]
    macs: Callable[[Configuration], float]  # of one image's forward pass

    def __call__(self, config: Configuration) -> float:
        """Seconds; 0 where no trial has had an epoch yet, so that nothing is known."""
        seen = [trial for trial in self.trials() if trial.epoch and trial.seconds]
        if not seen:
            return 0.0
        pairs = sorted((self._macs(t.config), t.seconds / t.epoch) for t in seen)
        sizes, seconds = zip(*pairs, strict=True)
        wanted = self._macs(config)
        beyond = max(1.0, wanted / sizes[-1])  # what is larger than all before takes longer
        logs = [math.log(size) for size in sizes]
        return float(np.interp(math.log(wanted), logs, seconds)) * beyond

    def _macs(self, config: Configuration) -> float:
        try:
            return max(1.0, self.macs(config))
        except Exception:  # code of the user's own may not run without memory for its weights
            return 1.0
