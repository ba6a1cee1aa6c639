"""Sweep files in the words that people write: names, values, lists a layer, plumbing, mistakes."""

import re
from typing import Any

import pytest

from cnnlib.networks.values import Choice, Interval
from cnnlib.search.space import num_configurations
from cnnlib.search.sweep_file import SweepFile, sweep_from_mapping
from cnnlib.system.mistakes import MistakesError


def read(rename: dict[str, str] | None = None, /, **parameters: Any) -> SweepFile:
    entries = {
        name: entry if isinstance(entry, dict) else {"values": entry}
        for name, entry in parameters.items()
    }
    return sweep_from_mapping({"method": "random", "parameters": entries}, rename=rename)


def refusals(rename: dict[str, str] | None = None, /, **parameters: Any) -> list[str]:
    with pytest.raises(MistakesError) as caught:
        read(rename, **parameters)
    return caught.value.lines


def told(sweep: SweepFile) -> str:
    return "\n".join(sweep.notes)


@pytest.mark.parametrize(
    ("said", "values", "name"),
    [
        ("lr", [0.1, 0.01], "learning_rate"),
        ("optimizer.lr", [0.1, 0.01], "learning_rate"),
        ("hparams.model.dropout", [0.1, 0.2], "dropout"),
        ("BatchSize", [8, 16], "batch_size"),
        ("mini-batch-size", [8, 16], "batch_size"),
        ("n_filters", [8, 16], "first_layer_filters"),
        ("Number_of_Filters", [8, 16], "first_layer_filters"),
        ("base_channels", [8, 16], "first_layer_filters"),
        ("filterStrategy", [0.5, 2], "filter_org"),
        ("channel_multiplier", [0.5, 2], "filter_org"),
        ("no_of_conv_blocks", [2, 3], "conv_layers"),
        ("depth", [2, 3], "conv_layers"),
        ("size_of_kernel", [3, 5], "kernel_size"),
        ("filter_size", [3, 5], "kernel_size"),
        ("filter_size", [16, 32], "first_layer_filters"),
        ("conv_act_fn", ["relu", "tanh"], "activation"),
        ("fc_activation", ["relu", "tanh"], "dense_activation"),
        ("use_bn", [True, False], "batch_norm"),
        ("data_aug", [True, False], "use_augmentation"),
        ("augmentation", [True, False], "use_augmentation"),
        ("data_augmentation", ["light", "strong"], "augmentation"),
        ("fully_connected_units", [32, 64], "num_neurons_dense"),
        ("hidden_size", [32, 64], "num_neurons_dense"),
        ("num_dense", [32, 64], "num_neurons_dense"),
        ("num_dense", [1, 2], "num_dense_layers"),
        ("fc_layers", [1, 2, 3], "num_dense_layers"),
        ("cnn_dropout", [0.1, 0.2], "conv_dropout"),
        ("L2_reg", [0.1, 0.01], "weight_decay"),
        ("lr_scheduler", ["cosine", "step"], "learning_rate_schedule"),
        ("warmup_epochs", [0, 1, 3], "warm_up"),
        ("warmup_ratio", [0.05, 0.1], "warm_up"),
        ("scheduler.patience", [3, 5], "decay_epochs"),
        ("step_size", [3, 5], "decay_epochs"),
        ("gamma", [0.1, 0.5], "decay_factor"),
        ("scheduler.factor", [0.1, 0.5], "decay_factor"),
        ("clip_grad_norm", [0.5, 1.0], "gradient_clip_val"),
        ("max_grad_norm", [0, 1], "gradient_clip_val"),
        ("kernel_initializer", ["xavier_uniform", "orthogonal"], "weight_init"),
        ("class_weight", ["balanced", "none"], "class_weights"),
        ("pool", ["max", "avg"], "pooling"),
        ("pool", [2, 3], "pool_size"),
        ("actn_conv", ["relu", "gelu"], "activation"),
        ("act_fun_mlp", ["relu", "gelu"], "dense_activation"),
        ("default_activation", ["relu", "gelu"], "activation"),
        ("fn_between", ["mish", "relu"], "activation"),
        ("update_rule", ["adam", "sgd"], "optimizer"),
        ("datasetAugumentation", [True, False], "use_augmentation"),
        ("add_batchNorm", [True, False], "batch_norm"),
        ("kernal_size", [3, 5], "kernel_size"),
        ("conv_attributes_channels", [8, 16], "first_layer_filters"),
        ("filter_depth", [8, 16], "first_layer_filters"),
        ("denselayer_size", [32, 64], "num_neurons_dense"),
        ("pooling_algorithm", ["max", "avg"], "pooling"),
        ("filter_stride", [1, 2], "stride"),
        ("dropout_amount", [0.1, 0.2], "dropout"),
    ],
)
def test_a_name_is_known_in_any_spelling_and_its_values_say_which_of_several(
    said: str, values: list[Any], name: str
) -> None:
    sweep = read(**{said: values})
    assert sweep.space[name] == Choice(tuple(values))
    assert sweep.names == ({} if said == name else {name: said})
    assert (f"{said} is {name}" in told(sweep)) == (said != name)


