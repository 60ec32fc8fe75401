"""Label files that are not what they should be, met by `bench data check`."""

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import savemat
from scipy.sparse import csc_matrix

from . import material
from .case import Case, Make, command, cut, nothing, written
from .features import declared, deflated_zeros, external, hdf5, header, in_file, link, pickled

GOOD = material.labels_of("test")


def cases() -> Iterator[Case]:
    for name, make in MAT.items():
        yield case("test_labels.mat", name, make, "")
    for name, make in NPY.items():
        yield case("test_labels.npy", name, make, '[files.test]\nlabels = "test_labels.npy"\n')


def case(file: str, name: str, make: Make, note: str) -> Case:
    def fill(folder: Path) -> None:
        material.feature_folder(folder)
        (folder / "data" / "test_labels.mat").unlink()
        (folder / "data" / "dataset.toml").write_text(note)
        make(folder / "data" / file)

    return Case("labels", f"{name} ({Path(file).suffix})", fill, command("data", "check", "data"), file)


def mat(value: Any, key: str = "labels", **options: Any) -> Make:
    return lambda path: savemat(path, {key: value}, **options)


def at_labels(make: Make) -> Make:
    """The HDF5 file that `make` writes, its `feats` renamed."""

    def renamed(path: Path) -> None:
        make(path)
        with h5py.File(path, "r+") as file:
            file.move("feats", "labels")

    return renamed


def element(kind: int, content: bytes) -> bytes:
    """A data element of a MATLAB file of version 5."""
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(dims: tuple[int, ...], values: bytes = bytes(8), mclass: int = 6, name: bytes = b"labels") -> bytes:
    flags = element(6, struct.pack("<II", mclass, 0))
    return element(14, flags + element(5, struct.pack(f"<{len(dims)}i", *dims)) + element(1, name) + element(9, values))


def file_of(*elements: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements)


def packed(content: bytes) -> bytes:
    data = zlib.compress(content, 9)
    return struct.pack("<II", 15, len(data)) + data


def huge_inside(path: Path) -> None:
    """Labels said to be 3 × 3, with 3 GB of zeros that compress to 3 MB."""
    size, small = 3 * 2**30, matrix((3, 3), b"")
    head = struct.pack("<II", 14, size + 200) + small[8:-8] + struct.pack("<II", 9, size)
    data = deflated_zeros(size, head)
    path.write_bytes(file_of(struct.pack("<II", 15, len(data)) + data))


def padded(path: Path) -> None:
    """A header that promises 100 GB, in a file long enough to make that seem possible."""
    path.write_bytes(file_of(matrix((10**5, 10**5)), element(2, bytes(12_000_000))))


def sparse(indices: list[int], pointers: list[int]) -> Make:
    """A sparse matrix whose rows are wherever the file says."""

    def make(path: Path) -> None:
        good = csc_matrix(GOOD.astype(float))
        savemat(path, {"labels": good})
        content = path.read_bytes()
        for old, new in ((good.indices, indices), (good.indptr, pointers)):
            if new:
                content = content.replace(old.astype("<i4").tobytes(), np.array(new, "<i4").tobytes(), 1)
        path.write_bytes(content)

    return make


def cells(depth: int) -> Make:
    """Cells within cells."""

    def make(path: Path) -> None:
        flags = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<ii", 1, 1))
        content = matrix((1, 1))
        for level in range(depth):
            content = element(14, flags + element(1, b"labels" if level == depth - 1 else b"") + content)
        path.write_bytes(file_of(content))

    return make


def version_4(rows: int, columns: int, kind: int = 0) -> bytes:
    return struct.pack("<iiiii", kind, rows, columns, 0, 7) + b"labels\x00" + bytes(64)


def sparse_group(rows: Any = 6, **changed: Any) -> Make:
    """Labels as MATLAB 7.3 stores sparse matrices, with some part changed."""

    def make(path: Path) -> None:
        good = csc_matrix(GOOD.astype(float))
        with h5py.File(path, "w") as file:
            group = file.create_group("labels")
            group.attrs["MATLAB_class"], group.attrs["MATLAB_sparse"] = np.bytes_("double"), rows
            for name, value in ({"data": good.data, "ir": good.indices, "jc": good.indptr} | changed).items():
                group[name] = value

    return make


def written_by_matlab(dtype: Any, kind: str) -> Make:
    """An array (classes, videos) with the name of a MATLAB class that holds no numbers."""

    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("labels", (1, 6), dtype).attrs["MATLAB_class"] = np.bytes_(kind)

    return make


