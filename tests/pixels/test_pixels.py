import errno
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cnnlib.pixels.pixels
from cnnlib.photos.dataset import Dataset, read_folder
from cnnlib.pixels.decode import decode
from cnnlib.pixels.pixels import decode_ahead, pixels, side_with_margin
from cnnlib.system.surroundings import cache_folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache for each test: the photographs are the same in all of them."""
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that were built since the test began."""
    paths: list[Path] = []
    build = cnnlib.pixels.pixels._build
    monkeypatch.setattr(
        cnnlib.pixels.pixels,
        "_build",
        lambda path, *rest: (paths.append(path), build(path, *rest))[1],
    )
    return paths


@pytest.fixture
def dataset(photos: Path) -> Dataset:
    return read_folder(photos / "train")


def test_photographs_are_decoded_once_in_their_order(photos: Path) -> None:
    dataset = read_folder(photos / "train")
    first = pixels(dataset, "train", 8)
    assert first.shape == (30, 8, 8, 3)
    assert first.dtype == np.uint8
    for index in (0, 11, 29):
        np.testing.assert_array_equal(first[index], decode(dataset.train.files[index], 8))
    for file in dataset.train.files:
        file.unlink()
    np.testing.assert_array_equal(pixels(dataset, "train", 8), first)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0


def test_a_changed_photograph_is_decoded_anew(photos: Path) -> None:
    before = pixels(read_folder(photos / "train"), "train", 8)
    Image.new("RGB", (16, 16), "black").save(photos / "train" / "red" / "000.png")
    after = pixels(read_folder(photos / "train"), "train", 8)
    assert (before[20] != after[20]).any()
    np.testing.assert_array_equal(before[:20], after[:20])


def test_a_torn_photograph_is_named_and_leaves_nothing(photos: Path) -> None:
    torn = photos / "train" / "red" / "000.png"
    torn.write_bytes(torn.read_bytes()[:200])
    dataset = read_folder(photos / "train")
    with pytest.raises(ValueError, match=r"1 photographs? cannot be decoded: .*red/000\.png"):
        pixels(dataset, "train", 8)
    left = [path.name for path in (cache_folder() / "pixels").iterdir()]
    assert not [name for name in left if name.endswith(".part")]
    assert not [
        name for name in left if name.startswith(dataset.fingerprint) and "lock" not in name
    ]


def test_an_added_or_removed_photograph_is_noticed(photos: Path) -> None:
    pixels(read_folder(photos / "train"), "train", 8)
    Image.new("RGB", (16, 16), "black").save(photos / "train" / "blue" / "zzz.png")
    added = pixels(read_folder(photos / "train"), "train", 8)
    assert len(added) == 31
    assert added[10].max() == 0
    (photos / "train" / "red" / "009.png").unlink()
    assert len(pixels(read_folder(photos / "train"), "train", 8)) == 30


def test_many_who_ask_at_once_get_one_array(dataset: Dataset, builds: list[Path]) -> None:
    arrays: list[np.ndarray] = []
    askers = [
        threading.Thread(target=lambda: arrays.append(pixels(dataset, "train", 8)))
        for _ in range(6)
    ]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(arrays) == 6
    assert len(builds) == 1


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "undescribed"])
def test_damaged_pixels_are_decoded_again(
    damage: str, dataset: Dataset, builds: list[Path]
) -> None:
    before = pixels(dataset, "train", 8).copy()
    [path] = builds
    content, written = bytearray(path.read_bytes()), path.stat().st_mtime_ns
    if damage == "changed":
        content[-100] ^= 1
    elif damage == "shorter":
        del content[-100:]
    elif damage == "longer":
        content += b"more"
    else:
        path.with_suffix(".json").write_text('{"bytes": 1')
    path.write_bytes(content)
    if damage == "shorter":  # by a copy that kept the time
        os.utime(path, ns=(written, written))
    np.testing.assert_array_equal(pixels(dataset, "train", 8), before)
    assert len(builds) == 2


