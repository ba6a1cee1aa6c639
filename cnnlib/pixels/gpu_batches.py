"""Raw batches on a GPU: of pixels that live there where they fit, else copied ahead of use."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

RESIDENT = 0.1  # of the memory that is ours: what one array may fill; trials have two of them
AHEAD = 2  # batches that are on their way while one is trained on


def gathered(
    pixels: np.ndarray, order: Tensor, batch_size: int, device: torch.device, *, share: float
) -> Iterator[Tensor]:
    """pixels[order] in batches of (N, H, W, 3) uint8 on `device`; `share` of the GPU is ours."""
    if pixels.nbytes <= RESIDENT * share * torch.cuda.mem_get_info(device)[1]:
        assert isinstance(pixels, np.memmap)
        images = _loaded(str(pixels.filename), device)
        for chosen in order.to(device).split(batch_size):
            yield images[chosen]
    else:
        yield from _streamed(pixels, order.split(batch_size), device)


@lru_cache(maxsize=3)  # with a margin, without, and the test's
def _loaded(path: str, device: torch.device) -> Tensor:
    """The pixels on the device, where they stay for the process's next trials."""
    return torch.from_numpy(np.load(path, mmap_mode="c")).to(device)


@lru_cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for all epochs: memory that was freed on a stream is used again on that stream only."""
    return torch.cuda.Stream(device)


def _streamed(
    pixels: np.ndarray, batches: tuple[Tensor, ...], device: torch.device
) -> Iterator[Tensor]:
    """Gathered by a thread into pinned memory and copied on a stream of their own."""
    stream = _stream(device)

    def fetch(chosen: Tensor) -> tuple[Tensor, torch.cuda.Event]:
        raw = torch.from_numpy(pixels[chosen.numpy()]).pin_memory()
        with torch.cuda.stream(stream):
            return raw.to(device, non_blocking=True), stream.record_event()

    def arrived(future: Future[tuple[Tensor, torch.cuda.Event]]) -> Tensor:
        images, copied = future.result()
        current = torch.cuda.current_stream(device)
        current.wait_event(copied)
        images.record_stream(current)  # or its memory is used again too early
        return images

    with ThreadPoolExecutor(1) as reader:
        coming: deque[Future[tuple[Tensor, torch.cuda.Event]]] = deque()
        for chosen in batches:
            coming.append(reader.submit(fetch, chosen))
            if len(coming) > AHEAD:
                yield arrived(coming.popleft())
        while coming:
            yield arrived(coming.popleft())
