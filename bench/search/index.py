"""An index over binary codes: a folder with a faiss index and a description of what is in it.

Up to a million codes the index is exact: every query is compared with all of them. Beyond, codes are kept in lists
around centres, of which a query visits a few (faiss, `IndexBinaryIVF`); what that costs in recall is measured.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from bench.base.atomic import replace, write_file
from bench.base.errors import InputError
from bench.base.files import require_file
from bench.base.text import one_line, validation_message
from bench.encoding.code_file import CodeFile, Origin, sha256_of
from bench.metrics.codes import MAX_BITS, PackedCodes, code_bytes, packed_bytes

DESCRIPTION = "index.json"
EXACT = 1_000_000
"""The most codes that are searched one by one."""
RECALL, SAMPLE, NEIGHBOURS = 0.99, 1000, 10
"""The recall of the nearest neighbours that lists must reach, the queries that measure it, and neighbours of each.

With 200 queries chance ended the search for the number of lists too early: 0.991 was found, of 2000 others 0.985."""
TURNED = 0.05
"""The share of a query's bits that differ from those of a code in the index."""
AGAIN = "make the index again with bench index"


class IndexDescription(Origin):
    """What an index holds."""

    schema_version: Literal[1] = 1
    file: str = Field(pattern=r"^index-[0-9a-f]{12}\.faiss$")
    """The faiss index, named by the beginning of its SHA-256."""
    kind: Literal["exact", "lists"]
    videos: int = Field(ge=1)
    bits: int = Field(ge=1, le=MAX_BITS)
    recall: float | None = Field(default=None, ge=0, le=1)
    """Of `lists`: the share of the nearest neighbours of sampled codes that a search finds."""
    visited: int | None = None
    """Of `lists`: the lists that a query visits."""


@dataclass(frozen=True)
class Index:
    """An opened index."""

    folder: Path
    description: IndexDescription
    faiss: Any

    def name_of(self, number: int) -> str:
        """What the code of this number is called."""
        return str(number) if self.description.ids is None else self.description.ids[number]

    def label_of(self, number: int) -> str:
        """The class of the code of this number; empty where none is known."""
        return "" if self.description.labels is None else self.description.labels[number]

    def number_of(self, name: str) -> int | None:
        """The number of the code of this name; None if there is none."""
        if self.description.ids is not None:
            return self.description.ids.index(name) if name in self.description.ids else None
        known = name.isdecimal() and int(name) < self.description.videos
        return int(name) if known else None

    def codes(self) -> NDArray[np.uint8]:
        """The packed codes of all videos, in order."""
        return np.asarray(self._stored.reconstruct_n(0, self.description.videos))

    def code(self, number: int) -> PackedCodes:
        """The code of this number."""
        return packed_bytes(self._stored.reconstruct(number)[None], self.description.bits)

    @property
    def _stored(self) -> Any:
        """What can give codes back."""
        if self.description.kind == "exact":
            return faiss.downcast_IndexBinary(self.faiss.index)
        self.faiss.make_direct_map()  # does nothing where there is one
        return self.faiss


def create(codes: CodeFile, folder: Path) -> Index:
    """Write an index of these codes into a folder, which must be new or empty.

    Raises InputError if there is something else in the folder, no codes, or it cannot be written.
    """
    if os.path.lexists(folder / DESCRIPTION):
        raise InputError(f"{folder}: holds an index; add the codes to it with --add, or name another folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is no empty folder; name a new one")
    return write(codes, folder)


def write(codes: CodeFile, folder: Path) -> Index:
    """Write an index of these codes into a folder, whatever else it holds. Raises InputError as `create` does."""
    return _write(folder, code_bytes(codes.codes), codes.codes.bits, codes.description or Origin())


def add(codes: CodeFile, folder: Path) -> Index:
    """Add codes to an index that is there.

    Raises InputError if they are of other bits or of another encoder, or have a name that is there already.
    """
    index = open_index(folder)
    known, packed = index.description, codes.codes
    if packed.bits != known.bits:
        raise InputError(f"{folder}: holds codes of {known.bits} bits, not {packed.bits}; make another index of these")
    octets, origin = code_bytes(packed), _joined(folder, known, codes)
    if known.kind == "exact" and known.videos + len(octets) > EXACT:
        return _write(folder, np.concatenate([index.codes(), octets]), known.bits, origin)
    index.faiss.add_with_ids(octets, np.arange(known.videos, known.videos + len(octets)))
    changed = {"videos": known.videos + len(octets), **dict(origin)}
    if known.kind == "lists":
        changed |= {"recall": _tuned(index.faiss, np.concatenate([index.codes(), octets]))}
        changed |= {"visited": index.faiss.nprobe}
    return _store(folder, index.faiss, known.model_copy(update=changed))


