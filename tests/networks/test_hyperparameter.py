import json

import numpy as np
import pytest

from cnnlib.networks.cnn.config import TrialConfig
from cnnlib.networks.cnn.shapes import filter_counts, impossible
from cnnlib.networks.families import told
from cnnlib.networks.hyperparameter import hyperparameter_named, hyperparameters
from cnnlib.system.units import short

STUDY = [
    "first_layer_filters", "filter_org", "conv_layers", "activation", "dropout", "batch_norm",
    "batch_size", "learning_rate", "use_augmentation", "num_neurons_dense",
]  # fmt: skip


RECIPE = [
    "optimizer",
    "weight_decay",
    "learning_rate_schedule",
    "label_smoothing",
    "kernel_size",
    "head",
    "ema",
    "augmentation",
    "class_weights",
    "momentum",
    "nesterov",
    "beta1",
    "beta2",
    "eps",
    "warm_up",
    "decay_factor",
    "decay_epochs",
    "gradient_clip_val",
]
LAYERS = [
    "filters", "kernel_sizes", "padding", "stride", "pooling", "pool_size", "pool_stride",
    "conv_dropout", "conv_bias", "num_dense_layers", "dense_sizes", "dense_activation",
    "weight_init",
]  # fmt: skip


def test_the_hyperparameters_are_the_ten_of_the_study_and_the_recipe() -> None:
    assert list(hyperparameters(TrialConfig)) == [*STUDY, *RECIPE, *LAYERS]


def test_the_recipe_is_off_by_default() -> None:
    assert list(told(vars(TrialConfig()))) == STUDY


def test_of_the_recipe_is_told_what_is_used_or_searched() -> None:
    config = vars(TrialConfig(optimizer="sgd", ema=0.99))
    assert list(told(config)) == [*STUDY, "optimizer", "ema"]
    assert list(told(config, ["head"])) == [*STUDY, "optimizer", "head", "ema"]
    assert told({"backbone": "resnet50", "dropout": 0.3}) == {
        "backbone": "resnet50",
        "dropout": 0.3,
    }


def test_a_configuration_from_before_the_recipe_has_it_off() -> None:
    ten = {name: value for name, value in vars(TrialConfig()).items() if name in STUDY}
    assert TrialConfig.from_mapping(ten) == TrialConfig()


@pytest.mark.parametrize("name", [*STUDY, *RECIPE, *LAYERS])
def test_every_hyperparameter_has_help_and_a_valid_default(name: str) -> None:
    hyperparameter = hyperparameter_named(TrialConfig, name)
    assert hyperparameter.help
    assert hyperparameter.parse(hyperparameter.default) == hyperparameter.default


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("learning_rate", "1e-3", 0.001),  # YAML reads 1e-3 as text
        ("learning_rate", 1, 1.0),
        ("batch_size", "64", 64),
        ("batch_size", 64.0, 64),  # as a CSV file with a gap gives it
        ("batch_norm", "True", True),
        ("batch_norm", "false", False),
        ("activation", "mish", "mish"),
        ("kernel_size", "5", 5),
        ("kernel_size", 7.0, 7),
        ("weight_decay", 0, 0.0),
        ("ema", "0.99", 0.99),
    ],
)
def test_a_value_is_understood_however_it_is_written(name: str, raw: object, value: object) -> None:
    parsed = hyperparameter_named(TrialConfig, name).parse(raw)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("filter_org", 30, "filter_org: 30 is not a number from 0.25 to 4"),
        ("batch_size", 2.5, "batch_size: 2.5 is not a whole number from 1 to 65536"),
        ("batch_size", True, "batch_size: True is not a whole number"),
        ("batch_norm", 2, "batch_norm: 2 is not true or false"),
        ("dropout", "nan", "dropout: nan is not a number from 0 to 0.95"),
        ("learning_rate", None, "learning_rate: None is not a number"),
        ("kernel_size", 12, "kernel_size: 12 is not a whole number from 1 to 11"),
        ("kernel_size", True, "kernel_size: True is not a whole number from 1 to 11"),
        ("kernel_size", [3, 5], "kernel_size: .3, 5. is not a whole number"),
        ("kernel_sizes", [3, 12], "kernel_sizes: .3, 12. is not whole numbers from 1 to 11, one"),
        ("filters", "16-0", "filters: 16-0 is not whole numbers from 1 to 4096"),
        ("filters", "", "filters:  is not whole numbers"),
        ("ema", 1, "ema: 1 is not a number from 0 to 0.9999"),
        (
            "optimizer",
            "adamv",
            "optimizer: adamv is not one of adam, adamw, sgd, .*; did you mean adam",
        ),
        ("activation", "rleu", "activation: rleu is not one of relu.*did you mean relu"),
    ],
)
def test_an_invalid_value_is_refused_with_its_rule(name: str, raw: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrialConfig.from_mapping({name: raw})


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ValueError, match="batch_sise: no such hyperparameter; did you mean batch_size"
    ):
        TrialConfig.from_mapping({"batch_sise": 32})


def test_filters_follow_the_ratio() -> None:
    config = TrialConfig(first_layer_filters=32, filter_org=2.0, conv_layers=3)
    assert filter_counts(config) == [32, 64, 128]
    assert filter_counts(TrialConfig(first_layer_filters=32, filter_org=0.5, conv_layers=3)) == [
        32, 16, 8,
    ]  # fmt: skip


def test_a_network_with_more_poolings_than_pixels_is_impossible() -> None:
    assert impossible(TrialConfig(conv_layers=5), 32) is None
    assert "5 poolings leave nothing of 31 px; at most 4" in str(
        impossible(TrialConfig(conv_layers=5), 31)
    )


def test_a_layer_without_filters_is_impossible() -> None:
    config = TrialConfig(first_layer_filters=4, filter_org=0.5, conv_layers=4)
    assert "leaves no filter in layer 4 of 4" in str(impossible(config, 224))


def test_a_configuration_goes_through_json_and_back() -> None:
    from dataclasses import asdict

    config = TrialConfig(learning_rate=1e-4, batch_norm=False)
    assert TrialConfig.from_mapping(json.loads(json.dumps(asdict(config)))) == config


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("relu", "relu"),
        (0.1, "0.1"),
        (True, "True"),
        (None, "None"),
        (np.int64(5), "5"),
        (np.float64(0.1), "0.1"),
        (["bayes"], "['bayes']"),
        ("two\nlines", "two lines"),
        ("x" * 10**6, "x" * 57 + "..."),
        (10**5000, "a number of about 5,001 digits"),
        ({"a": ["x" * 100] * 10**5}, None),
    ],
    ids=short,
)
def test_a_value_in_a_message_is_one_short_line(value: object, text: str | None) -> None:
    said = short(value)
    assert text in (None, said)
    assert len(said) <= 60
    assert "\n" not in said


@pytest.mark.parametrize("name", ["learning_rate", "batch_size", "kernel_size", "batch_norm"])
@pytest.mark.parametrize("raw", [10**400, -(10**5000), "9" * 5000, "nan", [1], {}], ids=short)
def test_whatever_is_no_value_is_refused_in_a_line(name: str, raw: object) -> None:
    with pytest.raises(ValueError, match=f"{name}: .* is not ") as caught:
        hyperparameter_named(TrialConfig, name).parse(raw)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("name", "value"), [("batch_norm", False), ("conv_layers", 3)])
def test_a_value_out_of_a_table_is_one(name: str, value: object) -> None:
    """pandas gives numpy's numbers, which the best trial of a sweep is read from."""
    scalar = np.array([value])[0]
    assert getattr(TrialConfig.from_mapping({name: scalar}), name) is value
