from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.pretrained.config import PretrainedConfig
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.networks.values import Choice, Space
from cnnlib.planning import cost as workload
from cnnlib.planning.cost import (
    Measured,
    forward_macs,
    largest,
    macs,
    measure,
    measure_once,
    once_macs,
    sampled,
    seconds_an_image,
    shared_gpu,
    stored_bytes,
    training_bytes,
    trials_at_once,
)

SMALL = TrialConfig(first_layer_filters=8, conv_layers=2, num_neurons_dense=16)


def test_macs_are_those_of_the_layers() -> None:
    convolutions = 9 * 3 * 8 * 32 * 32 + 9 * 8 * 8 * 16 * 16
    dense = 8 * 8 * 8 * 16 + 16 * 10
    assert macs(SMALL, num_classes=10, image_size=32) == convolutions + dense
    pooled = macs(replace(SMALL, head="gap"), num_classes=10, image_size=32)
    assert pooled == convolutions + 8 * 16 + 16 * 10


def test_cost_in_the_study_s_space_differs_140_fold() -> None:
    low = TrialConfig(first_layer_filters=32, filter_org=0.5, conv_layers=3, num_neurons_dense=128)
    high = TrialConfig(
        first_layer_filters=128, filter_org=2.0, conv_layers=5, num_neurons_dense=512
    )
    ratio = macs(high, num_classes=10, image_size=224) / macs(low, num_classes=10, image_size=224)
    assert 100 < ratio < 200


def test_a_sample_of_a_space_has_each_configuration_once() -> None:
    space = {"dropout": Choice((0.1, 0.2)), "conv_layers": Choice((1, 2, 3))}
    configs = sampled(space, 32)
    assert len(configs) == len(set(configs)) == 6


