"""The code of a user's own network: found, sent to other machines as bytes, and imported there.

Nothing here is told by a journal or a config.json: only a flag or a call names code to import.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import pickle
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle

from cnnlib.networks.families import family_named
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import nearest
from cnnlib.networks.own_family import family_of
from cnnlib.storage.files import replaced
from cnnlib.system.redaction import named
from cnnlib.system.surroundings import cache_folder
from cnnlib.system.units import short

MOST_BYTES = 16_000_000  # of Python that travels


@dataclass(frozen=True)
class OwnCode:
    """A network of the user's own as plain data, which any machine can import."""

    module: str  # mine.py or package.module, as the journal says it
    object_name: str  # what of it is the network
    files: tuple[tuple[str, bytes], ...] = ()  # by their paths below one folder, the module first
    pickled: bytes = b""  # instead of files, where the object was made in a notebook or a script
    source: bytes = b""  # what the digest of a pickled one is of

    @property
    def name(self) -> str:
        """What the journal, the table and config.json call the network."""
        return f"{self.module}:{self.object_name}"

    @cached_property
    def digest(self) -> str:
        """Changes with any byte of the code."""
        known = hashlib.sha256(self.object_name.encode())
        for path, content in self.files:
            known.update(f"\0{path}\0{len(content)}\0".encode() + content)
        known.update(self.source or self.pickled)
        return known.hexdigest()[:16]

    def family(self) -> Family:
        """The kind of network that it is; ValueError, in one line, where it is none."""
        return _family(self)

    def configuration(self, values: Mapping[str, object]) -> Any:
        return self.family().configuration(values)

    def load(self) -> Any:
        """The object, imported from a copy of the files in this machine's cache."""
        if self.pickled:
            return pickle.loads(self.pickled)  # it came from this user's own process
        folder = cache_folder() / "networks" / self.digest
        for path, content in self.files:
            place = folder / path
            if not place.is_file() or place.read_bytes() != content:
                place.parent.mkdir(parents=True, exist_ok=True)
                replaced(place, partial(_write, content))
        module = self._imported(folder)
        found = module
        for part in self.object_name.split("."):
            if not hasattr(found, part):
                raise ValueError(f"network: {self.module} has no {short(part)}{_near(found, part)}")
            found = getattr(found, part)
        return found

    def _imported(self, folder: Path) -> ModuleType:
        local = {Path(path).parts[0].removesuffix(".py") for path, _ in self.files}
        with _first_in_path(folder, local):
            try:
                if not self.module.endswith(".py"):
                    return importlib.import_module(self.module)
                return _module(f"cnnlib_network_{self.digest}", folder / self.files[0][0])
            except Exception as error:
                problem = f"network: {self.module} cannot be imported: {named(error)}"
                raise ValueError(problem) from error


def _write(content: bytes, part: Path) -> None:
    part.write_bytes(content)


@cache
def _family(code: OwnCode) -> Family:
    return family_of(code.load(), code)


def _module(name: str, path: Path) -> ModuleType:
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where a dataclass of it looks for its types
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _first_in_path(folder: Path, local: set[str]) -> Iterator[None]:
    """Imports find these modules in the folder, and no others of their names that are loaded."""
    for name in [n for n in sys.modules if n.partition(".")[0] in local]:
        home = getattr(sys.modules[name], "__file__", None)
        if not home or not Path(home).is_relative_to(folder):
            del sys.modules[name]
    sys.path.insert(0, str(folder))
    try:
        importlib.invalidate_caches()
        yield
    finally:
        sys.path.remove(str(folder))


def _near(module: Any, name: str) -> str:
    there = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
    return nearest(name, there)


def family_asked(asked: object) -> Family:
    """The kind of network that --network or Sweep(network=...) asks for.

    FileNotFoundError or ValueError, in one line, where there is none.
    """
    if isinstance(asked, str) and not re.search(r":|/|\.py$", asked):
        return family_named(asked)
    return own_code(asked).family()


