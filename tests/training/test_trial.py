import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ProgressBar
from safetensors.torch import load_file, save_file
from torch.utils._python_dispatch import TorchDispatchMode

from cnnlib.journal.columns import CLASS_COUNTS, EPOCH_COLUMNS
from cnnlib.networks.classifier import Classifier
from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import CNN, TrialConfig
from cnnlib.networks.family import Family
from cnnlib.networks.metric import VAL_ACC, Metric
from cnnlib.photos.dataset import read_folder
from cnnlib.storage.files import replaced
from cnnlib.storage.training_files import epoch_of
from cnnlib.training import trial
from cnnlib.training.trial import (
    EpochReport,
    Task,
    best_epoch,
    data_module,
    is_over,
    is_pair,
    precision,
    reported,
    train,
)

SMALL = {"first_layer_filters": 4, "conv_layers": 2, "num_neurons_dense": 8, "filter_org": 1.0}


def task(photos: Path, **changes: Any) -> Task:
    settings = {"image_size": 8, "max_epochs": 3, "patience": 0, "seed": 1, "cpus": 1} | changes
    return Task(dataset=read_folder(photos / "train"), **settings)


def rows(photos: Path, folder: Path, config: TrialConfig, **changes: Any) -> list[dict[str, Any]]:
    epochs: list[dict[str, Any]] = []
    train(
        config, task(photos, **changes), on_epoch=epochs.append, weights=folder / "best.safetensors"
    )
    return epochs


def test_every_epoch_is_reported_with_the_columns_of_the_design(
    photos: Path, tmp_path: Path
) -> None:
    epochs = rows(photos, tmp_path, TrialConfig(**SMALL))
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    for row in epochs:
        counts = row.pop(CLASS_COUNTS, None)
        assert set(row) == {*EPOCH_COLUMNS, "val_balanced_acc", "val_f1"} - {"trial_id"}
        assert all(math.isfinite(value) for value in row.values())
        if counts:
            assert list(counts) == ["blue", "green", "red"]
            assert [n for _, n in counts.values()] == [2, 2, 2]
            assert sum(hits for hits, _ in counts.values()) == round(6 * row["val_acc"])
        assert row["learning_rate"] == 1e-3


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_the_best_weights_are_kept_and_score_what_was_reported(
    ema: float, photos: Path, tmp_path: Path
) -> None:
    config = TrialConfig(**SMALL, learning_rate=0.01, ema=ema)
    epochs = rows(photos, tmp_path, config, max_epochs=6)
    best = max(row["val_acc"] for row in epochs)
    [val_loss, *_] = [row["val_loss"] for row in epochs if row["val_acc"] == best]
    model = CustomCNN(config, num_classes=3, image_size=8)
    model.load_state_dict(load_file(tmp_path / "best.safetensors"))
    model.eval()
    data = data_module(config, task(photos).dataset, image_size=8, seed=1)
    with torch.no_grad():
        [(images, labels)] = list(data.val_dataloader())
        scores = model(images)
    assert (scores.argmax(1) == labels).float().mean().item() == pytest.approx(best)
    loss = torch.nn.functional.cross_entropy(scores, labels).item()
    assert loss == pytest.approx(val_loss, rel=1e-2)  # trained in bf16 on some CPUs


def test_an_epochs_learning_rate_is_the_one_that_it_began_with(
    photos: Path, tmp_path: Path
) -> None:
    config = TrialConfig(**SMALL, learning_rate_schedule="step")
    epochs = rows(photos, tmp_path, config, max_epochs=3)
    assert [row["learning_rate"] for row in epochs] == pytest.approx([1e-3, 1e-4, 1e-5])


LOSS = Metric("val_loss", "minimize", "validation loss")


