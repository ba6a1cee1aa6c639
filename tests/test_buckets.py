import shutil
import zipfile
from pathlib import Path

import pytest

from cnnlib import traffic
from cnnlib.buckets import Bucket
from cnnlib.sources import find_dataset


def sent(folder: Path, bucket: str) -> None:
    there = Bucket(bucket)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            there.send(path, f"photos/{path.relative_to(folder).as_posix()}")


def test_photographs_in_a_bucket_are_fetched_once_and_again_when_changed(
    photos: Path, bucket: str, tmp_path: Path
) -> None:
    sent(photos, bucket)
    cache = tmp_path / "cache"
    traffic.since()
    found = find_dataset(f"{bucket}/photos", cache=cache)
    assert found.fingerprint == find_dataset(photos).fingerprint
    assert traffic.since() == {"fetched": sum(p.stat().st_size for p in found_files(photos))}
    find_dataset(f"{bucket}/photos/", cache=cache)
    assert traffic.since() == {}
    one = find_dataset(photos).train.files[0]
    Bucket(bucket).send(one, "photos/train/" + one.parent.name + "/another.png")
    assert len(find_dataset(f"{bucket}/photos", cache=cache).train.files) == (
        len(found.train.files) + 1
    )


def found_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_zip_file_in_a_bucket_is_unpacked(photos: Path, bucket: str, tmp_path: Path) -> None:
    path = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", photos))
    assert zipfile.is_zipfile(path)
    Bucket(bucket).send(path, "photos.zip")
    found = find_dataset(f"{bucket}/photos.zip", cache=tmp_path / "cache")
    assert found.fingerprint == find_dataset(photos).fingerprint
    Bucket(bucket).write("broken.zip", b"no zip")
    with pytest.raises(ValueError, match=r"/broken.zip: .* is not a complete zip file"):
        find_dataset(f"{bucket}/broken.zip", cache=tmp_path / "cache")


def test_what_is_not_in_the_bucket_is_a_line(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"data: there is nothing at {bucket}/photos"):
        find_dataset(f"{bucket}/photos", cache=tmp_path / "cache")
    with pytest.raises(ValueError, match="data: s4://x is no storage; give"):
        Bucket("s4://x", "data")


def test_a_fetch_that_breaks_leaves_nothing_that_looks_complete(
    photos: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent(photos, bucket)
    fetch, count = Bucket.fetch, 0

    def breaking(self: Bucket, name: str, path: Path) -> None:
        nonlocal count
        count += 1
        if count > 3:
            raise OSError("the network is gone")
        fetch(self, name, path)

    monkeypatch.setattr(Bucket, "fetch", breaking)
    with pytest.raises(OSError, match="photos cannot be fetched: the network is gone"):
        find_dataset(f"{bucket}/photos", cache=tmp_path / "cache")
    monkeypatch.setattr(Bucket, "fetch", fetch)
    found = find_dataset(f"{bucket}/photos", cache=tmp_path / "cache")
    assert found.fingerprint == find_dataset(photos).fingerprint
