"""Tests of cnnlib/photos/download.py."""

import os
import random
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests

from cnnlib.photos import download as module
from cnnlib.photos.download import download
from cnnlib.storage.files import exclusive
from cnnlib.system.surroundings import cache_folder
from tests.conftest import HANG

PAYLOAD = random.Random(0).randbytes(400_000)
NO_PAUSES = (0.0,) * 5


class Server(ThreadingHTTPServer):
    """Serves `payload` from the loopback, as badly as asked, and remembers what it was asked."""

    daemon_threads = True
    payload = PAYLOAD
    etag = '"one"'
    modified = ""
    with_ranges = True
    with_length = True
    wrong_start = False  # answers a range with another one
    retry_after: tuple[str, ...] = ()  # said with each of `statuses`
    statuses: tuple[int, ...] = ()  # answers to the first requests, in place of the payload
    break_after: tuple[int, ...] = ()  # bytes until the connection breaks, per request

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.ranges: list[str | None] = []  # asked for, per request
        self.sent: list[int] = []  # bytes, per request
        self.url = f"http://127.0.0.1:{self.server_port}/photos/nature.zip?x=1"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, number = self.server, len(self.server.sent)
        server.ranges.append(self.headers["Range"])
        server.sent.append(0)
        if number < len(server.statuses):
            self.send_response(server.statuses[number])
            if server.retry_after:
                self.send_header("Retry-After", server.retry_after[number])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = self.start_of_range()
        body = server.payload[start:]
        if start and not body:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.payload)}")
            self.end_headers()
            return
        self.send_head(start, len(body))
        limit = dict(enumerate(server.break_after)).get(number, len(body))
        server.sent[number] = len(body[:limit])  # before the client can have it all and look
        self.wfile.write(body[:limit])

    def start_of_range(self) -> int:
        asked = self.headers["Range"]
        version = self.headers["If-Range"] or ""
        unchanged = version in (self.server.etag, self.server.modified)
        weak = version.startswith("W/")
        if not asked or not self.server.with_ranges or not unchanged or weak:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def send_head(self, start: int, length: int) -> None:
        self.send_response(206 if start else 200)
        if start:
            total = len(self.server.payload)
            start -= self.server.wrong_start
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if self.server.with_length:
            self.send_header("Content-Length", str(length))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        if self.server.modified:
            self.send_header("Last-Modified", self.server.modified)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in cache.rglob("*.part*")]


def test_a_download_is_complete_named_after_the_url_and_leaves_nothing_else(
    server: Server, tmp_path: Path
) -> None:
    path = download(server.url, cache=tmp_path)
    assert path.read_bytes() == PAYLOAD
    assert path.parent == tmp_path / "downloads"
    assert path.name.endswith("-nature.zip")
    assert not leftovers(tmp_path)


def test_a_complete_download_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    assert download(server.url, cache=tmp_path) == download(server.url, cache=tmp_path)
    assert len(server.sent) == 1


def test_two_urls_of_one_name_are_two_downloads(server: Server, tmp_path: Path) -> None:
    assert download(server.url, cache=tmp_path) != download(server.url + "2", cache=tmp_path)


@pytest.mark.parametrize(
    ("etag", "modified"),
    [('"one"', ""), ("", "Mon, 01 Jan 2024 00:00:00 GMT"), ('W/"a"', "Mon, 01 Jan 2024 00:00:00")],
)
def test_a_broken_download_goes_on_from_the_bytes_that_are_there(
    server: Server, tmp_path: Path, etag: str, modified: str
) -> None:
    server.etag, server.modified = etag, modified
    server.break_after = (300_000,)
    path = download(server.url, cache=tmp_path, pauses=NO_PAUSES)
    assert path.read_bytes() == PAYLOAD
    assert server.ranges[0] is None
    start = int(str(server.ranges[1]).removeprefix("bytes=").removesuffix("-"))
    assert 200_000 < start <= 300_000
    assert server.sent == [300_000, len(PAYLOAD) - start]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.break_after = (100_000, 100_000)
    with pytest.raises(ConnectionError, match=r"^http.*: the connection broke 2 times, .* to go "):
        download(server.url, cache=tmp_path, pauses=(0.0,))
    assert download(server.url, cache=tmp_path).read_bytes() == PAYLOAD
    assert server.sent[2] < len(PAYLOAD) - 100_000


def test_five_broken_connections_are_survived_and_the_sixth_is_not(
    server: Server, tmp_path: Path
) -> None:
    assert len(module.RETRY_PAUSES) == 5
    server.break_after = (0,) * 5
    assert download(server.url, cache=tmp_path / "a", pauses=NO_PAUSES).exists()
    server.sent.clear()
    server.break_after = (0,) * 6
    with pytest.raises(ConnectionError, match="broke 6 times"):
        download(server.url, cache=tmp_path / "b", pauses=NO_PAUSES)


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.with_ranges = False
    server.break_after = (300_000,)
    path = download(server.url, cache=tmp_path, pauses=NO_PAUSES)
    assert path.read_bytes() == PAYLOAD
    assert server.sent == [300_000, len(PAYLOAD)]


def test_a_file_without_etag_and_date_is_sent_again(server: Server, tmp_path: Path) -> None:
    server.etag = ""
    server.break_after = (300_000,)
    assert download(server.url, cache=tmp_path, pauses=NO_PAUSES).read_bytes() == PAYLOAD
    assert server.ranges == [None, None]


