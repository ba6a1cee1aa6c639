from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning.trainer.states import TrainerStatus

from cnnlib.pixels.augment import normalised
from cnnlib.pixels.datamodule import CustomDataModule, evaluation_batch, stratified_split


def module(photos: Path, **settings: object) -> CustomDataModule:
    return CustomDataModule(photos / "train", image_size=8, **settings)  # type: ignore[arg-type]


def test_the_split_takes_the_same_share_of_each_class() -> None:
    labels = (0,) * 100 + (1,) * 50 + (2,) * 10
    train, val = stratified_split(labels, 0.2, seed=1)
    assert [int((np.array(labels)[val] == label).sum()) for label in range(3)] == [20, 10, 2]
    assert sorted([*train, *val]) == list(range(160))


def test_the_split_depends_on_the_seed_alone() -> None:
    labels = tuple(np.arange(90) % 3)
    first = stratified_split(labels, 0.2, seed=1)
    again = stratified_split(labels, 0.2, seed=1)
    other = stratified_split(labels, 0.2, seed=2)
    np.testing.assert_array_equal(first[1], again[1])
    assert set(first[1]) != set(other[1])


def test_the_split_of_data_without_copies_is_that_of_the_first_release() -> None:
    labels = (0,) * 9 + (1,) * 7 + (2,) * 5
    _, val = stratified_split(labels, 0.3, seed=42)
    assert val.tolist() == [0, 3, 7, 9, 11, 17, 20]


@pytest.mark.parametrize("seed", range(20))
def test_copies_stay_on_one_side(seed: int) -> None:
    labels = (0,) * 10 + (1,) * 6 + (2,) * 3
    copies = ((0, 1, 2), (4, 9), (10, 15), (16, 17, 18))
    train, val = stratified_split(labels, 0.2, seed, copies)
    assert sorted([*train, *val]) == list(range(19))
    for group in copies[:3]:
        assert set(group) <= set(train) or set(group) <= set(val)
    for side in (train, val):
        assert {labels[index] for index in side} == {0, 1, 2}
    assert sum(index < 10 for index in val) in (2, 3, 4)


@pytest.mark.parametrize("val_split", [0.01, 0.99])
def test_every_class_stays_on_both_sides(val_split: float) -> None:
    labels = (0, 0, 1, 1, 1)
    for side in stratified_split(labels, val_split, seed=0):
        assert {labels[index] for index in side} == {0, 1}


def test_every_image_comes_once_an_epoch_and_none_is_trained_and_validated_on(
    photos: Path,
) -> None:
    data = module(photos, batch_size=7)
    train, val = data.train_dataloader(), data.val_dataloader()
    raw = torch.from_numpy(train.images.copy()).permute(0, 3, 1, 2) / 255
    everything = normalised(raw).flatten(1)  # (N, C*H*W)

    def indices(batches: object) -> list[int]:
        seen = torch.cat([images for images, _ in batches]).flatten(1)  # type: ignore[attr-defined]
        return torch.cdist(seen, everything).argmin(1).tolist()

    assert sorted(indices(train) + indices(val)) == list(range(30))
    assert sorted(indices(train)) == sorted(data.split_indices[0])


def test_labels_belong_to_their_images(photos: Path) -> None:
    data = module(photos, batch_size=7)
    for batches in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader()):
        images, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        strongest = images.mean((2, 3)).argmax(1)  # red, green or blue
        names = [data.classes[label] for label in labels]
        assert names == [("red", "green", "blue")[channel] for channel in strongest]


def test_each_epoch_is_shuffled_anew_and_the_same_for_the_same_seed(photos: Path) -> None:
    def epochs(seed: int) -> list[torch.Tensor]:
        train = module(photos, seed=seed, batch_size=24).train_dataloader()
        return [torch.cat([images for images, _ in train]) for _ in range(2)]

    first, again = epochs(1), epochs(1)
    assert (first[0] != first[1]).any()
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_training_images_alone_are_augmented(photos: Path) -> None:
    """The study's own code changed the transform of both, so its augmentation had no effect."""
    plain, varied = (
        module(photos, batch_size=24),
        module(photos, batch_size=24, use_augmentation=True),
    )
    [(images, _)] = list(plain.train_dataloader())
    [(changed, _)] = list(varied.train_dataloader())
    assert (images - changed).abs().mean() > 0.1
    for name in ("val_dataloader", "test_dataloader"):
        [(images, _)] = list(getattr(plain, name)())
        [(same, _)] = list(getattr(varied, name)())
        torch.testing.assert_close(images, same, rtol=0, atol=0)