@pytest.mark.parametrize(
    ("metric", "values"),
    [(VAL_ACC, (0.2, 0.6, 0.6, 0.4, math.nan)), (LOSS, (2.3, 0.6, 0.6, 1.4, math.inf))],
    ids=str,
)
def test_only_a_better_epoch_replaces_the_best_weights_and_tells_its_classes(
    metric: Metric, values: tuple[float, ...], tmp_path: Path
) -> None:
    model = Classifier(torch.nn.Linear(1, 1), TrialConfig(), num_classes=1, image_size=8)
    weights = tmp_path / "best.safetensors"
    told: list[dict[str, Any]] = []
    report = EpochReport(told.append, weights, last=None, patience=0, seed=1, metric=metric)
    trainer = SimpleNamespace(
        current_epoch=0,
        max_epochs=9,
        num_val_batches=[1],
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.1}])],
        datamodule=SimpleNamespace(split_indices=([0], [1]), classes=("a",)),
    )
    model.class_counts = torch.tensor([[3.0], [5.0], [4.0]])
    kept = []
    for value in values:
        torch.nn.init.constant_(model.network.bias, value)
        trainer.callback_metrics = {metric.name: torch.tensor(value)}
        report.on_train_epoch_end(trainer, model)  # type: ignore[arg-type]
        kept.append(round(load_file(weights)["network.bias"].item(), 1))
    assert kept == [values[0], 0.6, 0.6, 0.6, 0.6]
    assert [row.get(CLASS_COUNTS) for row in told] == [{"a": [3, 5]}] * 2 + [None] * 3


def test_colours_are_learnt(photos: Path, tmp_path: Path) -> None:
    epochs = rows(photos, tmp_path, TrialConfig(**SMALL, learning_rate=0.01), max_epochs=15)
    assert max(row["val_acc"] for row in epochs) >= 5 / 6


RECIPE = {
    "optimizer": "sgd", "weight_decay": 1e-3, "learning_rate_schedule": "one_cycle",
    "label_smoothing": 0.1, "kernel_size": 5, "head": "gap", "ema": 0.9,
}  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"use_augmentation": False}, RECIPE], ids=str)
def test_the_same_seed_gives_the_same_curve(changes: dict, photos: Path, tmp_path: Path) -> None:
    config = TrialConfig(**SMALL, **changes)

    def losses(seed: int) -> list[tuple[float, float]]:
        return [
            (row["train_loss"], row["val_loss"])
            for row in rows(photos, tmp_path, config, seed=seed)
        ]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_a_trial_that_no_longer_gets_better_ends(photos: Path, tmp_path: Path) -> None:
    frozen = TrialConfig(**SMALL, learning_rate=1e-8)
    epochs = rows(photos, tmp_path, frozen, max_epochs=30, patience=2)
    assert len(epochs) == 3


def built_by(kind: type[CustomCNN]) -> Family:
    """The cnn with another class."""
    return replace(CNN, build=lambda c, n, px: kind(c, num_classes=n, image_size=px))


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_trial_that_diverges_ends_at_once_and_keeps_the_weights_of_before(
    ema: float, photos: Path, tmp_path: Path
) -> None:
    """Its weights become NaN in the second epoch."""

    class Diverging(CustomCNN):
        def on_train_batch_end(self, *_: Any) -> None:
            if self.current_epoch == 1:
                torch.nn.init.constant_(self.network[0].weight, math.nan)

    config = TrialConfig(**SMALL, batch_size=4, ema=ema)
    run = task(photos, max_epochs=9, family=built_by(Diverging))
    first, again = (broken_rows(config, run, tmp_path) for _ in range(2))
    for epochs in (first, again):
        assert [math.isnan(row["val_acc"]) for row in epochs] == [False, True]
        assert math.isnan(epochs[1]["train_acc"]) and CLASS_COUNTS not in epochs[1]
    kept = load_file(tmp_path / "best.safetensors")
    assert all(tensor.isfinite().all() for tensor in kept.values())


