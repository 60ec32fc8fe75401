"""What must be alike on all machines of a sweep, so that a run gives the same wherever it is done."""

import hashlib
import platform
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from bench.errors import InputError

PACKAGES = ("bench", "bench.methods", "bench.datasets")
# Installed, the first lie inside `bench`, in a checkout beside it; the others show results, and make none.
LEFT_OUT = {"methods", "datasets", "results", "reports", "cli", "recipe.py", "report", "reproduction.py"}


def versions() -> dict[str, str]:
    """Versions by name; builds of one version for different devices count as alike."""
    libraries = {name: version(name).partition("+")[0] for name in ("vhbench", "numpy", "torch")}
    return {"Python": platform.python_version(), **libraries, "the source of vhbench": source_digest()}


@cache
def source_digest() -> str:
    """A hash of the Python files that make results: a checkout may differ from another one of the same version."""
    digest = hashlib.blake2b(digest_size=6)
    for name in PACKAGES:
        folder = Path(str(import_module(name).__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            place = path.relative_to(folder)
            if name == "bench" and place.parts[0] in LEFT_OUT:
                continue
            digest.update(f"{name}/{place.as_posix()}\n".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def require_alike(here: Mapping[str, str], there: Mapping[str, str]) -> None:
    """InputError with the first thing in which this machine differs from the one where the sweep was started."""
    for name, wanted in there.items():
        if here.get(name) != wanted:
            raise InputError(f"{name} is {here.get(name)} here, and {wanted} where the sweep was started; install the "
                             "same on all machines")  # fmt: skip
