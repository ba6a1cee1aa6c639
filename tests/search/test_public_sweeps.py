"""40 public sweep files, each as it is read: `python tests/search/test_public_sweeps.py` writes the
expected table anew, to be looked through line by line."""

import json
from pathlib import Path
from typing import Any

import pytest

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.values import Choice, Interval
from cnnlib.search.space import num_configurations
from cnnlib.search.sweep_file import sweep_from_mapping
from cnnlib.system.mistakes import lines_of

PUBLIC = Path(__file__).parents[2] / "shared" / "data" / "public_sweeps.json"
if not PUBLIC.exists():
    PUBLIC = Path(__file__).parents[3] / "shared" / "data" / "public_sweeps.json"
EXPECTED = Path(__file__).parent / "public_sweeps.json"
LEAST_ACCEPTED = 36

pytestmark = pytest.mark.skipif(not PUBLIC.exists(), reason="no ../shared/data/public_sweeps.json")


def said(values: Choice | Interval) -> str:
    if isinstance(values, Choice):
        return " | ".join(map(str, values.values))
    return f"{values.low:g} to {values.high:g}{' log' if values.log else ''}"


def read(content: dict[str, Any]) -> dict[str, Any]:
    try:
        sweep = sweep_from_mapping(content)
    except ValueError as error:
        return {"refused": lines_of(error)}
    return {
        "space": {
            name: f"{sweep.names.get(name, name)}: {said(values)}"
            for name, values in sweep.space.items()
        },
        "metric": [sweep.metric.name, sweep.metric.goal, sweep.metric.said],
        "settings": dict(sweep.settings),
        "notes": list(sweep.notes),
    }


def public() -> dict[str, Any]:
    return json.loads(PUBLIC.read_text("utf-8"))


def test_each_file_is_read_as_the_table_says() -> None:
    expected = json.loads(EXPECTED.read_text("utf-8"))
    found = {name: read(content) for name, content in public().items()}
    for name, reading in expected.items():
        assert found[name] == reading, name
    assert found.keys() == expected.keys()


def test_at_least_nine_of_ten_are_accepted_and_have_a_network_that_can_exist() -> None:
    accepted = 0
    for content in public().values():
        try:
            sweep = sweep_from_mapping(content)
        except ValueError:
            continue
        size = sweep.settings.get("image_size", CNN.image_size)
        assert num_configurations(sweep.space, size) >= 1
        accepted += 1
    assert accepted >= LEAST_ACCEPTED


def test_every_parameter_is_read_or_told() -> None:
    """No name of an accepted file is passed over in silence."""
    for key, content in public().items():
        reading = read(content)
        if "refused" in reading:
            continue
        told = "\n".join([*reading["notes"], *reading["space"].values(), *reading["settings"]])
        for name in content["parameters"]:
            assert name in told, (key, name)


if __name__ == "__main__":
    table = {name: read(content) for name, content in public().items()}
    EXPECTED.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", "utf-8")
