"""A family made of a user's function or class: its signature says what can be chosen."""

import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, make_dataclass, replace
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cnnlib.networks.configuration import Batches, Configuration, Recipe
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.system.units import short

PLAIN = (bool, int, float, str)
# What an argument of such a name is given, of the number of classes and the side of the images.
GIVEN: dict[str, Callable[[int, int], Any]] = {
    **dict.fromkeys(("num_classes", "n_classes", "num_labels"), lambda classes, side: classes),
    **dict.fromkeys(("image_size", "img_size"), lambda classes, side: side),
    "input_shape": lambda classes, side: (3, side, side),
}
# What stands in a sweep's tables and files by these names: such arguments keep their defaults.
TAKEN = {
    "network", "name", "trial_id", "status", "epoch", "epochs", "max_epochs", "after_epoch",
    "best_epoch", "val_acc", "val_loss", "seconds", "node", "error", "started", "audited", "seeds",
    "finalists", "seed",
}  # fmt: skip


def family_of(found: Any, code: Any) -> Family:
    """The family that an object of the user's is or describes; `code` is where it came from.

    ValueError, in one line, where it is none or an argument cannot be searched.
    """
    if isinstance(found, Family):
        found.config.code = code
        return replace(found, name=code.name, code=code)
    if not callable(found):
        raise ValueError(
            f"network: {code.name} is a {type(found).__name__}, and neither a Family, nor a "
            "function or class that makes a network"
        )
    from pytorch_lightning import LightningModule

    whole = inspect.isclass(found) and issubclass(found, LightningModule)
    arguments = dict(_arguments(found, code.name))
    chosen = [name for name, argument in arguments.items() if argument is not None]
    base = Batches if whole else Recipe
    config = _config_type(base, {n: arguments[n] for n in chosen}, code)

    def make(config: Any, num_classes: int, image_size: int) -> Any:
        given = {n: GIVEN[n](num_classes, image_size) for n in arguments if n in GIVEN}
        return found(**given, **{name: getattr(config, name) for name in chosen})

    def classifier(config: Any, num_classes: int, image_size: int) -> Any:
        from cnnlib.networks.classifier import Classifier

        network = make(config, num_classes, image_size)
        return Classifier(network, config, num_classes=num_classes, image_size=image_size)

    own = tuple(name for name in chosen if name not in hyperparameters(base))
    build = make if whole else classifier
    return Family(code.name, config, build, shapes=own, code=code)


def _arguments(found: Any, name: str) -> Iterator[tuple[str, tuple[type, Any] | None]]:
    """The arguments of a function or class: type and field of each; None of what is given to it.

    What has a default of another kind than a number, a text or true and false keeps it.
    """
    made = found.__init__ if inspect.isclass(found) else found
    try:
        hints = get_type_hints(made)
    except Exception:  # a name that is only known to type checkers
        hints = {}
    for parameter in inspect.signature(found).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in GIVEN:
            yield parameter.name, None
            continue
        if parameter.name in TAKEN:
            if parameter.default is parameter.empty:
                raise ValueError(
                    f"network: {name}: its argument {parameter.name} is called as a sweep's own "
                    "things are; give it another name or a default"
                )
            continue
        hint = hints.get(parameter.name, parameter.annotation)
        declared = _declared(parameter, hint, name)
        if declared is not None:
            yield parameter.name, declared


def _declared(parameter: inspect.Parameter, hint: Any, name: str) -> tuple[type, Any] | None:
    """Type and field of an argument, None of one that keeps its default."""
    none = inspect.Parameter.empty
    default = parameter.default
    said = f"network: {name}: its argument {parameter.name}"
    help = {"help": f"argument of {name}"}
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        kinds = {type(value) for value in choices}
        if len(kinds) > 1 or not kinds <= set(PLAIN):
            raise ValueError(f"{said} is one of values of several kinds; take those of one kind")
        value = choices[0] if default is none else default
        return kinds.pop(), field(default=value, metadata={"choices": choices, **help})
    if get_origin(hint) in (Union, types.UnionType) and default is not none:
        hint = type(default)  # int | None = 3 is searched as a whole number
    if hint in (none, Any):
        if default is none:
            raise ValueError(
                f"{said} has neither an annotation nor a default; write {parameter.name}: int = 3"
            )
        hint = type(default)
    if hint is float and type(default) is int:
        default = float(default)
    if hint in PLAIN and default is none:
        return hint, field(default=None, metadata=help)
    if hint in PLAIN and type(default) is hint:
        return hint, field(default=default, metadata=help)
    if default is none:
        kind = getattr(hint, "__name__", str(hint))
        raise ValueError(f"{said} is a {short(kind)}, which no sweep file says; give it a default")
    return None


def _config_type(
    base: type[Configuration], arguments: Mapping[str, Any], code: Any
) -> type[Configuration]:
    """The arguments, and after them what every configuration of this kind has.

    An argument that the base has too, like batch_size, keeps its rule and takes the default.
    """
    known = hyperparameters(base)
    columns = [(name, kind, declared) for name, (kind, declared) in arguments.items()]
    layers = make_dataclass("Arguments", columns, bases=(Configuration,), frozen=True)
    shared: dict[str, Any] = {"__annotations__": {}, "__module__": __name__, "code": code}
    for name in arguments.keys() & known.keys():
        default = arguments[name][1].default
        if type(default) is known[name].type and known[name].allows(default):
            metadata = dict(base.__dataclass_fields__[name].metadata)
            shared["__annotations__"][name] = known[name].type
            shared[name] = field(default=default, metadata=metadata)
    return dataclass(frozen=True)(type("OwnConfig", (base, layers), shared))