def test_what_nothing_validates_keeps_no_weights_that_are_not_finite(
    photos: Path, tmp_path: Path
) -> None:
    """They become so after the last step of an epoch, which no batch has seen."""

    class Diverging(CustomCNN):
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            if self.current_epoch == 1 and batch_idx == self.trainer.num_training_batches - 1:
                torch.nn.init.constant_(self.network[-1].bias, math.inf)

    family = built_by(Diverging)
    epochs = rows(
        photos, tmp_path, TrialConfig(**SMALL), max_epochs=4, val_split=0.0, family=family
    )
    assert [math.isnan(row["train_acc"]) for row in epochs] == [False, True]
    kept = load_file(tmp_path / "best.safetensors")
    assert all(tensor.isfinite().all() for tensor in kept.values())


class KilledError(BaseException):
    pass


def broken_rows(config: TrialConfig, run: Task, folder: Path, *lives: int) -> list[dict[str, Any]]:
    """What a trial has reported that is ended after so many reports in each of its lives."""
    for life in (*lives, None):
        epochs: list[dict[str, Any]] = []

        def report(row: dict[str, Any], life: int | None = life, epochs: list = epochs) -> None:
            epochs.append(row)
            if len(epochs) == life:
                raise KilledError

        try:
            train(
                config, run, on_epoch=report, weights=folder / "best.safetensors",
                last=folder / "last.pt",
            )  # fmt: skip
        except KilledError:
            continue
    return epochs


def curve(epochs: list[dict[str, Any]]) -> list[dict[str, float]]:
    timed = ("seconds", "images_per_second")
    return [{name: v for name, v in row.items() if name not in timed} for row in epochs]


@pytest.mark.parametrize(
    "changes", [{}, RECIPE, {"learning_rate_schedule": "step", "optimizer": "adamw"}], ids=str
)
def test_an_interrupted_trial_goes_on_to_the_last_digit(
    changes: dict[str, Any], photos: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"learning_rate": 0.01, "batch_size": 8, "use_augmentation": True}
    config = TrialConfig(**SMALL, **settings | changes)
    run = task(photos, max_epochs=5)
    unbroken = rows(photos, tmp_path / "a", config, max_epochs=5)
    broken = broken_rows(config, run, tmp_path / "b", 2, 3)
    assert curve(broken) == curve(unbroken)
    one, two = (load_file(tmp_path / n / "best.safetensors") for n in "ab")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert {path.name for path in (tmp_path / "b").iterdir()} == {"last.pt", "best.safetensors"}


def test_patience_is_counted_through_an_interruption(photos: Path, tmp_path: Path) -> None:
    frozen = TrialConfig(**SMALL, learning_rate=1e-8)
    run = task(photos, max_epochs=30, patience=3)
    assert len(broken_rows(frozen, run, tmp_path, 2)) == 4
    assert len(broken_rows(frozen, run, tmp_path)) == 4, "what is over is not trained on"


def test_a_trial_is_over_after_its_epochs_or_its_patience() -> None:
    def over(*scores: float, patience: int = 2) -> bool:
        return is_over([{"val_acc": score} for score in scores], 4, patience)

    assert not over()
    assert over(0.1, 0.2, 0.3, 0.4)
    assert not over(0.3, 0.2)
    assert over(0.3, 0.2, 0.3), "an equal is no better one"
    assert not over(0.3, 0.2, 0.1, patience=0)
    assert over(math.nan), "it has diverged"
    assert not over(math.nan, 0.2)


def test_a_damaged_state_is_no_state_and_nothing_in_it_is_executed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    last = tmp_path / "last.pt"
    assert reported(last) == []
    last.write_bytes(b"torn")
    assert reported(last) == []
    torch.save({"callbacks": {"EpochReport": {"rows": [Harmful()]}}}, last)
    assert reported(last) == []
    assert not (tmp_path / "executed").exists()
    assert caplog.text.count("cannot be read, so from epoch 1") == 2


