"""Tests of cnnlib/networks/pretrained/freezing.py."""

import pytest
import torch
from torch import nn

from cnnlib.networks.pretrained.freezing import freeze, hold_still, num_trained, parameter_groups


@pytest.mark.parametrize(
    ("strategy", "k_layers", "share", "trained"),
    [
        ("freeze_all", 3, 1.0, 0),
        ("freeze_partial", 3, 0.0, 3),
        ("freeze_partial", 9, 0.0, 8),
        ("unfreeze_all", 1, 0.0, 8),
        ("unfreeze_gradually", 1, 0.0, 0),
        ("unfreeze_gradually", 1, 0.1, 1),
        ("unfreeze_gradually", 1, 0.25, 4),
        ("unfreeze_gradually", 1, 0.5, 8),
        ("unfreeze_gradually", 1, 0.9, 8),
    ],
)
def test_a_strategy_says_how_many_of_eight_layers_train(
    strategy: str, k_layers: int, share: float, trained: int
) -> None:
    assert num_trained(strategy, k_layers, 8, share) == trained


def test_what_is_frozen_keeps_no_gradient_and_no_new_statistics() -> None:
    network = nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.BatchNorm1d(4))
    network(torch.randn(8, 4)).sum().backward()
    freeze(network, ["1.weight", "1.bias"])
    assert network[0][0].weight.grad is None and network[1].weight.grad is not None
    network.train()
    hold_still(network)
    before = [norm.running_mean.clone() for norm in (network[0][1], network[1])]
    network(torch.randn(8, 4) + 3)
    frozen, trained = (norm.running_mean for norm in (network[0][1], network[1]))
    assert torch.equal(frozen, before[0]) and not torch.equal(trained, before[1])


def test_each_layer_has_its_step_size_and_norms_no_weight_decay() -> None:
    layers = [nn.Linear(2, 2) for _ in range(3)]
    head, first, last = (list(layer.parameters()) for layer in layers)
    groups = parameter_groups(
        head, [first, last], learning_rate=0.1, head_factor=10.0, decay=0.5, weight_decay=0.3
    )
    found = {id(p): (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    expected = {}
    for rate, (weight, bias) in ((1.0, head), (0.05, last), (0.025, first)):
        expected |= {id(weight): (rate, 0.3), id(bias): (rate, 0.0)}
    assert found == {key: pytest.approx(value) for key, value in expected.items()}
