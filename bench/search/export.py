"""Codes in the form that other programs search: faiss, usearch, pgvector.

Milvus takes packed bytes as they are, in big bit order: `bench encode --format packed --bitorder big`.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np

from bench.base.atomic import new_file
from bench.base.errors import InputError
from bench.base.text import closest, one_line
from bench.encoding.code_file import CodeFile
from bench.metrics.codes import code_bytes, unpack_codes

LINES = 2**14
"""Codes that are written as text at a time."""


def to_faiss(codes: CodeFile, path: Path) -> None:
    """A binary flat index; bit b of a code is bit b % 8 of byte b // 8, as faiss packs, and ids are row numbers."""
    octets = code_bytes(codes.codes)
    index = faiss.IndexBinaryFlat(8 * octets.shape[1])
    index.add(octets)
    faiss.write_index_binary(index, str(path))


def to_usearch(codes: CodeFile, path: Path) -> None:
    """An index with the Hamming metric; keys are row numbers, and bits are packed as `numpy.packbits` does (big)."""
    try:
        usearch = importlib.import_module("usearch.index")
    except ImportError as error:
        raise InputError("--to usearch: usearch is not installed; pip install usearch") from error
    signs = unpack_codes(codes.codes)
    octets = np.packbits(signs > 0, axis=1)
    index = usearch.Index(ndim=8 * octets.shape[1], metric="hamming", dtype="b1")
    index.add(np.arange(len(octets)), octets)
    index.save(str(path))


def to_pgvector(codes: CodeFile, path: Path) -> None:
    """Lines for `COPY … (id, code) FROM …`: the name of the code, a tab, and BIT(K) as text, the first bit first."""
    names = codes.description.ids if codes.description else None
    with path.open("w", encoding="utf-8", newline="\n") as file:
        signs = unpack_codes(codes.codes)
        for start in range(0, len(signs), LINES):
            for number, row in enumerate(signs[start : start + LINES], start):
                name = str(number) if names is None else _escaped(names[number])
                file.write(f"{name}\t{''.join('1' if sign > 0 else '0' for sign in row)}\n")


def export(codes: CodeFile, form: str, out: Path) -> None:
    """Write codes for another program.

    Raises InputError for an unknown form, and where `out` exists or cannot be written.
    """
    if form not in FORMS:
        raise InputError(f"--to {form}: {closest(form, FORMS)}")
    if out.exists():
        raise InputError(f"--out {out}: exists; name a new file")
    try:
        with new_file(out) as written:
            FORMS[form](codes, written)
    except (OSError, RuntimeError) as error:  # faiss raises the latter
        raise InputError(f"--out {out}: cannot be written ({one_line(str(error))}); name another file") from error


def _escaped(name: str) -> str:
    """A name as COPY's text format takes it."""
    return name.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


FORMS: dict[str, Callable[[CodeFile, Path], None]] = {
    "faiss": to_faiss,
    "usearch": to_usearch,
    "pgvector": to_pgvector,
}
"""By the names of the programs."""
