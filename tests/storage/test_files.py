import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.reading.shapes import read_mapping
from analysis.statistics.claims import read_claims
from cnnlib.journal.events import read_events
from cnnlib.search.reference import read_reference
from cnnlib.search.sweep_file import read_sweep_file
from cnnlib.storage.csv_file import read_table
from cnnlib.storage.files import digest, refuse_special
from cnnlib.storage.folder_lock import read_lock
from cnnlib.storage.json_file import read_json
from cnnlib.storage.training_files import epoch_of
from jobs.train import configuration

READERS: dict[str, Callable[[Path], Any]] = {
    "--sweep": read_sweep_file,
    "--claims": read_claims,
    "--config": lambda path: configuration(str(path), []),
    "--reference": lambda path: read_reference(path, {}, 224),
    "a table": read_table,
    "the digest of weights": digest,
    "the epoch of weights": epoch_of,
    "JSON": read_json,
    "a lock": read_lock,
    "settings": lambda path: read_mapping(path, {}),
}


@pytest.fixture(params=["a pipe", "a socket", "a device"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """What is there under a name and is no file: who opens a pipe waits for its other end."""
    path = tmp_path / "mine"
    if request.param == "a pipe":
        os.mkfifo(path)
    elif request.param == "a device":
        path.symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        if request.param == "a socket":
            listener.bind(str(path))
        yield path


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_a_line_and_never_waited_for(reader: str, special: Path) -> None:
    with pytest.raises(OSError, match=r"mine is a pipe, a socket or a device; give a file$"):
        READERS[reader](special)


def test_a_pipe_among_the_journals_segments_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    os.mkfifo(tmp_path / "journal" / "000001.jsonl")
    with pytest.raises(OSError, match=r"000001\.jsonl is a pipe"):
        list(read_events(tmp_path))


def test_files_folders_and_nothing_are_no_matter(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in (".", "file", "link", "nothing"):
        refuse_special(tmp_path / name)
