from dataclasses import replace

import pytest

from cnnlib.config import TrialConfig
from cnnlib.space import Choice
from cnnlib.workload import (
    Measured,
    macs,
    measure,
    sampled,
    seconds_an_image,
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


def test_memory_grows_with_the_batch_and_holds_the_weights_four_times() -> None:
    needed = training_bytes(SMALL, num_classes=10, image_size=32)
    weights = (9 * 3 + 1) * 8 + (9 * 8 + 1) * 8 + 4 * 8 + (8 * 8 * 8 + 1) * 16 + 17 * 10
    assert needed > 16 * weights
    twice = TrialConfig(first_layer_filters=8, conv_layers=2, num_neurons_dense=16, batch_size=64)
    grown = training_bytes(twice, num_classes=10, image_size=32) - 16 * weights
    assert grown == 2 * (needed - 16 * weights)


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
