"""The study's network with other layers than the study's: each is built, counted and trained."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnnlib.networks.cnn.config import TrialConfig
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.cnn.layers import ACTIVATIONS
from cnnlib.networks.cnn.shapes import dense_counts, filter_counts, impossible, kernel_sides, sides
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.planning.cost import macs

SMALL: dict[str, Any] = {"conv_layers": 2, "first_layer_filters": 4, "num_neurons_dense": 8}
SIDE, CLASSES = 32, 3
KNOWN = hyperparameters(TrialConfig)
# What differs from the default network, and by it the outputs.
OTHERS: list[dict[str, Any]] = [
    *({"activation": name} for name in KNOWN["activation"].choices[1:]),
    *({"dense_activation": name} for name in KNOWN["dense_activation"].choices[2:]),
    *({"kernel_size": side} for side in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11)),
    *({"padding": name} for name in ("valid", "2", "3", "4", "5")),
    {"kernel_sizes": "2-5"},
    {"filters": "4-6"},
    {"stride": 2},
    {"stride": 2, "kernel_size": 4},
    {"pooling": "avg"},
    {"pooling": "none"},
    {"pool_size": 3},
    {"pool_size": 3, "pool_stride": 2},
    {"conv_bias": False},
    {"num_dense_layers": 2},
    {"dense_sizes": "8-4"},
]


def config(**more: Any) -> TrialConfig:
    return TrialConfig(**SMALL | more)


def images(number: int = 6) -> Tensor:
    return torch.randn(number, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


def model(**more: Any) -> CustomCNN:
    torch.manual_seed(0)
    return CustomCNN(config(**more), num_classes=CLASSES, image_size=SIDE)


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_every_other_layer_is_built_gives_other_outputs_and_trains(other: dict[str, Any]) -> None:
    unscaled = {"dropout": 0.0, "batch_norm": False}  # so that values pass 6
    with torch.no_grad():
        outputs = model(**unscaled, **other)(60 * images())
        assert not torch.equal(outputs, model(**unscaled)(60 * images()))
    changed, photographs = model(dropout=0.0, **other), images()
    labels = torch.arange(len(photographs)) % CLASSES
    optimizer = changed.configure_optimizers()
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(changed(photographs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("other", [{}, *OTHERS], ids=str)
def test_the_maps_have_the_side_that_is_worked_out(other: dict[str, Any]) -> None:
    found: list[int] = []
    network = model(**other).network
    ends = {"none": nn.Conv2d, "avg": nn.AvgPool2d, "max": nn.MaxPool2d}
    for layer in network:
        if isinstance(layer, ends[other.get("pooling", "max")]):
            layer.register_forward_hook(lambda _, __, output: found.append(output.shape[-1]))
    network(images())
    assert found == sides(config(**other), SIDE)


def test_the_same_padding_keeps_the_size_of_even_kernels_too() -> None:
    for side in range(1, 12):
        network = CustomCNN(config(kernel_size=side, pooling="none"), num_classes=2, image_size=16)
        assert sides(network.config, 16) == [16, 16]
        assert network(torch.zeros(1, 3, 16, 16)).shape == (1, 2)


def test_whole_channels_are_dropped_after_convolutions_in_training_only() -> None:
    dropping = model(conv_dropout=0.5)
    assert [layer.p for layer in dropping.network if isinstance(layer, nn.Dropout2d)] == [0.5, 0.5]
    with torch.no_grad():
        assert torch.equal(dropping.eval()(images()), model().eval()(images()))
        assert not torch.equal(dropping.train()(images()), model().train()(images()))


def test_average_pooling_comes_after_the_activation() -> None:
    kinds = [type(layer) for layer in model(pooling="avg").network]
    assert kinds.index(nn.ReLU) < kinds.index(nn.AvgPool2d)
    kinds = [type(layer) for layer in model().network]
    assert kinds.index(nn.MaxPool2d) < kinds.index(nn.ReLU), "the maximum of what rises is as well"


def test_every_activation_has_its_layer() -> None:
    assert set(ACTIVATIONS) == set(KNOWN["activation"].choices)
    assert set(ACTIVATIONS) | {"same"} == set(KNOWN["dense_activation"].choices)


def test_lists_say_each_layers_own() -> None:
    listed = config(filters="8-16", kernel_sizes="3-5-7", dense_sizes="9-7-5")
    assert filter_counts(listed) == [8, 16]
    assert kernel_sides(listed) == [3, 5]
    assert dense_counts(listed) == [9, 7, 5]
    network = CustomCNN(listed, num_classes=3, image_size=SIDE).network
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    assert [(c.out_channels, c.kernel_size[0]) for c in convolutions] == [(8, 3), (16, 5)]
    linear = [layer.out_features for layer in network if isinstance(layer, nn.Linear)]
    assert linear == [9, 7, 5, 3]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"padding": "valid", "conv_layers": 5}, r"5 convolutions and poolings \(padding valid"),
        ({"stride": 4, "conv_layers": 4}, "leave nothing of 32 px; 1 fit|leave nothing of 32 px"),
        ({"pool_size": 5, "conv_layers": 3}, "leave nothing of 32 px"),
        ({"filters": "4-4-4"}, "filters: 4-4-4 are 3 layers, and conv_layers is 2"),
        ({"kernel_sizes": "3"}, "kernel_sizes: 3 are 1 sizes, and conv_layers is 2"),
    ],
)
def test_what_cannot_exist_says_why(more: dict[str, Any], reason: str) -> None:
    assert re.search(reason, impossible(config(**more), SIDE) or "")
    assert impossible(config(), SIDE) is None


def test_the_macs_of_other_layers_are_counted() -> None:
    def counted(**more: Any) -> float:
        return macs(config(**more), num_classes=CLASSES, image_size=SIDE)

    first = 32 * 32 * 3 * 4 * 9 + 16 * 16 * 4 * 4 * 9
    dense = 4 * 8 * 8 * 8 + 8 * 3
    assert counted() == first + dense
    assert counted(kernel_sizes="3-5") == first + 16 * 16 * 4 * 4 * 16 + dense
    assert counted(dense_sizes="8-5") == first + 4 * 8 * 8 * 8 + 8 * 5 + 5 * 3
    assert counted(stride=2) == 16 * 16 * 3 * 4 * 9 + 4 * 4 * 4 * 4 * 9 + 4 * 2 * 2 * 8 + 8 * 3


def test_other_layers_are_exported_with_the_same_outputs(tmp_path: Path) -> None:
    rich = model(
        filters="4-6", kernel_sizes="4-5", padding="same", pooling="avg", pool_size=3,
        pool_stride=2, conv_dropout=0.2, conv_bias=False, dense_sizes="8-4",
        dense_activation="prelu", activation="hardswish",
    ).eval()  # fmt: skip
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(rich.network, (images(),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "model.pt2")
    again = torch.export.load(tmp_path / "model.pt2").module()
    torch.testing.assert_close(again(images(3)), rich(images(3)))


def test_the_default_network_is_the_studys() -> None:
    kinds = [type(layer).__name__ for layer in model().network]
    block = ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]
    assert kinds == [*block, *block, "Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert CNN.reference == TrialConfig()