@pytest.mark.parametrize(
    ("tiles", "vectors", "maker", "kind"),
    [
        (True, True, "GenuineIntel", "bf16-mixed"),
        (False, True, "AuthenticAMD", "bf16-mixed"),
        (False, True, "GenuineIntel", "32-true"),
        (False, False, "AuthenticAMD", "32-true"),
    ],
)
def test_a_cpu_trains_in_bf16_only_where_that_is_faster(
    tiles: bool,
    vectors: bool,
    maker: str,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\nvendor_id : {maker}\n")
    monkeypatch.setattr(trial, "CPU", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vectors)
    assert precision.__wrapped__("cpu") == kind


class Synchronisations(TorchDispatchMode):
    """Counts the times that a tensor's value is asked for, for which a GPU is waited for."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        asks = torch.ops.aten._local_scalar_dense.default, torch.ops.aten.equal.default
        self.count += func in asks
        return func(*args, **(kwargs or {}))


def test_an_epoch_asks_for_no_value_before_its_end(photos: Path, tmp_path: Path) -> None:
    def asked(batch_size: int) -> int:
        with Synchronisations() as counted:
            rows(photos, tmp_path, TrialConfig(**SMALL, batch_size=batch_size), max_epochs=2)
        return counted.count

    assert asked(2) == asked(8) > 0, "it grows with the number of batches"


def test_lightning_does_nothing_that_a_trial_does_not_need(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainers = []
    fit = pl.Trainer.fit
    monkeypatch.setattr(
        pl.Trainer, "fit", lambda self, *a, **k: trainers.append(self) or fit(self, *a, **k)
    )
    rows(photos, tmp_path, TrialConfig(**SMALL), max_epochs=1)
    (trainer,) = trainers
    assert [type(callback) for callback in trainer.callbacks] == [EpochReport]
    assert trainer.loggers == []
    assert trainer.num_sanity_val_steps == 0
    assert not any(isinstance(part, ProgressBar) for part in trainer.callbacks)


def pair(photos: Path, folder: Path, **changes: Any) -> list[dict[str, Any]]:
    """Trains in `folder` and says what was reported."""
    epochs: list[dict[str, Any]] = []
    config = TrialConfig(**SMALL, learning_rate=0.01)
    train(
        config, task(photos, max_epochs=4, **changes), on_epoch=epochs.append,
        weights=folder / "best.safetensors", last=folder / "last.pt",
    )  # fmt: skip
    return epochs


def test_no_step_of_an_optimiser_asks_nvml_for_gpus(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning's variable makes it ask each time; whoever trains beside us finds it as it was."""
    asked = []
    count = torch.cuda.device_count
    monkeypatch.setattr(torch.cuda, "device_count", lambda: asked.append(0) or count())
    monkeypatch.setenv(trial.ASKS_NVML, "1")
    with trial._gpus_told_by_the_driver():
        before = len(asked)
        torch.cuda.is_available()
        assert len(asked) == before
    rows(photos, tmp_path, TrialConfig(**SMALL, batch_size=2), max_epochs=1)
    few = len(asked)
    rows(photos, tmp_path, TrialConfig(**SMALL, batch_size=2), max_epochs=3)
    assert len(asked) - few == few, "as many as in a training of one epoch"
    assert os.environ[trial.ASKS_NVML] == "1"


def test_weights_say_of_which_epoch_they_are(photos: Path, tmp_path: Path) -> None:
    epochs = pair(photos, tmp_path)
    best = max(epochs, key=lambda row: row["val_acc"])["epoch"]
    assert best_epoch(epochs) == best == epoch_of(tmp_path / "best.safetensors")
    assert is_pair(tmp_path / "best.safetensors", epochs)


def other_epoch(weights: Path) -> None:
    save_file(load_file(weights), weights, {"epoch": "77"})


def older_version(weights: Path) -> None:
    save_file(load_file(weights), weights)


def torn(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-5])


