"""What many photographs take: 10,000, 100,000 and a million of them, in 1,000 classes.

python benchmarks/photos.py [--numbers 10000,100000] [--side PX] [--like FOLDER]

For each number it makes that many small JPEGs to train on and a tenth of it to test with, from a
seed, one test photograph in a hundred a copy of one that is trained on; or copies of a folder's
photographs, each with an end of its own. Then each step that a sweep takes runs in a process of its
own: reading (with checks and fingerprint), the same again with nothing changed, that beside an
earlier build, decoding, the start of the same command with nothing changed, the split, the search
for copies, that beside the search of all pairs that it replaced, an epoch of the smallest network,
predictions, and the report of them. A row says the processor's microseconds a photograph, the
seconds by the clock, and the most memory of the process's own, which is that beside the mapped
pixels. Before it all, a few photographs let numba compile. All is deleted afterwards.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

CLASSES = 1000
COPIES = 100  # one test photograph in so many is a copy
TEST = 10  # one photograph to test with for so many to train on
BLOCK = 1000  # photographs that are made at once
PATTERN = 8  # waves across and down of which a photograph is made
QUALITY = 85
COMPILING = 2_000  # photographs
MOST_PAIRED = 100_000  # photographs: all pairs of more do not fit into memory
TURNS = 3  # of two builds whose times are compared
EARLIER = "71ea03e"  # the last commit whose reading looked into every file each time


def _pictures(seed: list[int], number: int, side: int) -> np.ndarray:
    """(number, side, side, 3) uint8: sums of waves, the finer the weaker, as in photographs."""
    rng = np.random.default_rng(seed)
    waves = np.arange(PATTERN)
    weight = 1 / (1 + np.hypot(waves[:, None], waves))[:, :, None]
    parts = rng.standard_normal((number, PATTERN, PATTERN, 3), np.float32) * weight
    parts = 0.8 * parts.mean(3, keepdims=True) + 0.3 * parts  # colours go together
    basis = np.cos(np.pi * (np.arange(side)[:, None] + 0.5) * waves / side).astype(np.float32)
    images = np.einsum("yu,nuvc,xv->nyxc", basis, parts.astype(np.float32), basis, optimize=True)
    return (images * 45 + 128).clip(0, 255).astype(np.uint8)


def _write(folder: str, split: str, first: int, number: int, side: int) -> None:
    """Photographs of one block; of the test's the first of each hundred are training ones."""
    import simplejpeg

    images = _pictures([split == "test", first], number, side)
    if split == "test":
        known = _pictures([False, 0], BLOCK, side)
        for index in range(0, number, COPIES):
            copy = known[(first + index) // COPIES % BLOCK]
            images[index] = copy[:, ::-1] if index // COPIES % 2 else copy
    for index, image in enumerate(images, first):
        path = f"{folder}/{split}/{index % CLASSES:04d}/{index:07d}.jpg"
        quality = QUALITY if split == "train" else QUALITY - 10
        with open(path, "wb") as file:
            file.write(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality))


def _copy(folder: str, split: str, first: int, number: int, known: list[Path]) -> None:
    """Photographs of one block, each a file of its own: what follows a JPEG's end is not read."""
    for index in range(first, first + number):
        path = Path(folder, split, f"{index % CLASSES:04d}", f"{index:07d}.jpg")
        path.write_bytes(known[index % len(known)].read_bytes() + f"{split}{index}".encode())


