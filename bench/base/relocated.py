"""Old import paths: modules that moved are found under their new names, with a warning that says so."""

import importlib
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "bench.cluster": "bench.running.ray",
    "bench.cluster.on_ray": "bench.running.ray.on_ray",
    "bench.errors": "bench.base.errors",
    "bench.published": "bench.report.published",
    "bench.runner": "bench.running.runner",
    "bench.running.apart": "bench.running.isolation",
    "bench.structure": "bench.learning.structure",
    "bench.structure.anchors": "bench.learning.structure.anchor_graph",
    "bench.structure.graph": "bench.learning.structure.anchor_graph",
    "bench.structure.kmeans": "bench.learning.structure.kmeans",
    "bench.structure.losses": "bench.learning.layers",
    "bench.structure.pairs": "bench.learning.structure.anchor_graph",
    "bench.training": "bench.method",
}
"""New names of modules that README, docs or built-in methods used; CONTRIBUTING.md says how long they are kept."""


class Relocated:
    """A finder and loader of modules under their old names.

    Not derived from `importlib.abc`, whose import brings `tempfile` and `random`: of the working folder, if it has any.
    """

    def __init__(self, moved: Mapping[str, str]) -> None:
        self._moved = moved
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a moved module; None for all others."""
        return ModuleSpec(name, self) if name in self._moved else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module under its new name."""
        new = self._moved[spec.name]
        warnings.warn(f"{spec.name} is now {new}; the old name will go in the next minor version", DeprecationWarning,
                      stacklevel=2)  # fmt: skip
        module = importlib.import_module(new)
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the spec only: the module was executed under its new name."""
        assert module.__spec__ is not None
        module.__spec__ = self._specs.pop(module.__spec__.name)


def install() -> None:
    """Install the finder first, before Python finds a second copy in the folder of a moved package."""
    if not any(isinstance(finder, Relocated) for finder in sys.meta_path):
        sys.meta_path.insert(0, Relocated(MOVED))
