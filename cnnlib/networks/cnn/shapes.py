"""The shapes of the study's network, worked out from its configuration, and which cannot exist."""

from cnnlib.networks.cnn.config import TrialConfig


def filter_counts(config: TrialConfig) -> list[int]:
    """Channels out of each convolution: 32 filters and filter_org 2.0 give 32, 64, 128."""
    if config.filters != "ratio":
        return listed(config.filters)
    return grown(config.first_layer_filters, config.filter_org, config.conv_layers)


def grown(first: int, ratio: float, layers: int) -> list[int]:
    """So many layers' filters, of which each is `ratio` times the one before, rounded down."""
    counts = [first]
    while len(counts) < layers:
        counts.append(int(counts[-1] * ratio))
    return counts


def listed(text: str) -> list[int]:
    """The numbers of a list a layer: 32-64-128."""
    return [int(part) for part in text.split("-")]


def kernel_sides(config: TrialConfig) -> list[int]:
    """The side of each convolution's kernel; of a longer list the first ones."""
    if config.kernel_sizes == "same":
        return [config.kernel_size] * config.conv_layers
    return listed(config.kernel_sizes)[: config.conv_layers]


def dense_counts(config: TrialConfig) -> list[int]:
    """The neurons of each dense layer before the classes."""
    if config.dense_sizes == "same":
        return [config.num_neurons_dense] * config.num_dense_layers
    return listed(config.dense_sizes)


def sides(config: TrialConfig, image_size: int) -> list[int]:
    """The side of the maps after each convolution and its pooling, up to where nothing is left."""
    found = []
    side = image_size
    for kernel in kernel_sides(config):
        around = {"same": kernel - 1, "valid": 0}.get(config.padding)
        around = 2 * int(config.padding) if around is None else around
        side = (side + around - kernel) // config.stride + 1
        if config.pooling != "none":
            side = (side - config.pool_size) // (config.pool_stride or config.pool_size) + 1
        found.append(max(side, 0))
        if side <= 0:
            break
    return found


def impossible(config: TrialConfig, image_size: int) -> str | None:
    """Why no network of this configuration can exist for images of this size, or None."""
    if config.filters != "ratio" and len(listed(config.filters)) != config.conv_layers:
        return (
            f"filters: {config.filters} are {len(listed(config.filters))} layers, and conv_layers "
            f"is {config.conv_layers}"
        )
    if len(kernel_sides(config)) < config.conv_layers:
        return (
            f"kernel_sizes: {config.kernel_sizes} are {len(kernel_sides(config))} sizes, and "
            f"conv_layers is {config.conv_layers}; give one for each"
        )
    if sides(config, image_size)[-1] == 0:
        return _nothing_left(config, image_size)
    counts = filter_counts(config)
    if counts[-1] == 0:
        return (
            f"filter_org: {config.filter_org:g} leaves no filter in layer "
            f"{counts.index(0) + 1} of {config.conv_layers} when the first has "
            f"{config.first_layer_filters}; take more filters or fewer layers"
        )
    return None


def _nothing_left(config: TrialConfig, image_size: int) -> str:
    """What to do where convolutions and poolings make of the image nothing."""
    plain = (config.padding, config.stride, config.pooling) == ("same", 1, "max")
    if plain and config.pool_size == 2 and not config.pool_stride:
        return (
            f"conv_layers: {config.conv_layers} poolings leave nothing of {image_size} px; "
            f"at most {image_size.bit_length() - 1} fit, or take a larger image size"
        )
    fit = len(sides(config, image_size)) - 1
    return (
        f"conv_layers: {config.conv_layers} convolutions and poolings (padding {config.padding}, "
        f"stride {config.stride}) leave nothing of {image_size} px; {fit} fit, or take a larger "
        "image size"
    )
