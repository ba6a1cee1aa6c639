"""A sweep's copy in a bucket: whether there is one, and how it comes here, whole or not at all."""

import hashlib
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path
from typing import Any

from cnnlib.journal.events import read_events, segments, whole_lines
from cnnlib.storage.buckets import AT_ONCE, Bucket, below
from cnnlib.storage.files import check_space, exclusive, sync
from cnnlib.storage.folder_lock import (
    NAME,
    LockedError,
    is_alive,
    is_locked,
    parsed_lock,
    read_lock,
    refused,
    same,
)
from cnnlib.system.redaction import without_secrets
from cnnlib.system.surroundings import cache_folder

PROBE = ".cnnlib-probe"
LATER = ("trials.csv", "checkpoints/", "champion/")  # what no sweep has before it has a journal

Lines = Mapping[str, bytes]  # a journal: the whole lines of each segment by its name


class StoredSweep:
    """The copy of a sweep's folder at `<url>/<name of the folder>`."""

    def __init__(self, url: str, folder: Path, *, nodes: bool = False) -> None:
        """`url` is s3://bucket/path or gs://bucket/path; AWS_ENDPOINT_URL names another server.

        With `nodes`, trials run on several machines, which keep their checkpoints there themselves.
        Raises ValueError or OSError where it is none.
        """
        self.parent = url
        place = below(url, folder.name)
        self.url = without_secrets(place)  # as it may be told
        self.machines_url = place if nodes else None  # where machines keep what they train
        self._folder = folder
        self._bucket = Bucket(place)
        self._lock: dict[str, Any] | None = None  # there, as it was last sent or fetched

    def exists(self) -> bool:
        """Whether the storage holds a sweep of this name: an event of it at least."""
        names = (name for name in self._bucket.files("journal") if name.endswith(".jsonl"))
        return any(whole_lines(self._bucket.content(name)) for name in names)

    def try_out(self) -> None:
        """Writes a small file and deletes it again; OSError where the storage refuses."""
        self._bucket.write(PROBE, b"written by --plan, and to be deleted\n")
        self._bucket.delete(PROBE)

    def fetch(self) -> None:
        """Makes the folder here what the storage holds, where that is ahead of it.

        Nothing that is only here is lost. Raises LockedError where a driver on another machine is
        at work, ValueError where both have gone on.
        """
        files = self._bucket.files()
        if NAME in files:
            self._lock = parsed_lock(self._bucket.content(NAME), f"{self.url}/{NAME}")
            if refusal := refused(self.url, self._lock, held=self._is_held(self._lock)):
                raise LockedError(refusal)
        names = [name for name in files if name.startswith("journal/") and name.endswith(".jsonl")]
        there = {name: whole_lines(self._bucket.content(name)) for name in names}
        here = self._journal()
        wanted = [n for n in files if n not in (NAME, PROBE) and not self._of_machines(n)]
        if not there:
            if not here and (later := [n for n in files if n.startswith(LATER)]):
                missing = f"{self.url}/journal/000001*.jsonl"
                raise ValueError(f"--resume: {missing} is missing, but {later[0]} is there")
            return
        if _begins(here, there):
            wanted = [n for n in wanted if n not in there and not (self._folder / n).exists()]
        elif not _begins(there, here):
            raise ValueError(
                f"--resume: {self._folder} and {self.url} have both gone on: {_count(here)} events "
                f"here, {_count(there)} there, {_count(_common(here, there))} in both. Nothing is "
                f"overwritten: move {self._folder} away to go on with what is there, or give "
                "another --storage to go on with what is here"
            )
        if wanted:
            self._bring({name: files[name] for name in wanted})

    def _journal(self) -> Lines:
        """The journal here."""
        found = segments(self._folder / "journal")
        return {self._name(path): whole_lines(path.read_bytes()) for path in found}

    def _bring(self, sizes: Mapping[str, int]) -> None:
        """Copies these files here: all of them, or none where that fails or ends before.

        The journal comes last, so that what is interrupted then is done again.
        """
        part = self._folder.with_name(f".{self._folder.name}.part")
        waiting = hashlib.blake2b(str(part).encode(), digest_size=8).hexdigest()
        with exclusive(cache_folder() / "fetches" / waiting):
            shutil.rmtree(part, ignore_errors=True)  # of one who was killed
            try:
                self._fetch_into(part, sizes)
                if is_locked(self._folder):
                    here = read_lock(self._folder / NAME)
                    raise LockedError(str(refused(self._folder, here, held=True)))
                for name in sorted(sizes, key=lambda name: (name.startswith("journal/"), name)):
                    sync(part / name)
                    (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (part / name).replace(self._folder / name)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def _fetch_into(self, part: Path, sizes: Mapping[str, int]) -> None:
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        check_space(self.url, self._folder.parent, sum(sizes.values()))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda name: self._bucket.fetch(name, part / name), sizes))
        for name, size in sizes.items():
            if (there := (part / name).stat().st_size) < size:
                raise OSError(f"{self.url}/{name} has {there:,} bytes and had {size:,}; try again")
        try:
            for _ in read_events(part):
                pass
        except ValueError as error:
            raise ValueError(str(error).replace(str(part), self.url)) from None

    def _is_held(self, there: dict[str, Any] | None) -> bool:
        """Whether a driver that has shown signs of life works in another folder than ours."""
        is_ours = same(there, read_lock(self._folder / NAME))
        return there is not None and is_alive(there) and not is_ours

    def _of_machines(self, name: str) -> bool:
        """Whether a file is a training's, on a cluster."""
        return self.machines_url is not None and name.startswith(("checkpoints/", "finals/"))

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()


def _begins(journal: Lines, beginning: Lines) -> bool:
    """Whether one journal holds all that another holds."""
    return all(
        journal.get(name, b"").startswith(lines) for name, lines in beginning.items() if lines
    )


def _common(one: Lines, other: Lines) -> Lines:
    """What two journals hold both."""
    both = {}
    for name, lines in one.items():
        pairs = zip(lines.splitlines(True), other.get(name, b"").splitlines(True), strict=False)
        both[name] = b"".join(ours for ours, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return both


def _count(journal: Lines) -> int:
    return sum(lines.count(b"\n") for lines in journal.values())
