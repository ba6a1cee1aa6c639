"""The layers of the study's network. Knows torch alone: Lightning takes seconds to load."""

from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor, nn

from cnnlib.networks.cnn.config import TrialConfig
from cnnlib.networks.cnn.shapes import dense_counts, filter_counts, impossible, kernel_sides, sides

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu6": nn.ReLU6,
    "prelu": nn.PReLU,
    "rrelu": nn.RReLU,
    "celu": nn.CELU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "logsigmoid": nn.LogSigmoid,
    "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "identity": nn.Identity,
}
POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}
# How the weights of convolutions and dense layers begin, where not as torch has it.
INITS: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
}
# What never falls commutes with the maximum of pooling, and after it there is a quarter to do.
RISING = {
    "relu", "elu", "selu", "leaky_relu", "tanh", "sigmoid", "relu6", "celu", "softplus", "softsign",
    "logsigmoid", "hardtanh", "hardsigmoid", "identity",
}  # fmt: skip


def network(config: TrialConfig, num_classes: int, image_size: int) -> nn.Sequential:
    """Blocks of convolution, batch norm if asked, activation and pooling; dense layers.

    Raises ValueError where no such network can exist.
    """
    if reason := impossible(config, image_size):
        raise ValueError(reason)
    layers: list[nn.Module] = []
    channels, activation = 3, ACTIVATIONS[config.activation]
    for filters, kernel in zip(filter_counts(config), kernel_sides(config), strict=True):
        layers += _convolution(config, channels, filters, kernel)
        if config.batch_norm:
            layers.append(nn.BatchNorm2d(filters))
        pooling = _pooling(config)
        if config.pooling == "max" and config.activation in RISING:
            layers += [*pooling, activation()]
        else:
            layers += [activation(), *pooling]
        if config.conv_dropout:
            layers.append(nn.Dropout2d(config.conv_dropout))
        channels = filters
    side = sides(config, image_size)[-1]
    if config.head == "gap":
        layers.append(nn.AvgPool2d(side))
        side = 1
    layers.append(nn.Flatten())
    if config.dense_activation != "same":
        activation = ACTIVATIONS[config.dense_activation]
    width = channels * side * side
    for neurons in dense_counts(config):
        layers += [nn.Linear(width, neurons), activation(), nn.Dropout(config.dropout)]
        width = neurons
    layers.append(nn.Linear(width, num_classes))
    if config.weight_init != "default":
        _initialize(layers, INITS[config.weight_init])
    return nn.Sequential(*layers)


def _initialize(layers: Sequence[nn.Module], init: Callable[[Tensor], Tensor]) -> None:
    """Weights of convolutions and dense layers anew, without biases."""
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            init(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _convolution(config: TrialConfig, channels: int, filters: int, kernel: int) -> list[nn.Module]:
    """One convolution, and what pads its input where no padding is as wide on both sides."""
    more = {"stride": config.stride, "bias": config.conv_bias}
    if config.padding == "same" and kernel % 2 == 0:
        before, after = (kernel - 1) // 2, kernel // 2
        pad = nn.ZeroPad2d((before, after, before, after))
        return [pad, nn.Conv2d(channels, filters, kernel, **more)]  # type: ignore[arg-type]
    around = {"same": kernel // 2, "valid": 0}.get(config.padding)
    around = int(config.padding) if around is None else around
    return [nn.Conv2d(channels, filters, kernel, padding=around, **more)]  # type: ignore[arg-type]


def _pooling(config: TrialConfig) -> list[nn.Module]:
    if config.pooling == "none":
        return []
    return [POOLINGS[config.pooling](config.pool_size, config.pool_stride or config.pool_size)]
