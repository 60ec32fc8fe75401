"""Stored codes and labels (or neighbours): all that `bench evaluate` needs. Bits are packed, eight a byte."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.files import unreadable
from bench.base.npz_file import UNREADABLE, read_arrays
from bench.base.values import MAX_BITS, MIN_BITS

MOST_CLASSES = 2**16
Packed = NDArray[np.uint8]


@dataclass(frozen=True)
class CodesDigest:
    """Sizes of stored codes, and the SHA-256 of the codes and of the labels, or neighbours."""

    bits: int
    classes: int
    queries: int
    gallery: int | None
    """None: the queries search each other."""
    codes: str
    labels: str


@dataclass(frozen=True)
class StoredCodes:
    """Codes (n, K) int8 in ±1 and labels (n, C) uint8 of queries and gallery, or of queries that search each other.

    Without labels, `neighbours` (queries, m) int32 lists the gallery videos relevant to each query.
    """

    query_codes: NDArray[np.int8]
    query_labels: NDArray[np.uint8] | None
    gallery_codes: NDArray[np.int8] | None
    gallery_labels: NDArray[np.uint8] | None
    neighbours: NDArray[np.int32] | None = None


class _PackedCodes(NamedTuple):
    """The arrays of a file: rows of packed bits, the spare ones of the last byte 0."""

    bits: int
    classes: int
    query_codes: Packed
    query_labels: Packed | None
    gallery_codes: Packed | None
    gallery_labels: Packed | None
    neighbours: NDArray[np.int32] | None


def write_codes(path: Path, codes: StoredCodes) -> None:
    """Write an .npz file of packed bits."""
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
    # Labels of some files lie column by column; reading takes rows only.
    rows = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    np.savez_compressed(path, allow_pickle=False, **rows)


def read_codes(path: Path) -> StoredCodes:
    """The codes and labels, or neighbours, in `path`. Raises InputError if the file is missing or damaged."""
    packed = _read_packed(path)

    def codes(rows: Packed | None) -> NDArray[np.int8] | None:
        return None if rows is None else np.unpackbits(rows, axis=1, count=packed.bits).astype(np.int8) * 2 - 1

    def labels(rows: Packed | None) -> Packed | None:
        return None if rows is None else np.unpackbits(rows, axis=1, count=packed.classes)

    query_codes = codes(packed.query_codes)
    assert query_codes is not None
    return StoredCodes(
        query_codes,
        labels(packed.query_labels),
        codes(packed.gallery_codes),
        labels(packed.gallery_labels),
        packed.neighbours,
    )


def digest_of(path: Path) -> CodesDigest:
    """Sizes and digests of the codes and labels in `path`. Raises InputError if the file is missing or damaged."""
    packed = _read_packed(path)
    gallery = packed.gallery_codes
    return CodesDigest(
        bits=packed.bits,
        classes=packed.classes,
        queries=len(packed.query_codes),
        gallery=None if gallery is None else len(gallery),
        codes=_digest(packed.bits, packed.query_codes, gallery),
        labels=_digest(packed.classes, packed.query_labels, packed.gallery_labels)
        if packed.neighbours is None
        else _neighbours_digest(packed.neighbours),
    )


def relevance_digest(
    query: NDArray[np.uint8] | None, gallery: NDArray[np.uint8] | None, neighbours: NDArray[np.int32] | None
) -> str:
    """SHA-256, in hexadecimal, of the labels (n, C) of queries and of a separate gallery, else of the neighbours."""
    if query is None and neighbours is not None:
        return _neighbours_digest(neighbours)
    parts = [None if part is None else np.packbits(part, axis=1) for part in (query, gallery)]
    return _digest(0 if query is None else query.shape[1], *parts)


def _digest(columns: int, *parts: Packed | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update(f"{len(part)} {columns} ".encode())
            digest.update(part.tobytes())
    return digest.hexdigest()


def _neighbours_digest(neighbours: NDArray[np.int32]) -> str:
    return hashlib.sha256(f"{neighbours.shape} ".encode() + neighbours.astype("<i4").tobytes()).hexdigest()


def _read_packed(path: Path) -> _PackedCodes:
    """The content of a file, checked. Raises InputError if the file is missing or damaged."""
    try:
        arrays = read_arrays(path)
        bits, classes = int(arrays["bits"]), int(arrays["classes"])
        if not (MIN_BITS <= bits <= MAX_BITS and 0 <= classes <= MOST_CLASSES):
            raise ValueError(f"bits {bits} or classes {classes} out of range")
        has_gallery = "gallery_codes" in arrays
        packed = _PackedCodes(
            bits,
            classes,
            _rows(arrays["query_codes"], bits),
            _rows(arrays["query_labels"], classes) if classes else None,
            _rows(arrays["gallery_codes"], bits) if has_gallery else None,
            _rows(arrays["gallery_labels"], classes) if has_gallery and classes else None,
            None if classes else arrays["neighbours"],
        )
        pairs = ((packed.query_codes, packed.query_labels), (packed.gallery_codes, packed.gallery_labels))
        if any(codes is not None and labels is not None and len(codes) != len(labels) for codes, labels in pairs):
            raise ValueError("codes and labels of different numbers of videos")
    except OSError as error:
        raise unreadable(path, error) from error
    except UNREADABLE as error:
        raise InputError(f"{path}: no readable codes ({error}); run again with --existing rerun") from error
    return packed


def _rows(packed: NDArray[Any], columns: int) -> Packed:
    """The array itself, if each row holds `columns` bits, and zeros in the rest of its last byte."""
    spare = -columns % 8
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != -(-columns // 8):
        raise ValueError(f"not {columns} bits a row")
    if spare and (packed[:, -1] & ((1 << spare) - 1)).any():
        raise ValueError(f"more than {columns} bits a row")
    return packed
