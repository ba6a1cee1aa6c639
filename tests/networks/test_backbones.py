"""Tests of cnnlib/networks/pretrained/backbones.py and trunks.py."""

import pytest
import torch

from cnnlib.networks.pretrained.backbones import BACKBONES, Backbone, backbone
from cnnlib.networks.pretrained.trunks import layers, needs_auxiliary, trunk

TORCHVISION = [row for row in BACKBONES.values() if not row.timm]
LITE = [row for row in BACKBONES.values() if row.timm]


@pytest.mark.parametrize("row", TORCHVISION, ids=lambda row: row.name)
def test_a_row_says_what_torchvision_says_of_the_weights(row: Backbone) -> None:
    from torchvision import models

    weights = models.get_model_weights(row.name)["IMAGENET1K_V1"]
    seen = weights.transforms()
    assert (row.url, row.size) == (weights.url, seen.crop_size[0])
    assert (list(row.mean), list(row.std)) == (seen.mean, seen.std)
    assert row.interpolation == seen.interpolation.value
    assert row.multiple > 1 or row.smallest >= weights.meta["min_size"][0]


@pytest.mark.parametrize("row", LITE, ids=lambda row: row.name)
def test_a_row_says_what_timm_says_of_the_same_weights(row: Backbone) -> None:
    timm = pytest.importorskip("timm", reason="the extra lite is not installed")
    says = timm.get_pretrained_cfg(row.timm)
    assert (row.size, row.mean, row.std) == (says.input_size[-1], says.mean, says.std)
    assert (row.interpolation, row.licence.lower()) == (says.interpolation, says.license)


FEATURES = {  # parameters of the trunk, features
    "resnet50": (23_508_032, 2048),
    "vgg16": (134_260_544, 4096),
    "inception_v3": (21_785_568, 2048),
    "googlenet": (5_599_904, 1024),
    "efficientnet_v2_s": (20_177_488, 1280),
    "vit_b_16": (85_798_656, 768),
    "convnext_tiny": (27_820_128, 768),
    "efficientnet_lite0": (3_371_008, 1280),
    "efficientnet_lite1": (4_135_680, 1280),
    "efficientnet_lite2": (4_811_072, 1280),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_a_trunk_gives_features_and_its_layers_hold_each_parameter_once(name: str) -> None:
    row = BACKBONES[name]
    if row.timm:
        pytest.importorskip("timm", reason="the extra lite is not installed")
    with torch.device("meta"):
        network, num_features, _ = trunk(row, row.size)
        features = network.eval()(torch.zeros(2, 3, row.size, row.size))
    sizes = {name: p.numel() for name, p in network.named_parameters()}
    assert features.shape == (2, num_features)
    assert (sum(sizes.values()), num_features) == FEATURES[name]
    found = [parameter for layer in layers(row, network) for parameter in layer]
    assert sorted(found) == sorted(sizes)


def test_the_last_layers_are_the_blocks_before_the_head() -> None:
    last = {"resnet50": "layer4", "vgg16": "classifier.3", "efficientnet_v2_s": "features.7"}
    for name, start in last.items():
        row = backbone(name)
        with torch.device("meta"):
            layer = layers(row, trunk(row, row.size).network)[-1]
        assert all(parameter.startswith(f"{start}.") for parameter in layer), name


def test_the_first_layer_of_vit_holds_what_the_network_itself_holds() -> None:
    row = backbone("vit_b_16")
    with torch.device("meta"):
        found = layers(row, trunk(row, 32).network)
    assert found[0] == ["class_token", "encoder.pos_embedding"]
    assert found[-1] == ["encoder.ln.weight", "encoder.ln.bias"]
    assert len(found) == 15  # these, the projection and twelve blocks


def test_auxiliary_heads_belong_to_no_layer() -> None:
    row = backbone("googlenet")
    assert needs_auxiliary(row, 224) and not needs_auxiliary(row, 112)
    with torch.device("meta"):
        network, num_features, inner = trunk(row, 224, auxiliary=True)
        outputs = network(torch.zeros(2, 3, 224, 224))
    assert [output.shape[1] for output in outputs] == [num_features, *inner] == [1024] * 3
    assert not any("aux" in name for layer in layers(row, network) for name in layer)


def test_a_network_of_timm_gets_a_row_of_what_timm_says() -> None:
    pytest.importorskip("timm", reason="the extra timm is not installed")
    row = backbone("timm:resnet18")
    assert row.url == "https://huggingface.co/timm/resnet18.a1_in1k/resolve/main/model.safetensors"
    assert (row.size, row.head, row.licence) == (224, ("fc",), "apache-2.0")
    with torch.device("meta"):
        network = trunk(row, 32).network
    assert [layer[0] for layer in layers(row, network)][-2:] == [
        "layer3.0.conv1.weight",
        "layer4.0.conv1.weight",
    ]


def test_an_unknown_network_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="there is no network resnet-50; did you mean"):
        backbone("resnet-50")
    pytest.importorskip("timm", reason="the extra timm is not installed")
    with pytest.raises(ValueError, match="timm has no pretrained network resnet_18; did you mean"):
        backbone("timm:resnet_18")


def test_a_missing_library_is_named_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(ValueError, match=r"needs the package timm; pip install 'cnnlib\[timm\]'"):
        backbone("timm:resnet34")
