"""Tests of cnnlib/networks/pretrained/fine_tuned.py."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from cnnlib.networks.pretrained.backbones import backbone
from cnnlib.networks.pretrained.config import PretrainedConfig
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.networks.pretrained.fine_tuned import LitClassifier, Preparation
from cnnlib.networks.saved import with_weights
from cnnlib.photos.dataset import read_folder
from cnnlib.pixels.augment import normalised
from cnnlib.training.trial import Task, save_weights, train

STRATEGIES = ("freeze_all", "freeze_partial", "unfreeze_all", "unfreeze_gradually")
# The smallest network of torchvision's rows; random weights, as none can be fetched.
SMALL: dict[str, Any] = {"model_name": "googlenet", "weights": "none", "batch_size": 8}


class KilledError(Exception):
    """A trial's process died."""


def task(photos: Path, **changes: Any) -> Task:
    settings = {"image_size": 32, "max_epochs": 3, "patience": 0, "seed": 1, "cpus": 1} | changes
    # The photographs themselves, whatever is frozen: features have tests of their own.
    family = replace(PRETRAINED, batches=None)
    return Task(dataset=read_folder(photos / "train"), family=family, accelerator="cpu", **settings)


@pytest.mark.parametrize(
    ("strategy", "k_layers", "trained"),
    [
        ("freeze_all", 1, 12_810),
        ("freeze_partial", 1, 12_810 + 330_240),  # the last convolution, 256 to 1280
        ("unfreeze_all", 1, 20_190_298),
        ("unfreeze_gradually", 1, 20_190_298),
    ],
)
def test_trained_parameters_are_counted(strategy: str, k_layers: int, trained: int) -> None:
    with torch.device("meta"):
        model = LitClassifier(
            model_name="efficientnet_v2_s", num_classes=10, lr=1e-3,
            finetune_strategy=strategy, k_layers=k_layers,
        )  # fmt: skip
    assert model.num_parameters == (20_190_298, trained)
    assert model.image_size == 384 and model.config.learning_rate == 1e-3


def test_the_studys_name_of_the_learning_rate_is_taken_and_two_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lr: 0\.1 is not the learning_rate given"):
        LitClassifier(**SMALL, lr=0.1, learning_rate=0.2)
    with pytest.raises(ValueError, match="finetune_strategy: thaw is not one of freeze_all, fre"):
        LitClassifier(**SMALL, finetune_strategy="thaw")
    with pytest.raises(ValueError, match="inception_v3 needs images of 75 px or more, not 32"):
        LitClassifier(model_name="inception_v3", image_size=32)
    with pytest.raises(ValueError, match="a multiple of 16 px, not 40"):
        LitClassifier(model_name="vit_b_16", image_size=40)


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name, tensor in before.items() if not torch.equal(tensor, after[name])}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_strategy_changes_what_it_trains_and_resumes_bit_for_bit(
    strategy: str, photos: Path, tmp_path: Path
) -> None:
    config = PretrainedConfig(
        **SMALL, finetune_strategy=strategy, optimizer="adamw", layer_decay=0.7,
        warm_up=0.2, learning_rate_schedule="cosine", head_learning_rate=10.0,
    )  # fmt: skip
    own = task(photos, max_epochs=4)
    torch.manual_seed(1)
    whole, half = tmp_path / "whole", tmp_path / "half"

    def die(row: dict[str, Any]) -> None:
        if row["epoch"] == 3:
            raise KilledError

    def run(folder: Path, on_epoch: Any) -> None:
        best, last = folder / "best.safetensors", folder / "last.ckpt"
        train(config, own, on_epoch=on_epoch, weights=best, last=last)

    rows: list[dict[str, Any]] = []
    run(whole, rows.append)
    with pytest.raises(KilledError):
        run(half, die)
    run(half, lambda row: None)
    one, other = (
        torch.load(f / "last.ckpt", weights_only=True)["state_dict"] for f in (whole, half)
    )
    assert not moved(one, other)
    best, again = (load_file(f / "best.safetensors") for f in (whole, half))
    assert not moved(best, again)
    best |= one  # the last, with the frozen trunk that it leaves out

    state = torch.load(whole / "last.ckpt", weights_only=True)
    model = LitClassifier(config, num_classes=3, image_size=32)
    names = [name for name, _ in model.network.named_parameters()]
    first = "network.trunk.conv1.conv.weight" in moved_since_start(config, own, best)
    assert first == (strategy in ("unfreeze_all", "unfreeze_gradually"))
    trained = {"freeze_all": 2, "freeze_partial": 2 + 18}.get(strategy, len(names))
    assert len(state["optimizer_states"][0]["state"]) == trained
    statistic = "network.trunk.conv1.bn.running_mean"
    assert (statistic in moved_since_start(config, own, best)) == first


