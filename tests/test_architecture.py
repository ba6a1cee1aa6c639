"""The rules of the house: imports go down only, and each library is known to few modules."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cnnlib", "analysis", "jobs")
MODULES = sorted(path for package in PACKAGES for path in ROOT.glob(f"{package}/**/*.py"))
KNOWN_TO = {
    "ray": {"cluster", "dashboard", "pool", "recorder", "survey", "sweep", "tuning", "worker"},
    "wandb": {"account", "follower", "report", "service"},  # of the room tracking
    "hyperopt": {"tpe"},
    "pyarrow": {"buckets"},
}


def imports(path: Path) -> set[str]:
    """The dotted names that a module imports anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_imports_go_down_only(path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    if path.is_relative_to(ROOT / "cnnlib"):
        assert not tops & {"jobs", "analysis"}
    if path.parent.name == "analysis":
        assert "jobs" not in tops
    for library, modules in KNOWN_TO.items():
        if library in tops:
            assert path.stem in modules


def test_config_needs_the_standard_library_only() -> None:
    tops = {name.split(".")[0] for name in imports(ROOT / "cnnlib" / "config.py")}
    assert tops <= sys.stdlib_module_names


@pytest.mark.parametrize("module", ["journal", "claim"])
def test_the_journal_is_read_and_written_by_the_standard_library_alone(module: str) -> None:
    code = f"import sys, cnnlib.{module}; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = {name.split(".")[0] for name in answer.stdout.split()}
    assert "json" in loaded
    assert not loaded & {"torch", "ray", "numpy", "pandas", "hyperopt", "wandb", "yaml"}


@pytest.mark.parametrize(
    "module",
    [
        "config",
        "journal",
        "halving",
        "tpe",
        "ledger",
        "story",
        "results",
        "resume",
        "followers",
        "tracking.follower",
    ],
)
def test_what_only_decides_or_reads_does_not_load_torch(module: str) -> None:
    code = f"import sys, cnnlib.{module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("module", ["space", "sweep_file", "reference", "settings", "sources"])
def test_what_reads_flags_and_sweep_files_loads_nothing_heavy(module: str) -> None:
    heavy = {"torch", "ray", "numba", "pandas", "hyperopt", "wandb"}
    code = f"import sys, cnnlib.{module}; assert not {heavy} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("module", ["report", "findings", "page.contents", "convert"])
def test_the_report_loads_neither_torch_nor_ray(module: str) -> None:
    code = f"import sys, analysis.{module}; assert not {{'torch', 'ray'}} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", sorted(ROOT.glob("analysis/*.py")), ids=lambda path: path.stem)
def test_what_computes_knows_neither_plots_nor_pages(path: Path) -> None:
    rooms = {name for name in imports(path) if name.startswith(("analysis.plots", "analysis.page"))}
    assert not rooms or path.stem in {"report", "watch"}


def test_plots_know_no_page_and_only_what_draws_knows_matplotlib() -> None:
    for path in ROOT.glob("analysis/**/*.py"):
        names = imports(path)
        if path.parent.name == "plots":
            assert not any(name.startswith("analysis.page") for name in names), path
        if any(name.split(".")[0] == "matplotlib" for name in names):
            assert path.stem in {"still", "photographs"}
