"""What earlier sweeps found, and for whom it is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.experience import Experience, fitting, shipped
from cnnlib.search.sweep_file import read_sweep_file
from cnnlib.search.trends import Trend

SPACE: Space = {
    "learning_rate": Interval(1e-5, 1e-1, log=True),
    "activation": Choice(("relu", "gelu", "mish")),
    "dropout": Interval(0.0, 0.5),
    "batch_size": Choice((32,)),
}
KNOWN = Experience(
    kind="networks",
    sweeps=2,
    trials=80,
    trends={
        "lr": Trend((1e-4, 1e-2), (-1.0, 1.0)),
        "act_fn": Trend(("nn.ReLU", "ELU"), (0.7, -0.7)),
        "speed": Trend((1, 2), (0.0, 1.0)),
    },
)
STUDY = Path(__file__).parents[2] / "cnnlib" / "sweeps" / "inaturalist.yaml"


def test_it_is_told_in_the_words_of_the_sweep() -> None:
    found = fitting([KNOWN], SPACE, CNN)
    assert found is not None and str(found) == "2 sweeps of networks, 80 trials"
    assert found.trends == {
        "learning_rate": KNOWN.trends["lr"],
        "activation": Trend(("relu", "gelu", "mish"), (0.7, 0.0, 0.0)),
    }


def test_who_knows_less_than_half_is_not_asked() -> None:
    wider = SPACE | {"conv_layers": Choice((2, 3)), "label_smoothing": Interval(0.0, 0.2)}
    assert fitting([KNOWN], wider, CNN) is None, "2 of 5"
    assert fitting([KNOWN], {"learning_rate": SPACE["learning_rate"]}, CNN) is None, "one alone"
    assert fitting([], SPACE, CNN) is None
    numbers = replace(KNOWN, trends={**KNOWN.trends, "act_fn": Trend((1, 2), (0.0, 1.0))})
    assert fitting([numbers], SPACE, CNN) is None, "numbers say nothing of texts"
    texts = replace(KNOWN, trends={**KNOWN.trends, "lr": Trend(("high", "low"), (0.0, 1.0))})
    assert fitting([texts], SPACE, CNN) is None, "nor texts of numbers"


def test_who_saw_such_networks_is_asked_before_who_knows_more() -> None:
    more = replace(KNOWN, trends={**KNOWN.trends, "dropout": Trend((0.0, 0.5), (0.0, 1.0))})
    found = fitting([KNOWN, more], SPACE, CNN)
    assert found is not None and len(found.trends) == 3
    found = fitting([replace(KNOWN, network="cnn"), more], SPACE, CNN)
    assert found is not None and len(found.trends) == 2


def test_a_journal_and_a_file_hold_it_whole() -> None:
    whole = replace(KNOWN, network="cnn", tables=("a", "b"))
    assert Experience.from_content(json.loads(json.dumps(whole.as_content()))) == whole
    for damaged in ({}, {"kind": 1}, whole.as_content() | {"trends": {"lr": [[1, "a"]]}}):
        with pytest.raises(ValueError, match=r"experience|scores"):
            Experience.from_content(damaged)


def test_what_is_shipped_knows_the_study_s_space_and_fine_tuning() -> None:
    """By what thirty public sweeps say batch norm helps and lr 1e-2 does not."""
    found = fitting(shipped(), read_sweep_file(STUDY).space, CNN)
    assert found is not None and found.network == "cnn" and found.sweeps == 30
    off, on = found.trends["batch_norm"].of([False, True])
    assert on > off
    below, high = found.trends["learning_rate"].of([1e-3, 1e-2])
    assert below > high
    space: Space = {
        "learning_rate": Interval(1e-5, 1e-2, log=True),
        "optimizer": Choice(("adam", "sgd", "adamw")),
        "weight_decay": Interval(1e-5, 1e-1, log=True),
    }
    tuned = fitting(shipped(), space, PRETRAINED)
    assert tuned is not None and tuned.network == "pretrained" and set(tuned.trends) == set(space)
