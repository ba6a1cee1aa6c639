from pathlib import Path

import numpy as np
import pytest
import torch

from cnnlib.pixels import gpu_batches as residency
from cnnlib.pixels.gpu_batches import gathered

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def pixels(folder: Path) -> np.ndarray:
    array = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 3), dtype=np.uint8)
    np.save(folder / "pixels.npy", array)
    return np.load(folder / "pixels.npy", mmap_mode="r")


@needs_gpu
@pytest.mark.parametrize("resident", [0.2, 0.0])
def test_batches_are_the_chosen_images(
    resident: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(residency, "RESIDENT", resident)
    images, order = pixels(tmp_path), torch.randperm(50)
    device = torch.device("cuda")
    batches = list(gathered(images, order, 8, device, share=1.0))
    assert [len(batch) for batch in batches] == [8] * 6 + [2]
    everything = torch.cat(batches).cpu()
    torch.testing.assert_close(everything, torch.from_numpy(images[order.numpy()]))
    assert batches[0].device.type == "cuda"


@pytest.mark.parametrize(("share", "where"), [(1.0, "resident"), (0.001, "streamed")])
def test_pixels_live_on_the_gpu_where_they_fit_the_trials_share(
    share: float, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the memory of a GPU, 1 MB, made up: what is copied where is the machine's matter."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 1_000_000))
    monkeypatch.setattr(
        residency, "_streamed", lambda images, batches, device: iter(["streamed"] * len(batches))
    )
    images, order = pixels(tmp_path), torch.randperm(50)
    batches = list(gathered(images, order, 8, torch.device("cpu"), share=share))
    if where == "streamed":
        assert batches == ["streamed"] * 7
    else:
        everything = torch.cat(batches)
        torch.testing.assert_close(everything, torch.from_numpy(images[order.numpy()]))
