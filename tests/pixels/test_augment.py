from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as reference

from cnnlib.pixels.augment import (
    ANGLE,
    COLOUR,
    CROP_AREA,
    CROP_RATIO,
    DRAW,
    MEAN,
    SHIFT,
    STD,
    Crops,
    Views,
    draw_crops,
    draw_views,
    luminance,
    normalised,
    places,
    shown,
    viewed,
    whole,
)

LEVEL = 1 / 255  # a grey level, for images of 0 to 1


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_images(N: int = 16, side: int = 32, seed: int = 1) -> torch.Tensor:
    """Photographs of smooth random colours, (N, 3, side, side), 0 to 1."""
    coarse = torch.rand(N, 3, 5, 5, generator=generator(seed))
    return torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")


def all_of(N: int, value: float) -> torch.Tensor:
    return torch.full((N,), float(value))


def views(
    N: int,
    *,
    left: float = 0,
    top: float = 0,
    width: float = 1,
    height: float = 1,
    mirror: bool = False,
    angle: float = 0,
    shift: tuple[float, float] = (0, 0),
    colours: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Views:
    """N times the same view."""
    box = [all_of(N, value) for value in (left, top, width, height)]
    where = places(*box, all_of(N, mirror).bool(), angle, shift)
    return Views(where, torch.tensor(colours).expand(N, 3))


def test_normalising_and_grey_are_torchvisions() -> None:
    images = smooth_images()
    torch.testing.assert_close(normalised(images), reference.normalize(images, MEAN, STD))
    grey = reference.rgb_to_grayscale(images)
    torch.testing.assert_close(luminance(images), grey, atol=1e-3, rtol=0)


def test_a_view_of_the_whole_image_is_the_image() -> None:
    images = smooth_images()
    torch.testing.assert_close(viewed(images, views(16), 32), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("size", [48, 40])
def test_resized_crops_and_flips_are_torchvisions(size: int) -> None:
    side, images = 48, smooth_images(8, 48)
    box = {"left": 6, "top": 12, "width": 36, "height": 24}  # px
    shares = {name: value / side for name, value in box.items()}
    cropped = viewed(images, views(8, **shares), size)
    expected = reference.resized_crop(
        images, box["top"], box["left"], box["height"], box["width"], [size, size], antialias=False
    )
    # At the border ours sees the pixel beside the crop, torchvision's repeats the last one.
    inner = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(cropped[inner], expected[inner], atol=LEVEL / 10, rtol=0)
    mirrored = viewed(images, views(8, mirror=True), side)
    torch.testing.assert_close(mirrored, reference.hflip(images), atol=1e-5, rtol=0)


@pytest.mark.parametrize("angle", [-30.0, 0.0, 10.0])
@pytest.mark.parametrize("shift", [(0, 0), (3, -2)])
def test_turns_and_shifts_are_torchvisions(angle: float, shift: tuple[int, int]) -> None:
    side, images = 48, smooth_images(8, 48)
    shares = (shift[0] / side, shift[1] / side)
    turned = viewed(images, views(8, angle=angle, shift=shares), side)
    expected = reference.affine(
        images, angle, list(shift), 1.0, [0.0],
        interpolation=reference.InterpolationMode.BILINEAR,
    )  # fmt: skip
    circle = (
        torch.hypot(
            *torch.meshgrid(torch.arange(48) - 23.5, torch.arange(48) - 23.5, indexing="ij")
        )
        < 18
    )
    torch.testing.assert_close(turned[..., circle], expected[..., circle], atol=LEVEL / 10, rtol=0)


def test_a_mirrored_view_is_turned_after_it_was_mirrored() -> None:
    images = smooth_images(8, 48)
    both = viewed(images, views(8, mirror=True, angle=10, shift=(0.05, 0)), 48)
    steps = viewed(reference.hflip(images), views(8, angle=10, shift=(0.05, 0)), 48)
    torch.testing.assert_close(both, steps, atol=1e-4, rtol=0)


def test_light_crops_are_torchvisions_to_the_last_bit() -> None:
    images = (smooth_images(8, 36) * 255).byte()  # (N, 3, H, W)
    crops = draw_crops(8, generator(), margin=4)
    seen = shown(images.permute(0, 2, 3, 1), crops, 32)
    for image, top, left, mirror, ours in zip(images, *crops, seen, strict=True):
        expected = reference.crop(image, int(top), int(left), 32, 32)
        expected = reference.hflip(expected) if mirror else expected
        torch.testing.assert_close(ours, expected / 255, atol=0, rtol=0)


def test_the_whole_is_the_image_to_the_last_bit() -> None:
    images = (smooth_images(4) * 255).byte()
    seen = shown(images.permute(0, 2, 3, 1), whole(4), 32)
    torch.testing.assert_close(seen, images / 255, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("place", "operation"),
    [
        (0, reference.adjust_brightness),
        (1, reference.adjust_contrast),
        (2, reference.adjust_saturation),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.8, 1.0, 1.2, 3.0])
def test_colours_are_torchvisions(place: int, operation: object, factor: float) -> None:
    images = smooth_images()
    colours = [1.0, 1.0, 1.0]
    colours[place] = factor
    seen = viewed(images, views(16, colours=tuple(colours)), 32)  # type: ignore[arg-type]
    expected = torch.stack([operation(image, factor) for image in images])  # type: ignore[operator]
    # torchvision's weights of grey end at four digits: 0.2989, 0.587, 0.114.
    torch.testing.assert_close(seen, expected, atol=LEVEL / 5, rtol=0)


@dataclass
class Drawn:
    """What views were drawn from, read off their maps."""

    views: Views

    @property
    def width(self) -> np.ndarray:
        return self.views.where[:, 0, :2].norm(dim=1).numpy()

    @property
    def height(self) -> np.ndarray:
        return self.views.where[:, 1, :2].norm(dim=1).numpy()

    @property
    def left(self) -> np.ndarray:
        return (self.views.where[:, 0, 2].numpy() + 1 - self.width) / 2

    @property
    def top(self) -> np.ndarray:
        return (self.views.where[:, 1, 2].numpy() + 1 - self.height) / 2


def test_crops_are_drawn_as_torchvision_draws_them() -> None:
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = torch.zeros(3, 1000, 1000)
    boxes = [RandomResizedCrop.get_params(image, CROP_AREA, CROP_RATIO) for _ in range(4000)]
    top, left, height, width = np.array(boxes).T / 1000
    drawn = Drawn(draw_views(4000, generator()))
    for ours, theirs in (
        (drawn.top, top), (drawn.left, left), (drawn.height, height), (drawn.width, width),
    ):  # fmt: skip
        for share in (0.05, 0.25, 0.5, 0.75, 0.95):
            assert np.quantile(ours, share) == pytest.approx(np.quantile(theirs, share), abs=0.03)
    mirrored = (drawn.views.where[:, 0, 0] < 0).float()
    assert mirrored.mean() == pytest.approx(0.5, abs=0.03)


def test_colours_are_drawn_evenly_around_one() -> None:
    colours = draw_views(4000, generator()).colours
    assert colours.min() == pytest.approx(1 - COLOUR, abs=1e-3)
    assert colours.max() == pytest.approx(1 + COLOUR, abs=1e-3)
    assert colours.mean(0).tolist() == pytest.approx([1, 1, 1], abs=0.01)


def test_turns_and_shifts_are_drawn_as_torchvision_draws_them() -> None:
    from torchvision.transforms import RandomAffine

    torch.manual_seed(0)
    settings = [-ANGLE, ANGLE], (SHIFT, SHIFT), None, None, [10000, 10000]
    theirs = [RandomAffine.get_params(*settings) for _ in range(4000)]  # type: ignore[arg-type]
    where = draw_views(4000, generator(), turned=True).where
    cos_sin = where[:, 0, :2] / where[:, 0, :2].norm(dim=1, keepdim=True)
    mirrored = torch.sign(cos_sin[:, 0])
    angles = torch.rad2deg(torch.atan2(cos_sin[:, 1] * mirrored, cos_sin[:, 0] * mirrored))
    # Where the crop's centre comes to lie: what of the crop's place is not its own.
    inverse = torch.linalg.inv(where[:, :, :2])
    straight = draw_views(4000, generator()).where
    shift = (inverse @ (straight[:, :, 2] - where[:, :, 2])[:, :, None])[:, :, 0] / 2
    for ours, columns in (
        (angles, [angle for angle, *_ in theirs]),
        (shift[:, 0], [moved[0] / 10000 for _, moved, *_ in theirs]),
        (shift[:, 1], [moved[1] / 10000 for _, moved, *_ in theirs]),
    ):
        spread = max(columns)
        for share in (0.02, 0.25, 0.5, 0.75, 0.98):
            assert np.quantile(ours, share) == pytest.approx(
                np.quantile(columns, share), abs=0.05 * spread
            )


def test_light_crops_use_the_whole_margin() -> None:
    top, left, mirror = draw_crops(4000, generator(), margin=4)
    for places_ in (top, left):
        assert np.bincount(places_) == pytest.approx(np.full(5, 800), abs=100)
    assert mirror.float().mean() == pytest.approx(0.5, abs=0.03)


def test_crops_stay_inside_the_image() -> None:
    drawn = Drawn(draw_views(5000, generator()))
    assert min(drawn.left.min(), drawn.top.min()) >= -1e-6
    assert (drawn.left + drawn.width).max() <= 1 + 1e-6
    assert (drawn.top + drawn.height).max() <= 1 + 1e-6


@pytest.mark.parametrize("name", list(DRAW))
def test_the_same_generator_draws_the_same_and_every_image_its_own(name: str) -> None:
    first, again = (DRAW[name](64, generator(5), margin=20) for _ in range(2))
    for values, same in zip(first, again, strict=True):
        torch.testing.assert_close(values, same, atol=0, rtol=0)
    assert len(torch.unique(first[0].reshape(64, -1), dim=0)) > (15 if name == "light" else 63)


def test_crops_are_whole_numbers_and_views_are_not() -> None:
    assert isinstance(DRAW["light"](4, generator(), margin=2), Crops)
    assert isinstance(DRAW["standard"](4, generator(), margin=2), Views)
