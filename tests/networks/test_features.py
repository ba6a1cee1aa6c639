"""Tests of cnnlib/networks/pretrained/features.py and feature_batches.py."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cnnlib.networks.pretrained import features as module
from cnnlib.networks.pretrained.config import PretrainedConfig
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.networks.pretrained.feature_batches import FeatureBatches
from cnnlib.networks.pretrained.features import Source, View, digest_of_trunk, features
from cnnlib.photos.dataset import read_folder
from cnnlib.storage.files import exclusive
from cnnlib.training.trial import Task, train
from tests.conftest import wait_until

CPU = torch.device("cpu")


class Trunk(nn.Module):
    """A trunk that counts what it has computed."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(3, 5, 3)
        self.seen = 0
        self.dies_after: int | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        if self.dies_after is not None and self.seen > self.dies_after:
            raise KeyboardInterrupt
        return self.layer(images).mean((2, 3))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "ROWS", 8)
    return tmp_path / "cache" / "features"


def source(photos: Path, trunk: nn.Module, **changes: Any) -> Source:
    settings = {"split": "train", "image_size": 16, "trunk": digest_of_trunk(trunk)} | changes
    return Source(read_folder(photos / "train"), **settings)


def seen(own: Source, view: View, trunk: nn.Module) -> np.ndarray:
    return features(own, [view], trunk, CPU)[0]


def test_features_are_computed_once_for_each_view_and_weights(photos: Path) -> None:
    trunk = Trunk()
    own = source(photos, trunk)
    plain = seen(own, View(), trunk)
    assert plain.shape == (30, 5) and plain.dtype == np.float32
    assert trunk.seen == 30 + 1  # one tells how many features there are
    assert np.array_equal(seen(own, View(), trunk), plain) and trunk.seen == 31
    views = [seen(own, View("standard", number), trunk) for number in range(2)]
    assert not np.allclose(views[0], plain) and not np.allclose(views[0], views[1])
    nn.init.zeros_(trunk.layer.weight)
    other = seen(source(photos, trunk), View(), trunk)
    assert not np.allclose(other, plain)


def test_a_killed_build_goes_on_to_the_same_numbers(photos: Path, own_cache: Path) -> None:
    trunk = Trunk()
    own, view = source(photos, trunk), View("light", 1)
    whole = np.array(seen(own, view, trunk))
    for path in own_cache.iterdir():
        path.unlink()
    trunk.seen, trunk.dies_after = 0, 20
    with pytest.raises(KeyboardInterrupt):
        seen(own, view, trunk)
    assert [path.suffix for path in own_cache.iterdir() if path.suffix == ".npy"] == []
    trunk.seen, trunk.dies_after = 0, None
    assert np.array_equal(seen(own, view, trunk), whole)
    assert trunk.seen == 1 + 30 - 16
    assert {path.suffix for path in own_cache.iterdir()} == {".npy", ".json", ".lock"}


def test_who_comes_later_computes_what_nobody_is_at_yet(photos: Path) -> None:
    trunk = Trunk()
    own, views = source(photos, trunk), [View("light", number) for number in range(2)]
    done: list[np.ndarray] = []
    later = threading.Thread(target=lambda: done.extend(features(own, views, trunk, CPU)))
    with exclusive(own.place(views[0])):  # another trial is at it
        later.start()
        wait_until(own.place(views[1]).exists)
        assert not own.place(views[0]).exists() and not done
    later.join()
    assert len(done) == 2 and not np.allclose(*done)
    assert trunk.seen == 2 * (30 + 1)


@pytest.mark.parametrize("damage", ["short", "changed", "note"])
def test_what_is_damaged_is_computed_again(photos: Path, own_cache: Path, damage: str) -> None:
    trunk = Trunk()
    own = source(photos, trunk)
    whole = np.array(seen(own, View(), trunk))
    path = own.place(View())
    if damage == "short":
        path.write_bytes(path.read_bytes()[:-4])
    elif damage == "changed":
        path.write_bytes(path.read_bytes()[:-4] + b"abcd")
    else:
        path.unlink()
        path.with_suffix(".rows").write_text('{"rows": 900}')
        with path.with_suffix(".part").open("wb") as file:
            np.save(file, whole)
    assert np.array_equal(seen(own, View(), trunk), whole)


def test_batches_come_in_order_and_each_epoch_draws_its_views() -> None:
    views = [np.arange(20, dtype=np.float32)[:, None] + 100 * view for view in range(3)]
    settings: dict[str, Any] = {"batch_size": 8, "device": CPU, "seed": 1}
    indices = np.arange(0, 20, 2)
    [first, second] = FeatureBatches(views[:1], np.arange(20), indices, **settings)
    assert first[0].flatten().tolist() == first[1].tolist() == list(range(0, 16, 2))
    assert second[1].tolist() == [16, 18]
    shuffled = FeatureBatches(views, np.arange(20), indices, shuffle=True, **settings)
    epochs = [[torch.cat(parts) for parts in zip(*shuffled, strict=True)] for _ in range(3)]
    for found, labels in epochs:
        assert (found.flatten() % 100).tolist() == labels.tolist()
        assert sorted(labels.tolist()) == indices.tolist()
    assert len({tuple((found.flatten() // 100).tolist()) for found, _ in epochs}) == 3
    again = FeatureBatches(views, np.arange(20), indices, shuffle=True, first_epoch=2, **settings)
    assert torch.equal(torch.cat([found for found, _ in again]), epochs[2][0])


def test_a_head_on_kept_features_learns_what_it_learns_the_plain_way(
    photos: Path, tmp_path: Path
) -> None:
    config = PretrainedConfig(
        model_name="googlenet", weights="none", batch_size=8, use_augmentation=False
    )
    rows: dict[str, list[dict[str, Any]]] = {"kept": [], "plain": []}
    for name, found in rows.items():
        family = PRETRAINED if name == "kept" else replace(PRETRAINED, batches=None)
        own = Task(
            dataset=read_folder(photos / "train"), family=family, accelerator="cpu",
            image_size=32, max_epochs=3, patience=0, seed=1, cpus=1,
        )  # fmt: skip
        best, last = tmp_path / name / "best.safetensors", tmp_path / name / "last.ckpt"
        train(config, own, on_epoch=found.append, weights=best, last=last)
    for one, other in zip(rows["kept"], rows["plain"], strict=True):
        for column in ("train_loss", "val_loss", "train_acc", "val_acc"):
            assert one[column] == pytest.approx(other[column], rel=1e-2, abs=1e-3), column
    kept, plain = (load_file(tmp_path / name / "best.safetensors") for name in rows)
    assert kept.keys() == plain.keys()  # whole networks, trunk and head
    for name, tensor in plain.items():
        assert torch.allclose(kept[name].float(), tensor.float(), rtol=1e-2, atol=1e-3), name
    for name in rows:  # the frozen trunk is not written again after each epoch
        lean, whole = (tmp_path / name / file for file in ("last.ckpt", "best.safetensors"))
        assert lean.stat().st_size < whole.stat().st_size / 20
