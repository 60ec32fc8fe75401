"""Every package of the checkout is installed: setuptools cannot discover folders installed under other names."""

import tomllib
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_package_is_listed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    homes = {folder: name for name, folder in settings["package-dir"].items()}
    found = {
        ".".join((homes[top], *path.parent.relative_to(ROOT / top).parts))
        for top in homes
        for path in (ROOT / top).rglob("__init__.py")
    }
    assert set(settings["packages"]) == found


def test_published_numbers_are_package_data() -> None:
    assert (files("bench.results") / "published/map.csv").is_file()


def test_constraints_pin_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert {entry.partition(">")[0].lower() for entry in wanted} <= pinned
    assert "torch==2.13.0" in lines
