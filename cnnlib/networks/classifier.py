"""CustomCNN: the study's network, and what is measured while it trains."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from cnnlib.networks import recipe
from cnnlib.networks.hyperparameter import TrialConfig, filter_counts, impossible
from cnnlib.networks.saved import read_network
from cnnlib.pixels.decode import image_side

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
}
# What never falls commutes with the maximum of pooling, and after it there is a quarter to do.
RISING = {"relu", "elu", "selu", "leaky_relu", "tanh"}


def network(config: TrialConfig, num_classes: int, image_size: int) -> nn.Sequential:
    """Blocks of convolution, batch norm if asked, activation and pooling; two dense layers."""
    layers: list[nn.Module] = []
    channels, activation = 3, ACTIVATIONS[config.activation]
    for filters in filter_counts(config):
        side = config.kernel_size
        layers.append(nn.Conv2d(channels, filters, kernel_size=side, padding=side // 2))
        if config.batch_norm:
            layers.append(nn.BatchNorm2d(filters))
        if config.activation in RISING:
            layers += [nn.MaxPool2d(2), activation()]
        else:
            layers += [activation(), nn.MaxPool2d(2)]
        channels = filters
    side = image_size >> config.conv_layers  # each pooling halves, rounding down
    if config.head == "gap":
        layers.append(nn.AvgPool2d(side))
        side = 1
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(channels * side * side, config.num_neurons_dense),
        activation(),
        nn.Dropout(config.dropout),
        nn.Linear(config.num_neurons_dense, num_classes),
    )


def _image_size(image_size: int | Sequence[int] | None, shape: Sequence[int] | None) -> int:
    """The side that either says, or both; 224 where neither does."""
    if shape is None:
        return image_side(224 if image_size is None else image_size)
    if not isinstance(shape, Sequence) or len(shape) != 3 or shape[0] != 3:
        raise ValueError(f"input_shape: {shape} is not (3, height, width)")
    side = image_side(shape[1:])
    if image_size is not None and image_side(image_size) != side:
        raise ValueError(f"input_shape: {shape} is not of image_size {image_size}; give one")
    return side


class CustomCNN(LightningModule):
    """A convolutional classifier, `CustomCNN(first_layer_filters=64, conv_layers=5, ...)`.

    Takes the hyperparameters of TrialConfig by name, or a whole TrialConfig; what is not named has
    the default. Logs train_loss, train_acc, val_loss, val_acc, test_loss and test_acc once an
    epoch, each counted over images. An accuracy is NaN where any output, loss or weight is not
    finite: such a network predicts nothing, though argmax would make it the first class.

    The study's names are taken too: `input_shape=(3, 224, 224)` says image_size, as photographs
    have three channels, and `optimizer_name` is the hyperparameter `optimizer`.
    """

    def __init__(
        self,
        config: TrialConfig | None = None,
        *,
        num_classes: int = 10,
        image_size: int | Sequence[int] | None = None,
        input_shape: Sequence[int] | None = None,
        optimizer_name: str | None = None,
        **hyperparameters: Any,
    ) -> None:
        """`image_size` is the side in pixels, by default 224: images are square.

        Raises ValueError for a value that is not valid or a network that cannot exist.
        """
        super().__init__()
        image_size = _image_size(image_size, input_shape)
        if optimizer_name is not None:
            named = str(optimizer_name).lower()
            if hyperparameters.setdefault("optimizer", named) != named:
                raise ValueError(
                    f"optimizer_name: {optimizer_name} is not the optimizer given, "
                    f"{hyperparameters['optimizer']}; give one of the two"
                )
        if config is None:
            config = TrialConfig.from_mapping(hyperparameters)
        elif hyperparameters:
            raise ValueError(f"give a TrialConfig or {', '.join(hyperparameters)}, not both")
        if num_classes < 1:
            raise ValueError(f"num_classes: {num_classes} is not at least 1")
        if reason := impossible(config, image_size):
            raise ValueError(reason)
        self.save_hyperparameters(
            {**asdict(config), "num_classes": num_classes, "image_size": image_size}
        )
        self.config = config
        self.image_size = image_size
        self.network = network(config, num_classes, image_size)
        self._average = recipe.MovingAverage(self.network, config.ema) if config.ema else None
        self._totals: dict[str, list[Tensor]] = {}
        self.class_counts = torch.zeros(2, num_classes)
        """Validation images of the last epoch by class: recognised, all."""

    @classmethod
    def from_champion(cls, folder: str | Path) -> "CustomCNN":
        """The trained network of a sweep's folder, or of its champion's, ready to predict.

        FileNotFoundError where there is none, ValueError where a file of it is damaged.
        """
        return read_network(folder, cls)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores before softmax, (N, num_classes), for normalised images (N, 3, H, W)."""
        return self.network(images)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        return self._step("train", batch)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        return self._step("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        return self._step("test", batch)

    def _step(self, stage: str, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The mean loss of a batch; sums are kept on the device, so that no step waits for them."""
        images, labels = batch
        scores = self(images)
        smoothing = self.config.label_smoothing if stage == "train" else 0.0
        loss = F.cross_entropy(scores, labels, label_smoothing=smoothing)
        with torch.no_grad():
            hits = (scores.argmax(1) == labels).float()
            # The sum of all scores is finite only if each is: no step has to wait for the answer.
            shown = scores.sum(dtype=torch.float32)
            sums = torch.stack([loss.detach().float() * len(labels), hits.sum(), shown])
            if stage == "val":
                counts = torch.stack([hits, torch.ones_like(hits)])
                self.class_counts.index_add_(1, labels, counts)
        total = self._totals.setdefault(stage, [torch.zeros_like(sums), sums.new_zeros(())])
        total[0] += sums
        total[1] += len(labels)
        return loss

    def _log_epoch(self, stage: str) -> None:
        sums, num_images = self._totals.pop(stage)
        loss, acc, _ = sums / num_images
        weights = [t for t in self.network.state_dict().values() if t.is_floating_point()]
        # 0 if losses, scores and weights are finite, else NaN, which a sum hands on.
        nothing = 0 * (sums.sum() + get_total_norm(weights, math.inf))
        acc = acc + nothing
        if stage == "val":
            self.class_counts[0] += nothing
        # Lightning needs a batch size to weigh with, and there is one value an epoch.
        self.log(f"{stage}_loss", loss, batch_size=1)
        self.log(f"{stage}_acc", acc, batch_size=1, prog_bar=True)

    def on_fit_start(self) -> None:
        """Warns where a callback takes the worst epoch for the best: Lightning's default mode."""
        for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
            if not isinstance(callback, EarlyStopping | ModelCheckpoint):
                continue
            kind, monitor, mode = type(callback).__name__, callback.monitor or "", callback.mode
            meant = {"acc": "max", "loss": "min"}.get(monitor.rpartition("_")[2], mode)
            if mode != meant:
                rank_zero_warn(
                    f'{kind}(monitor="{monitor}") has the mode "{mode}", so it takes the '
                    f"{'lowest' if mode == 'min' else 'highest'} {monitor} for the best; "
                    f'write mode="{meant}"'
                )

    def on_train_epoch_end(self) -> None:
        self._log_epoch("train")

    def on_validation_epoch_start(self) -> None:
        self.class_counts = torch.zeros_like(self.class_counts, device=self.device)

    def on_validation_epoch_end(self) -> None:
        self._log_epoch("val")

    def on_test_epoch_end(self) -> None:
        self._log_epoch("test")

    def configure_optimizers(self) -> Any:
        optimizer = recipe.optimizer(self.config, self.parameters())
        if self.config.learning_rate_schedule == "constant":
            return optimizer
        schedule = recipe.schedule(self.config, optimizer, self.trainer)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def configure_callbacks(self) -> list[Callback]:
        """The moving average of the weights, where it is asked for and not there already."""
        there = self._average in self.trainer.callbacks  # type: ignore[attr-defined]
        return [self._average] if self._average and not there else []

    def optimizer_step(self, *arguments: Any, **options: Any) -> None:
        super().optimizer_step(*arguments, **options)
        if self._average:
            self._average.update(self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._average:
            self._average.save(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._average:
            self._average.load(checkpoint)

    def summary(self) -> str:
        """A table of the layers: name, output shape without N, number of parameters."""
        rows: list[tuple[str, str, int]] = []

        def note(name: str) -> Any:
            def hook(layer: nn.Module, inputs: Any, output: Tensor) -> None:
                shape = f"({', '.join(map(str, output.shape[1:]))})"
                rows.append((name, shape, sum(p.numel() for p in layer.parameters())))

            return hook

        handles = [
            layer.register_forward_hook(note(f"{index} {type(layer).__name__}"))
            for index, layer in enumerate(self.network)
        ]
        training = self.training
        with torch.no_grad():
            self.eval()(torch.zeros(1, 3, self.image_size, self.image_size, device=self.device))
        self.train(training)
        for handle in handles:
            handle.remove()
        total = sum(count for _, _, count in rows)
        lines = [f"{name:<16}{shape:<20}{count:>14,}" for name, shape, count in rows]
        return "\n".join(
            [f"{'layer':<16}{'output':<20}{'parameters':>14}", *lines, f"{'total':<36}{total:>14,}"]
        )
