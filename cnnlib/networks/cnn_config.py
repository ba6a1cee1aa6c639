"""What is chosen about the study's network, the family `cnn`, and which choices cannot exist."""

from dataclasses import dataclass

from cnnlib.networks.configuration import Configuration, Recipe
from cnnlib.networks.hyperparameter import choice, number, switch

IMAGE_SIZE = 224  # px, the study's


@dataclass(frozen=True)
class _Layers(Configuration):
    """The layers, and the order of the columns: fields of the recipe stand here for that alone."""

    first_layer_filters: int = number(
        128, 1, 4096, scale="log", help="filters of the first convolution"
    )
    filter_org: float = number(
        1.0, 0.25, 4.0, scale="log", help="filters of a layer over those of the layer before"
    )
    conv_layers: int = number(5, 1, 10, help="blocks of convolution, activation and pooling")
    activation: str = choice(
        "relu", "gelu", "silu", "mish", "elu", "selu", "leaky_relu", "tanh",
        help="activation after each convolution and the dense layer",
    )  # fmt: skip
    dropout: float = number(0.3, 0.0, 0.95, help="share of dense activations dropped in training")
    batch_norm: bool = switch(True, help="batch normalisation after each convolution")
    batch_size: int = Recipe.batch_size
    learning_rate: float = Recipe.learning_rate
    use_augmentation: bool = Recipe.use_augmentation
    num_neurons_dense: int = number(
        256, 1, 65536, scale="log", help="neurons of the dense layer before the classes"
    )
    optimizer: str = Recipe.optimizer
    weight_decay: float = Recipe.weight_decay
    learning_rate_schedule: str = Recipe.learning_rate_schedule
    label_smoothing: float = Recipe.label_smoothing
    kernel_size: int = choice(3, 5, 7, optional=True, help="side of the convolutions, in pixels")
    head: str = choice(
        "flatten", "gap", optional=True,
        help="before the dense layer; gap is global average pooling",
    )  # fmt: skip
    ema: float = Recipe.ema
    augmentation: str = Recipe.augmentation


@dataclass(frozen=True)
class TrialConfig(Recipe, _Layers):
    """The study's ten hyperparameters, with its best as defaults, and others that are off."""


def filter_counts(config: TrialConfig) -> list[int]:
    """Channels out of each convolution: 32 filters and filter_org 2.0 give 32, 64, 128."""
    counts = [config.first_layer_filters]
    while len(counts) < config.conv_layers:
        counts.append(int(counts[-1] * config.filter_org))
    return counts


def impossible(config: TrialConfig, image_size: int) -> str | None:
    """Why no network of this configuration can exist for images of this size, or None."""
    if image_size >> config.conv_layers == 0:
        return (
            f"conv_layers: {config.conv_layers} poolings leave nothing of {image_size} px; "
            f"at most {image_size.bit_length() - 1} fit, or take a larger image size"
        )
    counts = filter_counts(config)
    if counts[-1] == 0:
        return (
            f"filter_org: {config.filter_org:g} leaves no filter in layer "
            f"{counts.index(0) + 1} of {config.conv_layers} when the first has "
            f"{config.first_layer_filters}; take more filters or fewer layers"
        )
    return None
