"""What the hyperparameters of a sweep file say of each other: lists a layer, depth, optimiser."""

from collections.abc import Mapping

from cnnlib.networks.cnn.shapes import grown
from cnnlib.networks.hyperparameter import Hyperparameter
from cnnlib.search.space import Choice, Interval, Space, num_values
from cnnlib.system.mistakes import Collected

# Filters of networks whose layers have all as many, beside those that grow or shrink: read here
# together with filter_org and first_layer_filters, and then gone.
OWN_FILTERS = Hyperparameter(
    "constant_filters", int, 0, "filters of every layer", low=0, high=4096,
    aliases=("constant filter", "same filter", "constant num filter"),
)  # fmt: skip
DEPTH = 5  # layers of the study's networks, where the file says nothing of them


def reconciled(space: Space, names: Mapping[str, str], found: Collected) -> tuple[Space, list[str]]:
    """The space with what follows from what the file says, and a line for each of that."""
    notes: list[str] = []
    space = dict(space)
    said = {name: names.get(name, name) for name in space}
    _organize(space, said, notes)
    if OWN_FILTERS.name in space:
        own = space.pop(OWN_FILTERS.name)
        if num_values(own) > 1:
            found.lines.append(
                f"{said[OWN_FILTERS.name]}: counts where filter_org is the same for all layers, "
                "which this file does not search; leave it out"
            )
    for ours, others in INSTEAD.items():
        if ours in space:
            for other in others:
                if other in space:
                    found.lines.append(
                        f"{said[ours]} says each layer's own, so {said[other]} contradicts it; "
                        "leave out one"
                    )
    _depth(space, said, found, notes)
    _optimizer(space, said, notes)
    if "k_layers" in space and "finetune_strategy" not in space:
        space["finetune_strategy"] = Choice(("freeze_partial",))
        notes.append(f"{said['k_layers']}: finetune_strategy is freeze_partial, as none is named")
    _warm_up(space, said, found)
    return space, notes


INSTEAD = {
    "filters": ("first_layer_filters", "filter_org"),
    "kernel_sizes": ("kernel_size",),
    "dense_sizes": ("num_neurons_dense",),
}


def _lengths(values: Choice | Interval) -> list[int]:
    assert isinstance(values, Choice)
    return [str(value).count("-") + 1 for value in values.values]


def _organize(space: Space, said: dict[str, str], notes: list[str]) -> None:
    """Words and lists of one organisation, all as lists; and filters of their own for `same`."""
    firsts, own = space.get("first_layer_filters"), space.get(OWN_FILTERS.name)
    ratios, lists = space.get("filter_org"), space.get("filters")
    together = lists and said["filters"] == said.get("filter_org")
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
    for name in ("first_layer_filters", "filter_org", OWN_FILTERS.name):
        space.pop(name, None)
    space["filters"] = Choice(tuple(dict.fromkeys(made)))
    named = [said[name] for name in ("filter_org", OWN_FILTERS.name, "first_layer_filters")
                if name in said]  # fmt: skip
    said["filters"] = " and ".join(dict.fromkeys(named))
    based = "" if firsts else ", from 128 filters where they are not listed"
    notes.append(
        f"{said['filters']} are filters, each layer's own: {', '.join(dict.fromkeys(made))}{based}"
    )


