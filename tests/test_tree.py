"""The tree tells the design: one test file a module, names of our own, no word of where it was made."""

from __future__ import annotations

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
WITHOUT_TEST = {"__init__.py", "__main__.py"}


def modules() -> set[Path]:
    files = (file.relative_to(ROOT) for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {file for file in files if file.name not in WITHOUT_TEST and "migrations" not in file.parts}


def test_every_module_has_its_test_file() -> None:
    expected = {Path("tests", *file.parts[:-1], f"test_{file.name}") for file in modules()}
    assert sorted(str(file) for file in expected if not (ROOT / file).exists()) == []


def test_every_test_file_of_a_part_has_its_module() -> None:
    files = (
        file.relative_to(ROOT / "tests")
        for package in PACKAGES
        for file in (ROOT / "tests" / package).rglob("test_*.py")
    )
    homeless = [
        str(file)
        for file in files
        if "migrations" not in file.parts and not (ROOT / file.parent / file.name.removeprefix("test_")).exists()
    ]
    assert homeless == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_the_name_of_one_of_our_packages(package: str) -> None:
    assert set(packages_distributions().get(package, [])) <= {"tickerd"}


def test_every_package_of_the_tree_is_shipped_checked_and_layered() -> None:
    folders = {file.parent.name for file in ROOT.glob("*/__init__.py")}
    assert set(PACKAGES) == folders
    assert folders <= set(PYPROJECT["tool"]["mypy"]["files"])
    assert folders == set(PYPROJECT["tool"]["importlinter"]["root_packages"])
