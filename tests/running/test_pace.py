import math
from dataclasses import replace

import pytest

from cnnlib.journal.ledger import Trial
from cnnlib.networks.cnn.config import TrialConfig
from cnnlib.networks.configuration import Configuration
from cnnlib.running.pace import Pace

CONFIG = TrialConfig()


def trial(filters: int, seconds: float, epochs: int = 2) -> Trial:
    config = replace(CONFIG, first_layer_filters=filters)
    return Trial(str(filters), config, 9, epoch=epochs, seconds=seconds * epochs)


def macs(config: Configuration) -> float:
    return 100.0 * config.first_layer_filters  # type: ignore[attr-defined]


def test_an_epoch_takes_what_lies_between_trials_of_its_size() -> None:
    pace = Pace(lambda: [trial(8, 1.0), trial(32, 3.0), trial(16, 9.0, epochs=0)], macs)
    assert pace(replace(CONFIG, first_layer_filters=8)) == pytest.approx(1.0)
    assert pace(replace(CONFIG, first_layer_filters=16)) == pytest.approx(2.0)
    assert pace(replace(CONFIG, first_layer_filters=4)) == pytest.approx(1.0), "overhead stays"
    assert pace(replace(CONFIG, first_layer_filters=64)) == pytest.approx(6.0)


def test_nothing_is_known_before_the_first_epoch_and_own_code_may_refuse() -> None:
    assert Pace(list, macs)(CONFIG) == 0.0

    def refuses(config: Configuration) -> float:
        raise RuntimeError("no meta device")

    assert Pace(lambda: [trial(8, 1.0), trial(32, 1.0)], refuses)(CONFIG) == 1.0
    assert math.isfinite(Pace(lambda: [trial(8, 1.0)], lambda _: 0.0)(CONFIG))
