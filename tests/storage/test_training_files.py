import os
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from cnnlib.networks.cnn.family import TrialConfig
from cnnlib.networks.values import Choice, Interval, Space
from cnnlib.planning.cost import largest
from cnnlib.storage.files import replaced
from cnnlib.storage.training_files import BEST, LAST, OtherEpochError, check_epoch, epoch_of, prune
from tests.training.test_trial import broken_rows, task

SPACE: Space = {
    "first_layer_filters": Choice((16, 32)),
    "conv_layers": Interval(1, 2, step=1),
    "num_neurons_dense": Choice((64,)),
    "learning_rate": Interval(1e-4, 1e-2, log=True),
}


@pytest.mark.parametrize(
    ("more", "copies"),
    [
        ({}, 3),
        ({"kernel_size": Choice((3, 7)), "head": Choice(("gap", "flatten"))}, 3),
        ({"kernel_size": Choice((5,)), "head": Choice(("gap",))}, 3),
        ({"ema": Choice((0.0, 0.9))}, 4),
        ({"ema": Choice((0.0,))}, 3),
    ],
)
def test_the_bound_holds_for_the_largest_configuration(
    more: Space, copies: int, photos: Path, tmp_path: Path
) -> None:
    trial, best = largest(SPACE | more, num_classes=3, image_size=8)
    recipe: dict[str, Any] = {name: values.values[-1] for name, values in more.items()}  # type: ignore[union-attr]
    layers = 2 if recipe.get("head") == "gap" or recipe.get("kernel_size") == 7 else 1
    config = TrialConfig(
        first_layer_filters=32, conv_layers=layers, num_neurons_dense=64, filter_org=1.0, **recipe
    )  # one pooling leaves the dense layer more than two do
    broken_rows(config, task(photos, max_epochs=1), tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir() if path.is_file()}
    header = 20_000  # names and shapes, which weigh little beside real weights
    assert best <= sizes[BEST] <= best + header
    assert copies * best - header <= sizes[LAST] <= copies * best + header
    last = (trial - best) // 2  # which is there twice while it is replaced
    assert last <= sizes[LAST] <= last + header


def test_the_bound_is_that_of_the_deepest_network_that_can_exist() -> None:
    deep = SPACE | {"conv_layers": Interval(1, 10, step=1), "filter_org": Choice((4.0,))}
    deepest = deep | {"conv_layers": Choice((3,))}
    assert largest(deep, 3, image_size=8) == largest(deepest, 3, image_size=8)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "file.pt"
    replaced(path, lambda part: part.write_text("old"))

    def fails(part: Path) -> None:
        part.write_text("half")
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        replaced(path, fails)
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["file.pt"]


def test_what_nothing_needs_is_deleted_with_its_folder(tmp_path: Path) -> None:
    prune(tmp_path / "none", lambda *_: False)
    for trial in ("0001", "0002", "0003"):
        for name in (BEST, LAST):
            replaced(tmp_path / trial / name, Path.touch)
    prune(tmp_path, lambda trial, name: trial == "0001" or (trial, name) == ("0002", BEST))
    kept = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert kept == ["0001", f"0001/{BEST}", f"0001/{LAST}", "0002", f"0002/{BEST}"]


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said, fsync, rename = list[str](), os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        said.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        said.append("name")
        return rename(self, target)

    monkeypatch.setattr("os.fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    replaced(tmp_path / "file.pt", lambda part: part.write_text("new"))
    assert said == ["file", "name", "folder"]


@pytest.mark.parametrize("content", [b"", b"no weights", b"\x10\0\0\0\0\0\0\0{}", b"torn"])
def test_torn_weights_are_a_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / BEST
    with pytest.raises(FileNotFoundError):
        epoch_of(path)
    path.write_bytes(content)
    if content == b"torn":
        save_file({"w": np.zeros(100)}, path, {"epoch": "3"})
        check_epoch(path, 3)
        with pytest.raises(
            OtherEpochError, match="holds the weights of epoch 3, but the best epoch was 4"
        ):
            check_epoch(path, 4)
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match=f"{path} is torn or holds no weights: "):
        check_epoch(path, 3)


def test_weights_of_older_versions_are_taken_as_they_are(tmp_path: Path) -> None:
    save_file({"w": np.zeros(2)}, tmp_path / BEST)
    assert epoch_of(tmp_path / BEST) is None
    check_epoch(tmp_path / BEST, 3)


def test_what_is_not_a_trainings_stays(tmp_path: Path) -> None:
    for name in ("0001/mine.txt", "0001/.ab.part", f"0001/{LAST}", "note", f"a/b/{LAST}"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "0002" / BEST).mkdir(parents=True)  # a folder of this name
    prune(tmp_path, lambda *_: False)
    left = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["0001/mine.txt", f"a/b/{LAST}", "note"]


@pytest.mark.parametrize("goes", ["the folder", "a trial's folder", "a file"])
def test_what_goes_while_it_is_pruned_is_no_trouble(
    goes: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker, or the driver, deletes it meanwhile."""
    for trial in ("0001", "0002"):
        replaced(tmp_path / "checkpoints" / trial / BEST, Path.touch)
    folder = tmp_path / "checkpoints"
    listed = os.listdir
    gone = {"the folder": folder, "a trial's folder": folder / "0001", "a file": folder / "0001"}

    def list_late(place: Path) -> list[str]:
        names = listed(place) if goes == "a file" else []
        if Path(place) == gone[goes]:
            shutil.rmtree(place)
        return names or listed(place)

    monkeypatch.setattr("os.listdir", list_late)
    prune(folder, lambda *_: False)
    monkeypatch.undo()
    assert not list(tmp_path.rglob(BEST))
