"""Tests of cnnlib/networks/pretrained/family.py and its sweep files."""

import hashlib

import pytest

from cnnlib.networks.families import FAMILIES
from cnnlib.networks.pretrained.config import PretrainedConfig
from cnnlib.networks.pretrained.family import PRETRAINED, origin, prepare
from cnnlib.planning.make_plan import SWEEPS
from cnnlib.search.space import num_configurations
from cnnlib.search.sweep_file import read_sweep_file, sweep_from_mapping


@pytest.mark.parametrize("name", ["finetune", "finetune_modern", "quick"])
def test_the_shipped_sweeps_are_of_this_family_and_read_without_notes(name: str) -> None:
    file = read_sweep_file(SWEEPS / f"{name}.yaml")
    assert file.family is PRETRAINED is FAMILIES["pretrained"]
    assert not file.notes
    assert num_configurations(file.space, file.settings["image_size"], file.family) > 100


def test_the_studys_space_counts_k_layers_only_where_they_mean_something() -> None:
    file = read_sweep_file(SWEEPS / "finetune.yaml")
    # Six networks, three rates, two batch sizes, with and without augmentation; strategies: one
    # that freezes all, three that leave the last layers, one that trains all.
    assert num_configurations(file.space, 384, file.family) == 6 * 3 * 2 * 2 * (1 + 3 + 1)


def test_a_sweep_is_read_in_other_words_too() -> None:
    parameters = {
        "network": {"value": "pretrained"},
        "backbone": {"values": ["resnet50", "vgg16"]},
        "freeze_strategy": {"values": ["freeze_all", "freeze_partial"]},
        "k": {"values": [1, 2]},
        "warmup_ratio": {"value": 0.1},
    }
    read = sweep_from_mapping({"method": "random", "parameters": parameters})
    assert set(read.space) == {"model_name", "finetune_strategy", "k_layers", "warm_up"}


def test_what_is_missing_is_told_before_anything_starts(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("weights")
    with pytest.raises(FileNotFoundError, match=r"resnet50-0676ba61\.pth, the file of resnet50"):
        prepare(PretrainedConfig(model_name="resnet50", weights=str(folder)))
    prepare(PretrainedConfig(model_name="resnet50", weights="none"))


def test_a_champion_says_where_its_weights_began(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert origin(PretrainedConfig(model_name="vgg16", weights="none"))["weights"] == "random"
    own = tmp_path_factory.mktemp("weights") / "mine.pth"
    own.write_bytes(b"weights")
    said = origin(PretrainedConfig(model_name="resnet50", weights=str(own)))
    assert (said["weights"], said["licence"]) == ("mine.pth", "BSD-3-Clause")
    assert said["trained_on"].startswith("ImageNet-1k")
    assert said["sha256"] == hashlib.sha256(b"weights").hexdigest()
    own.unlink()
    assert origin(PretrainedConfig(model_name="resnet50", weights=str(own))).keys() < said.keys()
