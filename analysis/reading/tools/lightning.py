"""Lightning's folders of runs: hparams.yaml beside metrics.csv, or beside TensorBoard's events.

Its CSVLogger writes what was trained and what was validated in an epoch on two lines.
"""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from analysis.reading.tools.events import read_scalars
from analysis.reading.tools.search import CONFIG, Search, flat
from cnnlib.storage.csv_file import read_table

METRICS, HPARAMS, EVENTS = "metrics.csv", "hparams.yaml", "events.out.tfevents.*"


class _Plain(yaml.SafeLoader):
    """YAML in which objects of Python are their text: nothing is built."""


def _as_text(loader: yaml.Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value or suffix.rpartition(":")[2]
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    assert isinstance(node, yaml.MappingNode)
    values: dict[Hashable, Any] = loader.construct_mapping(node)
    return values


_Plain.add_multi_constructor("tag:yaml.org,2002:python/", _as_text)


def read_logs(folder: Path) -> Search | None:
    """The runs below the folder, by CSVLogger or TensorBoardLogger; None where there are none."""
    logged = {path.parent for path in folder.rglob(METRICS)}
    events = {path.parent for path in folder.rglob(EVENTS)}
    places = sorted(logged | {place for place in events if _is_run(place)})
    if not places or any(folder.rglob("params.json")):  # Ray Tune writes events too
        return None
    runs, parts, notes, without = [], [], [], 0
    for place in places:
        name = place.relative_to(folder).as_posix() if place != folder else folder.name
        run: dict[str, object] = {"ID": name}
        if place in logged:
            table, said = read_table(place / METRICS)
            notes += said
        else:
            table, times = read_scalars(sorted(place.glob(EVENTS)))
            run |= times
        settings = flat(_read(place / HPARAMS))
        without += not settings
        runs.append(run | {f"{CONFIG}{key}": value for key, value in settings.items()})
        parts.append(table.assign(id=name))
    if without:
        notes.append(f"{without} of {len(places)} runs have no hparams.yaml, or an empty one")
    history = pd.concat(parts, ignore_index=True)
    return Search(pd.DataFrame(runs), history, "Lightning's runs", notes=notes)


def _is_run(place: Path) -> bool:
    """Whether events are of a run: a folder of a run may hold others for grouped scalars."""
    return (place / HPARAMS).exists() or not (place.parent / HPARAMS).exists()


def _read(path: Path) -> object:
    if not path.exists():
        return {}
    try:
        return yaml.load(path.read_text("utf-8"), _Plain)
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML ({' '.join(str(error).split())})") from None
