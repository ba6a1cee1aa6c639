import json
from collections import Counter
from pathlib import Path

import pytest

from cnnlib.networks.cnn.config import TrialConfig
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.balanced import STRATA, Balanced
from cnnlib.search.first import read_first
from cnnlib.search.priors import STRENGTH, believed, read_priors
from cnnlib.search.reference import nearest_to_reference
from cnnlib.search.searcher import is_explored

SPACE: Space = {
    "dropout": Interval(0.1, 0.5),
    "conv_layers": Choice((2, 3)),
    "activation": Choice(("relu", "gelu")),
    "learning_rate": Interval(1e-4, 1e-1, log=True),
    "batch_size": Choice((16, 32, 64)),
}


def read(path: Path, content: str) -> tuple[TrialConfig, ...]:
    path.write_text(content)
    return read_first(path, SPACE, 64, CNN, {"dropout": "drop"})


def test_a_list_a_mapping_and_a_table_say_what_is_tried_first(tmp_path: Path) -> None:
    told = "- reference\n- {drop: 0.2, conv_layers: 3}\n- {dropout: 0.2, conv_layers: 3}\n"
    reference, third = read(tmp_path / "first.yaml", told)
    assert reference == nearest_to_reference(SPACE, 64)
    [defaults] = read(tmp_path / "first.yaml", "- defaults")
    assert (third.dropout, third.conv_layers) == (0.2, 3)
    assert all(getattr(defaults, name) in values for name, values in SPACE.items())
    content = json.dumps({"dropout": 0.2, "conv_layers": 3})
    assert read(tmp_path / "one.json", content) == (third,)
    table = "trial_id,status,drop,conv_layers,val_acc\n0007,completed,0.2,3,0.5\n0008,failed,,2,\n"
    first, second = read(tmp_path / "trials.csv", table)
    assert (first, second.conv_layers) == (third, 2)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", "[{dropout: 0.7}]", "configuration 1: dropout 0.7 is not in the sweep's space"),
        ("a.yaml", "[defaults, {droput: 0.2}]", "configuration 2: droput: no such.*dropout"),
        ("a.yaml", "[{num_neurons_dense: 7}]", "num_neurons_dense is not searched"),
        ("a.yaml", "[best]", "best is not NAME: VALUE pairs, defaults or reference"),
        ("a.yaml", "[]", "holds no configuration"),
        ("a.csv", "trial_id,x\n1,2\n", "has no column that is a hyperparameter"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^--first: .*{message}"):
        read(tmp_path / name, content)


def test_explored_proposals_are_spread_evenly() -> None:
    shares = [is_explored(number, 0.3) for number in range(1, 101)]
    assert [n for n in shares if n] == list(range(1, 31))
    assert all(sum(map(bool, shares[i : i + 10])) == 3 for i in range(0, 100, 10))
    assert not any(is_explored(number, 0.0) for number in range(1, 50))
    assert [is_explored(number, 1.0) for number in range(1, 9)] == list(range(1, 9))


def test_balanced_proposals_hold_every_value_equally_often() -> None:
    searcher = Balanced(space=SPACE, image_size=64, num_initial=0, seed=3)
    found = []
    for number in range(1, 49):
        config = searcher.propose(number, ())
        assert config is not None
        assert config == searcher.propose(number, ()), "from seed and number alone"
        searcher.seen(config)
        found.append(config)
    for name in ("conv_layers", "activation", "batch_size"):
        counts = Counter(getattr(config, name) for config in found)
        assert max(counts.values()) - min(counts.values()) <= 1
    eighths = Counter(int((config.dropout - 0.1) / 0.4 * STRATA) for config in found)
    assert set(eighths.values()) == {6}
    assert sum(config.learning_rate < 10**-2.5 for config in found) == 24


def test_beliefs_are_followed_at_first_and_wash_out() -> None:
    priors = read_priors(["dropout=0.4", "activation=gelu"], SPACE, CNN)
    plain = TrialConfig(dropout=0.1, activation="relu")

    def proposal(number: int, possible: bool = True) -> TrialConfig:
        config = believed(
            plain, priors, space=SPACE, number=number, seed=1, possible=lambda _: possible
        )
        assert isinstance(config, TrialConfig)
        return config

    assert proposal(3) == proposal(3)
    followed = {
        begin: sum(proposal(begin + n).activation == "gelu" for n in range(200))
        for begin in (1, 1000)
    }
    assert followed[1] > 2 * followed[1000] > 0
    early = [proposal(number) for number in range(1, int(STRENGTH))]
    near = [config.dropout for config in early if config.dropout != 0.1]
    assert near and all(abs(dropout - 0.4) < 0.1 for dropout in near)
    assert proposal(1, possible=False) == plain


def test_a_belief_outside_of_the_space_is_refused() -> None:
    for flag, message in (
        ("dropout=0.9", "--prior dropout: 0.9 is not in the sweep's space"),
        ("dropout", "--prior dropout: write NAME=VALUE"),
        ("num_neurons_dense=8", "--prior num_neurons_dense: 8 is not in the sweep's space"),
    ):
        with pytest.raises(ValueError, match=message):
            read_priors([flag], SPACE, CNN)
