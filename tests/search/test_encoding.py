"""How configurations become points."""

import numpy as np
import pytest

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.encoding import Encoding

SPACE: Space = {
    "learning_rate": Interval(1e-4, 1e-2, log=True),
    "first_layer_filters": Choice((64, 16, 32)),
    "activation": Choice(("relu", "gelu", "silu")),
}


def test_numbers_lie_in_their_order_and_words_are_alike_or_not() -> None:
    encoding = Encoding(SPACE)
    rows = ((1e-4, 16, "relu"), (1e-3, 32, "gelu"), (1e-2, 64, "silu"))
    configs = [
        TrialConfig(learning_rate=rate, first_layer_filters=filters, activation=activation)
        for rate, filters, activation in rows
    ]
    points = encoding.points(configs)
    assert points[:, :2] == pytest.approx(np.array([[0, 0], [0.5, 0.5], [1, 1]]))
    assert len(set(points[:, 2])) == 3
    assert encoding.without_order.tolist() == [False, False, True]
