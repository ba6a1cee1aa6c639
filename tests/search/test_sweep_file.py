"""W&B's forms, beside what W&B's own package makes of them: wandb_sweeps/generate.py wrote it."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hyperopt.pyll import stochastic

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.networks.values import Choice, Interval, Weighted
from cnnlib.search.halving import Halving
from cnnlib.search.space import Points, grid, num_configurations
from cnnlib.search.sweep_file import SweepFile, read_sweep_file, sweep_from_mapping
from cnnlib.search.tpe import Random, _expression, _value

EXPECTED = json.loads((Path(__file__).parent / "wandb_sweeps" / "expected.json").read_text("utf-8"))
METRIC = {"name": "val_acc", "goal": "maximize"}
DRAWS = 400


def named(case: dict[str, Any]) -> str:
    return " ".join(str(v) for k, v in case.items() if k in ("name", "entry", "content"))


def rounded(value: Any) -> Any:
    return round(float(value), 9) if isinstance(value, int | float) else value


def read(parameters: dict[str, Any], method: str = "random", **more: Any) -> SweepFile:
    return sweep_from_mapping({"method": method, "metric": METRIC, "parameters": parameters} | more)


def test_the_expected_values_are_of_the_version_that_traps_speaks_of() -> None:
    assert EXPECTED["sweeps"] == "0.3.0"


@pytest.mark.parametrize("case", EXPECTED["drawn"], ids=named)
def test_the_same_numbers_are_drawn_as_often(case: dict[str, Any]) -> None:
    sweep = read({case["name"]: case["entry"]})
    values, theirs = sweep.space[case["name"]], case["drawn"]
    generator = np.random.default_rng(0)
    expression = _expression(case["name"], values)
    ours = [
        raw if isinstance(values, Choice) else _value(raw, values)
        for raw in (stochastic.sample(expression, generator) for _ in range(DRAWS))
    ]
    if isinstance(values, Interval) and not values.step:  # any number: where the halves, ... lie
        assert min(theirs) >= values.lowest
        assert max(theirs) <= values.highest
        for level in (0.1, 0.25, 0.5, 0.75, 0.9):
            below = np.mean([value <= np.quantile(theirs, level) for value in ours])
            assert below == pytest.approx(level, abs=0.08)
        return
    counts, shares = (Counter(map(rounded, drawn)) for drawn in (ours, theirs))
    points = [rounded(point) for point in grid(values) or []]
    assert counts.keys() | shares.keys() <= set(points)
    assert {min(points), max(points)} <= shares.keys(), "as far as W&B's go, and no further"
    for value, count in shares.items():
        assert counts[value] / DRAWS == pytest.approx(count / len(theirs), abs=0.08)


@pytest.mark.parametrize("case", EXPECTED["elsewhere"], ids=named)
def test_what_is_not_searched_here_is_refused(case: dict[str, Any]) -> None:
    assert case["refused"] is None, "W&B takes it"
    if "parameters" in case["entry"]:  # nested: optimizer.name
        assert case["name"] in read({case["name"]: case["entry"]}).space
        return
    with pytest.raises(ValueError, match=f"{case['name']}: .*write "):
        read({case["name"]: case["entry"]})


@pytest.mark.parametrize("case", EXPECTED["refused"], ids=named)
def test_what_wandb_refuses_is_refused(case: dict[str, Any]) -> None:
    assert case["refused"]
    with pytest.raises(ValueError, match=f"^{case['name']}: "):
        read({case["name"]: case["entry"]})


@pytest.mark.parametrize("case", EXPECTED["grids"], ids=lambda case: str(case["parameters"]))
def test_a_grid_has_wandbs_points_or_is_refused(case: dict[str, Any]) -> None:
    if isinstance(case["points"], str):
        with pytest.raises(ValueError, match=r"a grid has no (end|probabilities)"):
            read(case["parameters"], "grid")
        return
    sweep = read(case["parameters"], "grid")
    assert sweep.is_grid
    assert num_configurations(sweep.space, 224) == len(case["points"])
    points = Points(sweep.space, 224)
    ours = {TrialConfig.from_mapping(points[number]) for number in range(len(points))}
    theirs = [
        {n: float(f"{v:.12g}") if isinstance(v, float) else v for n, v in point.items()}
        for point in case["points"]
    ]
    assert ours == {TrialConfig.from_mapping(point) for point in theirs}


@pytest.mark.parametrize("case", EXPECTED["hyperbands"], ids=named)
def test_the_rungs_are_wandbs(case: dict[str, Any]) -> None:
    early = {"type": "hyperband", **case["content"]}
    if isinstance(case["rungs"], str):
        with pytest.raises(ValueError, match=r"^early_terminate: "):
            read({}, early_terminate=early)
        return
    sweep = read({}, early_terminate=early)
    assert sweep.grace_period is not None
    halving = Halving(1000, sweep.grace_period, sweep.reduction_factor, sweep.rungs)
    assert list(halving.rungs) == case["rungs"]


def test_strict_is_read_and_told_where_wandbs_default_is_another() -> None:
    assert EXPECTED["strict"] == {"true": True, "false": False, "default": True}
    for strict in (True, False):
        sweep = read({}, early_terminate={"type": "hyperband", "min_iter": 2, "strict": strict})
        assert (sweep.strict, sweep.notes) == (strict, ())
    sweep = read({}, early_terminate={"type": "hyperband", "min_iter": 2})
    assert not sweep.strict
    assert "W&B would judge it by the rung's: write strict: true" in sweep.notes[0]


def test_promotion_has_hyperbands_keys_and_rungs_of_its_own() -> None:
    found = read({}, early_terminate={"type": "promote"})
    assert (found.stopping, found.grace_period, found.rungs) == ("promote", None, ())
    assert found.notes == ()
    found = read({}, early_terminate={"type": "promote", "min_iter": 2, "eta": 4})
    assert (found.grace_period, found.reduction_factor) == (2, 4.0)
    found = read({}, early_terminate={"type": "promote", "max_iter": 27, "s": 3})
    assert found.rungs == (1, 3, 9)
    assert read({}, early_terminate={"min_iter": 2}).stopping == "asha"
    assert read({}).stopping is None
    with pytest.raises(ValueError, match="type median is not hyperband or promote"):
        read({}, early_terminate={"type": "median"})


@pytest.mark.parametrize("case", EXPECTED["metrics"], ids=named)
def test_a_metric_that_wandb_takes_is_read_or_refused(case: dict[str, Any]) -> None:
    refused = case["refused"] or case["content"].get("goal") == "minimize"
    if refused:
        with pytest.raises(ValueError, match=r"^metric: "):
            read({}, metric=case["content"])
    else:
        assert read({}, metric=case["content"]).target == case["content"].get("target")


def test_what_of_a_metric_is_not_as_in_wandb_is_told() -> None:
    assert EXPECTED["metric_defaults"]["goal"] == "minimize"
    assert "without a goal W&B would minimise" in read({}, metric={"name": "val_acc"}).notes[0]
    assert (
        "counts here by its best epoch" in read({}, metric={**METRIC, "impute": "worst"}).notes[0]
    )
    assert read({}, metric={**METRIC, "impute": "best"}).notes == ()
    running = read({}, metric={**METRIC, "impute_while_running": "latest"})
    assert "a trial that runs counts here as the worst" in running.notes[0]


@pytest.mark.parametrize("case", EXPECTED["tops"], ids=named)
def test_the_keys_of_a_sweep_are_wandbs(case: dict[str, Any]) -> None:
    if case["refused"] or case["content"].get("method") == "custom":
        with pytest.raises(ValueError, match=r"method: |run_cap: |metod: "):
            read({}, **case["content"])
    else:
        sweep = read({}, **case["content"])
        ignored = {"program", "name", "project", "entity", "command"} & case["content"].keys()
        assert all(name in sweep.notes[0] for name in ignored)


@pytest.mark.parametrize(
    ("parameters", "method", "note"),
    [
        ({"weight_decay": {"min": 0, "max": 1}}, "random", "any number from 0 to 1; W&B would"),
        ({"conv_layers": {"min": 2.0, "max": 5.0}}, "random", "whole numbers only"),
        (
            {"batch_size": {"min": 8, "max": 64, "distribution": "log_uniform_values"}},
            "bayes",
            "batch_size: whole numbers only; W&B would draw any, from 8 to 64",
        ),
        ({"dropout": {"values": [0.1, 0.2, 0.1]}}, "random", "W&B would draw it twice as often"),
        (
            {"dropout": {"values": [0.1, 0.2], "probabilities": [0.4, 0.6]}},
            "bayes",
            "dropout: probabilities, on which W&B's bayes fails",
        ),
        (
            {"learning_rate": {"min": -9, "max": -2, "distribution": "log_uniform"}},
            "random",
            "from 0.000123 to 0.135, since min and max are exponents of e",
        ),
        (
            {"filter_org": {"min": 0.25, "max": 4, "distribution": "q_uniform", "q": 1}},
            "random",
            "filter_org: without 0, which W&B would draw too: it is a number from 0.25 to 4",
        ),
    ],
)
def test_another_reading_than_wandbs_is_a_note(
    parameters: dict[str, Any], method: str, note: str
) -> None:
    [said] = read(parameters, method).notes
    assert note in said
    assert "\n" not in said


def test_what_is_read_as_wandb_does_has_no_note() -> None:
    sweep = read(
        {
            "conv_layers": {"min": 2, "max": 5},
            "weight_decay": {"min": 0, "max": 1, "distribution": "uniform"},
            "filter_org": {"min": 1, "max": 4, "distribution": "int_uniform"},
            "learning_rate": {"min": 1e-4, "max": 0.1, "distribution": "log_uniform_values"},
            "dropout": {"values": [0.1, 0.2], "probabilities": [0.5, 0.5]},
        }
    )
    assert sweep.notes == ()
    assert sweep.space["weight_decay"] == Interval(0, 1)
    assert sweep.space["dropout"] == Weighted((0.1, 0.2), (0.5, 0.5))


def test_multiples_that_the_hyperparameter_cannot_be_are_left_out_of_count_and_draws() -> None:
    entry = {"min": 0.25, "max": 4, "distribution": "q_uniform", "q": 1}
    space = read({"filter_org": entry}).space
    assert num_configurations(space, 224) == 4
    tpe = Random(space, image_size=224, num_initial=9, seed=0)
    proposed = set()
    while (config := tpe.propose(len(proposed) + 1, [])) is not None:
        tpe.seen(config)
        proposed.add(config.filter_org)
    assert proposed == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"parameters": {"dropout": {"min": 0.2, "max": 0.8, "distribution": "int_uniform"}}},
         "dropout: int_uniform goes from one whole number to another, not from 0.2 to 0.8"),
        ({"parameters": {"learning_rate": {"min": 0.1, "max": 2, "distribution": "log_uniform"}}},
         "for values write log_uniform_values"),
        ({"parameters": {"learning_rate": {"min": -2, "max": 0.1, "distribution": "log_uniform"}}},
         "learning_rate: log_uniform takes logarithms"),
        ({"parameters": {"learning_rate": {"min": 0.1, "max": 2,
                                           "distribution": "inv_log_uniform"}}},
         "learning_rate: inv_log_uniform takes logarithms"),
        ({"parameters": {"batch_size": {"min": 8, "max": 64, "distribution": "q_log_uniform"}}},
         "for values write q_log_uniform_values"),
        ({"parameters": {"learning_rate": {"value": 10**400}}}, "a number of about 401 digits"),
        ({"parameters": {"learning_rate": {"min": 1e-4, "max": 10**400}}}, "about 401 digits is"),
        ({"parameters": {"dropout": {"min": 0.1, "max": 0.9, "distribution": "q_uniform",
                                     "q": 10**400}}}, "dropout: q: .* is not a number"),
        ({"parameters": {"dropout": {"min": 0.1, "max": 0.9, "distribution": "q_uniform",
                                     "q": 1e-300}}}, "makes more than 1,000,000,000 values"),
        ({"parameters": {}, "run_cap": 10**400}, "run_cap: .* is more than 1,000,000"),
        ({"parameters": {"max_epochs": {"value": 10**400}}}, "max_epochs: .* is more than"),
        ({"parameters": {"seeds": {"value": 10**9}}}, "seeds: 1000000000 is more than 10,000"),
        ({"parameters": {}, "early_terminate": {"min_iter": 2, "eta": 10**400}}, "eta .* above 1"),
        ({"parameters": {}, "early_terminate": {"max_iter": 10**400, "s": 2}}, "max_iter: .* more"),
        ({"parameters": {}, "early_terminate": {"max_iter": 27, "s": 10**9}}, "s: .* is more than"),
        ({"parameters": {}, "early_terminate": {"max_iter": 27, "s": 10_000, "eta": 3.5}},
         "early_terminate: s 10,000 is more than 100"),
        ({"parameters": {}, "early_terminate": {"min_iter": 2, "strict": "yes"}}, "strict yes is"),
        ({"parameters": {}, "metric": {**METRIC, "target": 90}}, "target 90 is not an accuracy"),
        ({"parameters": {}, "metric": {**METRIC, "target": math.inf}}, "target: inf is not a num"),
        ({"parameters": {}, "metric": "x" * 10**6}, "metric: xxx"),
        ({"parameters": {"x" * 10**5: {"values": [1, 2]}}}, "xxx.*no such hyperparameter"),
        ({"parameters": {"activation": {"value": "y" * 10**6}}}, "activation: yyy"),
        ({"parameters": {}, "scheduler": {"engine": "optuna"}}, "scheduler: is W&B's custom"),
    ],
)  # fmt: skip
def test_bad_numbers_and_long_words_are_a_short_line(content: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        sweep_from_mapping(content)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


def test_a_file_of_the_users_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("parameters:\n  dropout: {value: 0.1}\n  dropout: {value: 0.2}\n")
    with pytest.raises(ValueError, match=r"mine\.yaml: line 3: dropout: this key is there twice"):
        read_sweep_file(path)
    path.write_text("parameters: {dropout: {value: 2}}")
    with pytest.raises(ValueError, match=r"mine\.yaml: dropout: 2 is not a number from 0 to 0.95"):
        read_sweep_file(path)


def test_max_iter_without_s_and_lists_of_one_number_are_read_with_a_line() -> None:
    sweep = read({}, early_terminate={"type": "hyperband", "min_iter": [4], "max_iter": 20})
    assert (sweep.grace_period, sweep.rungs) == (4, ())
    told = "\n".join(sweep.notes)
    assert "early_terminate: min_iter: [4] as 4" in told
    assert "early_terminate: max_iter left out, as it needs s" in told
    for content in ({"max_iter": 20}, {"min_iter": [4, 5]}):
        with pytest.raises(ValueError, match="early_terminate: "):
            read({}, early_terminate=content)


TUNED = {"strategy": {"values": ["freeze_all", "unfreeze_all"]}, "lr": {"values": [1e-3, 1e-4]}}


def test_a_file_that_names_networks_and_how_they_are_tuned_is_of_pretrained_ones() -> None:
    sweep = read(TUNED | {"model": {"values": ["ResNet50", "VGG-16"]}})
    assert sweep.family.name == "pretrained"
    assert sweep.space["model_name"] == Choice(("resnet50", "vgg16"))
    assert sweep.notes[0].startswith("model and strategy: of pretrained networks, so the network")


@pytest.mark.parametrize(
    ("parameters", "names"),
    [(TUNED, "strategy"), ({"model": {"value": "vgg16"}}, "model"),
     ({"trainable_layers": {"values": [1, 2]}}, "trainable_layers")],
)  # fmt: skip
def test_a_file_that_says_only_half_of_that_is_told_the_flag(
    parameters: dict[str, Any], names: str
) -> None:
    with pytest.raises(ValueError, match=f"^{names}: .*with --network pretrained this file is rea"):
        read(parameters)
    sweep = sweep_from_mapping({"method": "random", "parameters": parameters}, PRETRAINED)
    assert set(sweep.names.values()) >= {names}


def test_a_file_whose_networks_are_not_known_is_told_what_is_wrong_with_it() -> None:
    with pytest.raises(ValueError, match="model: names pretrained networks, which --network"):
        read(TUNED | {"model": {"values": ["Xception", "resnet9000"]}})


def test_layers_that_train_mean_a_partial_freeze_where_no_strategy_is_named() -> None:
    content = {"method": "random", "parameters": {"trainable_layers": {"values": [1, 2]}}}
    sweep = sweep_from_mapping(content, PRETRAINED)
    assert sweep.space["finetune_strategy"] == Choice(("freeze_partial",))
    assert "trainable_layers: finetune_strategy is freeze_partial, as none is named" in sweep.notes


def test_a_size_of_images_is_read_beside_a_pretrained_networks_input_size() -> None:
    for entry, settings in (({"value": 96}, {"image_size": 96}), ({"values": ["own"]}, {})):
        content = {"method": "random", "parameters": {"input_size": entry}}
        assert sweep_from_mapping(content, PRETRAINED).settings == settings


def test_a_metric_that_cannot_be_one_is_no_mistake_where_a_flag_names_another() -> None:
    content = {"method": "random", "metric": {"name": "test_acc"}, "parameters": {}}
    with pytest.raises(ValueError, match="write val_acc, or --metric val_acc"):
        sweep_from_mapping(content)
    assert sweep_from_mapping(content, other_metric=True).metric.name == "val_acc"