@pytest.mark.parametrize(
    ("name", "values", "meant"),
    [
        ("activation", ["ReLU", "nn.LeakyReLU", "SiLU()", "torch.nn.GELU", "swish", "PReLU"],
         ("relu", "leaky_relu", "silu", "gelu", "silu", "prelu")),
        ("optimizer", ["Adam", "SGD", "torch.optim.NAdam", "RMSProp"],
         ("adam", "sgd", "nadam", "rmsprop")),
        ("filter_org", ["same", "Double", "halving", "constant", "doubled", "half", 3],
         (1.0, 2.0, 0.5, 1.0, 2.0, 0.5, 3.0)),
        ("batch_norm", ["Yes", "No"], (True, False)),
        ("dropout", [None, 0.2], (0.0, 0.2)),
        ("dropout", ["None", "0.2"], (0.0, 0.2)),
        ("kernel_size", [[3, 3], [5, 5]], (3, 5)),
        ("pooling", ["MaxPool2d", "nn.AvgPool2d"], ("max", "avg")),
        ("padding", [0, 2], ("valid", "2")),
        ("learning_rate_schedule", ["CosineAnnealingLR", "StepLR", None],
         ("cosine", "step", "constant")),
        ("learning_rate_schedule",
         ["ReduceLROnPlateau", "ExponentialLR", "CosineAnnealingWarmRestarts", "OneCycleLR", False],
         ("plateau", "exponential", "cosine_restarts", "one_cycle", "constant")),
        ("weight_init", ["Xavier", "he", "random", "glorot_normal"],
         ("xavier_uniform", "kaiming_normal", "default", "xavier_normal")),
        ("class_weights", [True, False], ("balanced", "none")),
        ("gradient_clip_val", [None, 1], (0.0, 1.0)),
        ("kernel_size", ["3x3", "(5, 5)"], (3, 5)),
        ("filter_org", ["const", "double_each_layer"], (1.0, 2.0)),
        ("pool_size", [[2, 2, 2], [[3, 3], [3, 3]]], (2, 3)),
        ("padding", [[1, 1, 1], [0, 0]], ("1", "valid")),
        ("activation", [["relu", "relu"], ["ReLU6", "ReLU6"]], ("relu", "relu6")),
    ],
)  # fmt: skip
def test_values_are_taken_as_people_write_them(
    name: str, values: list[Any], meant: tuple[Any, ...]
) -> None:
    sweep = read(**{name: values})
    assert sweep.space[name] == Choice(tuple(dict.fromkeys(meant)))
    line = next(note for note in sweep.notes if note.startswith(f"{name} is {name}: "))
    assert " as " in line


def test_what_is_written_as_declared_is_told_nowhere() -> None:
    sweep = read(learning_rate=["0.1", "1e-3"], dropout=[0, 0.5], kernel_size=[3, 5],
                 batch_norm=["True", "False"], padding=["same", 1])  # fmt: skip
    assert sweep.notes == ()
    assert sweep.space["batch_norm"] == Choice((True, False))
    assert sweep.space["padding"] == Choice(("same", "1"))
    assert sweep.space["learning_rate"] == Choice((0.1, 0.001))