@pytest.mark.parametrize("augmentation", ["light", "strong"])
def test_the_kind_of_augmentation_can_be_chosen(augmentation: str, photos: Path) -> None:
    settings = {"batch_size": 24, "use_augmentation": True}
    [(standard, _)] = list(module(photos, **settings).train_dataloader())
    [(images, _)] = list(module(photos, augmentation=augmentation, **settings).train_dataloader())
    assert images.shape == standard.shape == (24, 3, 8, 8)
    assert (images != standard).any()


def test_training_goes_on_with_the_epoch_that_the_trainer_is_in(photos: Path) -> None:
    data = module(photos, batch_size=24, use_augmentation=True)
    unbroken = data.train_dataloader()
    [_, (second, _)] = [batch for _ in range(2) for batch in unbroken]
    data.trainer = running(current_epoch=1)
    [(resumed, _)] = list(data.train_dataloader())
    torch.testing.assert_close(resumed, second, rtol=0, atol=0)


def running(current_epoch: int = 0) -> Any:
    """A trainer in the middle of its work."""
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    status = SimpleNamespace(status=TrainerStatus.RUNNING)
    return SimpleNamespace(strategy=strategy, state=status, current_epoch=current_epoch)


def test_only_a_trainer_that_runs_gets_rounded_images_and_large_batches(photos: Path) -> None:
    data = module(photos, dtype=torch.bfloat16, batch_size=2)
    loaders = data.train_dataloader, data.val_dataloader, data.test_dataloader

    def seen() -> list[tuple[torch.dtype, int]]:
        return [(images.dtype, len(images)) for images, _ in (next(iter(f())) for f in loaders)]

    assert seen() == [(torch.float32, 2)] * 3
    data.trainer = running()
    assert seen() == [(torch.bfloat16, 2), (torch.bfloat16, 6), (torch.bfloat16, 9)]
    data.trainer.state.status = TrainerStatus.FINISHED
    assert seen() == [(torch.float32, 2)] * 3


def test_images_are_exact_unless_a_trainer_asks_otherwise(photos: Path) -> None:
    data = module(photos)
    data.trainer = running()
    assert next(iter(data.train_dataloader()))[0].dtype == torch.float32


@pytest.mark.parametrize("image_size", [8, (8, 8), [8, 8], np.int64(8)])
def test_a_size_is_one_side_or_the_studys_pair(image_size: Any, photos: Path) -> None:
    data = CustomDataModule(photos / "train", image_size=image_size)
    assert data.image_size == 8
    assert next(iter(data.val_dataloader()))[0].shape == (6, 3, 8, 8)


@pytest.mark.parametrize(
    ("image_size", "message"),
    [
        ((8, 6), r"image_size: \(8, 6\) is not square; .* give one side: image_size=6"),
        ((8, 8, 3), "is not a whole number or two of them"),
        ((), "is not a whole number or two of them"),
        ("8", "image_size: '8' is not a whole number or two of them"),
        (8.0, "image_size: 8.0 is not a whole number or two of them"),
        (1, "image_size: 1 is not at least 2"),
    ],
)
def test_a_size_that_is_none_is_refused(image_size: Any, message: str, photos: Path) -> None:
    with pytest.raises(ValueError, match=message):
        CustomDataModule(photos / "train", image_size=image_size)


@pytest.mark.parametrize(
    ("side", "on_a_gpu", "on_a_cpu"),
    [(16, 256, 256), (32, 256, 64), (64, 256, 16), (128, 64, 4), (224, 20, 1), (512, 4, 1)],
)
def test_large_images_are_evaluated_in_smaller_batches(
    side: int, on_a_gpu: int, on_a_cpu: int
) -> None:
    assert evaluation_batch(side, "cuda") == on_a_gpu
    assert evaluation_batch(side, "cpu") == on_a_cpu


def test_batches_have_the_size_asked_for(photos: Path) -> None:
    train = module(photos, batch_size=7).train_dataloader()
    assert [len(labels) for _, labels in train] == [7, 7, 7, 3]
    assert len(train) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"val_split": 1.0}, "val_split: 1.0 is not between 0 and 1"),
        ({"batch_size": 0}, "batch_size: 0 is not at least 1"),
        ({"num_workers": -1}, "num_workers: -1 is not at least 0"),
        ({"augmentation": "much"}, "augmentation: much is not one of standard, light, strong"),
    ],
)
def test_wrong_settings_are_refused(photos: Path, settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        module(photos, **settings)


def test_without_a_test_folder_the_test_is_refused(photos: Path) -> None:
    (photos / "val").rename(photos / "elsewhere")
    with pytest.raises(ValueError, match="no test set"):
        module(photos).test_dataloader()


def test_a_module_that_reads_for_itself_tells_what_to_know(
    photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (photos / "train" / "red" / "notes.txt").write_text("no photo")
    data = module(photos)
    assert caplog.messages == ["files skipped, not images: 1 (red/notes.txt)"]
    module(photos, dataset=data.dataset)
    assert len(caplog.messages) == 1
