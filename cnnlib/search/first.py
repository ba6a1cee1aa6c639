"""The configurations that a person wants tried first: those of a file, in its order."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnlib.networks.configuration import Configuration
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import hyperparameter_named, hyperparameters
from cnnlib.networks.values import Space
from cnnlib.search.reference import nearest_in, nearest_to_reference
from cnnlib.storage.csv_file import read_table
from cnnlib.storage.yaml_file import read_yaml
from cnnlib.system.units import short

DEFAULTS, REFERENCE = "defaults", "reference"  # configurations by name
TABLES = (".csv", ".tsv")


def read_first(
    file: str | Path,
    space: Space,
    image_size: int,
    family: Family,
    names: Mapping[str, str] | None = None,
) -> tuple[Configuration, ...]:
    """The configurations of a file, each once, in its order.

    A YAML or JSON list of configurations, in which `defaults` and `reference` may stand by name, or
    a table with a row each, such as a trials.csv. What an entry leaves out is as near to its
    default as the space allows. `names` are those of the sweep file, which an entry may use too.
    Raises ValueError for an entry that lies outside of the space or cannot exist.
    """
    found: dict[Configuration, None] = {}
    for number, entry in enumerate(_entries(Path(file), family, names or {}), 1):
        try:
            config = _config(entry, space, image_size, family, names or {})
        except ValueError as error:
            raise ValueError(f"--first: {file}, configuration {number}: {error}") from None
        found[config] = None
    if not found:
        raise ValueError(f"--first: {file} holds no configuration")
    return tuple(found)


def _entries(path: Path, family: Family, names: Mapping[str, str]) -> list[Any]:
    if path.suffix.lower() not in TABLES:
        content = read_yaml(path)  # JSON is YAML
        return content if isinstance(content, list) else [content]
    table, _ = read_table(path)
    known = [n for n in table if n in hyperparameters(family.config) or n in names.values()]
    if not known:
        raise ValueError(f"--first: {path} has no column that is a hyperparameter")
    rows = table[known].astype(object).where(table[known].notna(), None).to_dict("records")
    return [{str(n): v for n, v in row.items() if v is not None} for row in rows]


def _config(
    entry: Any, space: Space, image_size: int, family: Family, names: Mapping[str, str]
) -> Configuration:
    if entry == REFERENCE:
        config = nearest_to_reference(space, image_size, family)
        if config is None:
            raise ValueError(f"{family.name} has no reference in this space")
        return config
    if entry == DEFAULTS:
        entry = {}
    if not isinstance(entry, Mapping):
        raise ValueError(f"{short(entry)} is not NAME: VALUE pairs, {DEFAULTS} or {REFERENCE}")
    ours = {said: name for name, said in names.items()}
    known = hyperparameters(family.config)
    given: dict[str, Any] = {}
    for said, raw in entry.items():
        name = hyperparameter_named(family.config, ours.get(str(said), str(said))).name
        given[name] = known[name].parse(raw)
        if name in space and given[name] not in space[name]:
            raise ValueError(
                f"{said} {short(given[name])} is not in the sweep's space; widen it (--set), or "
                "leave this one out"
            )
        if name not in space and given[name] != known[name].default:
            raise ValueError(f"{said} is not searched; add it to the sweep (--set)")
    config = nearest_in(space, {n: h.default for n, h in known.items()} | given, family)
    if reason := family.impossible(config, image_size):
        raise ValueError(reason)
    return config
