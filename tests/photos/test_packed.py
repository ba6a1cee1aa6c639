"""Tests of cnnlib/photos/packed.py: Parquet with images, tar shards, and objects."""

import io
import json
import random
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cnnlib.photos.packed import object_table, shards
from cnnlib.photos.sources import find_dataset

KINDS = ("elm", "oak")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path


def picture(number: int) -> Image.Image:
    return Image.new("RGB", (4, 4), tuple(random.Random(number).randbytes(3)))


def png(number: int) -> bytes:
    file = io.BytesIO()
    picture(number).save(file, "PNG")
    return file.getvalue()


def write_parquet(path: Path, numbers: range, *, named: bool = True, **columns: Any) -> None:
    """As `datasets` writes an image folder."""
    images = [{"bytes": png(n), "path": f"{n}.png"} for n in numbers]
    table = pa.table({"image": images, "label": [n % 2 for n in numbers], **columns})
    features = {"image": {"_type": "Image"}, "label": {"names": KINDS, "_type": "ClassLabel"}}
    metadata = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata if named else None), path)


def write_shard(path: Path, samples: dict[str, dict[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for key, sample in samples.items():
            for suffix, content in sample.items():
                entry = tarfile.TarInfo(f"{key}.{suffix}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


def refusal(data: str) -> str:
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        find_dataset(data)
    text = str(error.value)
    assert "\n" not in text
    return text


def contents(part: Any) -> dict[bytes, int]:
    return {path.read_bytes(): label for path, label in zip(part.files, part.labels, strict=True)}


def test_parquet_files_of_a_folder_are_its_sets_with_the_names_of_classes(here: Path) -> None:
    write_parquet(here / "trees" / "data" / "train-00000-of-00002.parquet", range(10))
    write_parquet(here / "trees" / "data" / "train-00001-of-00002.parquet", range(10, 20))
    write_parquet(here / "trees" / "data" / "test-00000-of-00001.parquet", range(20, 24))
    found = find_dataset("trees")
    assert found.classes == KINDS
    assert contents(found.train) == {png(n): n % 2 for n in range(20)}
    assert found.test and contents(found.test) == {png(n): n % 2 for n in range(20, 24)}
    assert find_dataset("trees").fingerprint == found.fingerprint


def test_one_parquet_file_with_a_column_of_sets(here: Path) -> None:
    sets = ["train"] * 16 + ["test"] * 4
    write_parquet(here / "trees.parquet", range(20), named=False, split=sets)
    found = find_dataset("trees.parquet")
    assert found.classes == ("0", "1") and found.test and len(found.test.files) == 4


def test_parquet_that_holds_paths_in_place_of_images_is_refused(here: Path) -> None:
    images = [{"bytes": None, "path": f"{n}.png"} for n in range(4)]
    kinds = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(images, kinds), "label": [0, 1, 0, 1]}), "t.parquet")
    assert "row 0 holds no image but the path of one" in refusal("t.parquet")


def test_a_file_that_is_no_parquet_is_refused(here: Path) -> None:
    Path("t.parquet").write_bytes(b"PAR1 and no more")
    assert "t.parquet is no Parquet file" in refusal("t.parquet")


def test_shards_are_read_together_and_unpacked_once(here: Path) -> None:
    for shard in range(3):
        numbers = range(10 * shard, 10 * shard + 10)
        samples = {f"{n:05}": {"png": png(n), "cls": str(n % 2).encode()} for n in numbers}
        write_shard(here / f"trees-{shard:03}.tar", samples)
    found = find_dataset("trees-{000..002}.tar")
    assert contents(found.train) == {png(n): n % 2 for n in range(30)}
    folders = list((here / "cache" / "unpacked").iterdir())
    assert find_dataset("trees-{000..002}.tar") == found
    assert list((here / "cache" / "unpacked").iterdir()) == folders
    assert "1 of 4 shards do not exist (trees-003.tar)" in refusal("trees-{000..003}.tar")


@pytest.mark.parametrize(
    ("suffix", "content"),
    [("json", b'{"label": "oak"}'), ("cls", b"oak\n"), ("txt", b"oak")],
)
def test_a_label_stands_in_any_of_the_usual_files(here: Path, suffix: str, content: bytes) -> None:
    samples = {f"a/{n}": {"png": png(n), suffix: content} for n in range(4)}
    samples |= {f"b/{n}": {"png": png(n), suffix: content.replace(b"oak", b"elm")} for n in (8, 9)}
    write_shard(here / "t.tar", samples)
    assert find_dataset("t.tar").classes == KINDS


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ({"png": b"x"}, "the sample 1 has no label"),
        ({"cls": b"1"}, "the sample 1 has no image"),
        ({"v1.png": b"x", "v2.png": b"y", "cls": b"1"}, "names may hold one dot"),
        ({"png": b"x", "json": b"[]"}, "the sample 1 has no label"),
    ],
)
def test_a_sample_without_image_or_label_is_named(here: Path, sample: Any, said: str) -> None:
    write_shard(here / "t.tar", {"0": {"png": png(0), "cls": b"0"}, "1": sample})
    assert said in refusal("t.tar")
    assert not list((here / "cache" / "unpacked").glob("*/labels.csv"))


def test_a_torn_shard_is_refused_and_leaves_nothing(here: Path) -> None:
    write_shard(here / "t.tar", {str(n): {"png": png(n), "cls": b"0"} for n in range(4)})
    whole = Path("t.tar").read_bytes()
    Path("t.tar").write_bytes(whole[: 3 * 512 + 40])
    assert "t.tar" in refusal("t.tar")
    assert not list((here / "cache" / "unpacked").glob("*/labels.csv"))


def test_names_of_shards() -> None:
    assert shards("s3://b/p-{08..11}.tar") == [f"s3://b/p-{n}.tar" for n in ("08", "09", 10, 11)]
    with pytest.raises(ValueError, match="no range of shards"):
        shards("p-{5..1}.tar")


class Pairs(list):
    classes = KINDS


def test_objects_of_pictures_arrays_and_tensors_are_the_same_photographs(here: Path) -> None:
    import torch

    arrays = [np.asarray(picture(n)) for n in range(8)]
    forms: list[Any] = [
        Pairs((picture(n), n % 2) for n in range(8)),
        Pairs((array, n % 2) for n, array in enumerate(arrays)),
        Pairs((torch.tensor(a).permute(2, 0, 1) / 255, n % 2) for n, a in enumerate(arrays)),
        Pairs({"image": picture(n), "label": KINDS[n % 2]} for n in range(8)),
    ]
    tables = {object_table(form, here / "cache") for form in forms}
    assert len(tables) == 1
    found = find_dataset(str(tables.pop()))
    assert found.classes == KINDS and len(found.train.files) == 8


def test_a_dictionary_of_objects_has_a_test_set(here: Path) -> None:
    data = {
        s: Pairs((picture(n), n % 2) for n in r)
        for s, r in (("train", range(8)), ("test", range(8, 12)))
    }
    found = find_dataset(str(object_table(data, here / "cache")))
    assert found.test and len(found.test.files) == 4


def test_an_object_that_was_normalised_is_refused(here: Path) -> None:
    data = Pairs([(np.full((3, 4, 4), -1.5), 0)])
    with pytest.raises(ValueError, match="without the transform that normalises"):
        object_table(data, here / "cache")
