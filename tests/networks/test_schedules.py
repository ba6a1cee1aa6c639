"""Learning rates by their formula, warm-up, the plateau as torch has it, and going on exactly."""

import math
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from cnnlib.networks.cnn.custom_cnn import CustomCNN
from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.recipe import optimizer
from cnnlib.networks.schedules import Factor, schedule
from tests.networks.test_classifier import batches, trainer
from tests.networks.test_recipe import SMALL, Save, Watch, fitted, tensors


def one_cycle(share: float) -> float:
    if share < 0.3:
        return 0.04 + 0.96 * math.sin(math.pi / 2 * share / 0.3) ** 2
    return 4e-6 + (1 - 4e-6) * math.cos(math.pi / 2 * (share - 0.3) / 0.7) ** 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", lambda step: 1.0),
        ("cosine", lambda step: math.cos(math.pi / 2 * step / 12) ** 2),
        ("one_cycle", lambda step: one_cycle(step / 12)),
        ("step", lambda step: (1.0, 0.1, 0.01)[step // 4]),  # two of six epochs are a third
    ],
)
def test_learning_rates_follow_their_formula(name: str, expected: Any) -> None:
    _, watch = fitted(6, learning_rate_schedule=name, learning_rate=0.02)
    assert watch.rates == pytest.approx([0.02 * expected(step) for step in range(12)])


def test_a_schedule_counts_the_steps_of_the_optimiser_not_the_batches() -> None:
    _, watch = fitted(4, accumulate=2, learning_rate_schedule="cosine", learning_rate=1.0)
    assert watch.rates[::2] == pytest.approx([math.cos(math.pi / 8 * n) ** 2 for n in range(4)])