@pytest.mark.parametrize(
    ("entry", "largest", "more"),
    [
        ({"values": [5, 10]}, 10, ": a trial trains up to the largest, and early stopping ends"),
        ({"values": ["5", "20"]}, 20, ": a trial trains"),
        ({"values": [7]}, 7, ""),
        ({"min": 2, "max": 9}, 9, ": a trial trains"),
        ({"min": 2, "max": 9, "distribution": "int_uniform"}, 9, ": a trial trains"),
        ({"value": 4}, 4, ""),
    ],
)
def test_epochs_count_up_to_the_largest(entry: dict[str, Any], largest: int, more: str) -> None:
    sweep = read(n_epochs=entry)
    assert sweep.settings == {"max_epochs": largest}
    assert sweep.space == {}
    [note] = sweep.notes
    assert note.startswith(f"n_epochs is max_epochs, {largest}{more}")
    assert bool(more) == (note != f"n_epochs is max_epochs, {largest}")


@pytest.mark.parametrize(
    ("value", "side"), [(64, 64), ([64, 64], 64), ([64, 64, 3], 64), ([3, 64, 64], 64)]
)
def test_images_have_one_side(value: Any, side: int) -> None:
    assert read(input_shape={"value": value}).settings == {"image_size": side}
    assert read(img_size=[32, value]).settings == {"image_size": side}


def test_images_of_two_sides_are_refused() -> None:
    [line] = refusals(image_size={"value": [64, 48]})
    assert line.startswith("image_size: [64, 48] is not a whole number")


def test_filters_may_be_listed_for_each_layer() -> None:
    sweep = read(num_filters=[[16, 32, 64], [64, 32, 16]])
    assert sweep.space["filters"] == Choice(("16-32-64", "64-32-16"))
    assert sweep.space["conv_layers"] == Choice((3,))
    assert "num_filters: conv_layers is 3, as many as filters are listed" in told(sweep)
    assert num_configurations(sweep.space, 32) == 2


def test_lists_of_several_lengths_make_networks_of_several_depths() -> None:
    sweep = read(filters=[[16, 32], [16, 32, 64], [8, 8]], dropout=[0.1, 0.2])
    assert sweep.space["conv_layers"] == Choice((2, 3))
    assert num_configurations(sweep.space, 32) == 6, "each list has one depth"


@pytest.mark.parametrize(
    ("entries", "name", "lists"),
    [
        ({"nf1": [8], "nf2": [16, 32]}, "filters", ("8-16", "8-32")),
        ({"conv1_filters": [8, 4], "conv2_filters": {"value": 16}}, "filters", ("8-16", "4-16")),
        ({"k1": [3, 5], "k2": [3]}, "kernel_sizes", ("3-3", "5-3")),
        ({"kernel_size_0": [3], "kernel_size_1": [7]}, "kernel_sizes", ("3-7",)),
        ({"fc1": [64], "fc2": [32, 16]}, "dense_sizes", ("64-32", "64-16")),
        ({"num_dense": [[64], [64, 32]]}, "dense_sizes", ("64", "64-32")),
        ({"kernel_size": [[3, 5, 7], [[3, 3], [5, 5], [5, 5]]]}, "kernel_sizes",
         ("3-5-7", "3-5-5")),
    ],
)  # fmt: skip
def test_numbers_of_single_layers_become_lists(
    entries: dict[str, Any], name: str, lists: tuple[str, ...]
) -> None:
    sweep = read(**entries)
    assert sweep.space[name] == Choice(lists)
    if name != "dense_sizes":
        assert sweep.space["conv_layers"] == Choice((lists[0].count("-") + 1,))


def test_of_longer_lists_of_kernels_the_first_count_and_that_is_told() -> None:
    sweep = read(kernel_size=[[3, 5, 7], [5, 5, 5, 5]])
    assert sweep.space["kernel_sizes"] == Choice(("3-5-7", "5-5-5"))
    assert "of 5-5-5-5 the first 3 sizes count" in told(sweep)


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ({"filters": [[8, 16]], "conv_layers": [3, 4]}, "lists of 2 layers do not fit conv_layers"),
        ({"kernels": [[3, 5]], "n_layers": [2, 3]}, "kernels: 3-5 are 2 sizes, and conv_layers"),
        ({"filters": [[8, 16]], "filter_org": [1, 2]}, "filters says each layer's own, so filter_"),
        ({"nf1": [8], "nf3": [8]}, "nf1, nf3: filters of layer 2 is not there"),
        ({"k2": [3], "k3": [3]}, "kernel_sizes of layer 1 is not there"),
        ({"fc_sizes": [[8, 8]], "num_dense_layers": [1]}, "lists of 2 layers do not fit num_dense"),
        ({"kernel_size": [[3, 13]]}, "kernel_size: .* is not a whole number from 1 to 11"),
        ({"kernel_size": [13]}, "kernel_size: 13 is not a whole number from 1 to 11"),
        ({"constant_filter": [8, 16]}, "constant_filter: counts where filter_org is the same"),
    ],
)  # fmt: skip
def test_lists_that_fit_nothing_are_refused(entries: dict[str, Any], line: str) -> None:
    assert any(re.search(line, told) for told in refusals(**entries)), refusals(**entries)


