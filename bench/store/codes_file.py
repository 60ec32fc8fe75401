"""Stored codes, or a reference's vectors, with labels or neighbours: all that `bench evaluate` needs.

Bits are packed, eight a byte; vectors are float32.
"""

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
    """Sizes of stored codes or vectors, and the SHA-256 of these and of the labels, or neighbours."""

    bits: int
    vectors: bool
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

    @property
    def self_search(self) -> bool:
        """Whether the queries search each other."""
        return self.gallery_codes is None

    def distances(self, query: int) -> NDArray[np.int64]:
        """Hamming distances (n,) of a query to the gallery."""
        gallery = self.query_codes if self.gallery_codes is None else self.gallery_codes
        return np.count_nonzero(gallery != self.query_codes[query], axis=1)


@dataclass(frozen=True)
class StoredVectors:
    """Vectors (n, m) float32 of queries and gallery, whose inner products rank; labels or neighbours as of codes."""

    bits: int
    """The code length of the run, which says what a reference may spend."""
    query_vectors: NDArray[np.float32]
    gallery_vectors: NDArray[np.float32]
    query_labels: NDArray[np.uint8] | None
    gallery_labels: NDArray[np.uint8] | None
    neighbours: NDArray[np.int32] | None
    self_search: bool
    """The queries search each other: a video has a vector as a query and another one as an item."""

    def distances(self, query: int) -> NDArray[np.float32]:
        """Inner products (n,) of a query and the gallery, negated: the smallest is the nearest."""
        return -(self.gallery_vectors @ self.query_vectors[query])


Stored = StoredCodes | StoredVectors


class _Rows(NamedTuple):
    """The arrays of a file: rows of packed bits, the spare ones of the last byte 0, or of float32."""

    bits: int
    classes: int
    self_search: bool
    query: NDArray[Any]
    query_labels: Packed | None
    gallery: NDArray[Any] | None
    gallery_labels: Packed | None
    neighbours: NDArray[np.int32] | None


def write_codes(path: Path, codes: Stored) -> None:
    """Write an .npz file of packed bits, or of vectors."""
    arrays: dict[str, NDArray[Any] | None] = {
        "classes": np.array(0 if codes.query_labels is None else codes.query_labels.shape[1]),
        "query_labels": _packed(codes.query_labels),
        "gallery_labels": _packed(codes.gallery_labels),
        "neighbours": codes.neighbours,
    }
    if isinstance(codes, StoredVectors):
        arrays |= {
            "bits": np.array(codes.bits),
            "self_search": np.array(codes.self_search),
            "query_vectors": codes.query_vectors,
            "gallery_vectors": codes.gallery_vectors,
        }
    else:
        arrays |= {
            "bits": np.array(codes.query_codes.shape[1]),
            "query_codes": _packed(codes.query_codes),
            "gallery_codes": _packed(codes.gallery_codes),
        }
    # Labels of some files lie column by column; reading takes rows only.
    rows = {name: np.asarray(array, order="C") for name, array in arrays.items() if array is not None}
    np.savez_compressed(path, allow_pickle=False, **rows)


def read_codes(path: Path) -> Stored:
    """The codes or vectors, and labels or neighbours, in `path`. Raises InputError if it is missing or damaged."""
    rows = _read_rows(path)

    def codes(packed: Packed) -> NDArray[np.int8]:
        return np.unpackbits(packed, axis=1, count=rows.bits).astype(np.int8) * 2 - 1

    def labels(packed: Packed | None) -> Packed | None:
        return None if packed is None else np.unpackbits(packed, axis=1, count=rows.classes)

    query_labels, gallery_labels = labels(rows.query_labels), labels(rows.gallery_labels)
    if rows.query.dtype == np.float32:
        assert rows.gallery is not None
        return StoredVectors(
            rows.bits, rows.query, rows.gallery, query_labels, gallery_labels, rows.neighbours, rows.self_search
        )
    gallery = None if rows.gallery is None else codes(rows.gallery)
    return StoredCodes(codes(rows.query), query_labels, gallery, gallery_labels, rows.neighbours)


