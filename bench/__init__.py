"""vhbench: a fair benchmark of unsupervised video hashing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.checkpoint import load_checkpoint as load_checkpoint
    from bench.data.dataset import Dataset as Dataset
    from bench.encoder import Encoder as Encoder
    from bench.encoder import load_encoder as load_encoder
    from bench.errors import InputError as InputError
    from bench.fitting import fit as fit
    from bench.loading import load_dataset as load_dataset
    from bench.metrics import Scores as Scores
    from bench.metrics import evaluate as evaluate

_HOMES = {
    "Dataset": "bench.data.dataset",
    "Encoder": "bench.encoder",
    "InputError": "bench.errors",
    "Scores": "bench.metrics",
    "evaluate": "bench.metrics",
    "fit": "bench.fitting",
    "load_checkpoint": "bench.checkpoint",
    "load_dataset": "bench.loading",
    "load_encoder": "bench.encoder",
}
__all__ = sorted(_HOMES)  # noqa: PLE0605


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    # Imported when first asked for, so that `import bench` and the command line stay quick.
    if name not in _HOMES:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