def test_filters_of_their_own_for_constant_networks() -> None:
    sweep = read(filter_org=["constant", "doubling"], constant_filter=[8, 16], base_filter=[4],
                 conv_layers={"value": 3})  # fmt: skip
    assert sweep.space["filters"] == Choice(("8-8-8", "16-16-16", "4-8-16"))
    assert not {"filter_org", "first_layer_filters", "constant_filters"} & sweep.space.keys()


def test_lists_and_words_of_one_organisation() -> None:
    sweep = read(filter_organization=["all_same", "custom[8, 8, 4]", "my_alt_pattern"],
                 num_filters={"value": 16})  # fmt: skip
    assert sweep.space["filters"] == Choice(("8-8-4", "16-16-16"))
    assert "without my_alt_pattern, which only its program knows" in told(sweep)
    text = read(filter_organisation={"value": "[4, 8],[8, 4]"})
    assert text.space["filters"] == Choice(("4-8", "8-4"))


def test_whether_there_is_dropout_and_how_much() -> None:
    sweep = read(dropout=["Yes", "No"], prob=[0.2, 0.3])
    assert sweep.space["dropout"] == Choice((0.0, 0.2, 0.3))
    assert "dropout and prob are dropout, 0, 0.2, 0.3" in told(sweep)
    assert refusals(dropout=["Yes", "No"]) == [
        "dropout: true, false is no share; write values: [0, 0.3]"
    ]


def test_momentum_means_sgd_and_plain_momentum() -> None:
    sweep = read(momentum=[0.8, 0.9])
    assert sweep.space["optimizer"] == Choice(("sgd",))
    assert sweep.space["nesterov"] == Choice((False,))
    assert "nesterov" not in read(momentum=[0.8], nesterov=[True], optimizer=["sgd"]).notes
    assert "momentum" not in read(momentum=[0.8, 0.9], optimizer=["adam"]).space
    assert "momentum: left out, as adam has none" in told(read(momentum=[0.8], optimizer=["Adam"]))
    assert "sgd has Nesterov momentum of 0.9 here" in told(read(optimizer=["sgd", "adam"]))
    assert read(beta1={"min": 0.8, "max": 0.95}).space["beta1"] == Interval(0.8, 0.95)


def test_betas_are_pairs() -> None:
    sweep = read(betas=[[0.9, 0.999], [0.8, 0.999]])
    assert sweep.space == {"beta1": Choice((0.9, 0.8)), "beta2": Choice((0.999,))}
    assert "betas is beta1" in told(sweep)
    assert read(betas={"value": [0.5, 0.9]}).space["beta2"] == Choice((0.9,))
    [line] = refusals(betas=[[0.9, 0.999], [0.8, 0.99]])
    assert line.startswith("betas: these pairs are not all combinations")
    assert refusals(betas=[[0.9, 1.5]]) == ["betas: 1.5 is not a number from 0 to 0.99999"]


