"""What a sweep file says of a cnn's layers, put together: lists a layer, depth, organisation."""

from cnnlib.networks.cnn.shapes import grown
from cnnlib.networks.hyperparameter import Hyperparameter
from cnnlib.networks.said import Said
from cnnlib.networks.values import Choice, Interval, num_values

# Filters of networks whose layers have all as many, beside those that grow or shrink: read here
# together with filter_org and first_layer_filters, and then gone.
OWN_FILTERS = Hyperparameter(
    "constant_filters", int, 0, "filters of every layer", low=0, high=4096,
    aliases=("constant filter", "same filter", "constant num filter"),
)  # fmt: skip
DEPTH = 5  # layers of the study's networks, where the file says nothing of them
INSTEAD = {
    "filters": ("first_layer_filters", "filter_org"),
    "kernel_sizes": ("kernel_size",),
    "dense_sizes": ("num_neurons_dense",),
}


def reconcile(said: Said) -> None:
    """The space with what follows from what the file says, a line for each of that."""
    _organize(said)
    space, names = said.space, said.names
    if OWN_FILTERS.name in space and num_values(space.pop(OWN_FILTERS.name)) > 1:
        said.faults.append(
            f"{names[OWN_FILTERS.name]}: counts where filter_org is the same for all layers, "
            "which this file does not search; leave it out"
        )
    for ours, others in INSTEAD.items():
        said.faults += [
            f"{names[ours]} says each layer's own, so {names[other]} contradicts it; leave out one"
            for other in others
            if ours in space and other in space
        ]
    _depth_of_filters(said)
    _depth_of_kernels(said)
    _depth_of_dense(said)


def _lengths(values: Choice | Interval) -> list[int]:
    assert isinstance(values, Choice)
    return [str(value).count("-") + 1 for value in values.values]


def _organize(said: Said) -> None:
    """Words and lists of one organisation, all as lists; and filters of their own for `same`."""
    space, names = said.space, said.names
    firsts, own = space.get("first_layer_filters"), space.get(OWN_FILTERS.name)
    ratios, lists = space.get("filter_org"), space.get("filters")
    together = lists and names["filters"] == names.get("filter_org")
    if not isinstance(ratios, Choice) or not (own or together):
        return
    depth = max(_lengths(lists)) if lists else DEPTH
    depths = space.get("conv_layers", Choice((depth,)))
    if not isinstance(depths, Choice) or len(depths.values) != 1:
        return
    if firsts is not None and not isinstance(firsts, Choice):
        return
    if own and 1 not in ratios.values:
        return
    bases = firsts.values if firsts else (128,)
    made = list(map(str, lists.values)) if isinstance(lists, Choice) else []
    for ratio in ratios.values:
        for base in own.values if isinstance(own, Choice) and ratio == 1 else bases:
            counts = grown(int(base), float(ratio), int(depths.values[0]))
            made.append("-".join(map(str, counts)))
    parts = ("filter_org", OWN_FILTERS.name, "first_layer_filters")
    for name in parts:
        space.pop(name, None)
    space["filters"] = Choice(tuple(dict.fromkeys(made)))
    names["filters"] = " and ".join(dict.fromkeys(names[name] for name in parts if name in names))
    based = "" if firsts else ", from 128 filters where they are not listed"
    listed = ", ".join(dict.fromkeys(made))
    said.notes.append(f"{names['filters']} are filters, each layer's own: {listed}{based}")


def _depth_of_filters(said: Said) -> None:
    """conv_layers from lists of filters, and lists beside conv_layers."""
    space, names = said.space, said.names
    filters, given = space.get("filters"), space.get("conv_layers")
    if not filters:
        return
    lengths = dict.fromkeys(_lengths(filters))
    if given is None:
        space["conv_layers"] = Choice(tuple(lengths))
        said.notes.append(
            f"{names['filters']}: conv_layers is {' or '.join(map(str, lengths))}, as many as "
            "filters are listed"
        )
    elif any(n not in given for n in lengths) or num_values(given) != len(lengths):
        said.faults.append(
            f"{names['filters']}: lists of {' and '.join(map(str, lengths))} layers do not fit "
            f"{names['conv_layers']}; leave it out, as the lists say it"
        )


def _depth_of_kernels(said: Said) -> None:
    """conv_layers from lists of kernel sizes, of which only as many count as there are layers."""
    space, names = said.space, said.names
    kernels = space.get("kernel_sizes")
    if not kernels:
        return
    assert isinstance(kernels, Choice)
    lengths = _lengths(kernels)
    if "conv_layers" not in space:
        space["conv_layers"] = Choice((min(lengths),))
        said.notes.append(
            f"{names['kernel_sizes']}: conv_layers is {min(lengths)}, as many as sizes are listed"
        )
    depths = space["conv_layers"]
    deepest = int(max(depths.values) if isinstance(depths, Choice) else depths.highest)
    short = [(v, n) for v, n in zip(kernels.values, lengths, strict=True) if n < deepest]
    if short:
        said.faults.append(
            f"{names['kernel_sizes']}: {short[0][0]} are {short[0][1]} sizes, and conv_layers "
            f"goes to {deepest}; list one for each layer"
        )
    cut = tuple("-".join(str(value).split("-")[:deepest]) for value in kernels.values)
    said.notes += [
        f"{names['kernel_sizes']}: of {value} the first {deepest} sizes count, as there are "
        f"{deepest} convolutions"
        for value, kept in zip(kernels.values, cut, strict=True)
        if value != kept
    ]
    if len(set(cut)) < len(cut) or cut != kernels.values:
        space["kernel_sizes"] = Choice(tuple(dict.fromkeys(cut)))


def _depth_of_dense(said: Said) -> None:
    """num_dense_layers beside lists of dense layers, which say it."""
    space, names = said.space, said.names
    dense, number = space.get("dense_sizes"), space.get("num_dense_layers")
    if not dense or not number:
        return
    lengths = dict.fromkeys(_lengths(dense))
    if num_values(number) != len(lengths) or any(n not in number for n in lengths):
        said.faults.append(
            f"{names['dense_sizes']}: lists of {' and '.join(map(str, lengths))} layers do not "
            f"fit {names['num_dense_layers']}; leave it out, as the lists say it"
        )
    del space["num_dense_layers"]
