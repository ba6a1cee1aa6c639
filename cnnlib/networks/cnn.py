"""The family `cnn`: the study's network."""

from typing import Any

from cnnlib.networks.cnn_config import IMAGE_SIZE, TrialConfig, impossible
from cnnlib.networks.family import Family


def build(config: TrialConfig, num_classes: int, image_size: int) -> Any:
    """The network, untrained."""
    from cnnlib.networks.custom_cnn import CustomCNN

    return CustomCNN(config, num_classes=num_classes, image_size=image_size)


CNN = Family(
    name="cnn",
    config=TrialConfig,
    build=build,
    impossible=impossible,
    shapes=(
        "first_layer_filters",
        "filter_org",
        "batch_norm",
        "num_neurons_dense",
        "kernel_size",
        "conv_layers",
        "head",
    ),
    image_size=IMAGE_SIZE,
    limited={"first_layer_filters": 1, "filter_org": 1, "conv_layers": -1},
    heavier=("first_layer_filters", "filter_org", "batch_norm", "num_neurons_dense", "kernel_size"),
    reference=TrialConfig(),  # the study's best
    short_names={  # the study's own, in its order, and then those of the recipe
        "activation": "ac",
        "first_layer_filters": "filters",
        "filter_org": "filt_org",
        "conv_layers": "layers",
        "dropout": "drop",
        "batch_norm": "bn",
        "batch_size": "bs",
        "learning_rate": "lr",
        "use_augmentation": "aug",
        "num_neurons_dense": "dense",
        "optimizer": "opt",
        "weight_decay": "wd",
        "learning_rate_schedule": "sched",
        "label_smoothing": "smooth",
        "kernel_size": "kernel",
        "head": "head",
        "ema": "ema",
        "augmentation": "augm",
    },
)