@pytest.mark.parametrize(
    ("said", "entry", "line"),
    [
        ("warmup", [0.1, 2], "below 1 it is a share of the training, from 1 on epochs"),
        ("warmup_epochs", {"min": 0, "max": 5}, "or distribution: int_uniform"),
        ("warmup_epochs", [0.5], "parts of an epoch are not there"),
        ("warmup_ratio", [2], "is a share of the training, below 1"),
        ("use_scheduler", [True, False], "True does not say which: write one of constant, one_"),
        ("filter_organisation", ["same", "pyramid"], "what pyramid is only its program knows"),
        ("filter_organisation", ["same", 9], "9 is not a number from 0.25 to 4"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(said: str, entry: Any, line: str) -> None:
    [told] = refusals(**{said: entry})
    assert told.startswith(f"{said}: ")
    assert line in told


def test_a_warm_up_may_be_a_range_of_shares_or_of_epochs() -> None:
    whole = {"min": 0, "max": 5, "distribution": "int_uniform"}
    assert read(warmup_epochs=whole).space["warm_up"] == Interval(0, 5, step=1)
    assert read(warmup_ratio={"min": 0.0, "max": 0.2}).space["warm_up"] == Interval(0.0, 0.2)


@pytest.mark.parametrize(("said", "flag"), [("seed", "--seed"), ("patience", "--patience")])
def test_what_is_one_for_the_whole_sweep_is_left_out_where_it_is_searched(
    said: str, flag: str
) -> None:
    sweep = read(**{said: [1, 2, 3]}, dropout=[0.1, 0.2])
    assert list(sweep.space) == ["dropout"]
    assert f"{said}: left out, as it is one for the whole sweep: {flag}" in told(sweep)


def test_what_is_fixed_and_unknown_is_left_out_with_a_line() -> None:
    sweep = read(data_dir={"value": "/photos"}, n_classes={"value": 10}, seed=[1], in_channels=[3],
                 num_workers={"value": 4}, loss=["cross_entropy"], dropout=[0.1, 0.2])  # fmt: skip
    assert list(sweep.space) == ["dropout"]
    for name in ("data_dir", "n_classes", "seed", "in_channels", "num_workers", "loss"):
        assert f"{name}: " in told(sweep)
    assert "(--seed says it here)" in told(sweep)


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            {"model_name": {"value": "resnet50"}},
            "model_name: of pretrained networks; with --network pretrained this",
        ),
        ({"pretrained": {"value": True}}, "networks here are trained from their beginning"),
        ({"loss": {"value": "focal"}}, "focal is not cross-entropy"),
        ({"dropuot": {"value": 0.1}}, "dropuot: no such hyperparameter; did you mean dropout?"),
        ({"conv_layerz": [3]}, "did you mean conv_layers?"),
    ],
)
def test_what_is_fixed_and_would_change_what_is_trained_is_refused(
    entry: dict[str, Any], line: str
) -> None:
    assert line in refusals(**entry)[0]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("freeze_layers", "fine-tunes a pretrained network"),
        ("mixup_alpha", "search augmentation"),
        ("loss_function", "the loss is cross-entropy"),
        ("val_split", "is one for the whole sweep"),
        ("random_crop", "search augmentation"),
        ("warmup_steps", "search warm_up"),
        ("keep_prob", "search dropout"),
        ("residual", "--network tunes one of your own"),
        ("dropuot", "did you mean dropout?"),
        ("filter_growthh", "did you mean f"),
        ("neuron_numbers_of_densest_layer", "did you mean num_neurons_dense?"),
        ("sample_points", "nothing here is like it"),
        ("dataset_ratio", "nothing here is like it"),
        ("zeta", "nothing here is like it; if it is one by another name write --rename zeta=KNOWN"),
    ],
)
def test_a_searched_name_that_nobody_has_is_refused_with_a_hint(name: str, hint: str) -> None:
    [line] = refusals(**{name: [1, 2]})
    assert line.startswith(f"{name}: ")
    assert hint in line


def test_two_names_of_one_thing_are_refused_and_both_are_named() -> None:
    [line] = refusals(n_filters=[8, 16], base_filter=[8, 16])
    assert line.startswith("n_filters and base_filter: all of them are first_layer_filters")
    assert read({"base_filter": "num_neurons_dense"}, n_filters=[8], base_filter=[8]).space


def test_a_name_can_be_renamed() -> None:
    sweep = read({"cells": "num_neurons_dense", "rounds": "max_epochs"}, cells=[8, 16], rounds=[3])
    assert sweep.space == {"num_neurons_dense": Choice((8, 16))}
    assert sweep.settings == {"max_epochs": 3}
    assert sweep.names == {"num_neurons_dense": "cells", "max_epochs": "rounds"}
    assert "--rename nobody: no such name in the sweep file" in refusals({"nobody": "dropout"})
    [line] = refusals({"cells": "dense_neuron"}, cells=[8])
    assert (
        line
        == "--rename cells=dense_neuron: no such hyperparameter; did you mean num_neurons_dense?"
    )


