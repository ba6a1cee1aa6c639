"""What a container or a batch system lacks is one line with its remedy, before anything starts."""

import os
import pwd
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cnnlib.system import surroundings
from cnnlib.system.surroundings import (
    AT_HOME,
    cache_folder,
    check_ray,
    check_surroundings,
    keep_token_private,
    knock,
    ray_address,
    ray_folder,
)
from jobs import predict, train, tune

ROOT = Path(__file__).parents[2]


@pytest.fixture
def denied(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes folders that cannot be written, which root else can."""
    asked = os.access
    closed: list[Path] = []
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) not in closed and asked(path, mode)
    )
    return closed.append


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("RAY_ADDRESS", "RAY_TMPDIR", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", *AT_HOME):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def nobody(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in the list of users."""

    def unknown(uid: int) -> pwd.struct_passwd:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_all_is_well(home: Path) -> None:
    check_surroundings()
    check_ray()
    assert ray_folder() is None
    assert not AT_HOME.keys() & os.environ.keys(), "libraries keep their files at home"


def test_without_home_there_is_a_line(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="HOME is not set; set HOME to a folder that you"):
        check_ray()
    monkeypatch.delenv("CNNLIB_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(FileNotFoundError, match="no cache folder; set HOME or CNNLIB_CACHE to"):
        check_surroundings()
    assert not Path("~").exists()


def test_a_home_that_cannot_be_written_is_a_line(home: Path, denied: Callable) -> None:
    denied(home)
    check_surroundings()
    assert {os.environ.pop(name) for name in AT_HOME} == {
        str(cache_folder(name)) for name in AT_HOME.values()
    }
    with pytest.raises(PermissionError, match=r"HOME: no permission to write in .*home; set HOME"):
        check_ray()


def test_a_home_that_is_read_only_will_do_with_a_token(home: Path, denied: Callable) -> None:
    keep_token_private()
    denied(home)
    check_ray()


def test_a_cache_that_cannot_be_written_is_a_line(
    home: Path, denied: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CNNLIB_CACHE", str(tmp_path / "cache"))
    for folder in (cache_folder("pixels"), cache_folder()):
        denied(folder)
        with pytest.raises(PermissionError, match="write in the cache folder"):
            cache_folder(folder.name if folder.name == "pixels" else "")


def test_compiled_code_goes_into_the_cache(tmp_path: Path) -> None:
    """Where the installation belongs to root, nothing can be written beside it."""
    environment = {n: v for n, v in os.environ.items() if n != "NUMBA_CACHE_DIR"}
    code = "import cnnlib.pixels.cpu_batches, numba; print(numba.config.CACHE_DIR)"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"CNNLIB_CACHE": str(tmp_path)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.strip() == str(tmp_path / "numba")


@pytest.mark.parametrize("name", ["TMPDIR", "RAY_TMPDIR"])
def test_a_temporary_folder_that_cannot_be_written_is_a_line(
    name: str, home: Path, denied: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied(tmp_path)
    monkeypatch.setenv(name, str(tmp_path))
    with pytest.raises(PermissionError, match=f"{name}: no permission to write in .*; set it to"):
        check_surroundings() if name == "TMPDIR" else check_ray()


def test_a_temporary_folder_that_is_not_there_is_a_line(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    with pytest.raises(FileNotFoundError, match="TMPDIR: there is no folder /nowhere; make it, or"):
        check_surroundings()


def test_a_temporary_folder_too_long_for_sockets_is_not_taken(
    home: Path, denied: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = surroundings.SOCKET_BYTES - len(surroundings.RAY_SOCKET)
    monkeypatch.setenv("TMPDIR", "/" + "x" * (most - 1))
    assert ray_folder() is None
    monkeypatch.setenv("TMPDIR", "/" + "x" * most)
    assert ray_folder() == "/tmp/ray"
    denied(Path("/tmp"))
    with pytest.raises(OSError, match=r"/x+ is longer than .*; set RAY_TMPDIR to a shorter"):
        check_ray()


def test_a_folder_of_ones_own_for_ray_that_is_too_long_is_a_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 100)))
    with pytest.raises(OSError, match=r"RAY_TMPDIR: .* is longer than .*; set it to a shorter"):
        check_ray()


def test_rays_sockets_are_as_long_as_is_reckoned() -> None:
    from datetime import datetime

    from ray._private import utils

    # As in ray/_private/node.py, with the longest process id of Linux.
    session = f"session_{datetime.today():%Y-%m-%d_%H-%M-%S_%f}_{4194304}"
    assert len(f"/ray/{session}/sockets/plasma_store") == len(surroundings.RAY_SOCKET)
    utils.validate_socket_filepath("x" * surroundings.SOCKET_BYTES)
    with pytest.raises(OSError, match="cannot exceed"):
        utils.validate_socket_filepath("x" * (surroundings.SOCKET_BYTES + 1))


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "localhost:{}", "auto"])
def test_a_cluster_that_is_gone_is_a_line(
    form: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("RAY_ADDRESS", form.format(port))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text(f"127.0.0.1:{port}")
    with pytest.raises(ConnectionError, match=r"no cluster answers at .*; start it"):
        check_ray()
    with socket.create_server(("127.0.0.1", port)):
        check_ray()


def test_auto_without_a_cluster_is_a_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(ConnectionError, match="RAY_ADDRESS: auto, and no cluster runs here; start"):
        knock("auto")


def test_a_ray_of_our_own_can_be_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "local"):
        monkeypatch.setenv("RAY_ADDRESS", value)
        assert ray_address() is None
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert ray_address() == "10.0.0.1:6379"


@pytest.mark.parametrize("there", [True, False])
def test_rays_token_is_for_the_users_eyes_only(there: bool, home: Path) -> None:
    token = home / ".ray" / "auth_token"
    if there:
        token.parent.mkdir()
        token.write_text("mine")
        token.chmod(0o644)
    keep_token_private()
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    text = token.read_text()
    assert text == "mine" if there else len(text) == 64
    keep_token_private()
    assert token.read_text() == text


def test_no_token_is_made_where_another_one_counts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("RAY_AUTH_TOKEN", "x"), ("RAY_AUTH_MODE", "disabled")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            keep_token_private()
    assert not (home / ".ray").exists()


@pytest.mark.parametrize(
    ("job", "flags"),
    [
        (tune, []),
        (tune, ["--plan"]),
        (train, ["--out", "out"]),
        (predict, ["champion", "photo.jpg"]),
    ],
    ids=["tune", "plan", "train", "predict"],
)
def test_each_job_asks_first(
    job: object,
    flags: list[str],
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr(sys, "argv", ["job", *flags])
    assert job.main() == 2  # type: ignore[attr-defined]
    assert capsys.readouterr().err == (
        "FileNotFoundError: TMPDIR: there is no folder /nowhere; make it, or set another\n"
    )


@pytest.mark.parametrize("flags", [[], ["--plan"]], ids=["tune", "plan"])
def test_a_sweep_asks_what_its_plan_asks(
    flags: list[str],
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    monkeypatch.setattr(sys, "argv", ["job", *flags])
    assert tune.main() == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("ConnectionError: RAY_ADDRESS: no cluster answers at 127.0.0.1:9")
    assert not (tmp_path / "results").exists()


def test_a_report_without_a_home_is_written_without_a_warning(tmp_path: Path) -> None:
    environment = {n: v for n, v in os.environ.items() if n not in AT_HOME}
    code = "import analysis, matplotlib; print(matplotlib.get_cachedir())"
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HOME": "/dev/null/home", "CNNLIB_CACHE": str(tmp_path)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert (answer.stdout.strip(), answer.stderr) == (str(tmp_path / "matplotlib"), "")
