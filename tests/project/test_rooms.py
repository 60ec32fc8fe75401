"""The rooms of bench/: what the linter of layers cannot see, since plug-ins are installed from other folders."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

BENCH = Path(__file__).parents[2] / "bench"
PUBLIC = {"__init__.py", "__main__.py", "context.py", "method.py"}


def imported(file: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def module_of(file: Path) -> str:
    """The dotted name of a file of bench/."""
    parts = file.relative_to(BENCH.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Imports within functions and for types count as well."""
    files = {module_of(file): file for file in BENCH.rglob("*.py")}
    graph: dict[str, set[str]] = {}
    for name, file in files.items():
        nodes = [
            node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.ImportFrom)
        ]
        named = {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}
        whole = {part.rpartition(".")[0] for part in named if part not in files}
        graph[name] = ((named | whole | imported(file)) & files.keys()) - {name}
        # Of `from package import module` only the module is meant.
        graph[name] -= {part.rpartition(".")[0] for part in named if part in files} - whole
    TopologicalSorter(graph).prepare()


def test_nothing_stands_in_bench_itself_but_what_is_public() -> None:
    assert {path.name for path in BENCH.glob("*.py")} == PUBLIC


def test_every_room_is_described_and_tested() -> None:
    rooms = {path.parent.name for path in BENCH.glob("*/__init__.py")}
    page = (BENCH.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == rooms
    assert rooms <= {path.name for path in (BENCH.parent / "tests").iterdir()}


def test_the_harness_imports_no_method_dataset_or_paper() -> None:
    plugins = ("bench.methods", "bench.datasets", "bench.reports")
    found = {
        f"{file.relative_to(BENCH)}: {name}"
        for file in BENCH.rglob("*.py")
        for name in imported(file)
        if name.startswith(plugins)
    }
    assert not found