def moved_since_start(config: PretrainedConfig, own: Task, after: dict[str, Tensor]) -> set[str]:
    """Which tensors are no longer those that the trial's seed had begun with."""
    import pytorch_lightning as pl

    pl.seed_everything(own.seed, verbose=False)
    model = LitClassifier(config, num_classes=3, image_size=32)
    return moved(model.state_dict(), after)


def test_frozen_layers_store_no_activations() -> None:
    stored = {}
    for strategy in ("freeze_all", "freeze_partial", "unfreeze_all"):
        model = LitClassifier(**SMALL, finetune_strategy=strategy, image_size=32).train()
        kept: list[Tensor] = []

        def keep(tensor: Tensor, kept: list[Tensor] = kept) -> Tensor:
            kept.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(torch.zeros(4, 3, 32, 32))
        weights = {p.data_ptr() for p in model.parameters()}
        stored[strategy] = sum(t.nbytes for t in kept if t.data_ptr() not in weights)
    assert stored["freeze_all"] < 4 * 1024 * 4 * 3  # the features, and what dropout drew
    assert stored["freeze_all"] < stored["freeze_partial"] < stored["unfreeze_all"] / 10


def test_auxiliary_heads_train_where_images_are_large_enough_and_add_nothing_else() -> None:
    model = LitClassifier(**SMALL, finetune_strategy="unfreeze_all")
    assert len(model.network.auxiliary) == 2 and model.image_size == 224
    images, labels = torch.randn(2, 3, 224, 224), torch.tensor([0, 1])
    model.train()
    torch.manual_seed(0)
    scores, loss = model.scores_and_loss("train", images, labels)
    extra = (loss - F.cross_entropy(scores, labels)) / 0.3
    assert 2 < extra.item() < 20  # two losses of about log 10
    loss.backward()
    assert all(head.weight.grad is not None for head in model.network.auxiliary)  # type: ignore[union-attr]
    model.eval()
    scores, loss = model.scores_and_loss("val", images, labels)
    assert loss.item() == pytest.approx(F.cross_entropy(scores, labels).item())
    assert not LitClassifier(
        **SMALL, image_size=64, finetune_strategy="unfreeze_all"
    ).network.auxiliary
    assert not LitClassifier(**SMALL, finetune_strategy="freeze_all").network.auxiliary


def test_a_network_is_shown_its_own_colours_and_size() -> None:
    images = torch.rand(2, 3, 48, 48)
    row = backbone("efficientnet_lite0")
    seen = Preparation(row, 48)(normalised(images))
    assert torch.allclose(seen, (images - 0.5) / 0.5, atol=1e-5)
    smaller = Preparation(row, 24)(normalised(images))
    assert smaller.shape == (2, 3, 24, 24)
    usual = Preparation(backbone("resnet50"), 48)(normalised(images))
    assert torch.equal(usual, normalised(images))
    model = LitClassifier(**SMALL, image_size=256, input_size="own", finetune_strategy="freeze_all")
    assert model.eval()(torch.zeros(1, 3, 256, 256)).shape == (1, 10)


def test_a_network_is_read_back_without_its_pretrained_weights(tmp_path: Path) -> None:
    config = PretrainedConfig(**SMALL, finetune_strategy="freeze_partial")
    model = LitClassifier(config, num_classes=3, image_size=32).eval()
    path = tmp_path / "weights.safetensors"
    save_weights(model, path)
    elsewhere = replace(config, weights="/nowhere")  # not needed to read
    found = with_weights(PRETRAINED.build, elsewhere, num_classes=3, image_size=32, path=path)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(found(images), model(images))
