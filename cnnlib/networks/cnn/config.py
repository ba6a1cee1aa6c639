"""What is chosen about the study's network, the family `cnn`, and which choices cannot exist."""

from dataclasses import dataclass

from cnnlib.networks.configuration import Configuration, Recipe
from cnnlib.networks.hyperparameter import choice, layered, number, switch
from cnnlib.networks.words import (
    ACTIVATION_WORDS,
    KERNELS,
    ORGANIZATIONS,
    TELLING_ACTIVATIONS,
)

IMAGE_SIZE = 224  # px, the study's


@dataclass(frozen=True)
class _Layers(Configuration):
    """The layers, and the order of the columns: fields of the recipe stand here for that alone."""

    first_layer_filters: int = number(
        128, 1, 4096, scale="log", help="filters of the first convolution",
        aliases=("filter", "num filter", "first filter", "conv filter", "num conv filter",
                 "filter layer", "num filter layer", "first conv filter", "num first filter",
                 "first num filter", "num kernel", "channel", "num channel",
                 "first channel", "conv channel", "channel layer", "out channel",
                 "first layer channel", "num first layer filter", "num first channel",
                 "filter first conv layer", "num filter first layer", "num out channel",
                 "first out channel", "num filter conv layer", "filter conv layer", "first size",
                 "first width"),
        perhaps=("filter size", "filter depth"),
    )  # fmt: skip
    filter_org: float = number(
        1.0, 0.25, 4.0, scale="log", squares=True,
        help="filters of a layer over those of the layer before",
        aliases=("filter organization", "filter", "num filter", "channel organization",
                 "organization", "num filter organization", "filter layer organization",
                 "filter size organization", "conv filter organization", "multiplier",
                 "growth factor", "growth rate"),
        perhaps=("filter depth",), words=ORGANIZATIONS,
        telling=("double", "doubling", "doubled", "half", "halving", "halved"),
    )  # fmt: skip
    conv_layers: int = number(
        5, 1, 10, help="blocks of convolution, activation and pooling",
        aliases=("num conv layer", "conv", "num conv", "layer", "num layer", "depth",
                 "conv depth", "network depth", "model depth"),
    )  # fmt: skip
    activation: str = choice(
        "relu", "gelu", "silu", "mish", "elu", "selu", "leaky_relu", "tanh", "sigmoid", "relu6",
        "prelu", "rrelu", "celu", "softplus", "softsign", "logsigmoid", "hardtanh", "hardsigmoid",
        "hardswish", "identity",
        alike=True, help="activation after each convolution and the dense layer",
        aliases=("conv activation", "activation layer", "activation conv layer",
                 "conv layer activation"),
        words=ACTIVATION_WORDS, telling=TELLING_ACTIVATIONS,
    )  # fmt: skip
    dropout: float = number(
        0.3, 0.0, 0.95, alike=True, switched=True, of_convolutions="conv_dropout",
        help="share of dense activations dropped in training",
        aliases=("dense dropout", "dropout dense layer", "prob", "dropout layer",
                 "head dropout", "classifier dropout"),
        words={"none": 0.0, "false": 0.0, "null": 0.0},
    )  # fmt: skip
    batch_norm: bool = switch(
        True, alike=True, help="batch normalisation after each convolution",
        aliases=("norm", "batch norm layer", "norm layer", "conv batch norm", "norm batch"),
        words={"batch": True, "batch_norm": True, "batchnorm2d": True,
               "batch_normalization": True},
    )  # fmt: skip
    batch_size: int = Recipe.batch_size
    learning_rate: float = Recipe.learning_rate
    use_augmentation: bool = Recipe.use_augmentation
    num_neurons_dense: int = number(
        256, 1, 65536, scale="log", help="neurons of the dense layer before the classes",
        aliases=("dense neuron", "neuron", "num neuron", "dense layer neuron",
                 "num dense layer neuron", "first dense neuron", "classifier neuron",
                 "classifier size", "head size", "head neuron"),
        perhaps=("dense", "num dense", "dense layer", "num dense layer"),
    )  # fmt: skip
    optimizer: str = Recipe.optimizer
    weight_decay: float = Recipe.weight_decay
    learning_rate_schedule: str = Recipe.learning_rate_schedule
    label_smoothing: float = Recipe.label_smoothing
    kernel_size: int = number(
        3, 1, 11, optional=True, squares=True, help="side of the convolutions, in pixels",
        aliases=KERNELS,
    )  # fmt: skip
    head: str = choice(
        "flatten", "gap", optional=True,
        help="before the dense layer; gap is global average pooling",
        aliases=("head pool", "global pool", "gap", "global average pool", "global avg pool"),
        words={"global_average_pooling": "gap", "avg": "gap", "adaptive_avg_pool": "gap",
               "global_avg_pool": "gap", "true": "gap", "false": "flatten"},
    )  # fmt: skip
    ema: float = Recipe.ema
    augmentation: str = Recipe.augmentation
    class_weights: str = Recipe.class_weights


