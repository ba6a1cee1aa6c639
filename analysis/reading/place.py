"""Where a sweep lies and where its report goes: a folder on this disk, or one in a bucket."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Folders of a sweep that its report is not made of, gigabytes of weights among them.
NOT_FETCHED = ("checkpoints", "finals", "wandb", "report", "comparison", ".pixels")
NOT_SENT = "wandb"


@dataclass(frozen=True)
class Place:
    """A sweep's folder on this machine; in a bucket it is a copy that does not last."""

    folder: Path
    out: Path | None = None
    """Where the report goes instead of the folder's own report/."""
    remote: Any = None
    """The cnnlib.storage.buckets.RemoteFolder of the bucket's folder, None on this disk."""

    def refresh(self) -> None:
        """Fetches what is new in the bucket."""
        if self.remote:
            self.remote.fetch(self.folder, without=NOT_FETCHED)

    def report(self, name: str) -> Path:
        """The folder of a report of this name."""
        return self.out or self.folder / name

    def upload(self, report: Path, name: str) -> None:
        """Copies a report into folder `name` of the bucket's folder."""
        paths = (path.relative_to(report) for path in sorted(report.rglob("*")) if path.is_file())
        files = [path.as_posix() for path in paths if path.parts[0] != NOT_SENT]
        self.remote.send(report, name, files)


def is_url(folder: str) -> bool:
    """Whether FOLDER names a bucket's folder."""
    return folder.startswith(("s3://", "gs://"))


@contextmanager
def opened(folder: str, out: Path | None = None) -> Iterator[Place]:
    """The place that FOLDER and --out name; what is fetched of a bucket lasts as long as this.

    Raises ValueError or OSError where there is no such storage.
    """
    if not is_url(folder):
        yield Place(Path(folder), out)
        return
    from cnnlib.storage.buckets import RemoteFolder
    from cnnlib.system.redaction import without_secrets

    public = without_secrets(folder).rstrip("/")
    name = public.rpartition("/")[2]
    with tempfile.TemporaryDirectory(prefix="cnnlib-report-") as scratch:
        copy = Path(scratch) / name
        copy.mkdir()
        place = Place(copy, out or Path(f"{name}-report"), RemoteFolder(folder))
        place.refresh()
        try:
            yield place
        except (ValueError, OSError) as error:  # the user knows nothing of the copy
            raise ValueError(str(error).replace(str(copy), public)) from None
