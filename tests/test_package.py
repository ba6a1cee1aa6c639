"""What `pip install .` brings: every file that the packages read, and the commands."""

import tomllib
from fnmatch import fnmatch
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from setuptools import find_packages

from cnnlib.planning.make_plan import SWEEPS

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUP = PROJECT["tool"]["setuptools"]
PACKAGES = find_packages(str(ROOT), include=SETUP["packages"]["find"]["include"])
TOPS = ("cnnlib", "analysis", "jobs")


def test_every_file_that_is_no_code_is_package_data() -> None:
    left = {
        path.relative_to(ROOT).as_posix()
        for top in TOPS
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert left
    for package, patterns in SETUP["package-data"].items():
        folder = package.replace(".", "/")
        left -= {name for name in left for each in patterns if fnmatch(name, f"{folder}/{each}")}
    assert left == set()


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for top in TOPS for path in (ROOT / top).rglob("*.py")}
    assert {".".join(folder.relative_to(ROOT).parts) for folder in folders} == set(PACKAGES)


@pytest.mark.parametrize("command", PROJECT["project"]["scripts"])
def test_a_command_is_a_function_that_is_there(command: str) -> None:
    module, _, name = PROJECT["project"]["scripts"][command].partition(":")
    assert callable(getattr(import_module(module), name))


def test_the_sweep_files_lie_in_the_package() -> None:
    shipped = files("cnnlib") / "sweeps"
    assert Path(str(shipped)) == SWEEPS
    names = {file.name for file in shipped.iterdir()}
    assert {"sample.yaml", "inaturalist.yaml", "wide.yaml"} <= names
    assert all("parameters" in yaml.safe_load(file.read_text()) for file in shipped.iterdir())
