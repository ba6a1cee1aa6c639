"""A report's folder: whose it is, and how a new report takes the place of the one before.

A report is made whole in a new folder first, so one that is killed leaves the old one as it was.
What is in the folder and not written by us stays.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnnlib.storage.files import lock_taken

MARK = ".cnnlib-report"
"""Lists the files of the report, a line each: these alone are replaced and removed."""
NEW = ".new-"
LAST = ("report.md", "index.html")  # they show the others
UNNAMED = tuple(f"tables/{name}.csv" for name in ("classes", "calibration", "leaks"))
"""Tables of a champion that the text of a report without a mark does not name."""
KINDS = ("Hyperparameter sweep", "Comparison of ")


def check_ours(folder: Path) -> None:
    """Raises ValueError where the folder holds something, and no report of ours."""
    if not folder.exists() or (folder.is_dir() and (_is_empty(folder) or _is_ours(folder))):
        return
    raise ValueError(f"--out: {folder} holds other files than a report; name another folder")


def _is_empty(folder: Path) -> bool:
    return all(path.name.startswith(NEW) for path in folder.iterdir())


def _is_ours(folder: Path) -> bool:
    """Whether it bears our mark, or is as reports were before they had one."""
    if (folder / MARK).is_file():
        return True
    text = folder / "report.md"
    if not (text.is_file() and (folder / "figures").is_dir() and (folder / "tables").is_dir()):
        return False
    with text.open("rb") as lines:
        first, _, third = (lines.readline(10_000).decode("utf-8", "replace") for _ in range(3))
    return first.startswith("# ") and third.startswith(KINDS)


@contextmanager
def replaced_report(folder: Path) -> Iterator[Path]:
    """A new folder with figures/ and tables/, whose files go into `folder` at the end.

    Where the block raises, or the process dies, `folder` keeps what it had. Raises ValueError
    where that is no report.
    """
    check_ours(folder)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=NEW, dir=folder))
    made.chmod(0o755)
    file = os.open(made, os.O_RDONLY)
    try:
        _is_free(file)  # from now on it is not
        for part in ("figures", "tables"):
            (made / part).mkdir()
        yield made
        _put_in_place(made, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise
    finally:
        os.close(file)
    for left in folder.glob(f"{NEW}*"):
        if not _is_being_made(left):  # its process was killed
            shutil.rmtree(left, ignore_errors=True)


def _is_being_made(made: Path) -> bool:
    """Whether another process makes a report of the same folder."""
    with suppress(FileNotFoundError):  # it has just become the report
        file = os.open(made, os.O_RDONLY)
        try:
            return not _is_free(file)
        finally:
            os.close(file)
    return False


def _is_free(file: int) -> bool:
    """Whether nobody had the lock on an open folder, which is ours from now on."""
    with suppress(OSError):
        return lock_taken(file)
    return True  # a file system without locks


def _files_before(folder: Path) -> list[str]:
    """The files of the report in the folder: those of its mark, or those that its text names."""
    if (folder / MARK).is_file():
        return (folder / MARK).read_text("utf-8").splitlines()
    if not (folder / "report.md").is_file():
        return []
    text = (folder / "report.md").read_text("utf-8", "replace")
    named = re.findall(r"\b(?:figures/\w+\.png|tables/\w+\.csv)\b", text)
    return [*dict.fromkeys(named), *UNNAMED]


def _put_in_place(made: Path, folder: Path) -> None:
    """Each file replaces the one before in one step, the page last; what it had alone goes."""
    files = [path.relative_to(made) for path in sorted(made.rglob("*")) if path.is_file()]
    names = [path.as_posix() for path in files]
    mark, before = folder / MARK, _files_before(folder)
    part = made / MARK  # until all is in place the mark lists both
    part.write_text("\n".join(dict.fromkeys([*names, *before])) + "\n", "utf-8")
    part.replace(mark)
    for path in sorted(files, key=lambda path: path.name in LAST):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).replace(folder / path)
    for name in set(before) - set(names):
        if ".." not in Path(name).parts and not Path(name).is_absolute():
            (folder / name).unlink(missing_ok=True)
    part.write_text("\n".join(names) + "\n", "utf-8")
    part.replace(mark)
