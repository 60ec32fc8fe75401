"""The plug-in: what the benchmark asks of a dataset."""

import functools
import warnings
from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bench.cache import cache_folder
from bench.data.dataset import Dataset, DatasetSource, Recommended, Split, Summary
from bench.data.features import ArrayFeatures

from . import storage
from .digits import SplitName
from .motion import draw_scenes
from .parameters import Parameters
from .storage import SplitArrays

CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class MovingDigits(DatasetSource):
    """DOC"""

    name = "moving-digits"
    title = "Moving digits"
    recommended: Recommended = MappingProxyType({})

    def __init__(self, parameters: Parameters | None = None) -> None:
        self.parameters = parameters or Parameters()

    def summary(self) -> Summary:
        """Sizes and fingerprint; makes nothing."""
        parameters = self.parameters
        return Summary(
            name=self.name,
            title=self.title,
            fingerprint=parameters.fingerprint(),
            train_videos=parameters.train_videos,
            query_videos=parameters.query_videos,
            gallery_videos=parameters.gallery_videos,
            frames=parameters.frames,
            dimensions=parameters.filters,
            classes=len(CLASS_NAMES),
            self_search=False,
        )

    def load(self) -> Dataset:
        """The data from the cache; where it is not there in good order, it is made, in seconds, and put there."""
        arrays = self._arrays()
        return Dataset(
            summary=self.summary(),
            train=self._split("train", arrays["train"]),
            query=self._split("query", arrays["query"]),
            gallery=self._split("gallery", arrays["gallery"]),
            class_names=CLASS_NAMES,
            recommended=self.recommended,
        )

    def _split(self, split: SplitName, arrays: SplitArrays) -> Split:
        return Split(
            features=ArrayFeatures(arrays.features),
            labels=arrays.labels,
            frames=functools.partial(frames_of, self.parameters, split),
        )

    def _arrays(self) -> dict[SplitName, SplitArrays]:
        path = cache_folder() / f"moving-digits-{self.parameters.fingerprint()[:16]}.npz"
        kept = storage.read(path)
        if kept is not None:
            return kept
        from .generation import generate  # noqa: PLC0415  brings torch, which reading the cache does without

        made = generate(self.parameters)
        try:
            storage.write(path, made)
        except OSError as error:
            warnings.warn(
                f"moving-digits could not be kept for the next time: {error}; set VHBENCH_CACHE to a writable folder",
                stacklevel=2,
            )
        return made


def frames_of(parameters: Parameters, split: SplitName, videos: Sequence[int]) -> NDArray[np.uint8]:
    """The frames of these videos of a split, (n, T, H, W): rendered anew, and the very ones that were described."""
    from .rendering import render  # noqa: PLC0415  brings torch, which most users of the data never need for frames

    scenes = draw_scenes(parameters, split)
    indices = np.asarray(videos, dtype=np.int64)
    if indices.size and not -len(scenes) <= indices.min() <= indices.max() < len(scenes):
        raise IndexError(f"video index out of range: there are {len(scenes)} videos")
    return render(parameters, split, scenes, indices % len(scenes))
