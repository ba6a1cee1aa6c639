"""What must be there before anything starts: HOME, a folder for temporary files, the cache, Ray.

Each fault is an OSError of one line with its remedy. Standard library only, so that it can be asked
before the libraries that would stumble over it are imported.
"""

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

SOCKET_BYTES = 107  # of a path, at most: the kernel's limit
RAY_SOCKET = "/ray/session_2026-11-28_20-31-58_123456_1234567/sockets/plasma_store"
TEMPORARY = Path("/tmp")
KNOCK = 10.0  # seconds that a cluster's head may take to answer
# Where libraries keep what they would keep at home.
AT_HOME = {
    "MPLCONFIGDIR": "matplotlib",
    "TORCH_HOME": "torch",
    "WANDB_CACHE_DIR": "wandb",
    "WANDB_CONFIG_DIR": "wandb",
    "WANDB_DATA_DIR": "wandb",
}


def check_surroundings() -> None:
    """What every command needs."""
    _check_temporary()
    cache_folder()
    house_libraries()


def house_libraries() -> None:
    """Before they are imported: who finds no home to write in keeps those files in the cache."""
    if _has_home():
        return
    for name, folder in AT_HOME.items():
        if name not in os.environ:
            os.environ[name] = str(cache_folder(folder))


def check_ray() -> None:
    """What a sweep needs besides: a token for a Ray of our own, or a cluster that answers."""
    address = ray_address()
    if address:
        knock(address)
        return
    check_home()
    if not (_has_home() or _token().is_file()):
        raise PermissionError(
            f"HOME: no permission to write in {Path.home()}; set HOME to a folder that you may "
            "write to"
        )
    ray_folder()


def check_home() -> None:
    """Raises FileNotFoundError where nobody says which folder it is."""
    if os.path.expanduser("~") == "~":
        raise FileNotFoundError("HOME is not set; set HOME to a folder that you may write to")


def cache_folder(name: str = "") -> Path:
    """$CNNLIB_CACHE, else cnnlib in $XDG_CACHE_HOME, else ~/.cache/cnnlib; or a folder in it.

    It is created if need be.
    """
    xdg = os.environ.get("XDG_CACHE_HOME")
    chosen = os.environ.get("CNNLIB_CACHE") or (xdg and os.path.join(xdg, "cnnlib"))
    remedy = f"set {'' if chosen else 'HOME or '}CNNLIB_CACHE to a folder that you may write to"
    if not chosen and os.path.expanduser("~") == "~":
        raise FileNotFoundError(f"HOME is not set, so there is no cache folder; {remedy}")
    chosen = chosen or "~/.cache/cnnlib"
    folder = Path(os.path.abspath(os.path.expanduser(chosen))) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"the cache folder {folder} cannot be made: {error.strerror}; {remedy}"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"no permission to write in the cache folder {folder}; {remedy}")
    return folder


def ray_address() -> str | None:
    """The address of the cluster that Ray's environment names; None: a Ray of our own."""
    address = os.environ.get("RAY_ADDRESS", "")
    return None if address in ("", "local") else address


def knock(address: str) -> None:
    """ConnectionError where nothing answers at host:port; Ray itself would try for minutes.

    `auto` is the cluster that Ray has noted on this machine.
    """
    remedy = "start it (ray status), or unset RAY_ADDRESS to run on this machine alone"
    if address == "auto":
        where = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or TEMPORARY
        noted = Path(where) / "ray" / "ray_current_cluster"
        if not noted.is_file():
            raise ConnectionError(f"RAY_ADDRESS: auto, and no cluster runs here; {remedy}")
        address = noted.read_text().strip()
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return  # other forms are Ray's to judge
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()
    except (OSError, OverflowError) as error:
        raise ConnectionError(
            f"RAY_ADDRESS: no cluster answers at {address} ({error}); {remedy}"
        ) from error


def ray_folder() -> str | None:
    """The folder for the sockets of a Ray of our own; None: Ray's own choice will do.

    Where $TMPDIR is too long for them it is the one that Ray takes without TMPDIR.
    """
    most = SOCKET_BYTES - len(RAY_SOCKET)
    if folder := os.environ.get("RAY_TMPDIR"):
        if not _is_writable(Path(folder)):  # Ray makes it
            raise PermissionError(
                f"RAY_TMPDIR: no permission to write in {folder}; set it to a folder that you may "
                "write to"
            )
        if len(os.fsencode(folder)) > most:
            raise OSError(
                f"RAY_TMPDIR: {folder} is longer than the {most} bytes that leave room for the "
                "names of Ray's sockets; set it to a shorter folder"
            )
        return None
    if len(os.fsencode(os.environ.get("TMPDIR", ""))) <= most:
        return None
    if not _is_writable(TEMPORARY):
        raise OSError(
            f"TMPDIR: {os.environ['TMPDIR']} is longer than the {most} bytes that leave room for "
            "the names of Ray's sockets; set RAY_TMPDIR to a shorter folder"
        )
    return str(TEMPORARY / "ray")


def keep_token_private() -> None:
    """Makes the token that guards a Ray of our own, for the user's eyes only.

    Ray makes it too, but for everybody to read.
    """
    token = _token()
    if token.is_file():
        if token.stat().st_uid == os.getuid():
            token.chmod(0o600)
    elif os.environ.get("RAY_AUTH_MODE", "token").lower() == "token" and not any(
        name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    ):
        token.parent.mkdir(parents=True, exist_ok=True)
        with (
            suppress(FileExistsError),  # another sweep was faster
            open(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file,
        ):
            file.write(secrets.token_hex(32))


def _token() -> Path:
    return Path.home() / ".ray" / "auth_token"


def _has_home() -> bool:
    home = os.path.expanduser("~")
    return home != "~" and _is_writable(Path(home))


def _check_temporary() -> None:
    """Raises OSError where files cannot be made; Python would take another folder, others fail."""
    folder = Path(os.environ.get("TMPDIR") or TEMPORARY)
    if not folder.is_dir():
        raise FileNotFoundError(f"TMPDIR: there is no folder {folder}; make it, or set another")
    if not _is_writable(folder):
        raise PermissionError(
            f"TMPDIR: no permission to write in {folder}; set it to a folder that you may write to"
        )


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in there, once it is made itself."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
