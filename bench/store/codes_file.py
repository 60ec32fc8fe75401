"""Stored codes and labels (or neighbours): all that `bench evaluate` needs."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.files import unreadable
from bench.base.npz_file import UNREADABLE, read_arrays
from bench.base.values import MAX_BITS, MIN_BITS

MOST_CLASSES = 2**16


@dataclass(frozen=True)
class CodesDigest:
    """What tells stored codes from others: sizes, and SHA-256 of codes and of labels, or neighbours."""

    bits: int
    classes: int
    queries: int
    gallery: int | None
    """None: the queries are the gallery."""
    codes: str
    labels: str


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
        arrays = read_arrays(path)
        bits, classes = int(arrays["bits"]), int(arrays["classes"])
        _require_in_range(bits, classes)

        def codes(name: str) -> NDArray[np.int8]:
            return _unpacked(arrays[name], bits).astype(np.int8) * 2 - 1

        def labels(name: str) -> NDArray[np.uint8]:
            return _unpacked(arrays[name], classes)

        has_gallery = "gallery_codes" in arrays
        stored = StoredCodes(
            codes("query_codes"),
            labels("query_labels") if classes else None,
            codes("gallery_codes") if has_gallery else None,
            labels("gallery_labels") if has_gallery and classes else None,
            None if classes else arrays["neighbours"],
        )
        _require_matching(stored)
    except OSError as error:
        raise unreadable(path, error) from error
    except UNREADABLE as error:
        raise InputError(f"{path}: no readable codes ({error}); run again with --existing rerun") from error
    return stored


def digest_of(path: Path) -> CodesDigest:
    """Sizes and digests of the codes and labels in `path`. Raises InputError if the file is missing or damaged."""
    codes = read_codes(path)
    gallery = codes.gallery_codes
    return CodesDigest(
        bits=codes.query_codes.shape[1],
        classes=0 if codes.query_labels is None else codes.query_labels.shape[1],
        queries=len(codes.query_codes),
        gallery=None if gallery is None else len(gallery),
        codes=_digest(codes.query_codes > 0, None if gallery is None else gallery > 0),
        labels=relevance_digest(codes.query_labels, codes.gallery_labels, codes.neighbours),
    )


def relevance_digest(
    query: NDArray[np.uint8] | None, gallery: NDArray[np.uint8] | None, neighbours: NDArray[np.int32] | None
) -> str:
    """SHA-256, in hexadecimal, of what says who is relevant.

    Labels (n, C) of 0 and 1, those of a gallery apart from the queries too; without any, neighbours (queries, m).
    """
    if query is not None or neighbours is None:
        return _digest(query, gallery)
    return hashlib.sha256(f"{neighbours.shape} ".encode() + neighbours.astype("<i4").tobytes()).hexdigest()


def _digest(*parts: NDArray[Any] | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update(f"{part.shape[0]} {part.shape[1]} ".encode())
            digest.update(np.packbits(part, axis=1).tobytes())
    return digest.hexdigest()


def _require_in_range(bits: int, classes: int) -> None:
    if not (MIN_BITS <= bits <= MAX_BITS and 0 <= classes <= MOST_CLASSES):
        raise ValueError(f"bits {bits} or classes {classes} out of range")


def _unpacked(packed: NDArray[Any], columns: int) -> NDArray[np.uint8]:
    bits = np.unpackbits(packed, axis=1)
    if bits.shape[1] != -(-columns // 8) * 8 or bits[:, columns:].any():
        raise ValueError(f"not {columns} bits a row")
    return bits[:, :columns]


def _require_matching(codes: StoredCodes) -> None:
    pairs = ((codes.query_codes, codes.query_labels), (codes.gallery_codes, codes.gallery_labels))
    if any(ours is not None and labels is not None and len(ours) != len(labels) for ours, labels in pairs):
        raise ValueError("codes and labels of other numbers of videos")
