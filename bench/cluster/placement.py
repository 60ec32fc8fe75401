"""Datasets as they are placed on a node: the same values, to the bit, in files that batches are read from."""

import hashlib
import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.atomic import write_file
from bench.cluster.scratch import MEND, locked, scratch
from bench.data.dataset import Dataset, DatasetSource, Split, Summary
from bench.data.headers import open_safetensors, safetensors_header
from bench.data.precision import Precision, as_stored, stored_dtype
from bench.data.space import gigabytes, require_space

DESCRIPTION = "description.json"
KEY = "feats"
PARTS = ("train", "query", "gallery")
# Several are under way at once, each of them in several precisions.
CHUNK_BYTES = 16 * 2**20


class PlacedArray(BaseModel):
    """Features (N, T, D), or labels (N, C) as uint8, in a file of their own."""

    model_config = ConfigDict(frozen=True)

    file: str
    kind: Precision | Literal["uint8"]
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of one video."""
        item = 1 if self.kind == "uint8" else stored_dtype(self.kind).itemsize
        return prod(self.shape[1:]) * item

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.header()) + self.shape[0] * self.row_bytes

    def header(self) -> bytes:
        """What the file begins with."""
        if self.kind != "uint8":
            count, frames, dimensions = self.shape
            return safetensors_header(KEY, self.kind, (count, frames, dimensions))
        written = io.BytesIO()
        described = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(written, described)  # type: ignore[no-untyped-call,unused-ignore]
        return written.getvalue()

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Which videos, first and behind the last, make chunks of about 16 MB."""
        step = max(1, CHUNK_BYTES // max(1, self.row_bytes))
        for start in range(0, self.shape[0], step):
            yield start, min(start + step, self.shape[0])


class PlacedSplit(BaseModel):
    """The files of one split."""

    model_config = ConfigDict(frozen=True)

    features: PlacedArray
    labels: PlacedArray | None


class PlacedDescription(BaseModel):
    """All that there is to know of a placed dataset beside its arrays. Frames for pictures are not placed."""

    model_config = ConfigDict(frozen=True)

    summary: Summary
    class_names: tuple[str, ...]
    splits: dict[str, PlacedSplit]
    parts: dict[str, str]
    """By part, such as `gallery`, the split that plays it: the gallery can be the training videos, or the queries."""

    @property
    def arrays(self) -> list[PlacedArray]:
        """All files, in order."""
        return [array for split in self.splits.values() for array in (split.features, split.labels) if array]


class PlacedDataset(DatasetSource):
    """The dataset in a folder that `place` filled: summary and values are those of the original."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._described = PlacedDescription.model_validate_json((folder / DESCRIPTION).read_bytes())
        self.name, self.title = self._described.summary.name, self._described.summary.title

    def summary(self) -> Summary:
        return self._described.summary

    def load(self) -> Dataset:
        described = self._described
        splits = {name: self._split(split) for name, split in described.splits.items()}
        train, query, gallery = (splits[described.parts[part]] for part in PARTS)
        return Dataset(described.summary, train, query, gallery, described.class_names)

    def _split(self, split: PlacedSplit) -> Split:
        labels = np.load(self._folder / split.labels.file, allow_pickle=False) if split.labels else None
        return Split(open_safetensors(self._folder / split.features.file, KEY), labels)


def describe(data: Dataset) -> PlacedDescription:
    """What a dataset will be when it is placed."""
    played = {part: getattr(data, part) for part in PARTS}
    parts = {part: next(name for name in PARTS if played[name] is split) for part, split in played.items()}
    return PlacedDescription(
        summary=data.summary,
        class_names=data.class_names,
        splits={name: _described(name, played[name]) for name in dict.fromkeys(parts.values())},
        parts=parts,
    )


def chunk_of(data: Dataset, file: str, start: int, stop: int) -> NDArray[Any]:
    """Videos start…stop-1 of the array that is to lie in `file`, as they are stored there."""
    name, _, _ = file.partition(".")
    if name.endswith("-labels"):
        labels = getattr(data, name.removesuffix("-labels")).labels
        return np.ascontiguousarray(labels[start:stop], dtype=np.uint8)
    features = getattr(data, name).features
    return as_stored(features.read_slice(start, stop), _precision(features.dtype))


def place(
    fingerprint: str,
    describe_it: Callable[[], PlacedDescription],
    chunks: Callable[[PlacedArray], Iterable[NDArray[Any]]],
    stop: Callable[[], bool],
    say: Callable[[str], None],
) -> Path:
    """The folder of a dataset on this node; the first of all processes that ask fills it, the others wait.

    Raises InputError if there is no room for it, Stopped if `stop` comes true before it is there.
    """
    named = scratch() / "features"
    named.mkdir(exist_ok=True)
    # A plug-in may call its fingerprint anything.
    folder = named / hashlib.sha256(fingerprint.encode()).hexdigest()[:32]
    with locked(folder.with_suffix(".lock"), stop):
        if _complete(folder):
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        described = describe_it()
        size = sum(array.size for array in described.arrays)
        require_space(folder, size, f"dataset {described.summary.name}", MEND)
        say(f"{described.summary.name}: {gigabytes(size)} come to this node, once")
        folder.mkdir()
        for array in described.arrays:
            with (folder / array.file).open("wb") as file:
                file.write(array.header())
                for chunk in chunks(array):
                    file.write(chunk.reshape(-1).view(np.uint8).data)
        write_file(folder / DESCRIPTION, described.model_dump_json().encode())
    return folder


def _complete(folder: Path) -> bool:
    """Is everything there? The description is written last; what clears temporary files may have taken others away."""
    try:
        described = PlacedDescription.model_validate_json((folder / DESCRIPTION).read_bytes())
        return all((folder / array.file).stat().st_size == array.size for array in described.arrays)
    except (OSError, ValidationError):
        return False


def _described(name: str, split: Split) -> PlacedSplit:
    features = PlacedArray(
        file=f"{name}.safetensors", kind=_precision(split.features.dtype), shape=split.features.shape
    )
    if split.labels is None:
        return PlacedSplit(features=features, labels=None)
    labels = PlacedArray(file=f"{name}-labels.npy", kind="uint8", shape=split.labels.shape)
    return PlacedSplit(features=features, labels=labels)


def _precision(stored: Precision) -> Precision:
    # Features are read as float32: twice the bytes would hold nothing more.
    return "float32" if stored == "float64" else stored
