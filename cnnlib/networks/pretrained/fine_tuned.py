"""LitClassifier: a pretrained network with a new head, fine-tuned by one of the strategies."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnnlib.networks import recipe
from cnnlib.networks.classifier import Classifier
from cnnlib.networks.pretrained.backbones import IMAGENET_MEAN, IMAGENET_STD, Backbone, backbone
from cnnlib.networks.pretrained.config import (
    FREEZE_ALL,
    UNFREEZE_GRADUALLY,
    PretrainedConfig,
    impossible,
    side_of,
)
from cnnlib.networks.pretrained.freezing import (
    counts,
    freeze,
    hold_still,
    num_trained,
    parameter_groups,
)
from cnnlib.networks.pretrained.trunks import Trunk, layers, needs_auxiliary, trunk
from cnnlib.networks.pretrained.weights import digest_of, load, weights_file
from cnnlib.networks.saved import read_network
from cnnlib.pixels.decode import image_side


class Preparation(nn.Module):
    """Images normalised by ImageNet's colours, as all batches are, as a network expects them."""

    scale: Tensor
    shift: Tensor

    def __init__(self, row: Backbone, side: int) -> None:
        super().__init__()
        self._side, self._interpolation = side, row.interpolation
        colours = zip(row.mean, row.std, IMAGENET_MEAN, IMAGENET_STD, strict=True)
        factors = [(own_std / std, (own - mean) / std) for mean, std, own, own_std in colours]
        self._is_usual = (row.mean, row.std) == (IMAGENET_MEAN, IMAGENET_STD)
        scale, shift = zip(*factors, strict=True)
        self.register_buffer("scale", torch.tensor(scale).view(3, 1, 1))
        self.register_buffer("shift", torch.tensor(shift).view(3, 1, 1))

    def extra_repr(self) -> str:
        return f"side={self._side}, interpolation={self._interpolation}"

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, side, side) of square images of any size."""
        if images.shape[-1] != self._side:
            size = (self._side, self._side)
            images = F.interpolate(images.float(), size, mode=self._interpolation, antialias=True)
        return images if self._is_usual else images * self.scale + self.shift


class FineTuned(nn.Module):
    """A pretrained trunk between a preparation of its images and a new head."""

    def __init__(
        self, row: Backbone, parts: Trunk, *, side: int, num_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.preparation = Preparation(row, side)
        self.trunk = parts.network
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(parts.num_features, num_classes))
        inner = [nn.Linear(width, num_classes) for width in parts.num_auxiliary]
        self.auxiliary = nn.ModuleList(inner)

    def features(self, images: Tensor) -> tuple[Tensor, ...]:
        """What the head is given, (N, num_features), and in training each auxiliary head."""
        found = self.trunk(self.preparation(images))
        return (found,) if isinstance(found, Tensor) else tuple(found)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (N, num_classes) of images (N, 3, H, W), or features (N, num_features)."""
        return self.head(images if images.ndim == 2 else self.features(images)[0])

    def all_scores(self, images: Tensor) -> list[Tensor]:
        """The scores of the head, and of the auxiliary heads where they train."""
        if images.ndim == 2:
            return [self.head(images)]
        features, *inner = self.features(images)
        scores = (head(f) for head, f in zip(self.auxiliary, inner, strict=True))
        return [self.head(features), *scores]


