"""The family `cnn`: the study's network."""

from typing import Any

from cnnlib.networks.cnn.config import IMAGE_SIZE, TrialConfig
from cnnlib.networks.cnn.said import OWN_FILTERS, reconcile
from cnnlib.networks.cnn.shapes import impossible
from cnnlib.networks.family import Family


def build(config: TrialConfig, num_classes: int, image_size: int) -> Any:
    """The network, untrained."""
    from cnnlib.networks.cnn.custom_cnn import CustomCNN

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
        "filters",
        "kernel_sizes",
        "padding",
        "stride",
        "pooling",
        "pool_size",
        "pool_stride",
        "num_dense_layers",
        "dense_sizes",
    ),
    image_size=IMAGE_SIZE,
    face="CustomCNN",
    limited={
        "first_layer_filters": 1,
        "filter_org": 1,
        "conv_layers": 0,  # lists are of one depth
        "filters": 0,
        "kernel_sizes": 0,
        "kernel_size": -1,
        "padding": 0,
        "stride": -1,
        "pooling": 0,
        "pool_size": 0,
        "pool_stride": 0,
    },
    heavier=(
        "first_layer_filters",
        "filter_org",
        "batch_norm",
        "num_neurons_dense",
        "num_dense_layers",
    ),
    reference=TrialConfig(),  # the study's best
    reconcile=reconcile,
    said_only=(OWN_FILTERS,),
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
        "momentum": "mom",
        "nesterov": "nest",
        "beta1": "b1",
        "beta2": "b2",
        "eps": "eps",
        "filters": "each",
        "kernel_sizes": "kernels",
        "padding": "pad",
        "stride": "stride",
        "pooling": "pool",
        "pool_size": "poolsz",
        "pool_stride": "poolst",
        "conv_dropout": "convdrop",
        "conv_bias": "bias",
        "num_dense_layers": "ndense",
        "dense_sizes": "denses",
        "dense_activation": "dense_ac",
        "class_weights": "weights",
        "warm_up": "warm",
        "decay_factor": "decay",
        "decay_epochs": "decayep",
        "gradient_clip_val": "clip",
        "weight_init": "init",
    },
)