def _depth(space: Space, said: dict[str, str], found: Collected, notes: list[str]) -> None:
    """conv_layers from lists, and lists beside conv_layers."""
    filters, kernels = space.get("filters"), space.get("kernel_sizes")
    if filters:
        lengths = dict.fromkeys(_lengths(filters))
        given = space.get("conv_layers")
        if given is None:
            space["conv_layers"] = Choice(tuple(lengths))
            notes.append(
                f"{said['filters']}: conv_layers is {' or '.join(map(str, lengths))}, as many as "
                "filters are listed"
            )
        else:
            without = [n for n in lengths if n not in given]
            if without or (num_values(given) != len(lengths)):
                found.lines.append(
                    f"{said['filters']}: lists of {' and '.join(map(str, lengths))} layers do not "
                    f"fit {said['conv_layers']}; leave it out, as the lists say it"
                )
    if kernels:
        assert isinstance(kernels, Choice)
        lengths_of_kernels = _lengths(kernels)
        if "conv_layers" not in space:
            space["conv_layers"] = Choice((min(lengths_of_kernels),))
            notes.append(
                f"{said['kernel_sizes']}: conv_layers is {min(lengths_of_kernels)}, as many as "
                "sizes are listed"
            )
        depths = space["conv_layers"]
        deepest = int(max(depths.values) if isinstance(depths, Choice) else depths.highest)
        if short := [v for v, n in zip(kernels.values, lengths_of_kernels, strict=True)
                     if n < deepest]:  # fmt: skip
            found.lines.append(
                f"{said['kernel_sizes']}: {short[0]} are {_lengths(Choice((short[0],)))[0]} sizes, "
                f"and conv_layers goes to {deepest}; list one for each layer"
            )
        cut = tuple("-".join(str(value).split("-")[:deepest]) for value in kernels.values)
        for value, kept in zip(kernels.values, cut, strict=True):
            if value != kept:
                notes.append(
                    f"{said['kernel_sizes']}: of {value} the first {deepest} sizes count, as there "
                    f"are {deepest} convolutions"
                )
        if len(set(cut)) < len(cut) or cut != kernels.values:
            space["kernel_sizes"] = Choice(tuple(dict.fromkeys(cut)))
    dense, number = space.get("dense_sizes"), space.get("num_dense_layers")
    if dense and number:
        lengths = dict.fromkeys(_lengths(dense))
        if num_values(number) != len(lengths) or any(n not in number for n in lengths):
            found.lines.append(
                f"{said['dense_sizes']}: lists of {' and '.join(map(str, lengths))} layers do not "
                f"fit {said['num_dense_layers']}; leave it out, as the lists say it"
            )
        del space["num_dense_layers"]


# Hyperparameters that only some optimisers have.
OF_OPTIMIZERS = {
    "momentum": ("sgd", "nag", "momentum"),
    "nesterov": ("sgd",),
    "beta1": ("adam", "adamw", "nadam", "radam", "adamax"),
    "beta2": ("adam", "adamw", "nadam", "radam", "adamax"),
}


def _optimizer(space: Space, said: dict[str, str], notes: list[str]) -> None:
    """Momentum means sgd where no optimiser is named, and sgd has Nesterov's only if it is said."""
    if "momentum" in space and "optimizer" not in space:
        space["optimizer"] = Choice(("sgd",))
        notes.append(f"{said['momentum']}: the optimizer is sgd, as none is named")
    optimizers = space.get("optimizer", Choice(("adam",)))
    assert isinstance(optimizers, Choice)
    for name, having in OF_OPTIMIZERS.items():
        if name in space and not set(optimizers.values) & set(having):
            del space[name]
            notes.append(
                f"{said[name]}: left out, as {' and '.join(map(str, optimizers.values))} "
                f"{'has' if len(optimizers.values) == 1 else 'have'} none"
            )
    if "sgd" in optimizers.values and "nesterov" not in space:
        if "momentum" in space:
            space["nesterov"] = Choice((False,))
            notes.append(f"{said['momentum']}: not Nesterov's; nesterov: {{value: true}} is that")
        elif "optimizer" in said:
            notes.append(
                f"{said['optimizer']}: sgd has Nesterov momentum of 0.9 here; "
                "momentum: {value: 0} is none"
            )


def _warm_up(space: Space, said: dict[str, str], found: Collected) -> None:
    """Refuses what mixes up shares of the training and epochs."""
    values = space.get("warm_up")
    if values is None:
        return
    name = said["warm_up"]
    if isinstance(values, Interval):
        shares = [values.low < 1 and not values.step]
        mixed = shares[0] and values.high > 1
    else:
        shares = [0 < float(value) < 1 for value in values.values]
        mixed = any(shares) and any(float(value) >= 1 for value in values.values)
    if mixed:
        found.lines.append(
            f"{name}: below 1 it is a share of the training, from 1 on epochs; write values: "
            "[0, 1, 3], or distribution: int_uniform"
        )
    elif any(shares) and "epoch" in name.lower():
        found.lines.append(f"{name}: parts of an epoch are not there; write whole ones")
    elif "ratio" in name.lower() and not all(shares) and max(_ends(values)) >= 1:
        found.lines.append(f"{name}: is a share of the training, below 1")


def _ends(values: Choice | Interval) -> list[float]:
    return (
        [float(v) for v in values.values]
        if isinstance(values, Choice)
        else [values.low, values.high]
    )
