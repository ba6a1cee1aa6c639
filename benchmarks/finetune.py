"""A head-only trial on kept features beside the same trial the plain way, the trunk run each epoch.

python benchmarks/finetune.py [--data ZIP_OR_FOLDER] [--image-size PX] [--epochs N]
    [--plain-epochs N] [--threads N] [--augmented]

Theirs: the frozen network is run on every photograph in every epoch. Ours: first the trial that
computes the features, then one that finds them. Only `--plain-epochs` are trained the plain way, as
they are all alike; the rest is added by arithmetic. Ratios are told in seconds of the clock and, as
other processes disturb that, in seconds of CPU. Photographs of nature_mini are ImageNet's, which
the network was trained on: accuracies on them show that both ways learn the same, not how well.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from rows import show

from cnnlib.networks.family import Family
from cnnlib.networks.pretrained.config import PretrainedConfig
from cnnlib.networks.pretrained.family import PRETRAINED
from cnnlib.photos.sources import find_dataset
from cnnlib.pixels.pixels import decode_ahead
from cnnlib.training.trial import Task, train

PLAIN = replace(PRETRAINED, batches=None)


def timed(config: PretrainedConfig, task: Task, family: Family) -> dict[str, Any]:
    """What a trial took, by the clock and of the CPU, and its epochs."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        best, last = Path(folder) / "best.safetensors", Path(folder) / "last.ckpt"
        began, cpu = time.perf_counter(), time.process_time()
        own = replace(task, family=family)
        train(config, own, on_epoch=rows.append, weights=best, last=last)
        return {
            "clock": time.perf_counter() - began,
            "cpu": time.process_time() - cpu,
            "rows": rows,
        }


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--data", default="sample")
    flags.add_argument("--image-size", type=int, default=112)
    flags.add_argument("--epochs", type=int, default=10)
    flags.add_argument("--plain-epochs", type=int, default=1)
    flags.add_argument("--threads", type=int, default=2)
    flags.add_argument("--augmented", action="store_true")
    asked = flags.parse_args()
    warnings.filterwarnings("ignore")
    dataset = find_dataset(asked.data)
    size, augmented = asked.image_size, asked.augmented
    decode_ahead(dataset, size, augmented=augmented, test=False)
    config = PretrainedConfig(use_augmentation=augmented)  # efficientnet_lite0, its head alone
    task = Task(
        dataset, image_size=size, max_epochs=asked.epochs, patience=0, seed=1,
        cpus=asked.threads, accelerator="cpu",
    )  # fmt: skip
    torch.set_num_threads(asked.threads)
    with torch.inference_mode():  # imports and first calls are nobody's
        PRETRAINED.build(config, 10, size).eval()(torch.zeros(8, 3, size, size))
    plain = timed(config, replace(task, max_epochs=asked.plain_epochs), PLAIN)
    with tempfile.TemporaryDirectory() as cache:
        (Path(cache) / "pixels").symlink_to(_cache() / "pixels")
        os.environ["CNNLIB_CACHE"] = cache
        first, second = (timed(config, task, PRETRAINED) for _ in range(2))
    num = len(dataset.train.files)
    what = f"head of lite0, {num:,} photographs, {size} px, {asked.epochs} epochs"
    for kind in ("clock", "cpu"):
        theirs = plain[kind] * asked.epochs / asked.plain_epochs
        for name, ours in (("features kept", second), ("features included", first)):
            show(
                __file__, f"{what}, {name}, {kind}",
                theirs=f"{theirs:.1f} s", ours=f"{ours[kind]:.1f} s",
                ratio=f"{theirs / ours[kind]:.1f}x",
            )  # fmt: skip
    pairs = zip(plain["rows"], second["rows"], strict=False)
    same = ", ".join(f"{a['val_acc']:.4f} and {b['val_acc']:.4f}" for a, b in pairs)
    print(f"val_acc of the same epochs, the plain way and on features: {same}")


def _cache() -> Path:
    from cnnlib.system.surroundings import cache_folder

    return cache_folder()


if __name__ == "__main__":
    main()
