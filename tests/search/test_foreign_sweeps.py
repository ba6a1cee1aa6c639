"""Sweep files as students and Kaggle's people write them, each with what it must be read as."""

from typing import Any

import pytest
import yaml

from cnnlib.networks.cnn.family import CNN
from cnnlib.networks.values import Choice, Interval
from cnnlib.search.space import num_configurations
from cnnlib.search.sweep_file import sweep_from_mapping

# The parameters in YAML's short form; below, what they are.
FILES: dict[str, tuple[str, dict[str, Any], dict[str, int]]] = {
    "course, plain": (
        "filter_count: [32, 64]; dense_units: [128, 256]; train_batch_size: [16, 32]; "
        "optim: [adam, sgd]; l2: [0, 1e-4]; act: [relu, gelu]; use_bn: [true, false]; "
        "p_dropout: [0.1, 0.2]; n_epochs: 10",
        {"first_layer_filters": (32, 64), "num_neurons_dense": (128, 256), "batch_size": (16, 32),
         "optimizer": ("adam", "sgd"), "weight_decay": (0.0, 1e-4), "activation": ("relu", "gelu"),
         "batch_norm": (True, False), "dropout": (0.1, 0.2)},
        {"max_epochs": 10},
    ),
    "a number a layer": (
        "num_filters_layer1: [16, 32]; num_filters_layer2: 32; num_filters_layer3: 64; "
        "hidden_dim: [128, 256]; resize: 128; opt: [Adam]; l2_reg: [0, 1e-3]; lr_rate: [1e-3]; "
        "act_fn: [ReLU]; batchnorm: ['True', 'False']; dropouts: [0.1]",
        {"filters": ("16-32-64", "32-32-64"), "conv_layers": (3,), "num_neurons_dense": (128, 256),
         "optimizer": ("adam",), "weight_decay": (0.0, 1e-3), "learning_rate": (1e-3,),
         "activation": ("relu",), "batch_norm": (True, False), "dropout": (0.1,)},
        {"image_size": 128},
    ),
    "dropout twice": (
        "wd: [0, 5e-4]; activations: [relu, mish]; conv_dropout: [0, 0.1]; dense_dropout: [0.2]; "
        "nb_epochs: [5, 10]; augmentation: ['yes', 'no']",
        {"weight_decay": (0.0, 5e-4), "activation": ("relu", "mish"), "conv_dropout": (0.0, 0.1),
         "dropout": (0.2,), "use_augmentation": (True, False)},
        {"max_epochs": 10},
    ),
    "switches as numbers": (
        "augmentation: [0, 1]; batch_normalisation: [1, 0]; img_size: [[128, 128]]; "
        "filter_organisation: [same, doubling, halving]",
        {"use_augmentation": (False, True), "batch_norm": (True, False),
         "filter_org": (1.0, 2.0, 0.5)},
        {"image_size": 128},
    ),
    "kernels in lists": (
        "kernel: [[3, 3, 3, 3, 3], [5, 5, 5, 3, 3]]; strides: [1, 2]; max_pool: [2, 3]; "
        "global_avg_pool: [true, false]; seed: [1, 2, 3]",
        {"kernel_sizes": ("3-3-3-3-3", "5-5-5-3-3"), "conv_layers": (5,), "stride": (1, 2),
         "pool_size": (2, 3), "head": ("gap", "flatten")},
        {},
    ),
    "plumbing": (
        "early_stopping_patience: 5; val_split: 0.2; num_workers: 4; pretrained: false; "
        "architecture: cnn; dataset: inaturalist; log_interval: 10; amp: true; precision: 16; "
        "class_names: [[a, b]]; dropout: [0.1, 0.3]; loss_fn: CrossEntropyLoss; device: cuda",
        {"dropout": (0.1, 0.3)},
        {},
    ),
    "schedules of torch": (
        "lr_scheduler: [StepLR, CosineAnnealingLR, ReduceLROnPlateau, OneCycleLR, ExponentialLR, "
        "CosineAnnealingWarmRestarts, LinearLR, none]; gamma: [0.1, 0.5]; step_size: [3, 5]; "
        "warmup_epochs: [0, 2]; max_grad_norm: [1, 5]; init_lr: 0.01",
        {"learning_rate_schedule": ("step", "cosine", "plateau", "one_cycle", "exponential",
                                    "cosine_restarts", "linear", "constant"),
         "decay_factor": (0.1, 0.5), "decay_epochs": (3, 5), "warm_up": (0.0, 2.0),
         "gradient_clip_val": (1.0, 5.0), "learning_rate": (0.01,)},
        {},
    ),
    "Hugging Face's names": (
        "learning_rate: [1e-3, 3e-4]; per_device_train_batch_size: [8]; warmup_ratio: [0, 0.1]; "
        "num_train_epochs: [3, 5]; weight_decay: [0, 0.01]; lr_scheduler_type: [linear, cosine]; "
        "label_smoothing_factor: 0.1; adam_beta1: [0.9]; seed: 42",
        {"learning_rate": (1e-3, 3e-4), "batch_size": (8,), "warm_up": (0.0, 0.1),
         "weight_decay": (0.0, 0.01), "learning_rate_schedule": ("linear", "cosine"),
         "label_smoothing": (0.1,), "beta1": (0.9,)},
        {"max_epochs": 5},
    ),
    "Keras": (
        "units: [64, 128]; kernel_initializer: [he_normal, glorot_uniform]; rate: 1; "
        "batch_size: [32]; epochs: 5; activation: [relu, swish]; clipnorm: 1.0; padding: [same]",
        {"num_neurons_dense": (64, 128), "weight_init": ("kaiming_normal", "xavier_uniform"),
         "batch_size": (32,), "activation": ("relu", "silu"), "gradient_clip_val": (1.0,),
         "padding": ("same",)},
        {"max_epochs": 5},
    ),
    "timm's flags": (
        "opt: [sgd, adamw]; momentum: 0.9; lr: [0.1, 0.01]; sched: [cosine, step, plateau]; "
        "warmup-epochs: [0, 3]; decay-epochs: 10; clip-grad: [1.0]; smoothing: [0.0, 0.1]; "
        "drop: 0.2; img-size: 64; model-ema-decay: 0.99",
        {"optimizer": ("sgd", "adamw"), "momentum": (0.9,), "learning_rate": (0.1, 0.01),
         "learning_rate_schedule": ("cosine", "step", "plateau"), "warm_up": (0.0, 3.0),
         "decay_epochs": (10,), "gradient_clip_val": (1.0,), "label_smoothing": (0.0, 0.1),
         "dropout": (0.2,), "ema": (0.99,), "nesterov": (False,)},
        {"image_size": 64},
    ),
    "Lightning's": (
        "trainer.gradient_clip_val: [0, 1]; model.lr: [1e-3]; data.batch_size: [32, 64]; "
        "trainer.max_epochs: 8; model.hidden_dim: [64]; trainer.precision: 16-mixed",
        {"gradient_clip_val": (0.0, 1.0), "learning_rate": (1e-3,), "batch_size": (32, 64),
         "num_neurons_dense": (64,)},
        {"max_epochs": 8},
    ),
    "uneven classes": (
        "class_weights: [true, false]; bs: [16]; LR: [0.001]; EPOCHS: 3; DROPOUT: [0.5]",
        {"class_weights": ("balanced", "none"), "batch_size": (16,), "learning_rate": (0.001,),
         "dropout": (0.5,)},
        {"max_epochs": 3},
    ),
    "another name of it": (
        "balance_weights: [true, false]; batchSize: [8]; learningRate: [0.01]",
        {"class_weights": ("balanced", "none"), "batch_size": (8,), "learning_rate": (0.01,)},
        {},
    ),
    "a GAN's betas": (
        "betas: [[0.9, 0.999], [0.5, 0.999]]; optimizer: [Adam]; eps: [1e-8]",
        {"optimizer": ("adam",), "eps": (1e-8,), "beta1": (0.9, 0.5), "beta2": (0.999,)},
        {},
    ),
    "squares as texts": (
        "kernel_size: ['3x3', '5x5']; pool_size: ['2x2']; input_size: ['64x64']",
        {"kernel_size": (3, 5), "pool_size": (2,)},
        {"image_size": 64},
    ),
    "two dense layers": (
        "fc1: [128, 256]; fc2: [64]; conv1: [16]; conv2: [32]; conv3: [64]; act: [LeakyReLU]",
        {"dense_sizes": ("128-64", "256-64"), "filters": ("16-32-64",), "conv_layers": (3,),
         "activation": ("leaky_relu",)},
        {},
    ),
    "filters as texts": (
        "num_filters: ['32,64,128', '[64, 64, 64]']; batch_norm: ['yes', 'no']",
        {"filters": ("32-64-128", "64-64-64"), "conv_layers": (3,), "batch_norm": (True, False)},
        {},
    ),
    "weights that begin": (
        "weight_initialisation: [Xavier, random]; neurons_in_dense_layer: [64]; n_layers: [3, 4]",
        {"weight_init": ("xavier_uniform", "default"), "num_neurons_dense": (64,),
         "conv_layers": (3, 4)},
        {},
    ),
}  # fmt: skip


def parameters(text: str) -> dict[str, Any]:
    entries = yaml.safe_load("\n".join(text.split("; ")))
    return {
        name: {"values" if isinstance(entry, list) else "value": entry}
        for name, entry in entries.items()
    }


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_its_author_means_it(name: str) -> None:
    text, space, settings = FILES[name]
    entries = parameters(text)
    sweep = sweep_from_mapping({"method": "random", "parameters": entries})
    assert {n: v.values for n, v in sweep.space.items() if isinstance(v, Choice)} == space
    assert not any(isinstance(values, Interval) for values in sweep.space.values())
    assert dict(sweep.settings) == settings
    assert num_configurations(sweep.space, settings.get("image_size", CNN.image_size or 0)) >= 1
    told = "\n".join([*sweep.notes, *sweep.space, *sweep.settings])
    assert not [said for said in entries if said not in told]
