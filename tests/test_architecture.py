"""The rules of the house: imports run down only, and each library is known to one place."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cnnlib.networks.configuration import Recipe
from cnnlib.networks.families import FAMILIES
from cnnlib.networks.family import Family
from cnnlib.networks.hyperparameter import hyperparameters

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
    "pyarrow": "cnnlib/storage/",
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


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_nothing_outside_a_family_knows_its_fields(family: Family) -> None:
    """Neither as text nor as an attribute; what a champion's `weights` are is another thing."""
    own = set(hyperparameters(family.config)) - set(hyperparameters(Recipe)) - {"weights"}
    assert len(own) > 5
    found = [
        f"{name}:{node.lineno} knows {word}"
        for name, path in MODULES.items()
        if name.startswith(("cnnlib/", "jobs/")) and not name.startswith("cnnlib/networks/")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for word in (getattr(node, "value", None), getattr(node, "attr", None))
        if isinstance(word, str) and word in own
    ]
    assert not found


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


HEAVY = {"torch", "ray", "numba", "pandas", "hyperopt", "wandb"}


@pytest.mark.parametrize(
    ("modules", "wanted", "absent"),
    [
        pytest.param(
            "cnnlib.journal.events cnnlib.storage.folder_lock cnnlib.networks.families",
            "json", HEAVY | {"numpy", "yaml"}, id="standard library alone",
        ),
        pytest.param(
            "cnnlib.search.space cnnlib.search.sweep_file cnnlib.search.reference "
            "cnnlib.planning.settings cnnlib.photos.sources",
            "yaml", HEAVY, id="reads flags and sweep files",
        ),
        pytest.param(
            "cnnlib.search.halving cnnlib.search.tpe cnnlib.journal.ledger cnnlib.journal.replay "
            "cnnlib.journal.tables cnnlib.planning.resume cnnlib.tracking.follower",
            "hyperopt", {"torch"}, id="only decides or reads",
        ),
        pytest.param(
            "analysis.report analysis.statistics.findings analysis.page.contents analysis.convert",
            "pandas", {"torch", "ray"}, id="reports",
        ),
        pytest.param(
            "analysis.plots.network", "torch", {"pytorch_lightning", "ray"}, id="draws a network",
        ),
    ],
)  # fmt: skip
def test_what_has_no_need_of_heavy_libraries_loads_none(
    modules: str, wanted: str, absent: set[str]
) -> None:
    """In one process for all, each named with what is loaded once it is imported."""
    code = (
        "import sys, importlib, json\n"
        "told = {}\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "    told[name] = sorted({loaded.split('.')[0] for loaded in sys.modules})\n"
        "print(json.dumps(told))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, *modules.split()],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(answer.stdout)
    assert list(told) == modules.split()
    heavy = {name: absent & set(loaded) for name, loaded in told.items()}
    assert not any(heavy.values()), heavy
    assert any(wanted in loaded for loaded in told.values())


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
