import json
from pathlib import Path

import pytest

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.reference import nearest_to_reference, read_reference

SPACE: Space = {
    "first_layer_filters": Choice((8, 16, 32)),
    "conv_layers": Choice((2, 3, 4)),
    "activation": Choice(("gelu", "relu")),
    "dropout": Interval(0.1, 0.25),
    "learning_rate": Interval(1e-5, 1e-4, log=True),
    "batch_size": Interval(16, 64, step=16),
    "batch_norm": Choice((False,)),
}


def test_the_reference_is_the_point_of_the_space_that_is_nearest_to_the_studys_best() -> None:
    assert nearest_to_reference(SPACE, 32) == TrialConfig(
        first_layer_filters=32, conv_layers=4, activation="relu", dropout=0.25,
        learning_rate=1e-4, batch_size=32, batch_norm=False,
    )  # fmt: skip
    assert nearest_to_reference({}, 224) == TrialConfig(), "which it is itself where all is free"


def test_it_is_as_deep_as_the_image_size_allows_or_there_is_none() -> None:
    shallow = nearest_to_reference(SPACE, 8)
    assert shallow is not None
    assert shallow.conv_layers == 3
    assert nearest_to_reference({"conv_layers": Choice((4, 5))}, 8) is None


def test_a_file_names_another_and_none_names_none(tmp_path: Path) -> None:
    path = tmp_path / "config.json"  # as a champion's
    path.write_text(json.dumps({"config": {"conv_layers": 2}, "image_size": 8}))
    assert read_reference(path, SPACE, 8) == TrialConfig(conv_layers=2)
    assert read_reference("none", SPACE, 8) is None
    with pytest.raises(ValueError, match="--reference: conv_layers: 2 poolings leave nothing"):
        read_reference(path, SPACE, 2)
    with pytest.raises(FileNotFoundError, match="missing"):
        read_reference(tmp_path / "missing", SPACE, 8)