@pytest.mark.parametrize("harm", [other_epoch, older_version, torn, Path.unlink])
def test_a_trial_whose_best_weights_are_not_those_of_its_state_begins_again(
    harm: Callable[[Path], None], photos: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "best.safetensors"
    epochs = pair(photos, tmp_path)
    expected = {name: tensor.clone() for name, tensor in load_file(weights).items()}  # not mapped
    assert len(pair(photos, tmp_path)) == 4, "what is a pair is not trained on"
    before = (tmp_path / "last.pt").stat().st_mtime_ns
    harm(weights)
    assert curve(pair(photos, tmp_path)) == curve(epochs)
    assert (tmp_path / "last.pt").stat().st_mtime_ns != before, "it was trained anew"
    assert epoch_of(weights) == best_epoch(epochs)
    assert all(torch.equal(load_file(weights)[name], expected[name]) for name in expected)


@pytest.mark.parametrize("count", range(1, 6))
def test_a_kill_between_any_two_files_of_a_trial_changes_nothing(
    count: int, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = pair(photos, tmp_path / "a")
    left = iter(range(count))

    def killed(path: Path, write: Callable[[Path], object]) -> None:
        if next(left, None) is None:
            raise KilledError
        replaced(path, write)

    with monkeypatch.context() as patch:
        patch.setattr(trial, "replaced", killed)
        with pytest.raises(KilledError):
            pair(photos, tmp_path / "b")
    assert curve(pair(photos, tmp_path / "b")) == curve(unbroken)
    one, two = (tmp_path / name / "best.safetensors" for name in "ab")
    assert epoch_of(one) == epoch_of(two) == best_epoch(unbroken)
    assert all(torch.equal(load_file(one)[name], load_file(two)[name]) for name in load_file(one))


def test_a_loss_that_is_minimised_ends_a_trial_and_says_its_best_epoch() -> None:
    def told(*losses: float) -> list[dict[str, Any]]:
        return [{"epoch": n, "val_loss": loss} for n, loss in enumerate(losses, 1)]

    assert best_epoch(told(2.0, 0.5, 0.5, 0.9), LOSS) == 2
    assert best_epoch(told(math.inf), LOSS) == 0
    assert is_over(told(2.0, 1.0, 1.5, 1.0), 9, 2, LOSS), "an equal is no better one"
    assert not is_over(told(2.0, 1.9, 1.8), 9, 2, LOSS)
    assert is_over(told(math.inf), 9, 2, LOSS)


def test_the_best_epoch_is_the_first_of_equals_and_the_last_without_validation() -> None:
    def best(*scores: float) -> int:
        return best_epoch([{"epoch": n, "val_acc": s} for n, s in enumerate(scores, 1)])

    assert [best(), best(0.1, 0.3, 0.3), best(math.nan, 0.0), best(math.nan)] == [0, 2, 2, 0]
    assert best_epoch([{"epoch": 1}, {"epoch": 2}]) == 2


@pytest.mark.parametrize("epochs_before", [0, 1])
def test_out_of_memory_halves_the_batch_and_the_trial_goes_on(
    epochs_before: int, photos: Path, tmp_path: Path
) -> None:
    sizes: list[int] = []

    class Large(CustomCNN):
        """A network for which more than three images at once are too many, from some epoch on."""

        def training_step(self, batch: Any, batch_index: int) -> Any:
            if len(batch[1]) > 3 and self.trainer.current_epoch >= epochs_before:
                raise torch.OutOfMemoryError("out of memory")
            sizes.append(len(batch[1]))
            return super().training_step(batch, batch_index)

    found: list[int] = []
    own = task(photos, family=built_by(Large), max_epochs=3)
    train(
        TrialConfig(**SMALL, batch_size=12),
        own,
        on_epoch=lambda row: found.append(row["epoch"]),
        weights=tmp_path / "best.safetensors",
        last=tmp_path / "last.ckpt",
    )
    assert found == [1, 2, 3]
    assert max(sizes[-2:]) <= 3 and sum(sizes[-8:]) == 24  # an epoch in eight parts of three
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert state["global_step"] == 3 * 2  # steps of twelve images, however they came


def test_what_is_no_lack_of_memory_is_not_tried_again(photos: Path, tmp_path: Path) -> None:
    tries = []

    class Broken(CustomCNN):
        def training_step(self, batch: Any, batch_index: int) -> Any:
            tries.append(len(batch[1]))
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        train(
            TrialConfig(**SMALL, batch_size=12),
            task(photos, family=built_by(Broken)),
            on_epoch=print,
            weights=tmp_path / "best.safetensors",
        )
    assert tries == [12]
