import pytest
import torch

from cnnlib.augment import (
    COLOUR,
    MEAN,
    STD,
    augmented,
    cropped,
    jittered,
    luminance,
    normalised,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(N: int = 64, side: int = 32) -> torch.Tensor:
    return torch.rand(N, 3, side, side, generator=generator(1))


def test_normalising_is_torchvisions() -> None:
    from torchvision.transforms.functional import normalize

    torch.testing.assert_close(normalised(images()), normalize(images(), MEAN, STD))


def test_grey_is_torchvisions() -> None:
    from torchvision.transforms.functional import rgb_to_grayscale

    torch.testing.assert_close(luminance(images()), rgb_to_grayscale(images()), atol=1e-3, rtol=0)


def test_images_stay_within_0_and_1_and_keep_their_shape() -> None:
    result = augmented(images(), generator())
    assert result.shape == images().shape
    assert result.min() >= 0
    assert result.max() <= 1


def test_the_same_generator_gives_the_same_and_every_image_has_its_own_parameters() -> None:
    one = torch.rand(3, 32, 32, generator=generator(2)).expand(16, 3, 32, 32)
    first = augmented(one, generator(5))
    torch.testing.assert_close(first, augmented(one, generator(5)), rtol=0, atol=0)
    distances = (first[:, None] - first[None]).abs().mean((2, 3, 4))
    assert (distances + torch.eye(16) > 0.005).all()


def test_a_crop_shows_a_part_of_the_image_in_order() -> None:
    ramp = torch.linspace(0, 1, 64).expand(200, 3, 64, 64)  # grows from left to right
    rows = cropped(ramp, generator())[:, 0, 32]
    inner = rows.diff(dim=1)[:, 2:-2]
    rising = (inner >= -1e-6).all(1)
    falling = (inner <= 1e-6).all(1)
    assert (rising | falling).all()
    assert 70 < int(falling.sum()) < 130, "half of the images are mirrored"
    spans = (rows.max(1).values - rows.min(1).values).sort().values
    assert spans[0] > 0.5, "no crop is narrower than sqrt(0.4 * 3 / 4) of the image"
    assert spans[-1] > 0.97, "some crops are as wide as the image"


def test_crops_are_taken_from_everywhere() -> None:
    ramp = torch.linspace(0, 1, 64).expand(400, 3, 64, 64)
    middles = cropped(ramp, generator())[:, 0, 32, 32]
    assert abs(middles.mean() - 0.5) < 0.02
    assert middles.std() > 0.05


def test_brightness_changes_by_at_most_its_share() -> None:
    grey = torch.full((500, 3, 4, 4), 0.5)
    levels = jittered(grey, generator())[:, 0, 0, 0]
    assert 0.5 * (1 - COLOUR) - 1e-6 <= levels.min() < 0.5 * (1 - 0.8 * COLOUR)
    assert 0.5 * (1 + 0.8 * COLOUR) < levels.max() <= 0.5 * (1 + COLOUR) + 1e-6
    assert levels.mean() == pytest.approx(0.5, abs=0.01)


def test_a_grey_image_stays_grey_and_a_coloured_one_coloured() -> None:
    grey = torch.rand(8, 1, 4, 4, generator=generator(3)).expand(8, 3, 4, 4)
    assert jittered(grey, generator()).std(1).max() < 1e-5
    red = torch.zeros(8, 3, 4, 4)
    red[:, 0] = 0.8
    result = jittered(red, generator())
    assert (result[:, 0] > result[:, 1] + 0.4).all()
