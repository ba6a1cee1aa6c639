"""What all tests share: a cache of their own, and a small set of photographs."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Small matrices on two threads take the time of two cores and no less of the clock's: a thread that
# has nothing to do waits by spinning. Before NumPy and torch.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # trials of tests wait for no other tests

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

# What a script starts with & hears no Ctrl-C, nor does what it starts itself; tests send it one.
signal.signal(signal.SIGINT, signal.default_int_handler)

HANG = 400.0
"""Seconds after which something hangs, and is not merely slow: the only limit of any wait."""


def wait_until(condition: Callable[[], Any], process: "subprocess.Popen[Any] | None" = None) -> Any:
    """What the condition is when it is true, which takes as long as it takes.

    Raises AssertionError where the process from which it is to come has ended before.
    """
    end = time.monotonic() + HANG
    while True:
        has_ended = process is not None and process.poll() is not None
        if found := condition():
            return found
        assert not has_ended, "the process has ended before"
        assert time.monotonic() < end, f"nothing for {HANG:g} s"
        time.sleep(0.02)


# What numba compiles takes half a minute, so it stays between runs.
COMPILED = Path(__file__).parent.parent / ".pytest_cache" / "numba"
COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 40)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, or one worker has them all to itself at the end."""
    items.sort(key=lambda item: ("e2e" not in item.path.parts, item.path.name != "test_sweep.py"))


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache folder of this test run; the user's is never touched."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLIB_CACHE", str(folder))
        patch.setenv("NUMBA_CACHE_DIR", str(COMPILED))
        yield folder


def write_photos(folder: Path, *, train: int = 10, test: int = 3, size: int = 16) -> Path:
    """Noisy photographs of one colour a class in the study's layout; returns `folder`."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", test)):
        for name, colour in COLOURS.items():
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                noise = rng.normal(0, 25, (size, size, 3))
                pixels = (np.array(colour) + noise).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{index:03d}.png")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with 30 photographs to train on and 9 to test with, in 3 classes."""
    return write_photos(tmp_path / "photos")


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A storage like a bucket, whose files are those of the folder tmp_path/there."""
    from pyarrow import fs

    def connected(url: str) -> tuple[fs.FileSystem, str]:
        return fs.LocalFileSystem(), str(tmp_path / url.removeprefix("s3://"))

    monkeypatch.setattr("cnnlib.storage.buckets.connected", connected)
    return "s3://there"


@pytest.fixture
def server() -> Iterator["ThreadedMotoServer"]:
    """An S3 server on loopback, which can be stopped and started again."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, server._port = server.get_host_and_port()  # the same when it is started again
    yield server
    server.stop()


@pytest.fixture
def bucket(server: "ThreadedMotoServer", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A place of its own in a bucket of the S3 server."""
    import requests

    host, port = server.get_host_and_port()
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", f"http://{host}:{port}"),
    ):
        monkeypatch.setenv(name, value)
    requests.put(f"http://{host}:{port}/bucket", timeout=10).raise_for_status()
    return f"s3://bucket/{tmp_path.name}"
