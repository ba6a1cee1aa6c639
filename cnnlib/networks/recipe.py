"""How a network is trained: optimiser, weights of classes, moving average of the weights."""

from collections.abc import Iterable
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from cnnlib.networks.configuration import Recipe

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "nag": torch.optim.SGD,
    "momentum": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "adamax": torch.optim.Adamax,
    "adadelta": torch.optim.Adadelta,
    "radam": torch.optim.RAdam,
}
WITH_BETAS = {"adam", "adamw", "nadam", "adamax", "radam"}
FUSED = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad)


def optimizer(
    config: Recipe, parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]]
) -> torch.optim.Optimizer:
    """The optimiser of these parameters, or groups of them that say what is special about each."""
    name, make = config.optimizer, OPTIMIZERS[config.optimizer]
    # A fused step unscales gradients itself, too late for them to be clipped.
    fused = make in FUSED and not config.gradient_clip_val
    more: dict[str, Any] = {"fused": True} if fused else {}
    if name in WITH_BETAS:
        more["betas"] = config.beta1, config.beta2
    if make is torch.optim.SGD:
        nesterov = {"nag": True, "momentum": False}.get(name, config.nesterov)
        more |= {"momentum": config.momentum, "nesterov": nesterov and config.momentum > 0}
    elif config.eps:
        more["eps"] = config.eps
    return make(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, **more)  # type: ignore[call-arg]


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """The weight of each class in the loss: n / (classes * images of it), as in scikit-learn.

    All images together weigh n; a class of which there is none weighs nothing.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    weights = len(labels) / (int((counts > 0).sum()) * counts.clamp(min=1))
    return weights * (counts > 0)


def training_labels(loader: Any) -> Tensor:
    """The labels of a training loader: ours knows them, another one is read through once."""
    if hasattr(loader, "labels") and hasattr(loader, "indices"):
        return torch.from_numpy(loader.labels[loader.indices])
    return torch.cat([labels for _, labels in loader])


class MovingAverage(Callback):
    """Keeps an exponential moving average of a network's weights and batch norm statistics.

    While batches train, the network holds the trained weights, else the average: so validation, the
    test and everything that saves weights find the average. The decay rises with the steps as
    (1 + steps) / (10 + steps), so that a short training is not mostly its random beginning.

    Lightning's callback, on torch's AveragedModel, waits for the GPU in each step and has the
    trained weights back before the end of the epoch, when the best are saved.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._network = network
        self._decay = decay
        self._training = False
        # The average while batches train, else the trained weights; by their names.
        self._aside: dict[str, Tensor] = {}
        self._restored: dict[str, Tensor] = {}  # trained weights of a checkpoint

    def _inside(self) -> dict[str, Tensor]:
        """What the network holds now, by name: all that can be averaged."""
        every = (*self._network.named_parameters(), *self._network.named_buffers())
        return {name: t.detach() for name, t in every if t.is_floating_point()}

    def _exchange(self, *, training: bool) -> None:
        """Puts the trained weights or the average into the network, where they are not there."""
        if self._aside and training is not self._training:
            for name, inside in self._inside().items():
                kept = inside.clone()
                inside.copy_(self._aside[name])
                self._aside[name].copy_(kept)
            self._training = training

    def update(self, steps: int) -> None:
        """Moves the average towards the weights of a step, before which there were `steps`."""
        decay = min(self._decay, (1 + steps) / (10 + steps))
        inside = self._inside()
        average = [self._aside[name] for name in inside]
        get_ema_multi_avg_fn(decay)(average, list(inside.values()), 0)

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Adds the trained weights to a checkpoint, whose state_dict becomes the average."""
        if self._aside:
            average, trained = self._inside(), self._aside
            if self._training:
                average, trained = trained, average
            checkpoint["state_dict"] |= {f"network.{n}": t for n, t in average.items()}
            checkpoint["trained_weights"] = trained

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Takes the trained weights of a checkpoint for the fit that is about to begin."""
        self._restored = checkpoint.get("trained_weights", {})

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._restored = {}  # a checkpoint of this fit is loaded later

    def on_train_start(self, *_: Any) -> None:
        self._aside = {name: tensor.clone() for name, tensor in self._inside().items()}
        for name, tensor in self._restored.items():
            self._aside[name].copy_(tensor)

    def on_train_batch_start(self, *_: Any) -> None:
        self._exchange(training=True)

    def on_validation_start(self, *_: Any) -> None:
        self._exchange(training=False)

    def on_train_epoch_end(self, *_: Any) -> None:
        self._exchange(training=False)  # where nothing validates

    def on_train_end(self, *_: Any) -> None:
        self._exchange(training=False)

    def on_exception(self, *_: Any) -> None:
        self._exchange(training=False)