def own_code(asked: object) -> OwnCode:
    """The code that `file.py:Name`, `package.module:Name` or an object names.

    FileNotFoundError or ValueError, in one line, where there is none.
    """
    if not isinstance(asked, str):
        return _of_object(asked)
    module, colon, name = asked.rpartition(":")
    if not colon or not name:
        path = asked.rstrip(":")
        raise ValueError(f"network: {short(asked)} does not say what of it; write {path}:NAME")
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError(f"network: {short(name)} is no name of Python's; write {module}:NAME")
    if module.endswith(".py") or "/" in module:
        return _of_file(Path(module).expanduser(), name)
    return _of_module(module, name)


def _of_file(path: Path, name: str) -> OwnCode:
    if not path.is_file():
        raise FileNotFoundError(f"network: no file {path}")
    files = {path.name: path.read_bytes()}
    _add_local(path, path.parent, files)
    return OwnCode(path.name, name, _checked(files, path))


def _add_local(path: Path, folder: Path, files: dict[str, bytes]) -> None:
    """The modules and packages beside a file that it imports, and those that they import."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError) as error:
        said = f"line {error.lineno}: {error.msg}" if isinstance(error, SyntaxError) else str(error)
        raise ValueError(f"network: {path} is no Python: {said}") from None
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            if node.level and path.parent == folder:
                raise ValueError(
                    f"network: {path}, line {node.lineno}: it imports as part of a package; name "
                    "it by that: package.module:NAME"
                )
            names = [node.module] if node.module and not node.level else []
        for top in {name.partition(".")[0] for name in names}:
            beside, package = folder / f"{top}.py", folder / top
            inner = [beside] if beside.is_file() else []
            if not inner and (package / "__init__.py").is_file():
                inner = sorted(package.rglob("*.py"))
            for file in inner:
                place = file.relative_to(folder).as_posix()
                if place not in files:
                    files[place] = file.read_bytes()
                    _add_local(file, folder, files)


def _of_module(module: str, name: str) -> OwnCode:
    with _first_in_path(Path.cwd(), set()):
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError, AttributeError) as error:
            raise ValueError(f"network: no module {short(module)}: {error}") from None
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        raise ValueError(f"network: no module {short(module)}; a file is named file.py:{name}")
    origin = Path(spec.origin)
    depth = module.count(".") + (origin.name == "__init__.py")
    folder = origin.parents[depth]
    top = folder / module.partition(".")[0]
    found = sorted(top.rglob("*.py")) if top.is_dir() else [origin]
    files = {origin.relative_to(folder).as_posix(): origin.read_bytes()}
    files |= {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}
    if not top.is_dir():
        _add_local(origin, folder, files)
    return OwnCode(module, name, _checked(files, origin))


def _checked(files: dict[str, bytes], path: Path) -> tuple[tuple[str, bytes], ...]:
    if (size := sum(map(len, files.values()))) > MOST_BYTES:
        raise ValueError(
            f"network: {path} has {size / 1e6:,.0f} MB of Python beside it, more than "
            f"{MOST_BYTES / 1e6:,.0f}; put it into a folder of its own"
        )
    return tuple(files.items())


def _of_object(asked: Any) -> OwnCode:
    """A function, class or family that a program has at hand."""
    made = asked.build if isinstance(asked, Family) else asked
    module = sys.modules.get(getattr(made, "__module__", None) or "")
    name = getattr(asked, "__qualname__", None) or next(
        (n for n, v in vars(module).items() if v is asked) if module else iter(()), "network"
    )
    file = getattr(module, "__file__", None)
    if module and file and module.__name__ != "__main__" and "<" not in name:
        if module.__package__ and not _is_by_path(module):
            return _of_module(module.__name__, name)
        return _of_file(Path(file), name)
    try:
        source = inspect.getsource(made).encode()
    except (OSError, TypeError):
        source = b""
    name = re.sub(r"\W", "_", name)
    return OwnCode("__main__", name, pickled=cloudpickle.dumps(asked), source=source)


def _is_by_path(module: ModuleType) -> bool:
    """Whether it was loaded from a file rather than found by its name."""
    try:
        return importlib.util.find_spec(module.__name__) is None
    except (ImportError, ValueError):
        return True
