"""What earlier sweeps found, and for whom it is."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnnlib.networks.cnn.family import CNN, TrialConfig
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.experience import NOTHING, Early, Experience, fitting, shipped
from cnnlib.search.stopping import default_rungs
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


def early(part: float, foretells: float, rate: float, activation: float) -> Early:
    """With these scores of the highest rate and of ReLU, and their negatives for the others."""
    then = {"lr": (-rate, rate), "act_fn": (activation, -activation), "speed": (0.0, 1.0)}
    trends = {name: Trend(KNOWN.trends[name].values, scores) for name, scores in then.items()}
    return Early(part, foretells, trends)


RISING = replace(KNOWN, early=(early(1 / 27, 0.4, 1.0, 0.0), early(1 / 3, 0.8, -0.5, 0.5)))


@pytest.mark.parametrize(
    ("part", "slope", "then"),
    [
        (1 / 27, 0.4, [1.0, 0.0]),
        (1 / 9, 0.6, [0.25, 0.25]),  # half-way between a 27th and a third
        (1 / 3, 0.8, [-0.5, 0.5]),
        (1.0, 1.0, [1.0, 0.7]),
        (1 / 100, 0.4, [1.0, 0.0]),  # before anybody has looked
    ],
)
def test_what_a_part_of_a_training_foretells(part: float, slope: float, then: list[float]) -> None:
    found = fitting([RISING], SPACE, CNN)
    assert found is not None
    config = TrialConfig(learning_rate=1e-2, activation="relu")
    assert found.foretells(part) == pytest.approx(slope)
    both = found.foretold([config, config], [part, 1.0])
    assert both == pytest.approx(np.array([then, [1, 0.7]]))
    assert found.outlook(config, part) == pytest.approx((slope, 1.7 - slope * sum(then)))


def test_where_nobody_looked_early_a_trial_stands_as_it_does() -> None:
    config = TrialConfig(learning_rate=1e-2)
    found = fitting([KNOWN], SPACE, CNN)
    assert found is not None and found.outlook(config, 1 / 27) == (1.0, 0.0)
    assert NOTHING.outlook(config, 0.5) == (1.0, 0.0)
    assert NOTHING.foretold([config], [0.5]).shape == (1, 0)


@pytest.mark.parametrize(
    ("foretells", "max_epochs", "rungs"),
    [
        (0.5, 50, (1, 2, 6, 17)),
        (0.49, 50, (2, 6, 17)),
        (0.9, 30, (1, 3, 10)),  # an 81st of 30 epochs is none
        (0.5, 200, (2, 7, 22, 67)),
    ],
)
def test_trials_pause_earlier_where_that_foretells_their_end(
    foretells: float, max_epochs: int, rungs: tuple[int, ...]
) -> None:
    known = replace(KNOWN, early=(early(1 / 81, foretells, 1.0, 0.0), early(1 / 3, 0.9, 1.0, 0.5)))
    if foretells < 0.5:  # between the two by the logarithm: 50 epochs have a first of a 50th
        assert known.foretells(1 / 50) > 0.5
        known = replace(known, early=(early(1 / 50, foretells, 1.0, 0.0),))
    assert default_rungs("promote", max_epochs, 3.0, known).rungs == rungs
    assert default_rungs("promote", max_epochs, 3.0, KNOWN).rungs == rungs[-3:]
    assert default_rungs("asha", max_epochs, 3.0, known).rungs == rungs[-2:]


def test_a_journal_and_a_file_hold_it_whole() -> None:
    whole = replace(RISING, network="cnn", tables=("a", "b"))
    assert Experience.from_content(json.loads(json.dumps(whole.as_content()))) == whole
    assert "early" not in KNOWN.as_content(), "as before"
    [first, _] = content = whole.as_content()["early"]
    for broken in ({"part": 0}, {"part": 1.0}, {"foretells": 2}, {"part": "a"}, {"scores": {}}):
        with pytest.raises(ValueError, match=r"experience|correlation"):
            Experience.from_content(whole.as_content() | {"early": [first | broken]})
    with pytest.raises(ValueError, match=r"experience: parts .* are not one after"):
        Experience.from_content(whole.as_content() | {"early": content[::-1]})
    few = first["scores"] | {"lr": [1.0]}
    with pytest.raises(ValueError, match="2 values have 1 scores"):
        Experience.from_content(whole.as_content() | {"early": [*content, first | {"scores": few}]})
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
    assert [early.part for early in tuned.early] == sorted(early.part for early in tuned.early)
    assert all(set(early.trends) == set(space) for early in tuned.early) and tuned.early
    assert tuned.foretells(0.02) < tuned.foretells(0.04) < tuned.foretells(1 / 3) < 1
