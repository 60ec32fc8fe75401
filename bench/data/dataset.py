"""Datasets: three splits of features and labels, the source that provides them, and exact neighbours."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bench.base.errors import InputError
from bench.data.features import Features, mean_pool

Recommended = Mapping[str, Mapping[str, Any]]
NEIGHBOURS = 10
"""Number of relevant videos per query."""
# Queries at a time; bounds the scratch memory.
BLOCK_VALUES = 2**25
# Cosines closer than this are equal: products of other blocks round differently.
DECIMALS = 10


@dataclass(frozen=True)
class Split:
    """Videos that play one part: features (N, T, D), labels (N, C) uint8 multi-hot or None.

    `frames`, where the dataset can show its videos, turns indices into (n, T, H, W) uint8 grey frames.
    """

    features: Features
    labels: NDArray[np.uint8] | None = None
    frames: Callable[[Sequence[int]], NDArray[np.uint8]] | None = None


class Summary(BaseModel):
    """Facts about a dataset that need no reading of its features."""

    model_config = ConfigDict(frozen=True)

    name: str
    title: str
    fingerprint: str
    train_videos: int
    query_videos: int
    gallery_videos: int
    frames: int
    dimensions: int
    classes: int
    """0 without labels."""
    self_search: bool
    """Whether the queries are the gallery, as in FCVID."""
    stand_in: bool = False
    """Whether it was generated in the layout of a real dataset (`bench data fake`); reports say so in their title."""
    place: str = ""
    """The folder that it was read from, if any; reports use it to distinguish datasets of one name."""

    @property
    def train_shape(self) -> tuple[int, int, int]:
        """(N, T, D) of the training features."""
        return self.train_videos, self.frames, self.dimensions


@dataclass(frozen=True)
class Dataset:
    """A loaded dataset. `gallery is query` where the test set is searched against itself."""

    summary: Summary
    train: Split
    query: Split
    gallery: Split
    class_names: tuple[str, ...]
    """A name for every column of the labels; or none."""
    recommended: Recommended = field(default_factory=dict)
    """Parameter values that suit this dataset better than a method's own defaults, by method name."""

    def __post_init__(self) -> None:
        if len(self.class_names) not in (0, self.summary.classes):
            raise InputError(
                f"{self.summary.name}: {len(self.class_names)} class_names for {self.summary.classes} classes; name "
                "every class, or none"
            )
        # Plain dictionaries, since read-only views such as those of sources cannot be sent to other processes.
        plain = {method: dict(values) for method, values in self.recommended.items()}
        object.__setattr__(self, "recommended", plain)

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """The exact nearest gallery videos of every query, which are relevant where there are no labels."""
        return exact_neighbours(self.query.features, None if self.gallery is self.query else self.gallery.features)


class DatasetSource(ABC):
    """A dataset plug-in: a cheap summary, and data that is generated or read on request."""

    name: str
    title: str
    recommended: Recommended = MappingProxyType({})

    @classmethod
    def at(cls, root: Path | None) -> Self:
        """The source whose files, if it reads any, lie under `root`; None: the folder in the environment."""
        return cls()

    @abstractmethod
    def summary(self) -> Summary:
        """Sizes and fingerprint, cheaply. Raises InputError if something is missing or malformed."""

    @abstractmethod
    def load(self) -> Dataset:
        """The data, checked. Raises InputError naming the file, the key and the fix."""


def exact_neighbours(queries: Features, gallery: Features | None = None, count: int = NEIGHBOURS) -> NDArray[np.int32]:
    """The `count` gallery videos nearest to each query by the cosine of their mean features, nearest first.

    Ties keep the order of the gallery. Without a gallery the queries search each other, and no query finds
    itself. A smaller gallery gives all that it has. A video of zeros is equally near to all others.

    Returns (queries, at most `count`), indices of gallery videos.

    Raises InputError where a query has nothing to find.
    """
    rows = _unit_means(queries)
    items = rows if gallery is None else _unit_means(gallery)
    found = min(count, len(items) - (gallery is None))
    if found < 1:
        raise InputError("one video has no neighbours; without labels at least two are needed to search")
    neighbours = np.empty((len(rows), found), dtype=np.int32)
    step = max(1, BLOCK_VALUES // len(items))
    for start in range(0, len(rows), step):
        near = np.round(rows[start : start + step] @ items.T, DECIMALS)
        if gallery is None:
            near[np.arange(len(near)), np.arange(start, start + len(near))] = -np.inf
        neighbours[start : start + step] = _largest(near, found)
    return neighbours


def _unit_means(features: Features) -> NDArray[np.float64]:
    means = mean_pool(features).astype(np.float64)
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return means / np.where(lengths > 0, lengths, 1)


def _largest(values: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Columns of the `count` largest values of each row, largest first, equal ones in order."""
    least = -np.partition(-values, count - 1, axis=1)[:, count - 1 : count]
    chosen: list[NDArray[Any]] = []
    for row, smallest in zip(values, least, strict=True):
        candidates = np.flatnonzero(row >= smallest)
        chosen.append(candidates[np.argsort(-row[candidates], kind="stable")][:count])
    return np.stack(chosen)