def make(folder: Path, number: int, side: int, known: list[Path]) -> None:
    """train/<class>/<n>.jpg and test/ of a tenth as many, made or copies of what is `known`."""
    write, of = (_copy, known) if known else (_write, side)
    with ProcessPoolExecutor(2) as pool:
        waiting = []
        for split, many in (("train", number), ("test", number // TEST)):
            for name in range(CLASSES):
                (folder / split / f"{name:04d}").mkdir(parents=True, exist_ok=True)
            for first in range(0, many, BLOCK):
                some = min(BLOCK, many - first)
                waiting.append(pool.submit(write, str(folder), split, first, some, of))
        for made in waiting:
            made.result()


def _found(asked: argparse.Namespace):  # type: ignore[no-untyped-def]
    from cnnlib.photos.sources import find_dataset

    return find_dataset(asked.place / "train")


def _champion(asked: argparse.Namespace, dataset):  # type: ignore[no-untyped-def]
    """The smallest network, untrained."""
    import torch
    from safetensors.torch import save_file

    from cnnlib.champion.champion import WEIGHTS, Champion, write_champion
    from cnnlib.networks.cnn.family import CNN

    folder = asked.place / "champion"
    config = CNN.configuration(
        {"first_layer_filters": 4, "filter_org": 1.0, "num_neurons_dense": 16, "batch_size": 256}
    )
    torch.manual_seed(0)
    champion = Champion(
        folder=folder,
        trial_id="0",
        config=config,
        classes=dataset.classes,
        image_size=asked.side,
        epoch=1,
        val_acc=0.5,
        family=CNN,
    )
    if not folder.exists():
        folder.mkdir()
        model = CNN.build(config, len(dataset.classes), asked.side)
        save_file(model.state_dict(), folder / WEIGHTS)
        write_champion(champion)
    return champion


def _read(asked: argparse.Namespace) -> Callable[[], object]:
    return lambda: _found(asked)


def _before(asked: argparse.Namespace) -> Callable[[], object]:
    """An unchanged set by today's build and by an earlier one, in turn, each in a new process."""
    reading = (
        "import sys, time; from pathlib import Path; from cnnlib.{} import find_dataset;"
        "cpu, wall = time.process_time(), time.perf_counter(); find_dataset(Path(sys.argv[1]));"
        "print(time.process_time() - cpu, time.perf_counter() - wall)"
    )
    here = Path(__file__).resolve().parent.parent
    earlier = asked.place / "earlier"
    earlier.mkdir(exist_ok=True)
    archive = ["git", "-C", str(here), "archive", EARLIER, "cnnlib"]
    tree = subprocess.run(archive, stdout=subprocess.PIPE, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(earlier)], input=tree, check=True)

    def took(tree: Path, module: str) -> np.ndarray:
        command = [sys.executable, "-c", reading.format(module), str(asked.place / "train")]
        said = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, text=True, check=True)
        return np.array([float(number) for number in said.stdout.split()])

    def compare() -> None:
        times = [(took(earlier, "sources"), took(here, "photos.sources")) for _ in range(TURNS)]
        before, now = np.median(times, axis=0)
        for what, old, new in zip(("of a core", "by the clock"), before, now, strict=True):
            ratio = f"{old:.2f} s before, {new:.2f} s: {old / new:.1f}x"
            print(f"unchanged, {what}: {ratio}", file=sys.stderr)

    return compare


def _decode(asked: argparse.Namespace) -> Callable[[], object]:
    from cnnlib.pixels.pixels import decode_ahead

    dataset = _found(asked)
    return lambda: decode_ahead(dataset, asked.side, augmented=False)


def _start(asked: argparse.Namespace) -> Callable[[], object]:
    from cnnlib.pixels.pixels import decode_ahead

    return lambda: decode_ahead(_found(asked), asked.side, augmented=False)


def _split(asked: argparse.Namespace) -> Callable[[], object]:
    from cnnlib.pixels.datamodule import stratified_split

    train = _found(asked).train
    return lambda: stratified_split(train.labels, 0.2, 0, train.copies, train.groups)


def _copies(asked: argparse.Namespace) -> Callable[[], object]:
    from cnnlib.champion.copies import find_leaks

    dataset = _found(asked)

    def search() -> None:
        found = len(find_leaks(dataset, asked.side))
        print(f"{found:,} test photographs are copies", file=sys.stderr)

    return search


def _pairs(asked: argparse.Namespace) -> Callable[[], object]:
    from cnnlib.champion.copies import find_leaks
    from cnnlib.pixels.pixels import pixels
    from tests.champion.all_pairs import most_alike

    dataset = _found(asked)
    train, test = (pixels(dataset, split, asked.side) for split in ("train", "test"))
    find_leaks(dataset, asked.side)  # loads what is compiled

    def compare() -> None:
        began = time.process_time()
        find_leaks(dataset, asked.side)
        now = time.process_time()
        most_alike(test, train)
        before = time.process_time() - now
        ratio = before / (now - began)
        print(f"copies: {before:.1f} s before, {now - began:.1f} s: {ratio:.1f}x", file=sys.stderr)

    return compare


def _epoch(asked: argparse.Namespace) -> Callable[[], object]:
    from cnnlib.training.trial import Task, train

    dataset = _found(asked)
    config = _champion(asked, dataset).config
    task = Task(dataset, asked.side, 1, 5, 0, 2)
    return lambda: train(
        config, task, on_epoch=lambda metrics: None, weights=asked.place / "weights.pth"
    )


def _predictions(asked: argparse.Namespace) -> Callable[[], object]:
    from cnnlib.champion.final_test import predict_test

    dataset = _found(asked)
    champion = _champion(asked, dataset)

    def predict() -> None:
        table = predict_test(champion, dataset)
        table.to_csv(asked.place / "test_predictions.csv", index=False)

    return predict


