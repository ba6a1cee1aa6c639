from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as reference

from cnnlib.augment import (
    COLOUR,
    CROP_AREA,
    CROP_RATIO,
    MEAN,
    STD,
    Views,
    draw_views,
    luminance,
    normalised,
    normalised_batch,
    viewed,
)

LEVEL = 1 / 255  # a grey level, for images of 0 to 1


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(N: int = 16, side: int = 32, seed: int = 1) -> np.ndarray:
    """Photographs of smooth random colours, (N, side, side, 3) uint8."""
    coarse = torch.rand(N, 3, 5, 5, generator=generator(seed))
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    return (smooth * 255).byte().permute(0, 2, 3, 1).contiguous().numpy()


def as_images(raw: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(raw).permute(0, 3, 1, 2) / 255


def unchanged(N: int) -> Views:
    zero, one = np.zeros(N, np.float32), np.ones(N, np.float32)
    return Views(zero, zero, one, one, zero, one, one, one)


def test_normalising_and_grey_are_torchvisions() -> None:
    images = as_images(pixels())
    torch.testing.assert_close(normalised(images), reference.normalize(images, MEAN, STD))
    grey = reference.rgb_to_grayscale(images)
    torch.testing.assert_close(luminance(images), grey, atol=1e-3, rtol=0)


@pytest.mark.parametrize("side", [2, 15, 32, 64])
def test_the_compiled_way_agrees_with_torchs_within_a_twentieth_of_a_grey_level(side: int) -> None:
    raw = np.random.default_rng(0).integers(0, 256, (40, side, side, 3), dtype=np.uint8)
    chosen = np.random.default_rng(1).permutation(40)[:24]
    views = draw_views(24, generator())
    fast = normalised_batch(raw, chosen, views)
    slow = normalised(viewed(as_images(raw)[chosen], views))
    tolerance = 0.05 * LEVEL / min(STD)
    torch.testing.assert_close(fast, slow, atol=tolerance, rtol=0)
    plain = normalised_batch(raw, chosen, None)
    torch.testing.assert_close(plain, normalised(as_images(raw)[chosen]), atol=1e-5, rtol=0)
    assert fast.is_contiguous(memory_format=torch.channels_last)


def test_a_view_of_the_whole_image_is_the_image() -> None:
    images = as_images(pixels())
    torch.testing.assert_close(viewed(images, unchanged(16)), images, atol=1e-5, rtol=0)


def test_crops_and_flips_are_torchvisions() -> None:
    side, images = 48, as_images(pixels(8, 48))
    box = {"left": 6, "top": 12, "width": 36, "height": 24}  # px
    shares = {name: np.full(8, value / side, np.float32) for name, value in box.items()}
    cropped = viewed(images, replace(unchanged(8), **shares))
    expected = reference.resized_crop(
        images, box["top"], box["left"], box["height"], box["width"], [side, side]
    )
    # At the border ours sees the pixel beside the crop, torchvision's repeats the last one.
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(cropped[inner], expected[inner], atol=LEVEL / 10, rtol=0)
    mirrored = viewed(images, replace(unchanged(8), mirror=np.ones(8, np.float32)))
    torch.testing.assert_close(mirrored, reference.hflip(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("field", "operation"),
    [
        ("brightness", reference.adjust_brightness),
        ("contrast", reference.adjust_contrast),
        ("saturation", reference.adjust_saturation),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.8, 1.0, 1.2, 3.0])
def test_colours_are_torchvisions(field: str, operation: object, factor: float) -> None:
    images = as_images(pixels())
    views = replace(unchanged(16), **{field: np.full(16, factor, np.float32)})
    expected = torch.stack([operation(image, factor) for image in images])  # type: ignore[operator]
    # torchvision's weights of grey end at four digits: 0.2989, 0.587, 0.114.
    torch.testing.assert_close(viewed(images, views), expected, atol=LEVEL / 5, rtol=0)


def test_parameters_are_drawn_as_torchvision_draws_them() -> None:
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = torch.zeros(3, 1000, 1000)
    boxes = [RandomResizedCrop.get_params(image, CROP_AREA, CROP_RATIO) for _ in range(4000)]
    top, left, height, width = np.array(boxes).T / 1000
    views = draw_views(4000, generator())
    for ours, theirs in (
        (views.top, top), (views.left, left), (views.height, height), (views.width, width),
    ):  # fmt: skip
        for share in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert np.quantile(ours, share) == pytest.approx(np.quantile(theirs, share), abs=0.03)
    assert views.mirror.mean() == pytest.approx(0.5, abs=0.03)
    for factors in (views.brightness, views.contrast, views.saturation):
        assert (factors.min(), factors.max()) == pytest.approx((1 - COLOUR, 1 + COLOUR), abs=1e-3)
        assert factors.mean() == pytest.approx(1, abs=0.01)


def test_crops_stay_inside_the_image() -> None:
    views = draw_views(5000, generator())
    assert min(views.left.min(), views.top.min()) >= 0
    assert (views.left + views.width).max() <= 1 + 1e-6
    assert (views.top + views.height).max() <= 1 + 1e-6


def test_the_same_generator_draws_the_same_and_every_image_its_own() -> None:
    first, again = (np.stack(astuple(draw_views(64, generator(5)))) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(first[0])) == 64
