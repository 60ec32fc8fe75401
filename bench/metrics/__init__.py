"""Exact, tie-aware ranking metrics of binary codes or vectors, and the statistics of comparing methods by them.

The evaluator is loaded at its first use: it brings numba, which the rest does not need.
"""

from typing import TYPE_CHECKING, Any

from bench.metrics.codes import PackedCodes, pack_codes, unpack_codes
from bench.metrics.protocols import PROTOCOLS, Protocol
from bench.metrics.scores import Scores

if TYPE_CHECKING:
    from bench.metrics.evaluator import evaluate, evaluate_neighbours, evaluate_vectors

__all__ = [
    "PROTOCOLS",
    "PackedCodes",
    "Protocol",
    "Scores",
    "evaluate",
    "evaluate_neighbours",
    "evaluate_vectors",
    "pack_codes",
    "unpack_codes",
]


def __getattr__(name: str) -> Any:
    if name in {"evaluate", "evaluate_neighbours", "evaluate_vectors"}:
        from bench.metrics import evaluator  # noqa: PLC0415

        return getattr(evaluator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
