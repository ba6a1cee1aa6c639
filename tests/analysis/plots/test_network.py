"""What the champion's network looks for."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from analysis.plots.network import (
    first_filters,
    guided_gradient,
    read_network,
    read_photographs,
    strongest_neurons,
)
from cnnlib.champion.champion import WEIGHTS, Champion, write_champion
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.cnn.layers import ACTIVATIONS

SMALL = {"first_layer_filters": 4, "conv_layers": 2, "num_neurons_dense": 8}
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def model(**changes: object) -> nn.Sequential:
    torch.manual_seed(0)
    return CustomCNN(**SMALL | changes, image_size=16, num_classes=3).eval().network


def test_each_filter_spans_the_whole_range_by_itself() -> None:
    filters = first_filters(model(kernel_size=5))
    assert filters.shape == (4, 5, 5, 3)
    assert (filters.min((1, 2, 3)) == 0).all() and filters.max((1, 2, 3)) == pytest.approx(1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_strongest_neurons_are_found_whatever_the_activation(
    activation: str, batch_norm: bool
) -> None:
    net = model(activation=activation, batch_norm=batch_norm)
    neurons = strongest_neurons(net, IMAGES, number=3)
    assert 0 < len(neurons) <= 3
    assert len({neuron.filter for neuron in neurons}) == len(neurons)
    assert all(neuron.saliency.shape == (16, 16, 3) for neuron in neurons)
    assert all(np.isfinite(n.saliency).all() and n.saliency.any() for n in neurons)
    assert not any(layer._backward_hooks for layer in net), "the network is as it was"
    assert all(p.grad is None for p in net.parameters())


def test_a_neuron_is_excited_by_its_photograph_at_its_place() -> None:
    net = model(batch_norm=False)
    bright = np.zeros((3, 16, 16, 3), np.uint8)
    bright[1, 12:, :4] = 255  # lower left of the second
    with torch.no_grad():
        for layer in net:
            if isinstance(layer, nn.Conv2d):
                layer.weight.fill_(1.0)
                layer.bias.zero_()  # type: ignore[union-attr]
    best = strongest_neurons(net, bright, number=1)[0]
    assert best.photograph == 1
    assert best.place[0] < 0.5 < best.place[1]


def test_what_speaks_against_a_neuron_does_not_reach_the_image() -> None:
    """Two paths, one of a negative weight: the plain gradient has both, the guided one has one."""
    first, last = nn.Conv2d(3, 2, 1, bias=False), nn.Conv2d(2, 1, 1, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])[:, :, None, None])
        last.weight.copy_(torch.tensor([[1.0, -1.0]])[:, :, None, None])
    for activation in (nn.ReLU(), nn.SiLU(), nn.Tanh()):
        trunk = nn.Sequential(first, activation, last)
        gradient = guided_gradient(trunk, torch.ones(3, 1, 1), 0, 0, 0)
        assert gradient[0] > 0 and gradient[1] == 0


def test_weights_of_another_network_are_refused_in_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "champion"
    folder.mkdir()
    config = TrialConfig.from_mapping(SMALL)
    net = CustomCNN(config, num_classes=3, image_size=16)
    save_file(net.state_dict(), folder / WEIGHTS)
    write_champion(Champion(folder, "t1", config, ("a", "b", "c"), 16, 1, 0.5))
    read = read_network(tmp_path).state_dict()
    assert all(read[name].equal(weight) for name, weight in net.network.state_dict().items())
    save_file({"other": torch.zeros(1)}, folder / WEIGHTS)
    with pytest.raises(ValueError, match="weights cannot be read"):
        read_network(tmp_path)


def test_broken_photographs_are_passed_over(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), "teal").save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"none")
    images, numbers = read_photographs([tmp_path / "b.png", tmp_path / "a.png"], 8)
    assert images.shape == (1, 8, 8, 3) and numbers == [1]
    assert read_photographs([], 8)[0].shape == (0, 8, 8, 3)