@pytest.mark.parametrize("damage", ["one bit", "two words", "two rows"])
def test_rot_that_leaves_size_and_time_is_found_before_a_sweep(
    damage: str, dataset: Dataset, builds: list[Path]
) -> None:
    decode_ahead(dataset, 64, augmented=False)
    path = next(path for path in builds if "-train-" in path.name)
    before, written = path.read_bytes(), path.stat().st_mtime_ns
    content = bytearray(before)
    length = {"one bit": 1, "two words": 8, "two rows": 1 << 16}[damage]
    start = 1 << 16  # where a row of those that are summed begins
    middle, end = start + length, start + 2 * length
    first, second = content[start:middle], content[middle:end]
    assert first != second
    content[start:end] = second + first
    if damage == "one bit":
        content = bytearray(before)
        content[-1000] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(written, written))
    decode_ahead(dataset, 64, augmented=False)
    assert len(builds) == 3  # train, test, and train again
    assert path.read_bytes() == before


def test_pixels_that_were_only_touched_are_kept(dataset: Dataset, builds: list[Path]) -> None:
    pixels(dataset, "train", 8)
    [path] = builds
    os.utime(path, ns=(1, 1))
    pixels(dataset, "train", 8)
    assert len(builds) == 1
    assert json.loads(path.with_suffix(".json").read_text())["mtime_ns"] == 1


def test_a_killed_builder_leaves_nothing_half_valid(dataset: Dataset, builds: list[Path]) -> None:
    script = """
import os, signal, sys
from pathlib import Path
import cnnlib.pixels.pixels
from cnnlib.photos.dataset import read_folder
decode = cnnlib.pixels.pixels.decode
def last_words(file, *rest):
    if file.name == "009.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(file, *rest)
cnnlib.pixels.pixels.decode = last_words
cnnlib.pixels.pixels.pixels(read_folder(Path(sys.argv[1])), "train", 8)
"""
    killed = subprocess.run([sys.executable, "-c", script, dataset.train_dir], check=False)
    assert killed.returncode == -9
    assert list((cache_folder() / "pixels").glob("*.part")), "it was killed while it wrote"
    whole = pixels(dataset, "train", 8)
    assert len(builds) == 1
    np.testing.assert_array_equal(whole[29], decode(dataset.train.files[29], 8))
    assert not list((cache_folder() / "pixels").glob("*.part"))


