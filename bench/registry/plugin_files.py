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
"""Of the names that modules imported by path have."""

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

    Raises whatever it raises.
    """
    with _importing:
        return _import(file)


def _import(file: Path) -> ModuleType:
    package = file.name == "__init__.py"
    home = file.parent if package else file
    # The digest goes along in the name: of the source that is loaded, whatever becomes of the file.
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
    """A hash of the source that a class stands in: of all of its plug-in, as it was loaded, else of its module."""
    name = _module_of(found)
    if name.startswith(PREFIX):
        return name.rpartition("_")[2]
    file = Path(inspect.getfile(found))
    return digest(sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file])


def line_of(error: BaseException, origin: str) -> str:
    """Where a plug-in raised an error, such as ` (mine.py, line 3)`; nothing where that is not known."""
    if isinstance(error, SyntaxError) and error.filename:
        return ""  # it says so itself
    home = Path(origin).parent if origin.endswith("__init__.py") else Path(origin)
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)[1:]]
    if home.exists():
        frames = [(file, line) for file, line in frames[::-1] if file == home or file.is_relative_to(home)]
    else:
        # Of an installed one the first that is no part of Python's own importing.
        frames = [(file, line) for file, line in frames if file.exists() and "importlib" not in file.parts]
    return f" ({frames[0][0].name}, line {frames[0][1]})" if frames else ""


def digest(files: Iterable[Path]) -> str:
    """12 hexadecimal digits of a hash of what files of Python say, in this order: not of comments and layout."""
    summed = hashlib.blake2b(digest_size=6)
    for file in files:
        summed.update(_statements(file.read_bytes()))
    return summed.hexdigest()


def _statements(source: bytes) -> bytes:
    """Python's own writing of a source, without comments and docstrings; the source itself if it is not Python."""
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