def test_a_file_that_changed_on_the_server_is_not_mixed_with_the_old(
    server: Server, tmp_path: Path
) -> None:
    server.break_after = (300_000,)
    with pytest.raises(ConnectionError):
        download(server.url, cache=tmp_path, pauses=())
    server.payload, server.etag = PAYLOAD[::-1], '"two"'
    assert download(server.url, cache=tmp_path).read_bytes() == PAYLOAD[::-1]


def test_a_part_that_is_all_there_is_recognised(server: Server, tmp_path: Path) -> None:
    part_of(server, tmp_path).write_bytes(PAYLOAD)
    assert download(server.url, cache=tmp_path).read_bytes() == PAYLOAD
    assert server.ranges[-1] == f"bytes={len(PAYLOAD)}-"
    assert server.sent[-1] == 0


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    part_of(server, tmp_path).write_bytes(PAYLOAD + b"more")
    assert download(server.url, cache=tmp_path, pauses=NO_PAUSES).read_bytes() == PAYLOAD


def test_a_range_that_was_not_asked_for_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.wrong_start = True
    server.break_after = (300_000,)
    assert download(server.url, cache=tmp_path, pauses=NO_PAUSES).read_bytes() == PAYLOAD
    assert server.ranges[2] is None


def test_a_damaged_record_of_the_part_means_to_start_again(server: Server, tmp_path: Path) -> None:
    part = part_of(server, tmp_path)
    part.with_name(part.name + ".json").write_text('{"valid')
    assert download(server.url, cache=tmp_path).read_bytes() == PAYLOAD
    assert server.ranges[-1] is None


def part_of(server: Server, cache: Path) -> Path:
    """The part that a broken first download left."""
    server.break_after = (300_000,)
    with pytest.raises(ConnectionError):
        download(server.url, cache=cache, pauses=())
    return next((cache / "downloads").glob("*.part"))


def test_a_short_body_without_a_length_is_taken_as_the_server_ends_it(
    server: Server, tmp_path: Path
) -> None:
    server.with_length = False
    assert download(server.url, cache=tmp_path).read_bytes() == PAYLOAD


def test_a_short_file_is_found_by_its_size(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = requests.Response.iter_content
    monkeypatch.setattr(requests.Response, "iter_content", lambda *a: list(chunks(*a))[:-1])
    with pytest.raises(ConnectionError, match="last by: 393,216 of 400,000 bytes came; run the"):
        download(server.url, cache=tmp_path, pauses=())


@pytest.mark.parametrize("status", [403, 404])
def test_a_wrong_address_is_one_line_and_not_tried_again(
    server: Server, tmp_path: Path, status: int
) -> None:
    server.statuses = (status,)
    with pytest.raises(ValueError, match=rf"^http.*nature.zip\?x=1: HTTP {status} .*; check the"):
        download(server.url, cache=tmp_path, pauses=NO_PAUSES)
    assert len(server.sent) == 1


def test_a_busy_server_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.statuses = (503, 500, 429, 408)
    assert download(server.url, cache=tmp_path, pauses=NO_PAUSES).read_bytes() == PAYLOAD


def test_a_server_that_says_when_to_come_again_is_waited_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    server.statuses = (429, 429, 503)
    server.retry_after = ("7", "86400", "Fri, 31 Dec 1999 23:59:59 GMT")
    assert download(server.url, cache=tmp_path).read_bytes() == PAYLOAD
    assert waited == [7, 60, module.RETRY_PAUSES[2]]


def test_two_at_once_download_once(server: Server, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: download(server.url, cache=tmp_path), range(2))
    assert first == second
    assert len(server.sent) == 1


def test_no_progress_bar_without_a_terminal(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download(server.url, cache=tmp_path)
    assert capsys.readouterr() == ("", "")


def test_a_download_needs_room(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_disk(monkeypatch)
    with pytest.raises(OSError, match=r"needs 0.4 MB and .* has 0.0 MB free; make room or set CNN"):
        download(server.url, cache=tmp_path)


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(free=10))


def run_python(script: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=HANG)


def test_the_lock_keeps_other_processes_out_until_it_is_left(tmp_path: Path) -> None:
    script = (
        "import fcntl, sys\n"
        "fcntl.flock(open(sys.argv[1] + '.lock', 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    )
    path = tmp_path / "new" / "thing"
    with exclusive(path):
        assert "BlockingIOError" in run_python(script, path).stderr
    assert run_python(script, path).returncode == 0


def test_the_lock_is_left_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exclusive(tmp_path / "thing"):
        raise KeyError
    with exclusive(tmp_path / "thing"):
        pass


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"CNNLIB_CACHE": "{}/own", "XDG_CACHE_HOME": "{}/xdg"}, "own"),
        ({"CNNLIB_CACHE": "~/own"}, "home/own"),
        ({"XDG_CACHE_HOME": "{}/xdg"}, "xdg/cnnlib"),
        ({"CNNLIB_CACHE": "", "XDG_CACHE_HOME": ""}, "home/.cache/cnnlib"),
        ({}, "home/.cache/cnnlib"),
    ],
)
def test_the_cache_folder_is_where_the_user_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], expected: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CNNLIB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    assert cache_folder() == tmp_path / expected
    assert cache_folder().is_dir()


def test_a_cache_folder_that_cannot_be_made_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CNNLIB_CACHE", os.path.join(tmp_path, "file", "cache"))
    with pytest.raises(OSError, match=r"^the cache folder .* cannot be made: .*; set CNNLIB_CACHE"):
        cache_folder()
