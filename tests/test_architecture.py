"""The rules of the house: imports run down only, and each library is known to one place."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cnnlib", "analysis", "jobs")  # the lowest first, as in the lists below
ROOMS = {
    "cnnlib": (
        "system", "sweeps", "storage", "photos", "pixels", "networks", "search", "journal",
        "training", "champion", "tracking", "planning", "running",
    ),
    "analysis": ("reading", "statistics", "plots", "page"),
}  # fmt: skip
# Commands and the public face stand above all rooms of their package.
ABOVE = {"cnnlib": {"__init__"}, "analysis": {"__init__", "report", "convert", "watch"}}
KNOWN_TO = {
    "ray": "cnnlib/running/",
    "wandb": "cnnlib/tracking/",
    "hyperopt": "cnnlib/search/tpe.py",
    "pyarrow": "cnnlib/storage/buckets.py",
    "matplotlib": "analysis/plots/",
}
MODULES = {
    path.relative_to(ROOT).as_posix(): path
    for package in PACKAGES
    for path in sorted(ROOT.glob(f"{package}/**/*.py"))
}


def imported(path: Path) -> set[str]:
    """The dotted names that a module imports anywhere in it, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_down_only(name: str) -> None:
    package, *inner = name.removesuffix(".py").split("/")
    for other in imported(MODULES[name]):
        top, _, rest = other.partition(".")
        if top in PACKAGES:
            assert PACKAGES.index(top) <= PACKAGES.index(package), f"{name} imports {other}"
        rooms = ROOMS.get(package, ())
        if top == package and len(inner) > 1:
            assert rest.split(".")[0] in rooms, f"{name} imports {other}, which stands above it"
            room = rooms.index(rest.split(".")[0])
            assert room <= rooms.index(inner[0]), f"{name} imports {other}"
        place = KNOWN_TO.get(top)
        assert place is None or name.startswith(place), f"{name} imports {top}"


@pytest.mark.parametrize("package", ROOMS)
def test_every_module_lies_in_a_room(package: str) -> None:
    flat = {path.stem for path in (ROOT / package).glob("*.py")}
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert flat == ABOVE[package]
    assert folders <= set(ROOMS[package])


def test_the_circle_of_imports_is_broken() -> None:
    """No module reaches itself, also not by imports inside functions."""
    known = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in MODULES
    }
    arrows = {
        dotted: {
            target
            for other in imported(path)
            for target in (other, other.rpartition(".")[0])
            if target in known and target != dotted
        }
        for dotted, path in (
            (name.removesuffix(".py").removesuffix("/__init__").replace("/", "."), path)
            for name, path in MODULES.items()
            if not name.endswith("/__init__.py")
        )
    }
    left = dict(arrows)
    while ends := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in ends:
            del left[name]
    assert not left, f"these import each other in a circle: {sorted(left)}"


def loaded_by(module: str) -> set[str]:
    """The top-level packages that are loaded after a module was imported."""
    code = f"import sys, {module}; print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in answer.stdout.split()}


@pytest.mark.parametrize("module", ["journal.events", "storage.folder_lock"])
def test_the_journal_is_read_and_written_by_the_standard_library_alone(module: str) -> None:
    loaded = loaded_by(f"cnnlib.{module}")
    assert "json" in loaded
    assert not loaded & {"torch", "ray", "numpy", "pandas", "hyperopt", "wandb", "yaml"}


def test_hyperparameters_need_the_standard_library_only() -> None:
    loaded = loaded_by("cnnlib.networks.families")
    assert not loaded & {"torch", "ray", "numpy", "pandas", "hyperopt", "wandb", "yaml"}


@pytest.mark.parametrize(
    "module",
    [
        "search.halving", "search.tpe", "journal.ledger", "journal.replay", "journal.tables",
        "planning.resume", "tracking.follower",
    ],
)  # fmt: skip
def test_what_only_decides_or_reads_does_not_load_torch(module: str) -> None:
    assert "torch" not in loaded_by(f"cnnlib.{module}")


@pytest.mark.parametrize(
    "module",
    [
        "search.space",
        "search.sweep_file",
        "search.reference",
        "planning.settings",
        "photos.sources",
    ],
)
def test_what_reads_flags_and_sweep_files_loads_nothing_heavy(module: str) -> None:
    heavy = {"torch", "ray", "numba", "pandas", "hyperopt", "wandb"}
    assert not heavy & loaded_by(f"cnnlib.{module}")


@pytest.mark.parametrize("module", ["report", "statistics.findings", "page.contents", "convert"])
def test_the_report_loads_neither_torch_nor_ray(module: str) -> None:
    assert not {"torch", "ray"} & loaded_by(f"analysis.{module}")


def test_the_way_in_is_short_and_leads_to_files() -> None:
    text = (ROOT / "docs" / "DESIGN.md").read_text(encoding="utf-8")
    way = text[text.index("## A way in") : text.index("## Decisions")]
    files = [ROOT / name for name in re.findall(r"^\| `([\w/]+\.py)`", way, flags=re.MULTILINE)]
    assert 12 <= len(files) <= 16
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < 3_000


def test_the_pages_for_developers_name_files_that_are_there() -> None:
    for page in ("docs/DESIGN.md", "docs/EXTENDING.md", "CONTRIBUTING.md", "README.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        names = re.findall(r"`((?:cnnlib|analysis|jobs|benchmarks|tests)/[\w/.]+\.\w+)`", text)
        links = re.findall(r"\]\((?!https?:)([\w/.]+)\)", text)
        absent = [n for n in names if not (ROOT / n).exists()]
        absent += [n for n in links if not (ROOT / page).parent.joinpath(n).exists()]
        assert not absent, f"{page} names {absent}"