@dataclass(frozen=True)
class TrialConfig(Recipe, _Layers):
    """The study's ten hyperparameters, with its best as defaults, and others that are off."""

    filters: str = layered(
        "ratio", 1, 4096, one="first_layer_filters", grows="filter_org",
        help="filters of each convolution, like 32-64-128, in place of first_layer_filters and "
        "filter_org; ratio: what those say",
        aliases=("filter", "num filter", "channel", "num channel", "filter organization",
                 "channel organization", "filter layer", "channel layer", "filter list",
                 "conv filter", "conv channel", "conv layer", "layer", "hidden channel",
                 "dense channel", "out channel", "channel size", "conv size",
                 "num filter layer", "num conv filter", "filter conv layer", "layer filter size",
                 "organization", "conv filter organization", "num filter organization",
                 "filter size organization", "filter layer organization"),
        perhaps=("filter size", "filter depth"),
        of_a_layer=("f", "nf", "filter", "num filter", "conv filter", "conv", "conv layer filter",
                    "filter layer", "channel", "conv channel", "out channel", "num channel",
                    "conv out channel", "conv out", "num filter layer", "layer filter", "c",
                    "num filter conv", "num kernel", "num kernel layer", "conv size",
                    "conv num filter", "filter conv", "conv layer"),
    )  # fmt: skip
    kernel_sizes: str = layered(
        "same", 1, 11,
        help="sides of the convolutions, one for each, like 3-5-7; same: all are kernel_size",
        aliases=KERNELS,
        of_a_layer=("k", "ks", "sf", "fs", "kernel", "kernel size", "filter size", "conv kernel",
                    "conv kernel size", "kernel size layer", "kernel layer", "conv filter size",
                    "conv layer kernel size", "kernel size conv", "filter size layer"),
    )  # fmt: skip
    padding: str = choice(
        "same", "valid", "1", "2", "3", "4", "5", optional=True, quiet=True, alike=True,
        help="around each convolution: same keeps the size, valid is none, or so many pixels",
        aliases=("conv padding", "padding size", "padding conv", "conv layer padding"),
        words={"0": "valid", "none": "valid"},
    )  # fmt: skip
    stride: int = number(
        1, 1, 4, optional=True, quiet=True, squares=True, alike=True,
        help="step of the convolutions, in pixels",
        aliases=("conv stride", "stride size", "filter stride", "kernel stride", "stride conv",
                 "conv layer stride"),
    )  # fmt: skip
    pooling: str = choice(
        "max", "avg", "none", optional=True, quiet=True, alike=True,
        help="after each convolution: maximum, mean or none",
        aliases=("pool", "pool layer", "pool method", "pool kind", "pool mode", "pool operation"),
        words={"maxpool": "max", "maxpool2d": "max", "max_pooling": "max", "average": "avg",
               "avgpool": "avg", "avgpool2d": "avg", "mean": "avg", "average_pooling": "avg",
               "max_pool": "max", "avg_pool": "avg", "avg_pooling": "avg", "maxpooling": "max",
               "maxpooling2d": "max", "averagepooling2d": "avg", "false": "none"},
    )  # fmt: skip
    pool_size: int = number(
        2, 1, 5, optional=True, quiet=True, squares=True, alike=True,
        help="side of what a pooling takes together, in pixels",
        aliases=("pool", "pool kernel size", "pool kernel", "max pool size", "pool filter size",
                 "max pool kernel size", "max pool"),
    )  # fmt: skip
    pool_stride: int = number(
        0, 0, 5, optional=True, quiet=True, squares=True, alike=True,
        help="step of the poolings; 0: as large as pool_size",
        aliases=("stride pool", "max pool stride"),
    )  # fmt: skip
    conv_dropout: float = number(
        0.0, 0.0, 0.95, optional=True, quiet=True, alike=True,
        help="share of channels dropped in training, after each convolution's activation",
        aliases=("dropout conv", "dropout conv layer", "spatial dropout", "feature dropout",
                 "conv layer dropout"),
        words={"none": 0.0, "false": 0.0},
    )  # fmt: skip
    conv_bias: bool = switch(
        True, optional=True, quiet=True, help="whether convolutions add a bias",
        aliases=("bias", "bias conv"),
    )  # fmt: skip
    num_dense_layers: int = number(
        1, 1, 8, optional=True, quiet=True,
        help="dense layers before the classes, all of num_neurons_dense",
        aliases=("dense layer", "dense", "num dense", "dense depth"),
    )  # fmt: skip
    dense_sizes: str = layered(
        "same", 1, 65536, one="num_neurons_dense",
        help="neurons of each dense layer, like 512-256, in place of num_neurons_dense and "
        "num_dense_layers; same: what those say",
        aliases=("dense", "dense neuron", "dense layer", "num dense", "num dense layer",
                 "dense layer neuron", "neuron", "num neuron", "num dense neuron", "dense config",
                 "classifier layer", "num dense layer neuron"),
        of_a_layer=("dense", "dense neuron", "num dense", "dense layer neuron", "neuron",
                    "num neuron", "dense layer", "num dense neuron"),
    )  # fmt: skip
    dense_activation: str = choice(
        "same", "relu", "gelu", "silu", "mish", "elu", "selu", "leaky_relu", "tanh", "sigmoid",
        "relu6", "prelu", "rrelu", "celu", "softplus", "softsign", "logsigmoid", "hardtanh",
        "hardsigmoid", "hardswish", "identity", optional=True, quiet=True, alike=True,
        help="activation after the dense layers; same: as `activation`",
        aliases=("activation dense", "dense layer activation", "activation dense layer",
                 "head activation", "classifier activation"),
        words=ACTIVATION_WORDS, telling=TELLING_ACTIVATIONS,
    )  # fmt: skip
    weight_init: str = choice(
        "default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal",
        "orthogonal", optional=True, quiet=True,
        help="how weights begin; default: as torch's layers do",
        aliases=("weight initialization", "weight initializer", "weight initialisation",
                 "initialization", "initializer", "init", "init method", "init mode",
                 "kernel initializer", "kernel init", "weight init method", "weights init",
                 "initialization method", "weights initialization", "init scheme", "conv init",
                 "init weights", "init strategy", "initialization scheme", "init weight"),
        words={"xavier": "xavier_uniform", "glorot": "xavier_uniform",
               "glorot_uniform": "xavier_uniform", "glorot_normal": "xavier_normal",
               "kaiming": "kaiming_normal", "he": "kaiming_normal", "he_normal": "kaiming_normal",
               "he_uniform": "kaiming_uniform", "kaiming_he": "kaiming_normal",
               "random": "default", "none": "default", "pytorch": "default", "torch": "default",
               "xavier_uniform_": "xavier_uniform", "false": "default"},
    )  # fmt: skip