def test_a_measurement_trains_on_this_machine() -> None:
    measured = measure(SMALL, num_classes=3, image_size=16, device="cpu")
    assert 0 < measured.seconds < 1
    assert measured.macs == macs(SMALL, num_classes=3, image_size=16)


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What a measured network answers to its batches."""
    answers: list[torch.Tensor] = []
    cross_entropy = workload.F.cross_entropy

    def noted(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        answers.append(scores.detach())
        return cross_entropy(scores, labels)

    monkeypatch.setattr(workload.F, "cross_entropy", noted)
    return answers


def test_a_measurement_may_take_larger_batches(scores: list[torch.Tensor]) -> None:
    measure(SMALL, num_classes=3, image_size=16, device="cpu", times=8)
    assert {len(batch) for batch in scores} == {8 * SMALL.batch_size}


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        ("16-mixed", torch.float16),  # a GPU that would emulate bfloat16
        ("bf16-mixed", torch.bfloat16),
        ("32-true", torch.float32),
    ],
)
def test_a_measurement_has_the_precision_of_trials(
    precision: str,
    dtype: torch.dtype,
    scores: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cnnlib.training.trial.precision", lambda accelerator: precision)
    measure(SMALL, num_classes=3, image_size=16, device="cpu")
    assert {batch.dtype for batch in scores} == {dtype}


def test_memory_grows_with_the_batch_and_holds_the_weights_four_times() -> None:
    needed = training_bytes(SMALL, num_classes=10, image_size=32)
    weights = (9 * 3 + 1) * 8 + (9 * 8 + 1) * 8 + 4 * 8 + (8 * 8 * 8 + 1) * 16 + 17 * 10
    assert needed > 16 * weights
    twice = replace(SMALL, batch_size=2 * SMALL.batch_size)
    grown = training_bytes(twice, num_classes=10, image_size=32) - 16 * weights
    assert grown == pytest.approx(2 * (needed - 16 * weights), rel=1e-3)  # batch norms' own do not


def test_costs_of_any_module_are_counted() -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    assert forward_macs(module, 2) == 12 * 5 + 5 * 2
    images, hidden = 4 * 7 * 12, 4 * 7 * 5  # bytes of seven
    assert sorted(stored_bytes(module, 7, 2)) == [hidden, images]


FROZEN = PretrainedConfig(weights="none", finetune_strategy="freeze_all")
SIZES: dict[str, Any] = {"num_classes": 10, "image_size": 32, "family": PRETRAINED}


def test_of_a_frozen_trunk_only_the_head_costs_in_every_epoch() -> None:
    assert macs(FROZEN, **SIZES) == 1280 * 10
    whole = macs(replace(FROZEN, finetune_strategy="unfreeze_all"), **SIZES)
    assert once_macs(FROZEN, **SIZES) + 1280 * 10 == whole
    assert once_macs(replace(FROZEN, finetune_strategy="unfreeze_all"), **SIZES) == 0
    assert measure(FROZEN, **SIZES, device="cpu").macs == 1280 * 10
    assert measure_once(FROZEN, **SIZES, device="cpu") > 0


def test_what_is_frozen_has_no_moments_in_memory_or_on_the_disk() -> None:
    def space(strategy: str) -> Space:
        values = {"model_name": "efficientnet_lite0", "finetune_strategy": strategy}
        return {name: Choice((value,)) for name, value in values.items()}

    head = 4 * (1280 * 10 + 10)
    running, best = largest(space("freeze_all"), 10, 32, PRETRAINED)
    assert best > 100 * head
    assert best < running < best + 2 * 3 * head + 1000  # buffers of the images' preparation
    for strategy in ("unfreeze_all", "unfreeze_gradually"):
        assert largest(space(strategy), 10, 32, PRETRAINED)[0] > 6.9 * best
    weights = 4 * sum(p.numel() for p in PRETRAINED.build(FROZEN, 10, 32).parameters())
    activations = training_bytes(FROZEN, **SIZES) - weights
    assert activations < weights, "gradients and moments of a frozen trunk are counted"


def test_time_lies_on_the_line_through_two_measurements() -> None:
    middle, largest = Measured(SMALL, 1e9, 0.01, 0), Measured(SMALL, 3e9, 0.03, 0)
    assert seconds_an_image(2e9, middle, largest) == pytest.approx(0.02)
    assert seconds_an_image(0.5e9, middle, largest) == pytest.approx(0.005)
    assert seconds_an_image(2e9, middle, middle) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("gpu", "trial", "headroom", "at_once"),
    [
        (80e9, 2e9, 3.4, 4),  # work for four
        (80e9, 30e9, 3.4, 1),  # memory for one
        (80e9, 1e9, 1.0, 1),  # one fills it
        (80e9, 0.1e9, 50.0, 8),
        (1e9, 5e9, 3.0, 1),
    ],
)
def test_as_many_trials_share_a_gpu_as_fit_and_find_work(
    gpu: float, trial: float, headroom: float, at_once: int
) -> None:
    assert trials_at_once(int(gpu), int(trial), headroom) == at_once


@pytest.mark.parametrize("at_once", range(1, 9))
def test_ray_gives_all_trials_their_share(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = Measured(SMALL, 1.0, 0.01, int(1e9))
    memory = SimpleNamespace(total_memory=int(16e9))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: memory)
    monkeypatch.setattr(workload, "measure", lambda *_, **__: measured)
    monkeypatch.setattr(workload, "trials_at_once", lambda *_: at_once)
    share, _ = shared_gpu({"dropout": Choice((0.1, 0.2))}, num_classes=3, image_size=32)
    rays = round(share, 4)
    assert at_once * rays <= 1 < (at_once + 1) * rays


@pytest.mark.parametrize(
    ("most", "share", "why"),
    [
        (8, 0.25, "can do 800"),  # eight times the batch: four times as fast
        (4, 0.5, "can do 400"),
        (2, 1.0, "can do 200"),
        (1, 1.0, "can do 200"),
        (0, 1.0, "the largest network does not fit into its 16 GB"),
    ],
)
def test_a_gpu_that_runs_full_while_it_is_measured_ends_nothing(
    most: int, share: float, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(config: TrialConfig, *, times: int, **_: Any) -> Measured:
        if times > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Measured(config, 1.0, 1 / (100 * max(2, times)), int(1e9))

    memory = SimpleNamespace(total_memory=int(16e9))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: memory)
    monkeypatch.setattr(workload, "measure", measured)
    found, said = shared_gpu({"dropout": Choice((0.1, 0.2))}, num_classes=3, image_size=32)
    assert found == share
    assert why in said
