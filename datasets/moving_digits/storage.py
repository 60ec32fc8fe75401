"""The generated arrays and the file that keeps them: whole or absent, and checked when it is read."""

import dataclasses
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.base.atomic import new_file

from .digits import SPLITS, SplitName


@dataclasses.dataclass(frozen=True)
class SplitArrays:
    """The generated arrays of one split."""

    features: NDArray[np.float32]
    """(N, T, D), >= 0."""
    labels: NDArray[np.uint8]
    """(N, 10) multi-hot."""


def read(path: Path) -> dict[SplitName, SplitArrays] | None:
    """The arrays in the file, or None if it is missing, unreadable or damaged."""
    try:
        # The file is a zip archive: reading an array to its end verifies its checksum.
        with np.load(path, allow_pickle=False) as file:
            return {split: SplitArrays(file[f"{split}_features"], file[f"{split}_labels"]) for split in SPLITS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def write(path: Path, splits: Mapping[SplitName, SplitArrays]) -> None:
    """Write the file, whole or not at all."""
    arrays: dict[str, NDArray[np.float32] | NDArray[np.uint8]] = {}
    for split, made in splits.items():
        arrays |= {f"{split}_features": made.features, f"{split}_labels": made.labels}
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as beside, beside.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
