"""What makes a kind of network an object: nothing outside of it knows what it is made of."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.configuration import Recipe
from cnnlib.networks.families import family_named, is_off, told
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import choice, number
from cnnlib.networks.values import Choice, Interval
from cnnlib.search.reference import nearest_to_reference
from cnnlib.search.space import Points, num_configurations
from cnnlib.search.sweep_file import sweep_from_mapping
from cnnlib.search.tpe import Random

ROOT = Path(__file__).parent.parent.parent
OWN = [
    f"cnnlib/networks/cnn/{name}.py"
    for name in ("family", "config", "shapes", "custom_cnn", "said")
]
FIELDS = re.compile("first_layer_filters|conv_layers|filter_org|num_neurons_dense|kernel_size")


def test_nothing_outside_the_family_knows_its_fields() -> None:
    for place in ("cnnlib", "analysis", "jobs"):
        for path in sorted((ROOT / place).glob("**/*.py")):
            if path.relative_to(ROOT).as_posix() not in OWN:
                assert not FIELDS.search(path.read_text(encoding="utf-8")), path


@dataclass(frozen=True)
class Towers(Recipe):
    width: int = number(8, 1, 64, help="channels")
    kind: str = choice("plain", "split", help="split needs an even width")
    depth: int = number(2, 1, 9, help="layers", optional=True)


def impossible(config: Towers, image_size: int) -> str | None:
    if config.kind == "split" and config.width % 2:
        return f"width: {config.width} is odd"
    return "depth: too deep" if config.depth > image_size // 8 else None


def build(config: Towers, num_classes: int, image_size: int) -> None:
    raise AssertionError("nothing here builds one")


TOWERS = Family(
    "towers",
    Towers,
    build,  # type: ignore[arg-type]
    impossible=impossible,
    shapes=("width", "kind", "depth"),
)


@pytest.mark.parametrize(
    "limited", [None, {"width": 0, "kind": 0, "depth": -1}, {"depth": -1, "kind": 0, "width": 0}]
)
def test_what_cannot_exist_is_neither_counted_nor_drawn(limited: dict[str, int] | None) -> None:
    family = Family("towers", Towers, build, impossible, TOWERS.shapes, limited=limited)  # type: ignore[arg-type]
    space = {
        "width": Choice((3, 4, 6)),
        "kind": Choice(("plain", "split")),
        "depth": Interval(1, 6, step=1),
    }
    assert num_configurations(space, 32, family) == 5 * 4
    points = Points(space, 32, family)
    found = [family.configuration(points[number]) for number in range(len(points))]
    assert len(set(found)) == 20
    assert all(impossible(config, 32) is None for config in found)
    assert [points.number(config) for config in found] == list(range(20))
    with pytest.raises(ValueError, match=r"depth: too deep|width: 3 is odd"):
        num_configurations({**space, "depth": Choice((5,))}, 32, family)


def test_only_a_family_that_has_a_reference_is_compared_with_one() -> None:
    assert nearest_to_reference({}, 32, TOWERS) is None
    assert nearest_to_reference({}, 224, CNN) == CNN.reference


def test_what_is_left_out_as_off_follows_from_the_kind_of_network() -> None:
    assert is_off("head", "flatten")
    assert not is_off("head", "flatten", network="mine.py:Net")
    assert is_off("ema", 0.0, network="mine.py:Net"), "it is part of every recipe"
    assert told({"head": "gap", "ema": 0.0, "depth": 2}) == {"head": "gap", "depth": 2}


def test_a_sweep_file_names_the_kind_of_network() -> None:
    values = {"dropout": {"values": [0.1, 0.2]}}
    assert sweep_from_mapping({"parameters": values}).family is CNN
    named = sweep_from_mapping({"parameters": {"network": {"value": "cnn"}, **values}})
    assert named.family is CNN
    assert list(named.space) == ["dropout"]
    with pytest.raises(ValueError, match="cmn is no network that is known; did you mean"):
        sweep_from_mapping({"parameters": {"network": {"value": "cmn"}, **values}})
    with pytest.raises(ValueError, match="a sweep has one kind of network"):
        sweep_from_mapping({"parameters": {"network": {"values": ["cnn", "vit"]}, **values}})
    assert family_named("cnn") is CNN


def test_a_flag_says_it_before_the_file() -> None:
    file = {"parameters": {"width": {"values": [4, 8]}}}
    assert sweep_from_mapping(file, TOWERS).family is TOWERS
    with pytest.raises(ValueError, match="width: no such hyperparameter"):
        sweep_from_mapping(file)


def test_a_field_without_meaning_beside_others_is_no_second_point() -> None:
    family = Family(
        "towers", Towers, build, impossible, TOWERS.shapes,  # type: ignore[arg-type]
        conditions={"depth": ("kind", ("split",)), "label_smoothing": ("kind", ("split",))},
    )  # fmt: skip
    space: dict[str, Choice | Interval] = {
        "kind": Choice(("plain", "split")),
        "depth": Choice((2, 3)),
        "label_smoothing": Choice((0.1, 0.2)),
    }
    assert num_configurations(space, 64, family) == 1 + 2 * 2
    points = Points(space, 64, family)
    found = [points[number] for number in range(len(points))]
    assert [p for p in found if p["kind"] == "plain"] == [
        {"kind": "plain", "depth": 2, "label_smoothing": 0.1} | {"width": 8}
    ]
    search = Random(space, image_size=64, num_initial=9, seed=1, family=family)
    drawn = []
    while config := search.propose(len(drawn), []):
        search.seen(config)
        drawn.append(config)
    assert len(drawn) == len(set(drawn)) == 5
    endless = space | {"label_smoothing": Interval(0.0, 0.2)}
    assert num_configurations(endless, 64, family) == float("inf")
    search = Random(endless, image_size=64, num_initial=9, seed=1, family=family)
    config = next(c for n in range(20) if (c := search.propose(n, [])).kind == "plain")  # type: ignore[union-attr]
    assert (config.depth, config.label_smoothing) == (2, 0.0)  # type: ignore[union-attr]
