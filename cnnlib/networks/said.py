"""What the hyperparameters of a sweep file say of each other; here those of the recipe."""

from dataclasses import dataclass, field

from cnnlib.networks.values import Choice, Interval, Space


@dataclass
class Said:
    """What a sweep file was found to say; what follows from it is put in here."""

    space: Space
    names: dict[str, str]  # of each hyperparameter: what the file calls it
    faults: list[str]  # what contradicts, a line each
    notes: list[str] = field(default_factory=list)  # what was read as what, a line each


# Hyperparameters that only some optimisers have.
OF_OPTIMIZERS = {
    "momentum": ("sgd", "nag", "momentum"),
    "nesterov": ("sgd",),
    "beta1": ("adam", "adamw", "nadam", "radam", "adamax"),
    "beta2": ("adam", "adamw", "nadam", "radam", "adamax"),
}


def reconcile_recipe(said: Said) -> None:
    """What every kind of network has: the optimiser and what is its own, the warm-up."""
    _optimizer(said)
    _warm_up(said)


def _optimizer(said: Said) -> None:
    """Momentum means sgd where no optimiser is named, and sgd has Nesterov's only if it is said."""
    space, names, notes = said.space, said.names, said.notes
    if "momentum" in space and "optimizer" not in space:
        space["optimizer"] = Choice(("sgd",))
        notes.append(f"{names['momentum']}: the optimizer is sgd, as none is named")
    optimizers = space.get("optimizer", Choice(("adam",)))
    assert isinstance(optimizers, Choice)
    for name, having in OF_OPTIMIZERS.items():
        if name in space and not set(optimizers.values) & set(having):
            del space[name]
            notes.append(
                f"{names[name]}: left out, as {' and '.join(map(str, optimizers.values))} "
                f"{'has' if len(optimizers.values) == 1 else 'have'} none"
            )
    if "sgd" in optimizers.values and "nesterov" not in space:
        if "momentum" in space:
            space["nesterov"] = Choice((False,))
            notes.append(f"{names['momentum']}: not Nesterov's; nesterov: {{value: true}} is that")
        elif "optimizer" in names:
            notes.append(
                f"{names['optimizer']}: sgd has Nesterov momentum of 0.9 here; "
                "momentum: {value: 0} is none"
            )


def _warm_up(said: Said) -> None:
    """Refuses what mixes up shares of the training and epochs."""
    values = said.space.get("warm_up")
    if values is None:
        return
    name = said.names["warm_up"]
    if isinstance(values, Interval):
        shares = [values.low < 1 and not values.step]
        mixed = shares[0] and values.high > 1
        highest = values.high
    else:
        shares = [0 < float(value) < 1 for value in values.values]
        mixed = any(shares) and any(float(value) >= 1 for value in values.values)
        highest = max(map(float, values.values))
    if mixed:
        said.faults.append(
            f"{name}: below 1 it is a share of the training, from 1 on epochs; write values: "
            "[0, 1, 3], or distribution: int_uniform"
        )
    elif any(shares) and "epoch" in name.lower():
        said.faults.append(f"{name}: parts of an epoch are not there; write whole ones")
    elif "ratio" in name.lower() and not all(shares) and highest >= 1:
        said.faults.append(f"{name}: is a share of the training, below 1")
