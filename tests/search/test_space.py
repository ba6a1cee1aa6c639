import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from cnnlib.networks.cnn.family import CNN, TrialConfig, impossible
from cnnlib.networks.hyperparameter import hyperparameters
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.search.space import Points, constants, grid, num_configurations, searched, with_set
from cnnlib.search.sweep_file import read_sweep_file, sweep_from_mapping

SWEEPS = Path(__file__).parents[2] / "cnnlib" / "sweeps"
FILES = sorted(SWEEPS.glob("*.yaml"))
# The study's own configuration, as it stood in its notebook.
STUDY: dict[str, Any] = {
    "method": "bayes",
    "metric": {"name": "val_acc", "goal": "maximize"},
    "parameters": {
        "first_layer_filters": {"values": [32, 64, 128]},
        "filter_org": {"values": [1.0, 2.0, 0.5]},
        "conv_layers": {"values": [3, 4, 5]},
        "activation": {"values": ["relu", "gelu", "silu", "mish"]},
        "dropout": {"values": [0.2, 0.3]},
        "batch_norm": {"values": [True, False]},
        "batch_size": {"values": [32, 64]},
        "learning_rate": {"values": [1e-2, 1e-3, 1e-4]},
        "use_augmentation": {"values": [True, False]},
        "num_neurons_dense": {"values": [128, 256, 512]},
    },
}


def test_the_studys_configuration_dumped_to_yaml_is_our_sweep_of_15552_points(
    tmp_path: Path,
) -> None:
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(STUDY))
    read = read_sweep_file(tmp_path / "study.yaml")
    assert read == read_sweep_file(SWEEPS / "inaturalist.yaml")
    assert read.search == "tpe"
    assert num_configurations(read.space, 224) == 15_552


def test_every_shipped_sweep_searches_the_studys_ten_and_wide_the_recipe_too() -> None:
    read = {file.stem: read_sweep_file(file) for file in FILES}
    searched_in = {n: set(searched(file.space)) for n, file in read.items() if file.family is CNN}
    wide = searched_in.pop("wide")
    assert wide < set(hyperparameters(TrialConfig))
    assert len(wide) == 18
    assert searched_in.keys() >= {"inaturalist", "sample"}
    assert all(names == set(STUDY["parameters"]) for names in searched_in.values())


def test_the_wide_sweep_holds_the_studys_and_every_default_of_the_recipe() -> None:
    wide = read_sweep_file(SWEEPS / "wide.yaml").space
    assert read_sweep_file(SWEEPS / "inaturalist.yaml").space.items() <= wide.items()
    for name in wide.keys() - STUDY["parameters"].keys():
        assert hyperparameters(TrialConfig)[name].default in wide[name].values
    assert num_configurations(wide, 224) == 53_747_712


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        ({"value": "1e-3"}, Choice((0.001,))),
        ({"values": [0.1, 0.01, 0.1]}, Choice((0.1, 0.01))),
        ({"min": 0.001, "max": 0.1}, Interval(0.001, 0.1)),
        (
            {"distribution": "log_uniform_values", "min": "1e-4", "max": 1},
            Interval(1e-4, 1.0, log=True),
        ),
        (
            {"distribution": "log_uniform", "min": -2, "max": 0},
            Interval(math.exp(-2), 1.0, log=True),
        ),
        (
            {"distribution": "q_uniform", "min": 0.1, "max": 1, "q": 0.1},
            Interval(0.1, 1.0, step=0.1, rounded=True),
        ),
    ],
)
def test_wandbs_forms_of_values_are_read(entry: dict, values: object) -> None:
    sweep = sweep_from_mapping({"method": "random", "parameters": {"learning_rate": entry}})
    assert sweep.space == {"learning_rate": values}


