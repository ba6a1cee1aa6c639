import numpy as np
import pytest
import torch

from cnnlib.pixels import cpu_batches as compiled
from cnnlib.pixels.augment import DRAW, STD, normalised, shown, whole

LEVEL = 1 / 255 / min(STD)  # a grey level of a normalised image


def noise(N: int = 40, height: int = 36, width: int | None = None) -> np.ndarray:
    shape = (N, height, width or height, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def drawn(name: str, N: int, margin: int) -> object:
    return DRAW[name](N, torch.Generator().manual_seed(3), margin=margin)


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", list(DRAW))
@pytest.mark.parametrize("side", [2, 15, 36, 72, 200])
def test_it_agrees_with_torchs_way_within_a_twentieth_of_a_grey_level(
    name: str, side: int, threads: int
) -> None:
    raw = noise(height=side)
    size = side - side // 9
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(1))[:24]
    seen = drawn(name, 24, side - size)
    fast = compiled.batch(raw, chosen, seen, size)
    slow = normalised(shown(torch.from_numpy(raw)[chosen], seen, size))
    torch.testing.assert_close(fast, slow, atol=0.05 * LEVEL, rtol=0)
    assert fast.shape == (24, 3, size, size)
    assert fast.is_contiguous(memory_format=torch.channels_last)


def test_images_as_they_are_are_only_normalised() -> None:
    raw, chosen = noise(), torch.arange(40)
    fast = compiled.batch(raw, chosen, whole(40), 36)
    slow = normalised(torch.from_numpy(raw).permute(0, 3, 1, 2) / 255)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", list(DRAW))
def test_bfloat16_is_float32_rounded(name: str) -> None:
    raw, chosen, seen = noise(), torch.arange(40), drawn(name, 40, 4)
    exact = compiled.batch(raw, chosen, seen, 32)
    rounded = compiled.batch(raw, chosen, seen, 32, dtype=torch.bfloat16)
    assert rounded.dtype == torch.bfloat16
    torch.testing.assert_close(rounded, exact.bfloat16(), atol=0, rtol=0)


def test_a_batch_that_somebody_holds_is_never_written_over() -> None:
    raw, buffers = noise(), compiled.Buffers()
    held = [
        compiled.batch(raw, torch.arange(n, n + 8), whole(8), 36, buffers=buffers)[:, :1]
        for n in range(4)
    ]
    for n, red in enumerate(held):
        fresh = compiled.batch(raw, torch.arange(n, n + 8), whole(8), 36)
        torch.testing.assert_close(red, fresh[:, :1], atol=0, rtol=0)


def test_memory_that_nobody_holds_is_used_again() -> None:
    raw, buffers = noise(), compiled.Buffers()
    seen = set()
    for size in (8, 8, 3, 8):
        images = compiled.batch(raw, torch.arange(size), whole(size), 36, buffers=buffers)
        seen.add(images.data_ptr())
        del images
    assert len(seen) == 1


def test_what_autograd_keeps_is_not_written_over() -> None:
    raw, buffers = noise(), compiled.Buffers()
    layer = torch.nn.Conv2d(3, 2, 3)
    first = layer(compiled.batch(raw, torch.arange(8), whole(8), 36, buffers=buffers)).sum()
    compiled.batch(raw, torch.arange(8, 16), whole(8), 36, buffers=buffers)
    first.backward()
    gradient, layer.weight.grad = layer.weight.grad, None
    layer(compiled.batch(raw, torch.arange(8), whole(8), 36)).sum().backward()
    torch.testing.assert_close(gradient, layer.weight.grad, atol=0, rtol=0)