COMMON: dict[str, Make] = {
    "not there": nothing,
    "empty": written(b""),
    "text": written("no labels here\n" * 50),
    "a folder": Path.mkdir,
    "a pipe that nobody writes to": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
}
MAT: dict[str, Make] = COMMON | {
    "other key": mat(GOOD, "L"),
    "other rows": mat(GOOD[:4]),
    "numbers": mat(np.arange(18).reshape(6, 3)),
    "NaN": mat(np.where(GOOD, np.nan, 0)),
    "one column of fractions": mat(np.arange(6)[:, None] / 4),
    "one column of negative numbers": mat(np.arange(6)[:, None] - 3),
    "one row, too short": mat(np.arange(5)),
    "text inside": mat("labels"),
    "cells": mat(np.array([["a", 1]], dtype=object)),
    "a structure": mat({"a": 1}),
    "complex": mat(GOOD * 1j),
    "no rows": mat(np.zeros((0, 3))),
    "four axes": mat(np.zeros((2, 2, 2, 2))),
    "cut off": cut(material.mat, 0.7),
    "cut off, compressed": cut(material.compressed_mat, 0.8),
    "only a header": written(file_of()),
    "huge": written(file_of(matrix((10**5, 10**5)))),
    "huge, compressed": written(file_of(packed(matrix((10**5, 10**5))))),
    "huge, in a file of 12 MB": padded,
    "huge inside": huge_inside,
    "negative": written(file_of(matrix((-1, 3)))),
    "negative twice": written(file_of(matrix((-(10**5), -(10**5))))),
    "thirty-three axes": written(file_of(matrix((1,) * 33))),
    "an unknown class": written(file_of(matrix((1, 1), mclass=99))),
    "a Java object": written(file_of(matrix((1, 1), mclass=17))),
    "a small and then a huge one": written(file_of(matrix((1, 1)), matrix((10**5, 10**5)))),
    "a huge and then a small one": written(file_of(matrix((10**5, 10**5)), matrix((1, 1)))),
    "an element that is longer than the file": written(file_of(struct.pack("<II", 14, 2**32 - 1))),
    "compressed bytes that are none": written(file_of(struct.pack("<II", 15, 64) + b"x" * 64)),
    "cells nested 20,000 deep": cells(20_000),
    "sparse, huge": mat(csc_matrix((10**8, 40))),
    "sparse, rows beyond the end": sparse([0, 10**6, 1, 4, 2, 5], []),
    "sparse, rows before the start": sparse([0, -(10**6), 1, 4, 2, 5], []),
    "sparse, columns that run backwards": sparse([], [0, 4, 2, 6]),
    "sparse, columns beyond the end": sparse([], [0, 2, 4, 10**6]),
    "version 4, huge": written(version_4(10**5, 10**5)),
    "version 4, negative": written(version_4(-1, -1)),
    "version 4, an unknown type": written(version_4(1, 1, 99)),
    "version 7.3, other key": hdf5(GOOD.T),
    "version 7.3, huge": at_labels(declared((239, 10**9), "f8", chunks=(239, 100))),
    "version 7.3, a link": link("labels", h5py.ExternalLink("other.h5", "/feats")),
    "version 7.3, a link to itself": link("labels", h5py.SoftLink("labels")),
    "version 7.3, texts": hdf5(np.array([[b"a"]]), "labels"),
    "version 7.3, sparse, rows beyond the end": sparse_group(ir=[0, 10**6, 1, 4, 2, 5]),
    "version 7.3, sparse, rows before the start": sparse_group(ir=[0, -(10**6), 1, 4, 2, 5]),
    "version 7.3, sparse, columns that run backwards": sparse_group(jc=[0, 4, 2, 6]),
    "version 7.3, sparse, columns beyond the end": sparse_group(jc=[0, 2, 4, 10**6]),
    "version 7.3, sparse, without columns": sparse_group(jc=[]),
    "version 7.3, sparse, rows that are fractions": sparse_group(ir=[0.5, 3, 1, 4, 2, 5]),
    "version 7.3, sparse, two axes": sparse_group(data=np.ones((6, 1))),
    "version 7.3, sparse, huge": sparse_group(rows=10**9),
    "version 7.3, sparse, a negative size": sparse_group(rows=-6),
    "version 7.3, sparse, a size that is text": sparse_group(rows="six"),
    "version 7.3, sparse, parts in another file": sparse_group(jc=h5py.ExternalLink("other.h5", "/jc")),
    "version 7.3, cells": written_by_matlab(h5py.ref_dtype, "cell"),
    "version 7.3, characters": written_by_matlab("u2", "char"),
    "version 7.3, references": in_file(lambda file: file.create_dataset("labels", (6, 3), h5py.ref_dtype)),
    "version 7.3, in another file": at_labels(lambda path: hdf5_with(path, external)),
    "version 7.3, no values": hdf5(h5py.Empty("u1"), "labels"),
}
NPY: dict[str, Make] = COMMON | {
    "Python objects": pickled,
    "huge": header((10**9, 239), "|u1"),
    "negative": header((-6, -3), "|u1"),
    "texts": lambda path: np.save(path, np.array([["a", "b"]])),
    "five class numbers": lambda path: np.save(path, np.arange(5)),
    "no number": lambda path: np.save(path, np.array([0, 1, 2, 0, 1, np.nan])),
    "class numbers without end": lambda path: np.save(path, np.array([0, 1, 2, 0, 1, 2**63], np.uint64)),
    "dates": lambda path: np.save(path, np.zeros((6, 3), "M8[s]")),
    "other rows": lambda path: np.save(path, GOOD[:4]),
    "larger than labels ever are": lambda path: sparse_file(path, (10**8, 239)),
}


def hdf5_with(path: Path, change: Callable[[Any], None]) -> None:
    path.with_name("values.bin").write_bytes(bytes(10**4))
    with h5py.File(path, "w") as file:
        change(file)


def sparse_file(path: Path, shape: tuple[int, ...]) -> None:
    """A file that is as long as it says, most of it a hole on the disk."""
    header(shape, "|u1")(path)
    with path.open("r+b") as file:
        file.truncate(10**4 + int(np.prod(shape)))
