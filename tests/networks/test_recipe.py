import copy
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.cnn.layers import INITS
from cnnlib.networks.configuration import Recipe
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.networks.recipe import MovingAverage, balanced_weights, optimizer
from tests.networks.test_classifier import batches, trainer

SMALL: dict[str, Any] = {
    "conv_layers": 2, "first_layer_filters": 4, "num_neurons_dense": 8, "image_size": 8,
    "num_classes": 3,
}  # fmt: skip


class Watch(Callback):
    """The learning rate of every step, and after it the network's averaged tensors."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.weights: list[list[Tensor]] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        self.weights.append(tensors(pl_module))


def tensors(model: CustomCNN) -> list[Tensor]:
    return [t.clone() for t in model.state_dict().values() if t.is_floating_point()]


def fitted(epochs: int, *, accumulate: int = 1, **config: Any) -> tuple[CustomCNN, Watch]:
    """A model trained on two batches an epoch, and what was seen on the way."""
    torch.manual_seed(0)
    model, watch = CustomCNN(**SMALL, **config), Watch()
    fit = trainer(max_epochs=epochs, callbacks=[watch], accumulate_grad_batches=accumulate)
    fit.fit(model, batches(8, 4), batches(8, 8))
    return model, watch


@pytest.mark.parametrize(
    ("name", "after"),
    [
        # Adam's first step has the size of the learning rate, whatever the gradient.
        ("adam", 2.0 - 0.1),
        ("adamw", 2.0 - 0.1 * 0.25 * 2.0),
        ("sgd", 2.0 - 0.1 * 1.9 * (0.25 * 2.0)),  # Nesterov: gradient and 0.9 of the momentum
    ],
)
def test_a_weight_without_gradient_decays_as_the_optimiser_defines(name: str, after: float) -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    config = TrialConfig(optimizer=name, learning_rate=0.1, weight_decay=0.25)
    optimiser = optimizer(config, [weight])
    assert optimiser.defaults["fused"]
    weight.grad = torch.zeros(1)
    optimiser.step()
    assert weight.item() == pytest.approx(after)


@pytest.mark.parametrize(
    ("config", "kind", "defaults"),
    [
        ({"optimizer": "sgd"}, "SGD", {"momentum": 0.9, "nesterov": True}),
        ({"optimizer": "sgd", "momentum": 0.0}, "SGD", {"momentum": 0.0, "nesterov": False}),
        ({"optimizer": "sgd", "momentum": 0.5, "nesterov": False}, "SGD",
         {"momentum": 0.5, "nesterov": False}),
        ({"optimizer": "nag", "momentum": 0.8, "nesterov": False}, "SGD",
         {"momentum": 0.8, "nesterov": True}),
        ({"optimizer": "momentum"}, "SGD", {"momentum": 0.9, "nesterov": False}),
        ({"optimizer": "nadam", "beta1": 0.8}, "NAdam", {"betas": (0.8, 0.999), "eps": 1e-8}),
        ({"optimizer": "radam", "beta2": 0.9}, "RAdam", {"betas": (0.9, 0.9)}),
        ({"optimizer": "adamax", "eps": 0.1}, "Adamax", {"eps": 0.1}),
        ({"optimizer": "rmsprop", "weight_decay": 0.1}, "RMSprop",
         {"weight_decay": 0.1, "momentum": 0, "eps": 1e-8}),
        ({"optimizer": "adagrad"}, "Adagrad", {"eps": 1e-10}),
        ({"optimizer": "adadelta", "learning_rate": 0.5}, "Adadelta", {"lr": 0.5, "eps": 1e-6}),
    ],
    ids=str,
)  # fmt: skip
def test_an_optimiser_has_the_settings_that_are_asked_for(
    config: dict[str, Any], kind: str, defaults: dict[str, Any]
) -> None:
    made = optimizer(TrialConfig(**config), [torch.nn.Parameter(torch.zeros(1))])
    assert type(made).__name__ == kind
    assert {name: made.defaults[name] for name in defaults} == defaults


def test_the_default_is_adam_without_decay() -> None:
    made = CustomCNN(**SMALL).configure_optimizers()
    assert type(made) is torch.optim.Adam
    assert (made.defaults["lr"], made.defaults["weight_decay"]) == (1e-3, 0.0)


class Gradients(Callback):
    """The norm and the largest of all gradients that each step of the optimiser had."""

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.largest: list[float] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, *_: Any) -> None:
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self.norms.append(torch.nn.utils.get_total_norm(gradients).item())
        self.largest.append(max(g.abs().max().item() for g in gradients))


def gradients(fit: dict[str, Any] | None = None, **config: Any) -> Gradients:
    torch.manual_seed(0)
    model, seen = CustomCNN(**SMALL, dropout=0.0, **config), Gradients()
    fit = {"max_epochs": 2, "callbacks": [seen], **(fit or {})}
    trainer(**fit).fit(model, batches(8, 4), batches(8, 8))
    return seen


@pytest.mark.parametrize("name", ["adam", "sgd", "rmsprop"])
def test_gradients_are_scaled_down_to_the_norm_asked_for(name: str) -> None:
    plain = gradients(optimizer=name, learning_rate=1e-8).norms
    limit = (min(plain) + max(plain)) / 2
    clipped = gradients(optimizer=name, learning_rate=1e-8, gradient_clip_val=limit).norms
    assert max(plain) > 1.01 * limit
    assert clipped == pytest.approx([min(norm, limit) for norm in plain], rel=1e-3)


def test_gradients_are_clipped_in_mixed_precision() -> None:
    torch.manual_seed(0)
    model = CustomCNN(**SMALL, gradient_clip_val=0.01)
    trainer(max_epochs=1, precision="bf16-mixed").fit(model, batches(8, 4), batches(8, 8))
    assert not model.optimizers().defaults["fused"]


def test_a_trainer_that_clips_is_left_to_it() -> None:
    clip = {"gradient_clip_val": 1e-9, "gradient_clip_algorithm": "value"}
    assert max(gradients(clip).largest) <= 1.01e-9


def averaged(start: list[Tensor], seen: list[list[Tensor]], decay: float) -> list[Tensor]:
    """The moving average worked out afterwards."""
    average = start
    for step, weights in enumerate(seen):
        share = min(decay, (1 + step) / (10 + step))
        average = [share * a + (1 - share) * w for a, w in zip(average, weights, strict=True)]
    return average


@pytest.mark.parametrize("decay", [0.25, 0.99])
def test_the_average_is_the_hand_computed_one_and_is_left_in_the_network(decay: float) -> None:
    torch.manual_seed(0)
    start = tensors(CustomCNN(**SMALL))
    model, watch = fitted(3, ema=decay, learning_rate=0.05)
    torch.testing.assert_close(tensors(model), averaged(start, watch.weights, decay))
    assert not torch.allclose(tensors(model)[0], watch.weights[-1][0])


def test_training_itself_does_not_notice_the_average() -> None:
    plain, average = fitted(3)[1], fitted(3, ema=0.9)[1]
    for weights, other in zip(plain.weights, average.weights, strict=True):
        assert all(map(torch.equal, weights, other))


def test_accumulated_gradients_are_one_step_of_the_average() -> None:
    torch.manual_seed(0)
    start = tensors(CustomCNN(**SMALL, batch_norm=False))
    model, watch = fitted(4, accumulate=2, ema=0.99, learning_rate=0.05, batch_norm=False)
    torch.testing.assert_close(tensors(model), averaged(start, watch.weights[1::2], 0.99))


def val_loss(model: CustomCNN) -> float:
    [(images, labels)] = list(batches(8, 8))
    model.eval()
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(model(images), labels).item()
    model.train()
    return loss


def holding(weights: list[Tensor], **config: Any) -> CustomCNN:
    """A model with these tensors as its own."""
    model = CustomCNN(**SMALL, **config)
    state = model.state_dict()
    names = [name for name, tensor in state.items() if tensor.is_floating_point()]
    model.load_state_dict(state | dict(zip(names, weights, strict=True)))
    return model


def test_the_average_validates_and_is_tested() -> None:
    model, watch = fitted(2, ema=0.9, learning_rate=0.05)
    reported = model.trainer.callback_metrics["val_loss"].item()
    assert reported == pytest.approx(val_loss(model), rel=1e-5)
    assert reported != pytest.approx(val_loss(holding(watch.weights[-1])), rel=1e-3)
    [metrics] = trainer().test(model, batches(8, 8), verbose=False)
    assert metrics["test_loss"] == pytest.approx(reported, rel=1e-5)


class Save(Callback):
    """Saves a checkpoint after some steps and another at an epoch's end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.global_step == 3:
            trainer.save_checkpoint(self.folder / "step3.ckpt")

    def on_train_epoch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.current_epoch == 1:
            trainer.save_checkpoint(self.folder / "epoch2.ckpt")


