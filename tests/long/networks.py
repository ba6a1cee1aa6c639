"""Every pretrained network with every strategy: trains, goes on where it was killed, is exported.

python tests/long/networks.py [--only NAME,NAME] [--strategies NAME,NAME]

Some minutes of a core for each network, and up to 8 GB of memory for vgg16. Weights are random
where no package holds them: what is tested does not depend on them. Images are as small as may be.
"""

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import torch

from cnnlib.champion.torch_export import export
from cnnlib.networks.pretrained.backbones import BACKBONES
from cnnlib.networks.pretrained.config import PretrainedConfig
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.networks.saved import with_weights
from cnnlib.photos.dataset import read_folder
from cnnlib.training.trial import Task, save_weights, train
from tests.conftest import write_photos

STRATEGIES = ("freeze_all", "freeze_partial", "unfreeze_all", "unfreeze_gradually")
SIDES = {"inception_v3": 75, "efficientnet_v2_s": 64}


class KilledError(Exception):
    """A trial's process died."""


def check(name: str, strategy: str, photos: Path, folder: Path) -> None:
    """Raises AssertionError where a promise does not hold."""
    row, side = BACKBONES[name], SIDES.get(name, 32)
    config = PretrainedConfig(
        model_name=name, finetune_strategy=strategy, batch_size=8, use_augmentation=False,
        weights="pretrained" if row.package else "none", learning_rate=1e-4,
    )  # fmt: skip
    task = Task(
        read_folder(photos / "train"), side, max_epochs=2, patience=0, seed=1, cpus=2,
        accelerator="cpu", family=PRETRAINED,
    )  # fmt: skip

    def killed(found: dict[str, Any]) -> None:
        raise KilledError

    whole, half = ((folder / f"{n}.safetensors", folder / f"{n}.pt") for n in ("a", "b"))
    train(config, task, on_epoch=lambda row: None, weights=whole[0], last=whole[1])
    try:
        train(config, task, on_epoch=killed, weights=half[0], last=half[1])
    except KilledError:
        train(config, task, on_epoch=lambda row: None, weights=half[0], last=half[1])
    states = [torch.load(last, weights_only=True)["state_dict"] for _, last in (whole, half)]
    assert all(torch.equal(tensor, states[1][n]) for n, tensor in states[0].items()), "resumed"
    model: Any = PRETRAINED.build(config, 3, side).eval()
    save_weights(model, folder / "w.safetensors")
    again: Any = with_weights(
        PRETRAINED.build, config, num_classes=3, image_size=side, path=folder / "w.safetensors"
    )
    images = torch.randn(2, 3, side, side)
    assert torch.equal(model(images), again(images)), "read again"
    export(model, list("abc"), folder / "m.pt2", image_size=side)
    program = torch.export.load(folder / "m.pt2").module()
    assert torch.isfinite(program(torch.rand(2, 3, side, side))).all(), "exported"


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--only", default=",".join(BACKBONES))
    flags.add_argument("--strategies", default=",".join(STRATEGIES))
    asked = flags.parse_args()
    warnings.filterwarnings("ignore")
    with tempfile.TemporaryDirectory() as root:
        photos = write_photos(Path(root) / "photos", train=8, test=2, size=32)
        for name in asked.only.split(","):
            for strategy in asked.strategies.split(","):
                began = time.perf_counter()
                with tempfile.TemporaryDirectory(dir=root) as folder:
                    check(name, strategy, photos, Path(folder))
                seconds = time.perf_counter() - began
                print(f"{name} {strategy}: as promised, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
