import random
import shutil
import signal
import socket
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from pyarrow import fs

from cnnlib.journal.mirror import Mirror
from cnnlib.photos.sources import find_dataset
from cnnlib.storage import traffic
from cnnlib.storage.buckets import GIVING_UP, TIMEOUTS, Bucket, RemoteFolder, below, connected
from cnnlib.system.progress import Progress


def put(url: str) -> None:
    """Makes an object of a key that pyarrow itself would not write."""
    name, _, key = url.removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=name, Key=key, Body=b"1")


def sent(folder: Path, bucket: str) -> None:
    there = Bucket(bucket)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            there.send(path, f"photos/{path.relative_to(folder).as_posix()}")


def test_a_file_that_is_cut_while_it_is_sent_is_sent_as_it_is_then(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process that is killed, or begins a file anew, cuts one. A map of it would end us."""
    path, there = tmp_path / "file", Bucket(disk)
    path.write_bytes(bytes(3 << 20))
    opened = there._remote.open_output_stream

    class Cutting:
        def __getattr__(self, name: str) -> Any:
            return getattr(fs.LocalFileSystem(), name)

        def open_output_stream(self, place: str) -> Any:
            path.write_bytes(b"anew")
            return opened(place)

    monkeypatch.setattr(there, "_remote", Cutting())
    traffic.since()
    there.send(path, "copy")
    assert (tmp_path / "there" / "copy").read_bytes() == b"anew"
    assert traffic.since() == {"sent": 4}


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (5 << 20) + 3])
def test_a_file_arrives_as_it_is_whatever_its_size(size: int, bucket: str, tmp_path: Path) -> None:
    content = bytes(random.Random(size).randbytes(size))
    (tmp_path / "file").write_bytes(content)
    traffic.since()
    Bucket(bucket).send(tmp_path / "file", "folder/copy")
    assert Bucket(bucket).content("folder/copy") == content
    assert traffic.since().get("sent", 0) == size


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


def test_a_query_of_the_url_stays_at_its_end(photos: Path, bucket: str, tmp_path: Path) -> None:
    sent(photos, bucket)
    for url in (f"{bucket}/photos?region=us-east-1", f"{bucket}/photos/?region=us-east-1"):
        found = find_dataset(url, cache=tmp_path / "cache")
        assert found.fingerprint == find_dataset(photos).fingerprint
    assert len([*(tmp_path / "cache" / "downloads").glob("*-photos")]) == 1
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "trials.csv").write_text("trial_id")
    for url in (f"{bucket}/a?region=us-east-1", f"{bucket}/b/?region=us-east-1"):
        assert Mirror(url, tmp_path / "sweep").close() is None
        RemoteFolder(below(url, "sweep")).fetch(tmp_path / "back")
    assert {"a/sweep/trials.csv", "b/sweep/trials.csv"} <= Bucket(bucket).files().keys()
    assert (tmp_path / "back" / "trials.csv").read_text() == "trial_id"
    assert below("s3://b/x/?region=y", "z/w") == "s3://b/x/z/w?region=y"


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


@pytest.mark.parametrize(
    "url", ["file:///tmp/x", "mock://x", "hdfs://x/y", "/tmp/x", "S3://x", "s3:/x/y"]
)
def test_only_two_schemes_are_storage(url: str) -> None:
    with pytest.raises(ValueError, match=f"^--storage: {url} is no storage; give a folder, s3://"):
        Bucket(url)


def test_names_that_lead_out_of_the_folder_are_refused_for_photographs(
    bucket: str, photos: Path, tmp_path: Path
) -> None:
    sent(photos, bucket)
    put(f"{bucket}/photos/train/../../evil.png")
    with pytest.raises(ValueError, match=r"photos holds a file named .*evil.png'; do not trust"):
        find_dataset(f"{bucket}/photos", cache=tmp_path / "cache")
    assert not list(tmp_path.rglob("evil.png"))


def test_a_file_that_is_fetched_halfway_is_as_it_was(
    disk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Bucket(disk)
    there.write("a", b"new" * 1_000_000)
    (tmp_path / "a").write_bytes(b"old")
    with monkeypatch.context() as patch:

        def breaking(progress: Progress, number: int = 1) -> None:
            raise OSError("the network is gone")

        patch.setattr(Progress, "update", breaking)
        with pytest.raises(OSError, match="the network is gone"):
            there.fetch("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "there"}
    there.fetch("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new" * 1_000_000


def test_who_is_interrupted_while_he_sends_has_sent_all(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"new" * 4_000_000)
    there = Bucket(bucket)
    there.write("a", b"old")
    write, main_thread = Bucket._write, threading.get_ident()

    def interrupted(self: Bucket, name: str, content: Any) -> None:
        signal.pthread_kill(main_thread, signal.SIGINT)
        write(self, name, content)

    monkeypatch.setattr(Bucket, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        there.send(tmp_path / "a", "a")
    until = time.monotonic() + 60
    while there.content("a") == b"old" and time.monotonic() < until:
        time.sleep(0.05)
    assert there.content("a") == b"new" * 4_000_000


def test_a_folder_that_comes_while_it_is_listed_is_listed_again(
    disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Bucket(disk)
    there.write("a/b", b"1")
    remote, failing = there._remote, iter(range(2))

    class Racing:
        def get_file_info(self, selector: Any) -> Any:
            if next(failing, None) is not None:
                raise FileNotFoundError("a/.")
            return remote.get_file_info(selector)

    monkeypatch.setattr(there, "_remote", Racing())
    assert there.files() == {"a/b": 1}


def test_a_server_that_takes_connections_and_is_silent_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "cnnlib.storage.buckets.TIMEOUTS", {"connect_timeout": 1.0, "request_timeout": 1.0}
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        with pytest.raises(OSError, match=r"^s3://bucket/x does not answer$"):
            Bucket("s3://KEY:SECRET@bucket/x").files()


@pytest.mark.parametrize(
    ("url", "patience"),
    [
        ("s3://bucket/x?region=us-east-1", TIMEOUTS),
        ("gs://anonymous@bucket/x", {"retry_time_limit": GIVING_UP}),
    ],
)
def test_how_long_a_silent_storage_is_waited_for_is_ours_to_say(
    url: str, patience: dict[str, Any]
) -> None:
    remote, _ = connected(url)
    _, (options,) = remote.__reduce__()
    assert patience.items() <= options.items()