RICH: dict[str, Any] = {
    "ema": 0.9, "learning_rate_schedule": "cosine", "optimizer": "adamw", "learning_rate": 0.05,
    "dropout": 0.0,
}  # fmt: skip


def run(ckpt_path: Path | None, *callbacks: Callback) -> CustomCNN:
    torch.manual_seed(0)
    model = CustomCNN(**SMALL, **RICH)
    fit = trainer(max_epochs=4, callbacks=list(callbacks))
    fit.fit(model, batches(8, 4), batches(8, 8), ckpt_path=ckpt_path)
    return model


def test_a_training_goes_on_from_a_checkpoint_as_if_unbroken(tmp_path: Path) -> None:
    torch.manual_seed(0)
    start = tensors(CustomCNN(**SMALL))
    watch, again = Watch(), Watch()
    whole = run(None, watch, Save(tmp_path))
    torch.testing.assert_close(tensors(whole), averaged(start, watch.weights, 0.9))
    resumed = run(tmp_path / "epoch2.ckpt", again)
    assert again.rates == watch.rates[4:]
    assert all(map(torch.equal, again.weights[0], watch.weights[4]))
    assert all(map(torch.equal, tensors(resumed), tensors(whole)))


@pytest.mark.parametrize(("name", "steps"), [("step3", 3), ("epoch2", 4)])
def test_a_checkpoint_gives_the_average_to_predict_with(
    name: str, steps: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    start = tensors(CustomCNN(**SMALL))
    watch = Watch()
    run(None, watch, Save(tmp_path))
    loaded = CustomCNN.load_from_checkpoint(tmp_path / f"{name}.ckpt")
    torch.testing.assert_close(tensors(loaded), averaged(start, watch.weights[:steps], 0.9))


def test_a_second_fit_begins_with_the_average() -> None:
    model, _ = fitted(2, ema=0.9, learning_rate=0.05)
    start, watch = tensors(model), Watch()
    trainer(max_epochs=2, callbacks=[watch]).fit(model, batches(8, 4), batches(8, 8))
    torch.testing.assert_close(tensors(model), averaged(start, watch.weights, 0.9))


def test_a_loaded_model_forgets_the_weights_that_it_was_trained_with(tmp_path: Path) -> None:
    run(None, Save(tmp_path))
    loaded = CustomCNN.load_from_checkpoint(tmp_path / "step3.ckpt")
    fresh = holding(tensors(loaded), **RICH)
    steps = []
    for model in (loaded, fresh):
        watch = Watch()
        trainer(max_epochs=1, callbacks=[watch]).fit(model, batches(8, 4), batches(8, 8))
        steps.append(watch.weights[0])
    assert all(map(torch.equal, *steps))


def test_one_trainer_keeps_one_average_for_each_model(caplog: pytest.LogCaptureFixture) -> None:
    first = CustomCNN(**SMALL, ema=0.9)
    fit = trainer(max_epochs=1)
    fit.fit(first, batches(8, 4), batches(8, 8))
    fit.test(first, batches(8, 8), verbose=False)
    assert [c for c in fit.callbacks if isinstance(c, MovingAverage)] == [first._average]
    assert "override" not in caplog.text
    second = CustomCNN(**SMALL, ema=0.5)
    fit.fit(second, batches(8, 4), batches(8, 8))
    assert [c for c in fit.callbacks if isinstance(c, MovingAverage)] == [second._average]


def test_a_training_that_breaks_leaves_the_average() -> None:
    class Break(Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
            if trainer.global_step == 3:
                raise RuntimeError("broken")

    torch.manual_seed(0)
    model, watch = CustomCNN(**SMALL, ema=0.9, learning_rate=0.05), Watch()
    start = tensors(model)
    with pytest.raises(RuntimeError, match="broken"):
        trainer(max_epochs=3, callbacks=[watch, Break()]).fit(model, batches(8, 4), batches(8, 8))
    torch.testing.assert_close(tensors(model), averaged(start, watch.weights, 0.9))


def test_a_trained_model_can_be_copied() -> None:
    model, _ = fitted(1, ema=0.9)
    model.trainer = None
    assert all(map(torch.equal, tensors(copy.deepcopy(model)), tensors(model)))


def test_label_smoothing_changes_the_training_loss_only() -> None:
    def losses(label_smoothing: float) -> tuple[float, float]:
        model, _ = fitted(1, label_smoothing=label_smoothing, learning_rate=1e-8, dropout=0.0)
        metrics = model.trainer.callback_metrics
        return metrics["train_loss"].item(), metrics["val_loss"].item()

    (plain, val), (smooth, same_val) = losses(0.0), losses(0.5)
    assert val == pytest.approx(same_val, rel=1e-5)
    assert smooth != pytest.approx(plain, rel=1e-3)
    torch.manual_seed(0)
    model = CustomCNN(**SMALL, dropout=0.0).train()
    data = list(batches(8, 4))
    scores = torch.cat([model(images) for images, _ in data]).log_softmax(1)
    labels = torch.cat([labels for _, labels in data])
    target = 0.5 * torch.nn.functional.one_hot(labels, 3) + 0.5 / 3
    assert smooth == pytest.approx(-(target * scores).sum(1).mean().item(), rel=1e-4)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    labels = torch.tensor([0] * 6 + [1] * 3 + [3])
    weights = balanced_weights(labels, 4)  # n / (classes that are there * images of each)
    assert weights.tolist() == pytest.approx([10 / 18, 10 / 9, 0.0, 10 / 3])
    assert weights[labels].sum().item() == pytest.approx(10)


def test_uneven_classes_weigh_the_same_in_the_training_loss_and_only_there() -> None:
    data = batches(12, 12)
    labels = torch.tensor([0] * 8 + [1] * 3 + [2])
    data.labels = labels.numpy()
    torch.manual_seed(0)
    model = CustomCNN(**SMALL, class_weights="balanced", dropout=0.0, batch_norm=False)
    [images] = [images for images, _ in data]
    losses = torch.nn.functional.cross_entropy(model(images), labels, reduction="none")
    means = torch.stack([losses[labels == label].mean() for label in range(3)])
    expected = torch.autograd.grad(means.mean(), list(model.parameters()), retain_graph=True)
    with torch.no_grad():
        before = [p.clone() for p in model.parameters()]
    model.configure_optimizers = lambda: torch.optim.SGD(model.parameters(), lr=1.0)  # type: ignore
    fit = trainer(max_epochs=1)
    fit.fit(model, data, data)
    moved = [b - p for b, p in zip(before, model.parameters(), strict=True)]
    for step, gradient in zip(moved, expected, strict=True):
        assert torch.allclose(step, gradient, atol=1e-5)
    assert fit.callback_metrics["train_loss"].item() == pytest.approx(means.mean().item(), rel=1e-4)
    after = torch.nn.functional.cross_entropy(model(images), labels).item()
    assert fit.callback_metrics["val_loss"].item() == pytest.approx(after, rel=1e-4)


VARIANTS: list[dict[str, Any]] = [
    {name: value}
    for name, hyperparameter in hyperparameters(TrialConfig).items()
    for value in hyperparameter.choices[1:]
    if name in hyperparameters(Recipe) and name != "augmentation"
]
VARIANTS += [
    {"head": "gap"},
    {"weight_decay": 0.01},
    {"label_smoothing": 0.1},
    {"ema": 0.9},
    {"optimizer": "sgd", "momentum": 0.0},
    {"optimizer": "sgd", "nesterov": False},
    {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3},
    {"warm_up": 0.2},
    {"warm_up": 3, "learning_rate_schedule": "cosine"},
    {"gradient_clip_val": 1.0},
    *({"weight_init": name} for name in INITS),
]
RATES = {"adadelta": 1.0, "sgd": 0.05, "radam": 0.05}  # 0.01 is little for these


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_value_of_the_recipe_learns_eight_images(variant: dict[str, Any]) -> None:
    torch.manual_seed(0)
    rate = RATES.get(variant.get("optimizer", ""), 0.01)
    model = CustomCNN(**SMALL, **variant, dropout=0.0, learning_rate=rate)
    before = val_loss(model)
    trainer(max_epochs=30).fit(model, batches(8, 8), batches(8, 8))
    assert val_loss(model) < 0.8 * before
