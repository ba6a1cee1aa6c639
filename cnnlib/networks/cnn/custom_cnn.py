"""CustomCNN: the study's network, trained by the recipe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from cnnlib.networks.classifier import Classifier
from cnnlib.networks.cnn.config import IMAGE_SIZE, TrialConfig
from cnnlib.networks.cnn.layers import network
from cnnlib.networks.saved import read_network
from cnnlib.pixels.decode import image_side


def _image_size(image_size: int | Sequence[int] | None, shape: Sequence[int] | None) -> int:
    """The side that either says, or both; 224 where neither does."""
    if shape is None:
        return image_side(IMAGE_SIZE if image_size is None else image_size)
    if not isinstance(shape, Sequence) or len(shape) != 3 or shape[0] != 3:
        raise ValueError(f"input_shape: {shape} is not (3, height, width)")
    side = image_side(shape[1:])
    if image_size is not None and image_side(image_size) != side:
        raise ValueError(f"input_shape: {shape} is not of image_size {image_size}; give one")
    return side


class CustomCNN(Classifier):
    """A convolutional classifier, `CustomCNN(first_layer_filters=64, conv_layers=5, ...)`.

    Takes the hyperparameters of TrialConfig by name, or a whole TrialConfig; what is not named has
    the default. What it logs says Classifier.

    The study's names are taken too: `input_shape=(3, 224, 224)` says image_size, as photographs
    have three channels, and `optimizer_name` is the hyperparameter `optimizer`.
    """

    network: nn.Sequential

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
        image_size = _image_size(image_size, input_shape)
        if optimizer_name is not None:
            named = str(optimizer_name).lower()
            if hyperparameters.setdefault("optimizer", named) != named:
                raise ValueError(
                    f"optimizer_name: {optimizer_name} is not the optimizer given, "
                    f"{hyperparameters['optimizer']}; give one of the two"
                )
        config = TrialConfig.given(config, hyperparameters)
        if num_classes < 1:
            raise ValueError(f"num_classes: {num_classes} is not at least 1")
        super().__init__(
            network(config, num_classes, image_size),
            config,
            num_classes=num_classes,
            image_size=image_size,
        )

    @classmethod
    def from_champion(cls, folder: str | Path) -> "CustomCNN":
        """The trained network of a sweep's folder, or of its champion's, ready to predict.

        FileNotFoundError where there is none, ValueError where a file of it is damaged.
        """
        return read_network(folder, TrialConfig, cls._of)

    @classmethod
    def _of(cls, config: TrialConfig, num_classes: int, image_size: int) -> "CustomCNN":
        return cls(config, num_classes=num_classes, image_size=image_size)