def _joined(folder: Path, known: IndexDescription, codes: CodeFile) -> Origin:
    """The origin of an index's codes and those added to it. Raises InputError as `add` does."""
    added = codes.description or Origin()
    if (added.encoder and added.encoder.digest) != (known.encoder and known.encoder.digest):
        raise InputError(f"{folder}: its codes come from another encoder; make another index of these")
    if (added.ids is None) != (known.ids is None):
        raise InputError(f"{folder}: either all codes have names or none; {AGAIN} of all of them")
    there = set(known.ids or [])
    twice = next((name for name in added.ids or [] if name in there), None)
    if twice is not None:
        raise InputError(f"{folder}: '{one_line(twice)}' is there already; add codes of other videos alone")
    labels = None
    if known.labels is not None or added.labels is not None:
        labels = [*(known.labels or [""] * known.videos), *(added.labels or [""] * len(codes.codes))]
    ids = None if known.ids is None or added.ids is None else [*known.ids, *added.ids]
    return Origin(encoder=known.encoder, extraction=known.extraction, ids=ids, labels=labels)


def open_index(folder: Path) -> Index:
    """The index in a folder. Raises InputError if there is none, or it is damaged."""
    if not os.path.lexists(folder / DESCRIPTION):
        raise InputError(f"{folder}: holds no index (no file {DESCRIPTION}); make one with bench index")
    try:
        description = IndexDescription.model_validate_json(require_file(folder / DESCRIPTION).read_bytes())
    except ValidationError as error:
        raise InputError(f"{folder / DESCRIPTION}: {validation_message(error)}; {AGAIN}") from error
    path = require_file(folder / description.file, AGAIN)
    if not sha256_of(path).startswith(description.file.removeprefix("index-").removesuffix(".faiss")):
        raise InputError(f"{path}: was changed since it was written; {AGAIN}")
    index: Any = faiss.read_index_binary(str(path))
    if description.kind == "lists":
        index.nprobe = description.visited
    return Index(folder, description, index)


def _write(folder: Path, octets: NDArray[np.uint8], bits: int, origin: Origin) -> Index:
    if not len(octets):
        raise InputError("there are no codes to make an index of; encode at least one video")
    known = {name: getattr(origin, name) for name in Origin.model_fields}
    unnamed = f"index-{'0' * 12}.faiss"
    description = IndexDescription(file=unnamed, kind="exact", videos=len(octets), bits=bits, **known)
    if len(octets) <= EXACT:
        index = faiss.IndexBinaryIDMap(faiss.IndexBinaryFlat(8 * octets.shape[1]))
        index.add_with_ids(octets, np.arange(len(octets)))
        return _store(folder, index, description)
    index = _lists(octets)
    recall = _tuned(index, octets)
    lists = {"kind": "lists", "recall": recall, "visited": index.nprobe}
    return _store(folder, index, description.model_copy(update=lists))


def _lists(octets: NDArray[np.uint8]) -> Any:
    """Codes in 2√n lists; centres are learned from some of them. More lists: faster queries, and a slower start."""
    lists = int(2 * np.sqrt(len(octets)))
    index = faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(8 * octets.shape[1]), 8 * octets.shape[1], lists)
    drawn = np.random.default_rng(0).choice(len(octets), min(len(octets), 40 * lists), replace=False)
    index.cp.niter, index.cp.seed, index.cp.min_points_per_centroid = 5, 1, 1
    index.train(octets[np.sort(drawn)])
    index.add_with_ids(octets, np.arange(len(octets)))
    return index


def _tuned(index: Any, octets: NDArray[np.uint8]) -> float:
    """The recall of the nearest neighbours, after as many lists are visited as it needs, or more.

    Queries are some of the codes with a few bits turned, since what is looked up need not be in the index; neighbours
    that are equally near count alike.
    """
    random = np.random.default_rng(1)
    drawn = octets[random.choice(len(octets), min(SAMPLE, len(octets)), replace=False)]
    bits = random.random((*drawn.shape, 8)) < TURNED
    queries = drawn ^ np.packbits(bits, axis=2)[:, :, 0]
    exact = faiss.IndexBinaryFlat(8 * octets.shape[1])
    exact.add(octets)
    farthest = exact.search(queries, NEIGHBOURS)[0][:, -1:]
    while True:
        found = index.search(queries, NEIGHBOURS)[0]
        recall = float(np.mean((found >= 0) & (found <= farthest)))
        if recall >= RECALL or index.nprobe >= index.nlist:
            return recall
        index.nprobe = min(index.nlist, index.nprobe * 9 // 8 + 1)


def _store(folder: Path, index: Any, description: IndexDescription) -> Index:
    """Write the index, then the description that names it, so that a folder always has one whole index."""
    before = set(folder.glob("index-*.faiss"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside = folder / ".index.faiss"
        faiss.write_index_binary(index, str(beside))
        named = description.model_copy(update={"file": f"index-{sha256_of(beside)[:12]}.faiss"})
        replace(beside, folder / named.file)
        write_file(folder / DESCRIPTION, named.model_dump_json().encode() + b"\n")
    except (OSError, RuntimeError) as error:  # faiss raises the latter
        raise InputError(f"{folder}: cannot be written ({one_line(str(error))}); name another folder") from error
    for path in before - {folder / named.file}:
        with suppress(OSError):
            path.unlink()
    return Index(folder, named, index)