def _report(asked: argparse.Namespace) -> Callable[[], object]:
    from analysis.page.sections import test as page
    from analysis.reading import predictions as reading
    from analysis.statistics.test import calibration, class_table, reliability, top_three

    def report() -> None:
        table = reading.read_predictions(asked.place / "test_predictions.csv")
        order = reading.class_order(table, [])
        class_table(table, order)
        reliability(table)
        calibration(table)
        top_three(table)
        reading.stratified_sample(table, num_photos=20, seed=0)
        reading.confused_pairs(table, 10)
        list(page._class_blocks(table, order))

    return report


# Each step, and whether it is of the test photographs alone.
STEPS: dict[str, tuple[str, Callable[[argparse.Namespace], Callable[[], object]], bool]] = {
    "read": ("reading, checks, fingerprint", _read, False),
    "again": ("the same, nothing changed", _read, False),
    "before": ("the same, and as it was, beside each other", _before, False),
    "decode": ("decoding", _decode, False),
    "start": ("a second start: both, nothing changed", _start, False),
    "split": ("split", _split, False),
    "copies": ("copies of training photographs in the test", _copies, False),
    "pairs": ("the same, and as it was, beside each other", _pairs, False),
    "epoch": ("an epoch", _epoch, False),
    "predictions": ("predictions of the test", _predictions, True),
    "report": ("report of the predictions", _report, True),
}

BESIDE = ("pairs", "before")  # which print what they compare, and are no row


class _Own:
    """The most memory of this process that is no file's, looked at twenty times a second."""

    def __init__(self) -> None:
        self.peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            self._look()

    def _look(self) -> None:
        status = Path("/proc/self/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("RssAnon")]
        self.peak = max(self.peak, int(line.split()[1]) * 1024)

    def end(self) -> int:
        self._look()
        self._ended.set()
        self._thread.join()
        return self.peak


def step(asked: argparse.Namespace) -> None:
    """Runs one step and prints what it took."""
    own = _Own()
    run = STEPS[asked.step][1](asked)
    clock, began = time.process_time(), time.perf_counter()
    run()
    cpu, wall = time.process_time() - clock, time.perf_counter() - began
    print(json.dumps({"cpu": cpu, "wall": wall, "memory": own.end()}))


def _measured(asked: argparse.Namespace, place: Path, name: str) -> dict[str, float]:
    flags = ["--place", str(place), "--side", str(asked.side)]
    done = subprocess.run(
        [sys.executable, __file__, "--step", name, *flags],
        env={
            **os.environ,
            "CNNLIB_CACHE": str(place / "cache"),
            "NUMBA_CACHE_DIR": str(place.parent / "compiled"),
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    flags.add_argument("--numbers", default="10000,100000")
    flags.add_argument("--side", type=int, default=32)
    flags.add_argument("--steps", default=",".join(STEPS))
    flags.add_argument("--place", type=Path, help="where to make them")
    flags.add_argument("--like", type=Path, help="photographs to make copies of")
    flags.add_argument("--step", help=argparse.SUPPRESS)
    asked = flags.parse_args()
    if asked.step:
        return step(asked)
    if asked.like and not any(asked.like.rglob("*.jpg")):
        flags.error(f"no .jpg in {asked.like}")
    with tempfile.TemporaryDirectory(prefix="photos-", dir=asked.place) as scratch:
        _table(asked, Path(scratch))


def _table(asked: argparse.Namespace, scratch: Path) -> None:
    print("| photographs | step | µs each | against the first | seconds | memory |")
    print("|---|---|---|---|---|---|")
    first: dict[str, float] = {}
    known = sorted(asked.like.rglob("*.jpg")) if asked.like else []
    for number in (COMPILING, *map(int, asked.numbers.split(","))):
        place = scratch / str(number)
        make(place, number, asked.side, known)
        for name in asked.steps.split(","):
            if name in BESIDE and not COMPILING < number <= MOST_PAIRED:
                continue
            said, _, of_test = STEPS[name]
            found = _measured(asked, place, name)
            if number == COMPILING or name in BESIDE:
                continue
            of = number // TEST if of_test else number + number // TEST
            each = found["cpu"] / of * 1e6
            ratio = each / first.setdefault(name, each)
            print(
                f"| {number:,} | {said} | {each:,.1f} | {ratio:.2f}x | {found['wall']:,.1f} | "
                f"{found['memory'] / 1e6:,.0f} MB |",
                flush=True,
            )
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
