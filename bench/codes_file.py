"""Codes and labels, or neighbours, on disk: all that `bench evaluate` needs, without the dataset or the model."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError
from bench.input_files import unreadable
from bench.spec import MAX_BITS, MIN_BITS

MOST_CLASSES = 2**16


@dataclass(frozen=True)
class StoredCodes:
    """Codes (n, K) int8 in ±1 and labels (n, C) uint8 of queries and gallery; no gallery: the queries are it.

    A dataset without labels has `neighbours` (queries, m) int32 in their place: the gallery videos that are relevant.
    """

    query_codes: NDArray[np.int8]
    query_labels: NDArray[np.uint8] | None
    gallery_codes: NDArray[np.int8] | None
    gallery_labels: NDArray[np.uint8] | None
    neighbours: NDArray[np.int32] | None = None


def write_codes(path: Path, codes: StoredCodes) -> None:
    """Write an .npz file of packed bits, eight codes or labels a byte."""
    arrays: dict[str, NDArray[Any]] = {
        "bits": np.array(codes.query_codes.shape[1]),
        "classes": np.array(0 if codes.query_labels is None else codes.query_labels.shape[1]),
        "query_codes": np.packbits(codes.query_codes > 0, axis=1),
    }
    if codes.gallery_codes is not None:
        arrays["gallery_codes"] = np.packbits(codes.gallery_codes > 0, axis=1)
    if codes.query_labels is not None:
        arrays["query_labels"] = np.packbits(codes.query_labels, axis=1)
    if codes.gallery_labels is not None:
        arrays["gallery_labels"] = np.packbits(codes.gallery_labels, axis=1)
    if codes.neighbours is not None:
        arrays["neighbours"] = codes.neighbours
    np.savez_compressed(path, allow_pickle=False, **arrays)


def read_codes(path: Path) -> StoredCodes:
    """The codes and labels, or neighbours, in `path`. Raises InputError if the file is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            bits, classes = int(arrays["bits"]), int(arrays["classes"])
            _require_in_range(bits, classes)

            def codes(name: str) -> NDArray[np.int8]:
                return np.unpackbits(arrays[name], axis=1, count=bits).astype(np.int8) * 2 - 1

            def labels(name: str) -> NDArray[np.uint8]:
                return np.unpackbits(arrays[name], axis=1, count=classes)

            has_gallery = "gallery_codes" in arrays
            stored = StoredCodes(
                codes("query_codes"),
                labels("query_labels") if classes else None,
                codes("gallery_codes") if has_gallery else None,
                labels("gallery_labels") if has_gallery and classes else None,
                None if classes else arrays["neighbours"],
            )
            _require_matching(stored)
            return stored
    except OSError as error:
        raise unreadable(path, error) from error
    except (EOFError, TypeError, ValueError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: no readable codes ({error}); run again with --existing rerun") from error


def _require_in_range(bits: int, classes: int) -> None:
    if not (MIN_BITS <= bits <= MAX_BITS and 0 <= classes <= MOST_CLASSES):
        raise ValueError(f"bits {bits} or classes {classes} out of range")


def _require_matching(codes: StoredCodes) -> None:
    pairs = ((codes.query_codes, codes.query_labels), (codes.gallery_codes, codes.gallery_labels))
    if any(ours is not None and labels is not None and len(ours) != len(labels) for ours, labels in pairs):
        raise ValueError("codes and labels of other numbers of videos")
