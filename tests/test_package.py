"""What `pip install .` brings: every file that the packages read, and nothing of the checkout."""

import tomllib
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from cnnlib.planning.make_plan import SWEEPS

ROOT = Path(__file__).parent.parent
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
PACKAGES = SETUP["packages"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_file_that_is_no_code_is_package_data(package: str) -> None:
    folder = ROOT / package
    found = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    ]
    patterns = SETUP["package-data"][package]
    assert found
    assert [name for name in found if not any(fnmatch(name, each) for each in patterns)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_of_code_is_a_package(package: str) -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")}
    assert {".".join(folder.parts) for folder in folders} <= set(PACKAGES)


def test_the_sweep_files_lie_in_the_package() -> None:
    shipped = files("cnnlib") / "sweeps"
    assert Path(str(shipped)) == SWEEPS
    names = {file.name for file in shipped.iterdir()}
    assert {"sample.yaml", "inaturalist.yaml", "wide.yaml"} <= names
    assert all("parameters" in yaml.safe_load(file.read_text()) for file in shipped.iterdir())