class LitClassifier(Classifier):
    """A pretrained network, `LitClassifier(model_name="resnet50", finetune_strategy="freeze_all")`.

    Takes the hyperparameters of PretrainedConfig by name, or a whole one; what is not named has the
    default. `lr` is the study's name of learning_rate. Logs what CustomCNN does.
    """

    network: FineTuned
    config: PretrainedConfig

    def __init__(
        self,
        config: PretrainedConfig | None = None,
        *,
        num_classes: int = 10,
        image_size: int | Sequence[int] | None = None,
        lr: float | None = None,
        **hyperparameters: Any,
    ) -> None:
        """`image_size` is the side of the photographs, by default what the network was trained on.

        The weights are loaded from this machine or fetched. Raises ValueError for a value that is
        not valid, FileNotFoundError where the weights cannot be had.
        """
        if lr is not None and hyperparameters.setdefault("learning_rate", lr) != lr:
            raise ValueError(f"lr: {lr} is not the learning_rate given; give one of the two")
        config = PretrainedConfig.given(config, hyperparameters)
        if num_classes < 1:
            raise ValueError(f"num_classes: {num_classes} is not at least 1")
        row = backbone(config.model_name)
        size = image_side(row.size if image_size is None else image_size)
        if reason := impossible(config, size):
            raise ValueError(reason)
        side = side_of(config, size)
        inside = config.finetune_strategy != FREEZE_ALL and needs_auxiliary(row, side)
        parts = trunk(row, side, auxiliary=inside)
        self.weights_digest: str | None = None
        network = FineTuned(row, parts, side=side, num_classes=num_classes, dropout=config.dropout)
        super().__init__(network, config, num_classes=num_classes, image_size=size)
        self.row = row
        self.layers = layers(row, network.trunk)
        # On the meta device there is nothing to load them into: only shapes are asked for.
        is_real = next(network.parameters()).device.type != "meta"
        if is_real and (path := weights_file(row, config.weights, fetch=True)):
            load(row, network.trunk, path, side)
            self.weights_digest = digest_of(path)
        self.keeps_trunk = True
        self._freeze(0.0)

    @classmethod
    def from_champion(cls, folder: str | Path) -> "LitClassifier":
        """The trained network of a sweep's folder, or of its champion's, ready to predict.

        FileNotFoundError where there is none, ValueError where a file of it is damaged.
        """
        model: LitClassifier = read_network(folder, PretrainedConfig, cls._of)
        return model

    @classmethod
    def _of(cls, config: PretrainedConfig, num_classes: int, image_size: int) -> "LitClassifier":
        return cls(config, num_classes=num_classes, image_size=image_size)

    @property
    def frozen_trunk(self) -> nn.Module | None:
        """What makes features of images, where it never trains and so needs to run only once."""
        if self.config.finetune_strategy != FREEZE_ALL:
            return None
        return nn.Sequential(self.network.preparation, self.network.trunk)

    @property
    def trained_parameters(self) -> list[nn.Parameter]:
        names = {*self._trained(1.0), *self._inner()}
        return [p for name, p in self.network.named_parameters() if name in names]

    @property
    def num_parameters(self) -> tuple[int, int]:
        """In all, and those that train in the end, without auxiliary heads."""
        total, _ = counts(self.network)
        inner, _ = counts(self.network.auxiliary)
        trained = sum(self._sizes[name] for name in self._trained(1.0))
        return total - inner, trained

    def summary(self) -> str:
        """The layers, and how many parameters train."""
        return f"{super().summary()}\n{'trained':<36}{self.num_parameters[1]:>14,}"

    @property
    def _sizes(self) -> dict[str, int]:
        return {name: p.numel() for name, p in self.network.named_parameters()}

    def _trained(self, share: float) -> Iterator[str]:
        """Names of the parameters that train when a share of the epochs is done."""
        config = self.config
        number = num_trained(config.finetune_strategy, config.k_layers, len(self.layers), share)
        yield from (f"head.{name}" for name, _ in self.network.head.named_parameters())
        for layer in self.layers[len(self.layers) - number :]:
            yield from (f"trunk.{name}" for name in layer)

    def _inner(self) -> list[str]:
        """The parameters of the auxiliary heads, and of what lies between them and the layers."""
        known = {f"trunk.{name}" for layer in self.layers for name in layer}
        return [
            name
            for name, _ in self.network.named_parameters()
            if not name.startswith("head.") and name not in known
        ]

    def _freeze(self, share: float) -> None:
        freeze(self.network, [*self._trained(share), *self._inner()])
        hold_still(self.network)

    def train(self, mode: bool = True) -> "LitClassifier":
        """Frozen layers stay in evaluation."""
        super().train(mode)
        if mode:
            hold_still(self.network)
        return self

    def on_train_epoch_start(self) -> None:
        """Unfreezes what is due: that follows from the epoch's number alone, resumed or not."""
        if self.config.finetune_strategy == UNFREEZE_GRADUALLY:
            epochs = self.trainer.max_epochs or 0
            if epochs < 1:
                raise ValueError(f"finetune_strategy: {UNFREEZE_GRADUALLY} needs max_epochs")
            self._freeze(self.trainer.current_epoch / epochs)
            self.train()

    def scores_and_loss(self, stage: str, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """As any classifier's; in training the losses of the auxiliary heads count too."""
        if stage != "train" or not self.network.auxiliary:
            return super().scores_and_loss(stage, images, labels)
        scores, *inner = self.network.all_scores(images)
        loss, *others = (self.loss(stage, s, labels) for s in (scores, *inner))
        return scores, loss + self.row.auxiliary_weight * sum(others)

    def configure_optimizers(self) -> Any:
        config = self.config
        by_name = dict(self.network.named_parameters())
        trained = set(self._trained(1.0))
        found = [[f"trunk.{name}" for name in layer] for layer in self.layers]
        trunk_layers = [
            [by_name[name] for name in layer] for layer in found if trained.issuperset(layer)
        ]
        head = [p for name, p in by_name.items() if name.startswith("head.")]
        groups = parameter_groups(
            head + [by_name[name] for name in self._inner()],
            trunk_layers,
            learning_rate=config.learning_rate,
            head_factor=config.head_learning_rate,
            decay=config.layer_decay,
            weight_decay=config.weight_decay,
        )
        return self.scheduled(recipe.optimizer(config, groups))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if not self.keeps_trunk:
            state = checkpoint["state_dict"]
            kept = {name: t for name, t in state.items() if not name.startswith("network.trunk.")}
            checkpoint["state_dict"] = kept

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A trunk that is not in the file is the pretrained one, which is here already."""
        checkpoint["state_dict"] = {**self.state_dict(), **checkpoint["state_dict"]}
        super().on_load_checkpoint(checkpoint)
