"""What a dataset is: three splits of features and labels, and the source that makes or reads them."""

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

from bench.data.features import Features
from bench.data.neighbours import exact_neighbours

Recommended = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Split:
    """Videos that play one part: features (N, T, D), labels (N, C) uint8 multi-hot or None.

    `frames`, where the dataset can show its videos, turns indices into (n, T, H, W) uint8 grey frames.
    """

    features: Features
    labels: NDArray[np.uint8] | None = None
    frames: Callable[[Sequence[int]], NDArray[np.uint8]] | None = None


class Summary(BaseModel):
    """What is known of a dataset without reading its features."""

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
    """The queries are the gallery (FCVID)."""
    stand_in: bool = False
    """Generated in the layout of a real dataset (`bench data fake`); reports say so in their title."""
    place: str = ""
    """The folder that it was read from, if it was: reports tell datasets of one name apart by it."""

    @property
    def train_shape(self) -> tuple[int, int, int]:
        """(N, T, D) of the training features."""
        return self.train_videos, self.frames, self.dimensions


@dataclass(frozen=True)
class Dataset:
    """A dataset at hand. `gallery is query` where the test set is searched against itself."""

    summary: Summary
    train: Split
    query: Split
    gallery: Split
    class_names: tuple[str, ...]
    recommended: Recommended = field(default_factory=dict)
    """Parameter values that suit this dataset better than a method's own defaults, by method name."""

    def __post_init__(self) -> None:
        # Plain dictionaries, since read-only views such as those of sources cannot be sent to other processes.
        plain = {method: dict(values) for method, values in self.recommended.items()}
        object.__setattr__(self, "recommended", plain)

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """The exact nearest gallery videos of every query: what counts as relevant where there are no labels."""
        return exact_neighbours(self.query.features, None if self.gallery is self.query else self.gallery.features)


class DatasetSource(ABC):
    """A dataset plug-in: it knows its summary at once and makes or reads the data when asked."""

    name: str
    title: str
    recommended: Recommended = MappingProxyType({})

    @classmethod
    def at(cls, root: Path | None) -> Self:
        """The source whose files, if it reads any, lie under `root`; None: where the environment says."""
        return cls()

    @abstractmethod
    def summary(self) -> Summary:
        """Sizes and fingerprint, cheaply. Raises InputError if something is missing or malformed."""

    @abstractmethod
    def load(self) -> Dataset:
        """The data, checked. Raises InputError naming the file, the key and the mend."""
