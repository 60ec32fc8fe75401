"""Registry of methods and datasets: built in, installed (entry points), or given by path."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.base.errors import InputError
from bench.base.paths import named_path
from bench.base.text import closest, one_line, shown, slug
from bench.base.values import as_path
from bench.data.dataset import Dataset, DatasetSource
from bench.data.folder import FolderSource
from bench.learning.method import Method, Parameters
from bench.registry.plugin_files import import_file, line_of, plugin_files
from bench.registry.published_only import published_only


@dataclass(frozen=True)
class Kind:
    """A kind of plug-in: its base class, and where its classes are found besides files given by path."""

    noun: str
    base: type[Any]
    built_in: str
    """The package with the built-in plug-ins."""
    group: str
    """The group of entry points of installed packages."""


METHODS = Kind("method", Method, "bench.methods", "vhbench.methods")
DATASETS = Kind("dataset", DatasetSource, "bench.datasets", "vhbench.datasets")


@dataclass(frozen=True)
class Broken:
    """A plug-in that could not be used, and why."""

    origin: str
    error: str


@dataclass
class Registry:
    """Plug-ins by kind and name; `broken` holds installed ones that failed, so that none vanishes silently."""

    plugins: dict[Kind, dict[str, type[Any]]]
    """The classes of every kind, by name."""
    origins: dict[type[Any], str] = field(default_factory=dict)
    broken: list[Broken] = field(default_factory=list)
    data_root: Path | None = None
    """The folder of datasets that are known by name; None: the one in the environment."""

    @property
    def methods(self) -> dict[str, type[Method]]:
        """The methods by name."""
        return self.plugins[METHODS]

    @property
    def datasets(self) -> dict[str, type[DatasetSource]]:
        """The datasets by name."""
        return self.plugins[DATASETS]

    def method(self, name: str, option: str = "--plugin FILE") -> type[Method]:
        """The method of this name.

        Raises InputError with the closest known names, or why a published method is not here, and how to give one from
        a file.
        """
        if name not in self.methods:
            only = published_only().get(slug(name))
            near = closest(name, self.methods)
            hint = near if only is None else f"{only.method} has published numbers only: {only.why}"
            raise InputError(
                f"unknown method '{name}': {hint} (a method in a file of your own: {option}){self.broken_hint(name)}"
            )
        return self.methods[name]

    def dataset(self, name: str) -> DatasetSource:
        """The dataset of this name, or the feature folder or file at this path. Raises InputError if there is none."""
        if name in self.datasets:
            return self.datasets[name].at(self.data_root)
        path = named_path(name)
        if path.exists() or path.name != name:
            return FolderSource(path)
        raise InputError(
            f"unknown dataset '{name}': {closest(name, self.datasets)}, or a folder with feature files, or one file"
            f"{self.broken_hint(name)}"
        )

    def broken_hint(self, name: str = "") -> str:
        """The plug-ins that failed; with `name` those whose origin contains it: one may be meant."""
        same = [entry for entry in self.broken if not name or slug(name) in slug(entry.origin)]
        return "".join(f"; {entry.origin} is broken: {entry.error}" for entry in same)

    def add(self, origin: str, found: Iterable[type[Any]]) -> None:
        """Register plug-in classes; a nameless one or one whose name is taken is listed as broken."""
        for plugin in found:
            table = next((table for kind, table in self.plugins.items() if issubclass(plugin, kind.base)), None)
            name = getattr(plugin, "name", None)
            parameters = getattr(plugin, "Parameters", Parameters)
            if table is None:
                self.broken.append(Broken(origin, f"{plugin.__name__} is {_none_of(self.plugins)}"))
            elif not isinstance(getattr(plugin, "title", None), str):
                self.broken.append(Broken(origin, f"{plugin.__name__} has no title"))
            elif not (inspect.isclass(parameters) and issubclass(parameters, Parameters)):
                self.broken.append(
                    Broken(origin, f"{plugin.__name__}.Parameters is not derived from bench.method.Parameters")
                )
            elif not isinstance(name, str) or slug(name) != name:
                self.broken.append(
                    Broken(origin, f"{plugin.__name__}.name is {name!r}; it must be lower-case letters, digits, dashes")
                )
            elif name in table and table[name] is not plugin:
                self.broken.append(Broken(origin, f"'{name}' is already the name of {self.origins[table[name]]}"))
            elif inspect.isabstract(plugin):
                missing = ", ".join(sorted(getattr(plugin, "__abstractmethods__", ())))
                self.broken.append(Broken(origin, f"{plugin.__name__} does not define {missing}"))
            else:
                table[name] = plugin
                self.origins[plugin] = origin

    def load(self, origin: str, module_of: Any) -> bool:
        """Register what `module_of()` defines; failures are listed as broken. Return whether it defines any."""
        try:
            module = module_of()
        except (Exception, SystemExit) as error:  # a plug-in may raise anything, and must not end the program
            self.broken.append(Broken(origin, one_line(f"{type(error).__name__}: {error}") + line_of(error, origin)))
            return True
        bases = tuple(kind.base for kind in self.plugins)
        found = [module] if inspect.isclass(module) else list(_plugins_of(module, bases))
        self.add(origin, found)
        return bool(found)


def load_registry(
    plugins: Iterable[Path | type[Any]] = (),
    data_root: Path | None = None,
    kinds: tuple[Kind, ...] = (METHODS, DATASETS),
) -> Registry:
    """The registry of everything found of these kinds, with the given plug-ins: files, folders or classes.

    Raises InputError if one of those is broken, or has a name that is taken: the caller means to use it.
    """
    registry = _installed(kinds)
    tables = {kind: dict(table) for kind, table in registry.plugins.items()}
    extended = Registry(tables, dict(registry.origins), list(registry.broken), data_root)
    for plugin in plugins:
        if isinstance(plugin, type):
            extended.add(f"{plugin.__module__}.{plugin.__qualname__}", [plugin])
        else:
            held = [extended.load(str(file), lambda file=file: import_file(file)) for file in plugin_files(plugin)]
            if not any(held):
                raise InputError(f"--plugin {plugin}: defines {_none_of(kinds)}")
        for entry in extended.broken[len(registry.broken) :]:
            raise InputError(f"--plugin {entry.origin}: {entry.error}")
    return extended


def find_method(method: str | type[Method]) -> type[Method]:
    """A method by name, or a user's class. Raises InputError for anything else."""
    if isinstance(method, str):
        return load_registry().method(method, option="from Python give its class")
    if not (isinstance(method, type) and issubclass(method, Method)):
        raise InputError(f"method: {shown(method)} is neither a name, such as 'itq', nor a class derived from Method")
    return load_registry([method]).method(method.name)


