from pathlib import Path

import pytest

from cnnlib.checkpoints import BEST, LAST, largest, prune, replaced
from cnnlib.config import TrialConfig
from cnnlib.space import Choice, Interval, Space
from tests.test_trial import broken_rows, task

SPACE: Space = {
    "first_layer_filters": Choice((16, 32)),
    "conv_layers": Interval(1, 2, step=1),
    "num_neurons_dense": Choice((64,)),
    "learning_rate": Interval(1e-4, 1e-2, log=True),
}


def test_the_bound_holds_for_the_largest_configuration(photos: Path, tmp_path: Path) -> None:
    trial, best = largest(SPACE, num_classes=3, image_size=8)
    config = TrialConfig(
        first_layer_filters=32, conv_layers=1, num_neurons_dense=64, filter_org=1.0
    )  # one pooling leaves the dense layer more than two do
    broken_rows(config, task(photos, max_epochs=1), tmp_path)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir() if path.is_file()}
    header = 20_000  # names and shapes, which weigh little beside real weights
    assert best <= sizes[BEST] <= best + header
    assert 3 * best - header <= sizes[LAST] <= 3 * best + header
    assert trial == best + 2 * 3 * best


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
