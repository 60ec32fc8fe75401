"""Plug-in files: imported by path, identified by a digest of their source."""

import ast
import hashlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from bench.base.errors import InputError
from bench.base.text import slug

PREFIX = "bench_plugin_"
"""Prefix of the names of modules imported by path."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# A second thread would find a module whose import has only begun.
_importing = threading.RLock()


def plugin_files(path: Path) -> list[Path]:
    """The files to import of a Python file, a package, or a folder of them. Raises InputError if it is none."""
    if path.is_file() and path.suffix == ".py":
        return [path]
    if (path / "__init__.py").is_file():
        return [path / "__init__.py"]
    if path.is_dir():
        modules = [file for file in sorted(path.glob("*.py")) if not file.name.startswith("_")]
        return modules + sorted(path.glob("*/__init__.py"))
    raise InputError(f"--plugin {path}: no such Python file or folder")


def import_file(file: Path) -> ModuleType:
    """The module in a file, or the package whose `__init__.py` it is; imported once until its source changes.

    Raises whatever the module raises.
    """
    with _importing:
        return _import(file)


def _import(file: Path) -> ModuleType:
    package = file.name == "__init__.py"
    home = file.parent if package else file
    # The name holds the digest of the loaded source, whatever happens to the file later.
    place = slug(str(home.resolve())).replace("-", "_").replace(".", "_")
    name = f"{PREFIX}{place}_{digest(sorted(home.rglob('*.py')) if package else [file])}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, file, submodule_search_locations=[str(file.parent)] if package else None
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def plugin_of(found: type) -> Path | None:
    """The file or package, absolute, that `--plugin` can name to load a class; None if it is built in or installed."""
    name = _module_of(found)
    if not name.startswith(PREFIX):
        return None
    file = Path(inspect.getfile(sys.modules[name])).resolve()
    return file.parent if file.name == "__init__.py" else file


def code_digest(found: type) -> str:
    """A hash of the source of a class: of its whole plug-in, as it was loaded, else of its module."""
    name = _module_of(found)
    if name.startswith(PREFIX):
        return name.rpartition("_")[2]
    file = Path(inspect.getfile(found))
    return digest(sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file])


def line_of(error: BaseException, origin: str) -> str:
    """The place of an error in a plug-in, such as ` (mine.py, line 3)`; empty if unknown."""
    if isinstance(error, SyntaxError) and error.filename:
        return ""  # its message has the line
    home = Path(origin).parent if origin.endswith("__init__.py") else Path(origin)
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)[1:]]
    if home.exists():
        frames = [(file, line) for file, line in frames[::-1] if file == home or file.is_relative_to(home)]
    else:
        # For an installed plug-in, the first frame that is not Python's import machinery.
        frames = [(file, line) for file, line in frames if file.exists() and "importlib" not in file.parts]
    return f" ({frames[0][0].name}, line {frames[0][1]})" if frames else ""


def digest(files: Iterable[Path]) -> str:
    """12 hexadecimal digits of a hash of Python files, in this order, without comments, docstrings and layout."""
    summed = hashlib.blake2b(digest_size=6)
    for file in files:
        summed.update(_statements(file.read_bytes()))
    return summed.hexdigest()


def _statements(source: bytes) -> bytes:
    """A source as `ast.unparse` writes it, without docstrings; the source itself if it is not Python."""
    try:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                node.body[0] = ast.Pass()
        return ast.unparse(tree).encode()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source


def _module_of(found: type) -> str:
    """The module, or the package at the top, that a class was imported with."""
    return found.__module__.partition(".")[0]