def test_whole_numbers_between_min_and_max_stay_whole() -> None:
    sweep = sweep_from_mapping({"parameters": {"conv_layers": {"min": 2, "max": 5}}})
    assert sweep.space == {"conv_layers": Interval(2, 5, step=1)}
    assert num_configurations(sweep.space, 224) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "a sweep needs `parameters:`"),
        ({"parameters": {"dropuot": {"value": 0.1}}}, "dropuot: no such.*did you mean dropout"),
        ({"parameters": {"dropout": 0.1}}, "dropout: 0.1 is not `value:`, `values:`"),
        ({"parameters": {"dropout": {"valeus": [1]}}}, "dropout: no key valeus.*mean values"),
        ({"parameters": {"dropout": {"values": []}}}, "dropout: values .* at least one"),
        ({"parameters": {"dropout": {"values": [0.1, 1.5]}}}, "dropout: 1.5 is not a number from"),
        ({"parameters": {"dropout": {"min": 0.5, "max": 0.1}}}, "min 0.5 is not below max 0.1"),
        ({"parameters": {"dropout": {"min": 0.5}}}, "dropout: needs value, values, or both"),
        ({"parameters": {"activation": {"min": 1, "max": 2}}}, "activation: has no min and max"),
        ({"parameters": {"optimizer": {"min": 3, "max": 7}}}, "optimizer: has no min and max"),
        (
            {
                "parameters": {
                    "num_neurons_dense": {"min": 32, "max": 1024, "distribution": "log_uniform"}
                }
            },
            "takes logarithms of the values; for values write log_uniform_values",
        ),
        (
            {
                "parameters": {
                    "dropout": {"min": 0, "max": 0.5, "distribution": "log_uniform_values"}
                }
            },
            "dropout: min 0 has no logarithm; take one above 0",
        ),
        (
            {
                "parameters": {
                    "learning_rate": {"min": "x", "max": 1, "distribution": "log_uniform"}
                }
            },
            "learning_rate: x is not a number",
        ),
        (
            {
                "parameters": {
                    "batch_size": {"min": 8, "max": 64, "distribution": "q_uniform", "q": 0.5}
                }
            },
            "batch_size: q 0.5 is not a whole number above 0",
        ),
        (
            {"parameters": {"dropout": {"min": 0, "max": 0.5, "distribution": ["uniform"]}}},
            r"dropout: no distribution \['uniform'\]",
        ),
        ({"parameters": {1: {"values": [2, 3]}}}, "1: no such hyperparameter"),
        ({"parameters": {}, "method": ["bayes"]}, r"method: \['bayes'\] is not one of bayes"),
        (
            {"parameters": {}, "early_terminate": {"min_iter": 1, "eta": math.inf}},
            "eta inf is not a number above 1",
        ),
        ({"parameters": {}, "metod": "bayes"}, "metod: no such key.*did you mean method"),
        ({"parameters": {}, "method": "bayesian"}, "method: bayesian is not one of bayes"),
        (
            {"parameters": {}, "metric": {"name": "train_loss"}},
            "metric: train_loss: .*write val_loss",
        ),
        ({"parameters": {}, "run_cap": 0}, "run_cap: 0 is not a whole number of at least 1"),
        (
            {"parameters": {}, "early_terminate": {"type": "x"}},
            "type x is not hyperband or promote",
        ),
        ({"parameters": {"finalists": {"values": [1, 2]}}}, "finalists: is a setting"),
    ],
)
def test_every_mistake_is_one_line_that_names_it(content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        sweep_from_mapping(content)
    assert "\n" not in str(caught.value)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("parameters: [")
    with pytest.raises(ValueError, match=r"bad\.yaml is not YAML"):
        read_sweep_file(tmp_path / "bad.yaml")
    with pytest.raises(FileNotFoundError, match=r"no sweep file .*none\.yaml"):
        read_sweep_file(tmp_path / "none.yaml")


def test_early_terminate_gives_ashas_plan() -> None:
    def plan(content: object) -> tuple[bool, int | None, float]:
        sweep = sweep_from_mapping({"parameters": {}, "early_terminate": content})
        return sweep.early_terminate, sweep.grace_period, sweep.reduction_factor

    assert plan({"type": "hyperband", "min_iter": 4, "eta": 2}) == (True, 4, 2.0)
    assert plan({"type": "hyperband", "max_iter": 27, "s": 2}) == (True, 3, 3.0)
    assert plan(None)[0] is False


def test_set_fixes_narrows_and_adds() -> None:
    space = {"dropout": Choice((0.2, 0.3)), "batch_norm": Choice((True, False))}
    narrowed = with_set(space, ["dropout=0.2", "batch_size=16,32"])
    assert constants(narrowed) == {"dropout": 0.2}
    assert searched(narrowed) == {
        "batch_norm": Choice((True, False)),
        "batch_size": Choice((16, 32)),
    }
    assert space["dropout"] == Choice((0.2, 0.3))


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("dropout", "--set dropout: write NAME=VALUE"),
        ("dropout=", "--set dropout=: write NAME=VALUE"),
        ("droput=0.1", "droput: no such hyperparameter; did you mean dropout"),
        ("dropout=0.1,much", "dropout: much is not a number from 0 to 0.95"),
        ("dropout=" + "9" * 5000, r"dropout: 999\S*\.\.\. is not a number from 0 to 0.95"),
    ],
)
def test_a_wrong_set_is_refused(flag: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        with_set({}, [flag])


def test_a_hyperparameter_is_set_once() -> None:
    with pytest.raises(ValueError, match="--set dropout: is given twice; write NAME=VALUE,VALUE"):
        with_set({}, ["dropout=0.1", "dropout=0.2"])


def test_only_configurations_that_can_exist_are_counted() -> None:
    space = {"conv_layers": Choice((3, 4, 5)), "dropout": Choice((0.1, 0.2))}
    assert num_configurations(space, 224) == 6
    assert num_configurations(space, 16) == 4
    assert num_configurations({**space, "learning_rate": Interval(0.1, 0.2)}, 224) == math.inf
    with pytest.raises(ValueError, match="conv_layers: 3 poolings leave nothing of 4 px"):
        num_configurations(space, 4)


SHAPES: Space = {
    "first_layer_filters": Choice((1, 3, 8, 16)),
    "filter_org": Choice((0.25, 0.5, 0.75, 1.0, 2.0)),
    "conv_layers": Interval(1, 6, step=1),
    "dropout": Choice((0.1, 0.2)),
}


@pytest.mark.parametrize("image_size", [2, 8, 64])
@pytest.mark.parametrize("without", [None, "first_layer_filters", "filter_org", "conv_layers"])
def test_counting_by_halves_counts_what_can_exist(without: str | None, image_size: int) -> None:
    space = {name: values for name, values in SHAPES.items() if name != without}
    if without == "conv_layers":  # 5 by default
        image_size = max(image_size, 32)
    columns = [grid(values) or [] for values in space.values()]
    configs = [
        TrialConfig.from_mapping(dict(zip(space, point, strict=True)))
        for point in itertools.product(*columns)
    ]
    possible = {config for config in configs if impossible(config, image_size) is None}
    assert num_configurations(space, image_size) == len(possible)
    points = Points(space, image_size)
    found = [TrialConfig.from_mapping(points[number]) for number in range(len(points))]
    assert set(found) == possible
    assert [points.number(config) for config in found] == list(range(len(found)))
    assert points.number(TrialConfig(dropout=0.5)) is None


def test_products_of_hundred_thousands_are_counted_without_a_walk() -> None:
    asked = 0

    def counted(config: TrialConfig, image_size: int) -> str | None:
        nonlocal asked
        asked += 1
        return impossible(config, image_size)

    family = replace(CNN, impossible=counted)
    space: Space = {
        "first_layer_filters": Interval(1, 4096, step=1),
        "filter_org": Choice(tuple(0.25 + n / 1000 for n in range(3000))),
        "conv_layers": Interval(1, 7, step=1),
    }
    assert num_configurations(space, 224, family) > 50_000_000
    assert 0 < asked < 500_000
    wide = {
        "batch_size": Interval(1, 65536, step=1),
        "num_neurons_dense": Interval(1, 65536, step=1),
    }
    assert num_configurations(wide, 224) == 65536**2
    assert num_configurations(wide | {"dropout": Interval(0, 0.9, step=1e-8)}, 224) == math.inf


def test_steps_are_not_lost_to_rounding() -> None:
    assert grid(Interval(0.1, 0.3, step=0.1)) == [0.1, 0.2, 0.3]
    assert grid(Interval(0.25, 4, step=1)) == [1, 2, 3, 4]
    assert grid(Interval(0.1, 0.55, step=0.2, rounded=True)) == [0.2, 0.4, 0.6]
    assert Interval(0.1, 0.55, step=0.2, rounded=True).nearest(9) == 0.6
    assert grid(Interval(0, 0.9, step=1e-8)) is None, "too many to list"
    assert 0.6 in Interval(0.1, 0.55, step=0.2, rounded=True)