def test_all_mistakes_are_told_at_once_each_in_a_line() -> None:
    with pytest.raises(MistakesError) as caught:
        sweep_from_mapping(
            {
                "method": "bayesian",
                "early_terminate": {"type": "hyperband"},
                "run_cap": 0,
                "parameters": {
                    "dropout": {"values": [2]},
                    "zeta": {"values": [1, 2]},
                    "activation": {"values": ["rellu", "gelu"]},
                },
            }
        )
    lines = caught.value.lines
    assert [line.partition(":")[0] for line in lines] == [
        "method", "run_cap", "early_terminate", "dropout", "zeta", "activation"
    ]  # fmt: skip
    assert lines[-1].endswith("did you mean relu?")


def test_nested_parameters_are_names_with_dots() -> None:
    nested = {"parameters": {"name": {"values": ["Adam"]}, "lr": {"values": [0.1, 0.2]}}}
    sweep = read(optimizer=nested)
    assert sweep.space["learning_rate"] == Choice((0.1, 0.2))
    assert sweep.names == {"optimizer": "optimizer.name", "learning_rate": "optimizer.lr"}


def test_numbers_beside_lists_of_filters_are_the_same_for_all_layers() -> None:
    sweep = read(num_filters=[16, [64, 32, 16]])
    assert sweep.space["filters"] == Choice(("16-16-16", "64-32-16"))
    assert "num_filters is filters, 16-16-16, 64-32-16" in told(sweep)


def test_filters_are_read_from_texts_of_lists_whatever_their_name_says_of_a_pattern() -> None:
    sweep = read(conv_filters_pattern=["8,16,32", "32,32,32"])
    assert sweep.space["filters"] == Choice(("8-16-32", "32-32-32"))


def test_words_like_double_say_an_organization_whatever_its_name() -> None:
    sweep = read(architecture=["equal", "DOUBLE", "half"])
    assert sweep.space["filter_org"] == Choice((1.0, 2.0, 0.5))
    [line] = refusals(architecture=["equal", "wide"])
    assert "would choose a network" in line


def test_a_dropout_beside_the_dense_layers_is_the_convolutions() -> None:
    sweep = read(dropout_rate=[0.1, 0.2], dense_dropout=[0.4, 0.5])
    assert sweep.space == {"dropout": Choice((0.4, 0.5)), "conv_dropout": Choice((0.1, 0.2))}
    assert "dropout_rate is conv_dropout, as dense_dropout is the dense layers'" in told(sweep)
    assert "dropout_rate is dropout" not in told(sweep)
    [line] = refusals(dropout_rate=[0.1], dropout=[0.2])
    assert "all of them are dropout" in line


@pytest.mark.parametrize(
    ("name", "values", "line"),
    [
        ("pool_size", [[2, 2, 1]], "pool_size: [2, 2, 1] is not one for all layers"),
        ("activation_3", ["tanh", "sigmoid"], "activation is one for all layers here"),
        ("filter_strategy", ["alternating"], "what alternating is only its program knows"),
        ("batchnorm_location", ["before", "after"], "batch norm stands before the activation"),
        ("strategy", ["freeze_first_3", "all"], "fine-tunes a pretrained network"),
        ("base_model", ["Xception", "ResNet50V2"], "which --network pretrained fine-tunes"),
        ("num_heads", [2, 4], "--network tunes one of your own"),
        ("hflip_p", [0.1, 0.5], "search augmentation"),
        ("use_SAM", [True, False], "ema is"),
    ],
)
def test_what_is_not_here_is_told_by_what_its_name_and_values_say(
    name: str, values: list[Any], line: str
) -> None:
    [refused] = refusals(**{name: values})
    assert line in refused


def test_plumbing_that_speaks_of_fine_tuning_is_left_out_and_a_strategy_is_not() -> None:
    sweep = read(wandb_project={"value": "finetune-birds"}, dropout=[0.1, 0.2])
    assert "wandb_project: finetune-birds: left out" in told(sweep)
    [line] = refusals(strategy={"value": "k_freeze"})
    assert "--network pretrained fine-tunes" in line