def test_a_killed_build_goes_on_where_it_was(
    dataset: Dataset, builds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three photographs a chunk, the note of them each time, killed at the tenth."""
    script = """
import os, signal, sys
from pathlib import Path
import cnnlib.pixels.pixels as module
from cnnlib.photos.dataset import read_folder
module.CHUNK, module.NOTED, module.cores = 3 * 3 * 8 * 8, -1.0, lambda: 1
decode, count = module.decode, []
def last_words(file, *rest):
    count.append(file)
    if len(count) == 10:
        while part.rows_done() < 9:
            pass
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(file, *rest)
module.decode = last_words
dataset = read_folder(Path(sys.argv[1]))
part = module.Part(module.place(dataset, "train", 8), (30, 8, 8, 3))
module.pixels(dataset, "train", 8)
"""
    killed = subprocess.run([sys.executable, "-c", script, dataset.train_dir], check=False)
    assert killed.returncode == -9
    decoded: list[Path] = []
    monkeypatch.setattr(
        cnnlib.pixels.pixels, "decode", lambda f, *rest: (decoded.append(f), decode(f, *rest))[1]
    )
    whole = pixels(dataset, "train", 8)
    assert sorted(decoded) == sorted(dataset.train.files[9:])
    np.testing.assert_array_equal(whole, [decode(file, 8) for file in dataset.train.files])
    left = {path.suffix for path in (cache_folder() / "pixels").iterdir()}
    assert left == {".npy", ".json", ".lock"}
    [path] = builds
    note, part = path.with_suffix(".rows"), path.with_suffix(".part")
    note.write_text('{"rows": 30}')  # of a part that is gone
    path.unlink()
    monkeypatch.setattr(cnnlib.pixels.pixels, "decode", _killed)
    with pytest.raises(KeyboardInterrupt):
        pixels(dataset, "train", 8)
    assert part.exists()
    assert not note.exists()


def _killed(*_: object) -> np.ndarray:
    raise KeyboardInterrupt


def test_what_cannot_be_decoded_is_named_after_a_kill_too(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn = photos / "train" / "blue" / "000.png"  # the first of all
    torn.write_bytes(torn.read_bytes()[:200])
    dataset = read_folder(photos / "train")
    monkeypatch.setattr(cnnlib.pixels.pixels, "CHUNK", 3 * 8 * 8)
    monkeypatch.setattr(cnnlib.pixels.pixels, "NOTED", -1.0)

    def killed(file: Path, *rest: object) -> np.ndarray:
        return _killed() if file.name == "009.png" else decode(file, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(cnnlib.pixels.pixels, "decode", killed)
        with pytest.raises(KeyboardInterrupt):
            pixels(dataset, "train", 8)
    with pytest.raises(ValueError, match=r"1 photograph cannot be decoded: .*blue/000\.png"):
        pixels(dataset, "train", 8)


def test_too_small_a_disk_is_named_before_anything_is_written(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(cache_folder())
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(OSError, match=r"to 8 px needs 0\.0 MB and .* has 0\.0 MB free.*CNNL"):
        pixels(dataset, "train", 8)
    assert not list((cache_folder() / "pixels").glob("*.npy"))


def test_a_disk_that_fills_up_meanwhile_raises_and_leaves_nothing(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="No space left"):
            pixels(dataset, "train", 8)
    assert not list((cache_folder() / "pixels").glob("*.part"))
    assert len(pixels(dataset, "train", 8)) == 30


def test_nothing_is_written_beside_the_photographs(photos: Path) -> None:
    for folder in [photos, *photos.rglob("*/")]:
        folder.chmod(0o555)
    before = {path: path.stat().st_mtime_ns for path in [photos, *photos.rglob("*")]}
    pixels(read_folder(photos / "train"), "train", 8)
    assert {path: path.stat().st_mtime_ns for path in [photos, *photos.rglob("*")]} == before


def test_random_crops_have_a_margin_of_an_eighth() -> None:
    assert [side_with_margin(size) for size in (32, 64, 224)] == [36, 72, 252]


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's smaps")
def test_a_second_process_shares_the_memory_of_the_first(dataset: Dataset) -> None:
    """Proportional set sizes: pages that two processes have mapped count half for each."""
    script = """
import sys
from pathlib import Path
from cnnlib.photos.dataset import read_folder
from cnnlib.pixels.pixels import pixels
array = pixels(read_folder(Path(sys.argv[1])), "train", 200)
array.sum()
print("ready", flush=True)
sys.stdin.readline()
own = False
for line in open("/proc/self/smaps"):
    if "-" in line.split(" ")[0]:
        own = line.rstrip().endswith(str(array.filename))
    elif own and line.startswith("Pss:"):
        print(int(line.split()[1]) * 1024 / array.nbytes)
"""
    command = [sys.executable, "-c", script, str(dataset.train_dir)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"  # type: ignore[union-attr]
    shares = []
    for process in processes:  # one at a time, while the other still has its pages
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        shares.append(float(process.stdout.readline()))  # type: ignore[union-attr]
    assert sum(shares) < 1.1
    assert min(shares) > 0.4
    for process in processes:
        process.communicate()


@pytest.mark.parametrize(
    ("asked", "sides"),
    [
        ({"augmented": True}, ["test-16px", "train-16px", "train-18px"]),
        ({"augmented": False}, ["test-16px", "train-16px"]),
        ({"augmented": False, "test": False}, ["train-16px"]),
    ],
)
def test_what_trials_will_ask_for_is_decoded_ahead(
    asked: dict, sides: list[str], dataset: Dataset, builds: list[Path]
) -> None:
    decode_ahead(dataset, 16, **asked)
    assert sorted("-".join(path.name.split("-")[1:3]) for path in builds) == sides