@cache
def _installed(kinds: tuple[Kind, ...]) -> Registry:
    registry = Registry({kind: {} for kind in kinds})
    for kind in kinds:
        package = importlib.import_module(kind.built_in)
        for module in pkgutil.iter_modules(package.__path__, f"{kind.built_in}."):
            registry.load(module.name, lambda name=module.name: importlib.import_module(name))
    for kind in kinds:
        for entry in entry_points(group=kind.group):
            origin = f"{entry.value} ({entry.dist.name})" if entry.dist else entry.value
            registry.load(origin, entry.load)
    return registry


def _none_of(kinds: Iterable[Kind]) -> str:
    return " and ".join(f"no {kind.noun}" for kind in kinds)


def _plugins_of(module: ModuleType, bases: tuple[type[Any], ...]) -> Iterator[type[Any]]:
    """The plug-in classes that a module defines itself; those of its own submodules count, imported ones do not."""
    for value in vars(module).values():
        if (
            inspect.isclass(value)
            and issubclass(value, bases)
            and (value.__module__ == module.__name__ or value.__module__.startswith(f"{module.__name__}."))
            # A base class for others need not have a name.
            and (hasattr(value, "name") or not (inspect.isabstract(value) or value.__subclasses__()))
        ):
            yield value


def load_dataset(name: str | Path, root: str | Path | None = None) -> Dataset:
    """A dataset by its name, or a folder with feature files.

    `root` holds the files of datasets known by name, in `<root>/<name>/` or `<root>` itself; the default is the
    environment variable VHBENCH_DATA. Raises InputError if there is no such dataset or it is malformed.
    """
    place = None if root is None else as_path(root, "root")
    return load_registry(data_root=place).dataset(str(as_path(name, "name"))).load()