@pytest.mark.parametrize(
    ("name", "limits"), [("cosine", {"max_epochs": -1}), ("step", {"max_steps": 4})]
)
def test_a_schedule_of_an_endless_training_is_refused(name: str, limits: dict) -> None:
    config = TrialConfig(learning_rate_schedule=name)
    optimiser = optimizer(config, [torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(ValueError, match=f"{name} needs a Trainer with max_epochs"):
        schedule(config, optimiser, trainer(**limits))


def half_cosine(share: float) -> float:
    return math.cos(math.pi / 2 * share) ** 2


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"learning_rate_schedule": "linear"}, lambda step: 1 - step / 12),
        ({"learning_rate_schedule": "exponential"}, lambda step: 0.01 ** (step / 12)),
        ({"learning_rate_schedule": "exponential", "decay_factor": 0.8},
         lambda step: 0.8 ** (step // 2)),
        ({"learning_rate_schedule": "exponential", "decay_factor": 0.8, "decay_epochs": 2},
         lambda step: 0.8 ** (step // 4)),
        ({"learning_rate_schedule": "step", "decay_factor": 0.5},
         lambda step: 0.5 ** (step // 4)),
        ({"learning_rate_schedule": "step", "decay_epochs": 1}, lambda step: 0.1 ** (step // 2)),
        ({"learning_rate_schedule": "cosine_restarts"}, lambda step: half_cosine(step % 4 / 4)),
        ({"learning_rate_schedule": "cosine_restarts", "decay_epochs": 3},
         lambda step: half_cosine(step % 6 / 6)),
        ({"warm_up": 0.25}, lambda step: min((step + 1) / 3, 1)),
        ({"warm_up": 2}, lambda step: min((step + 1) / 4, 1)),
        ({"warm_up": 1, "learning_rate_schedule": "step", "decay_epochs": 2},
         lambda step: min((step + 1) / 2, 1) * 0.1 ** (step // 4)),
        ({"warm_up": 1, "learning_rate_schedule": "linear"},
         lambda step: min((step + 1) / 2, 1) * (1 - step / 12)),
    ],
)  # fmt: skip
def test_schedules_have_the_settings_that_are_asked_for(
    config: dict[str, Any], expected: Any
) -> None:
    _, watch = fitted(6, learning_rate=0.02, **config)
    assert watch.rates == pytest.approx([0.02 * expected(step) for step in range(12)])


LOSSES = [1.0, 0.9, 0.95, 0.9, 0.89999, 0.7, math.nan, 0.7, 0.7, 0.69999, 0.5, 0.6, 0.6, 0.6]


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_a_plateau_is_what_torch_has_by_this_name(patience: int) -> None:
    sgd = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    torchs = torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=patience)
    ours = Factor(lambda count: 1.0, fall=0.5, patience=patience)
    seen = []
    for loss in LOSSES:
        torchs.step(loss)
        ours.see(loss)
        seen.append(ours(0))
        assert ours(0) == sgd.param_groups[0]["lr"]
    assert seen[-1] < 1


class Losses(Callback):
    """The losses after each epoch, and a bad one in place of the network's own."""

    def __init__(self, losses: list[float]) -> None:
        self.losses = losses

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        total = pl_module._totals["val"]
        total[0][0] = self.losses[trainer.current_epoch] * total[1]


PLATEAU = {"learning_rate_schedule": "plateau", "learning_rate": 0.04, "decay_epochs": 1,
           "decay_factor": 0.5}  # fmt: skip


def on_plateau(*callbacks: Callback, ckpt_path: Path | None = None, **more: Any) -> CustomCNN:
    torch.manual_seed(0)
    model = CustomCNN(**SMALL, **{**PLATEAU, **more}, dropout=0.0)
    # Two losses that are no better than the one before: the learning rate falls after them.
    fit = trainer(max_epochs=6, callbacks=[Losses([2, 3, 3, 1, 2, 2]), *callbacks])
    fit.fit(model, batches(8, 4), batches(8, 8), ckpt_path=ckpt_path, weights_only=True)
    return model


def test_a_plateau_of_the_validation_loss_lowers_the_next_epochs_learning_rate() -> None:
    watch = Watch()
    on_plateau(watch)
    assert watch.rates == pytest.approx([0.04] * 6 + [0.02] * 6)


def test_a_plateau_and_a_warm_up_go_together() -> None:
    watch = Watch()
    on_plateau(watch, warm_up=2)
    rises = [min((step + 1) / 4, 1) for step in range(12)]
    halves = [1.0] * 6 + [0.5] * 6
    assert watch.rates == pytest.approx([0.04 * r * h for r, h in zip(rises, halves, strict=True)])


@pytest.mark.parametrize("warm_up", [0, 2])
def test_a_training_on_a_plateau_goes_on_as_if_unbroken(warm_up: int, tmp_path: Path) -> None:
    watch, again = Watch(), Watch()
    whole = on_plateau(watch, Save(tmp_path), warm_up=warm_up)
    # Saved after the first of the two losses, so that the second must still count as one.
    resumed = on_plateau(again, ckpt_path=tmp_path / "epoch2.ckpt", warm_up=warm_up)
    assert again.rates == watch.rates[4:]
    assert again.rates[-1] < again.rates[0] or warm_up
    assert all(map(torch.equal, tensors(resumed), tensors(whole)))


def test_what_a_plateau_has_seen_is_saved_and_not_the_curve() -> None:
    factor = Factor(lambda count: 0.5, fall=0.1, patience=3)
    factor.see(2.0)
    assert factor.__dict__ == {"lowest": 2.0, "waited": 0, "fallen": 1.0}


def test_without_validation_the_training_loss_is_on_the_plateau() -> None:
    watch = Watch()
    torch.manual_seed(0)
    still = {"learning_rate": 1e-8, "dropout": 0.0, "batch_norm": False}
    model = CustomCNN(**SMALL, **PLATEAU | still)
    fit = trainer(max_epochs=5, callbacks=[watch], limit_val_batches=0, num_sanity_val_steps=0)
    fit.fit(model, batches(8, 4), batches(8, 8))
    assert watch.rates[-1] < watch.rates[0]