def digest_of(path: Path) -> CodesDigest:
    """Sizes and digests of the codes and labels in `path`. Raises InputError if the file is missing or damaged."""
    rows = _read_rows(path)
    return CodesDigest(
        bits=rows.bits,
        vectors=rows.query.dtype == np.float32,
        classes=rows.classes,
        queries=len(rows.query),
        gallery=None if rows.self_search or rows.gallery is None else len(rows.gallery),
        codes=_digest(rows.bits, rows.query, rows.gallery),
        labels=_digest(rows.classes, rows.query_labels, rows.gallery_labels)
        if rows.neighbours is None
        else _neighbours_digest(rows.neighbours),
    )


def relevance_digest(
    query: NDArray[np.uint8] | None, gallery: NDArray[np.uint8] | None, neighbours: NDArray[np.int32] | None
) -> str:
    """SHA-256, in hexadecimal, of the labels (n, C) of queries and of a separate gallery, else of the neighbours."""
    if query is None and neighbours is not None:
        return _neighbours_digest(neighbours)
    parts = [None if part is None else np.packbits(part, axis=1) for part in (query, gallery)]
    return _digest(0 if query is None else query.shape[1], *parts)


def _digest(columns: int, *parts: NDArray[Any] | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update(f"{len(part)} {columns} ".encode())
            digest.update(part.tobytes())
    return digest.hexdigest()


def _neighbours_digest(neighbours: NDArray[np.int32]) -> str:
    return hashlib.sha256(f"{neighbours.shape} ".encode() + neighbours.astype("<i4").tobytes()).hexdigest()


def _packed(bits: NDArray[Any] | None) -> Packed | None:
    return None if bits is None else np.packbits(bits > 0, axis=1)


def _read_rows(path: Path) -> _Rows:
    """The content of a file, checked. Raises InputError if the file is missing or damaged."""
    try:
        arrays = read_arrays(path)
        bits, classes = int(arrays["bits"]), int(arrays["classes"])
        if not (MIN_BITS <= bits <= MAX_BITS and 0 <= classes <= MOST_CLASSES):
            raise ValueError(f"bits {bits} or classes {classes} out of range")
        query: NDArray[Any]
        gallery: NDArray[Any] | None
        if "query_vectors" in arrays:
            query, gallery = _vectors(arrays["query_vectors"], arrays["gallery_vectors"])
            self_search = bool(arrays["self_search"])
            if self_search and len(query) != len(gallery):
                raise ValueError("other numbers of queries than of videos in a search among themselves")
        else:
            self_search = "gallery_codes" not in arrays
            query = _bits(arrays["query_codes"], bits)
            gallery = None if self_search else _bits(arrays["gallery_codes"], bits)
        rows = _Rows(
            bits,
            classes,
            self_search,
            query,
            _bits(arrays["query_labels"], classes) if classes else None,
            gallery,
            _bits(arrays["gallery_labels"], classes) if classes and not self_search else None,
            None if classes else arrays["neighbours"],
        )
        pairs = ((query, rows.query_labels), (gallery, rows.gallery_labels))
        if any(codes is not None and labels is not None and len(codes) != len(labels) for codes, labels in pairs):
            raise ValueError("codes and labels of different numbers of videos")
    except OSError as error:
        raise unreadable(path, error) from error
    except UNREADABLE as error:
        raise InputError(f"{path}: no readable codes ({error}); run again with --existing rerun") from error
    return rows


def _bits(packed: NDArray[Any], columns: int) -> Packed:
    """The array itself, if each row holds `columns` bits, and zeros in the rest of its last byte."""
    spare = -columns % 8
    if packed.dtype != np.uint8 or packed.ndim != 2 or packed.shape[1] != -(-columns // 8):
        raise ValueError(f"not {columns} bits a row")
    if spare and (packed[:, -1] & ((1 << spare) - 1)).any():
        raise ValueError(f"more than {columns} bits a row")
    return packed


def _vectors(query: NDArray[Any], gallery: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The arrays themselves, if they are finite float32 vectors of one length."""
    for vectors in (query, gallery):
        if vectors.dtype != np.float32 or vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
            raise ValueError("no finite float32 vectors")
    if query.shape[1] != gallery.shape[1]:
        raise ValueError("vectors of different lengths")
    return query, gallery
