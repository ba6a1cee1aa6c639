"""CustomCNN: the study's network, and what is measured while it trains."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from cnnlib import recipe
from cnnlib.config import TrialConfig, filter_counts, impossible

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


class CustomCNN(LightningModule):
    """A convolutional classifier, `CustomCNN(first_layer_filters=64, conv_layers=5, ...)`.

    Takes the hyperparameters of TrialConfig by name, or a whole TrialConfig; what is not named has
    the default. Logs train_loss, train_acc, val_loss, val_acc, test_loss and test_acc once an
    epoch, each counted over images.
    """

    def __init__(
        self,
        config: TrialConfig | None = None,
        *,
        num_classes: int = 10,
        image_size: int = 224,
        **hyperparameters: Any,
    ) -> None:
        """Raises ValueError for a value that is not valid or a network that cannot exist."""
        super().__init__()
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

        FileNotFoundError where there is none.
        """
        from cnnlib.champion import read_champion  # it knows this class

        return read_champion(folder).model()

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
            sums = torch.stack([loss.detach().float() * len(labels), hits.sum()])
            if stage == "val":
                counts = torch.stack([hits, torch.ones_like(hits)])
                self.class_counts.index_add_(1, labels, counts)
        total = self._totals.setdefault(stage, [torch.zeros_like(sums), sums.new_zeros(())])
        total[0] += sums
        total[1] += len(labels)
        return loss

    def _log_epoch(self, stage: str) -> None:
        sums, num_images = self._totals.pop(stage)
        loss, acc = sums / num_images
        # Lightning needs a batch size to weigh with, and there is one value an epoch.
        self.log(f"{stage}_loss", loss, batch_size=1)
        self.log(f"{stage}_acc", acc, batch_size=1, prog_bar=True)

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
