"""The lists of seeded bugs fit the sources, and trials tell what is caught from what is not."""

import ast
import subprocess
from functools import cache
from pathlib import Path

import pytest

from .mutant import ROOT, Mutant, read_mutants
from .trial import copy_working_tree, run_clean, run_mutants

MUTANTS = read_mutants()


@cache
def dumped(file: str) -> str:
    """The program in a file, as it is parsed."""
    return ast.dump(ast.parse((ROOT / file).read_text(encoding="utf-8")))


@cache
def functions_in(file: str) -> set[str]:
    """The names of the functions that a file defines."""
    defined = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    return {found.name for found in defined if isinstance(found, ast.FunctionDef)}


def test_names_differ_and_there_are_enough() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 60


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in MUTANTS}))
def test_mutants_of_a_file_are_valid_programs(file: str) -> None:
    for mutant in MUTANTS:
        if mutant.file == file:
            assert ast.dump(ast.parse(mutant.patched(ROOT))) != dumped(file), mutant.name


def test_tests_of_mutants_exist() -> None:
    for test in sorted({test for mutant in MUTANTS for test in mutant.tests}):
        file, _, name = test.partition("::")
        assert (ROOT / file).exists(), test
        assert not name or name in functions_in(file), test


def test_a_text_that_is_not_unique_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sums.py").write_text("total = 1\ntotal = 1\n")
    with pytest.raises(ValueError, match="occurs 2 times"):
        Mutant("twice", "sums.py", "total = 1", "total = 2", ()).patched(tmp_path)


PROJECT = """
[project]
name = "small"
version = "1"
[tool.setuptools.package-dir]
"bench" = "bench"
"bench.methods" = "methods"
"""
TEST = """
from bench.methods.sums import add, unused

def test_add() -> None:
    assert add(1, 2) == 3

def test_that_fails_anyway() -> None:
    assert unused() == 3
"""
SUMS = """
def add(first, second):
    return first + second

def unused():
    return 1
"""


def test_what_is_caught_and_what_is_not(tmp_path: Path) -> None:
    root, tree = tmp_path / "root", tmp_path / "tree"
    files = {"pyproject.toml": PROJECT, "bench/__init__.py": "", "methods/__init__.py": "", "methods/sums.py": SUMS,
             "tests/test_sums.py": TEST}  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    copy_working_tree(tree, root)
    failing = run_clean(["tests/test_sums.py"], tree).failed
    assert failing == ["tests/test_sums.py::test_that_fails_anyway"]

    def mutant(name: str, old: str, new: str) -> Mutant:
        return Mutant(name, "methods/sums.py", old, new, ("tests/test_sums.py",))

    mutants = [
        mutant("caught", "first + second", "first - second"),
        mutant("SURVIVED", "return 1", "return 2"),
        mutant("INVALID", "def unused", "def renamed"),
        mutant("NO END", "return first + second", "import os; os._exit(0)"),
    ]
    outcomes = {mutant.name: outcome for mutant, outcome in run_mutants(mutants, tree, failing)}
    assert {name: outcome.verdict for name, outcome in outcomes.items()} == {name: name for name in outcomes}
    assert len(outcomes) == 4
    assert outcomes["caught"].failed == ["tests/test_sums.py::test_add"]
    assert (root / "methods" / "sums.py").read_text() == SUMS
