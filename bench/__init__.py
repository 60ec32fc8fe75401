"""vhbench: a fair benchmark of unsupervised video hashing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.base import relocated

if TYPE_CHECKING:
    from bench.base.errors import InputError as InputError
    from bench.data.dataset import Dataset as Dataset
    from bench.encoding.checkpoint import load_checkpoint as load_checkpoint
    from bench.encoding.encoder import Encoder as Encoder
    from bench.encoding.encoder import load_encoder as load_encoder
    from bench.encoding.fitting import fit as fit
    from bench.metrics import Scores as Scores
    from bench.metrics import evaluate as evaluate
    from bench.registry import load_dataset as load_dataset

relocated.install()

_HOMES = {
    "Dataset": "bench.data.dataset",
    "Encoder": "bench.encoding.encoder",
    "InputError": "bench.base.errors",
    "Scores": "bench.metrics",
    "evaluate": "bench.metrics",
    "fit": "bench.encoding.fitting",
    "load_checkpoint": "bench.encoding.checkpoint",
    "load_dataset": "bench.registry",
    "load_encoder": "bench.encoding.encoder",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `import bench` and the command line stay quick.
    if name not in _HOMES:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
