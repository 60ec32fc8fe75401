"""A folder of feature files as a dataset: the layout that the video-hashing repositories use.

`train_feats.h5`, `test_feats.h5` with dataset `feats` (N, T, D); `train_labels.mat`, `test_labels.mat` with key
`labels` (N, C); optionally `query_feats.h5`, `query_labels.mat`. Features may also end in `.npy` or `.safetensors`,
labels in `.npy`. An optional `dataset.toml` names other files, keys and parts.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset, DatasetSource, Split, Summary
from bench.data.description import Description, SplitName
from bench.data.features import Features
from bench.data.files import content_hash
from bench.data.finite import require_finite
from bench.data.hdf5 import DAMAGE, is_hdf5, open_hdf5
from bench.data.label_files import labels_in
from bench.data.layout import SplitPaths, layout_of
from bench.data.opening import joined, names_of, open_parts
from bench.errors import InputError
from bench.labels import Labels, as_tables, require_alike
from bench.news import say


class FolderSource(DatasetSource):
    """Reads a folder; every defect of it is an InputError that names the file and the mend."""

    def __init__(self, folder: Path, built_in: Description | None = None) -> None:
        self.layout = layout_of(folder, built_in)
        self.name = self.layout.name
        self.title = self.layout.title
        self.recommended = self.layout.description.recommended

    def summary(self) -> Summary:
        layout = self.layout
        train, query, gallery = (self._features[split] for split in ("train", layout.query, layout.gallery))
        for split, features in ((layout.query, query), (layout.gallery, gallery)):
            if features.shape[1:] != train.shape[1:]:
                raise InputError(
                    f"{self._source(split)}: (frames, dimensions) = {features.shape[1:]}, but "
                    f"{self._source('train')} has {train.shape[1:]}; they must agree"
                )
        marked = (marks_stand_in(path) for split in layout.splits.values() for path in split.features)
        return Summary(
            name=self.name,
            title=self.title,
            fingerprint=content_hash(layout.files()),
            train_videos=len(train),
            query_videos=len(query),
            gallery_videos=len(gallery),
            frames=train.shape[1],
            dimensions=train.shape[2],
            classes=len(self._tables[1]),
            self_search=layout.query == layout.gallery,
            stand_in=layout.description.stand_in or any(marked),
            place=str(layout.folder.resolve()),
        )

    def load(self) -> Dataset:
        summary, layout = self.summary(), self.layout
        tables, names = self._tables
        for split, found in self._labels.items():
            if found.turned:
                videos = len(found.values)
                say(f"{self._labels_source(split)}: read as (classes, videos), since there are {videos} videos")
        if summary.frames == 1:
            say(f"{self.name}: one frame a video")
        for split in layout.splits:
            require_finite(self._features[split], self._source(split))
        splits = {split: Split(self._features[split], tables.get(split)) for split in layout.splits}
        return Dataset(
            summary, splits["train"], splits[layout.query], splits[layout.gallery], tuple(names), self.recommended
        )

    def _source(self, split: SplitName) -> str:
        return names_of(self.layout.splits[split].features)

    def _labels_source(self, split: SplitName) -> str:
        return names_of(self.layout.splits[split].labels)

    @cached_property
    def _parts(self) -> dict[SplitName, list[Features]]:
        return {split: open_parts(paths) for split, paths in self.layout.splits.items()}

    @cached_property
    def _features(self) -> dict[SplitName, Features]:
        return {split: joined(paths, self._parts[split]) for split, paths in self.layout.splits.items()}

    @cached_property
    def _labels(self) -> dict[SplitName, Labels]:
        """The labels of all splits that have any, checked against each other."""
        layout = self.layout
        order = dict.fromkeys((layout.query, layout.gallery, *layout.splits))
        found = {split: self._read_labels(split) for split in order if layout.splits[split].labels}
        require_alike({f"the labels in {self._labels_source(split)}": labels for split, labels in found.items()})
        return found

    def _read_labels(self, split: SplitName) -> Labels:
        paths, videos = self.layout.splits[split], [len(part) for part in self._parts[split]]
        counts = videos_of_labels(paths, videos)
        parts = {
            f"the labels in {path}": labels_in(path, paths.labels_key, count)
            for path, count in zip(paths.labels, counts, strict=True)
        }
        require_alike(parts)
        values = np.concatenate([part.values for part in parts.values()])
        if len(values) != sum(videos):
            raise InputError(
                f"{self._labels_source(split)}: {len(values)} rows of labels for the {sum(videos)} videos of "
                f"{self._source(split)}; they must match row by row"
            )
        return Labels(values, any(part.turned for part in parts.values()))

    @cached_property
    def _tables(self) -> tuple[dict[SplitName, NDArray[np.uint8]], list[str]]:
        """The labels of every split that has any as (N, C), and the names of the classes."""
        if not self._labels:
            return {}, []
        names = self.layout.description.class_names
        try:
            tables, names = as_tables([found.values for found in self._labels.values()], names)
        except InputError as error:
            source = self.layout.note if names else self._labels_source(self.layout.query)
            raise InputError(f"{source}: {error}") from error
        return dict(zip(self._labels, tables, strict=True)), names


def videos_of_labels(paths: SplitPaths, videos: Sequence[int]) -> list[int | None]:
    """How many videos each file of labels has, as far as that is known from those of each file of features."""
    if len(paths.labels) == 1:
        return [sum(videos)]
    # Labels may be cut into parts where features are not.
    return list(videos) if len(paths.labels) == len(videos) else [None] * len(paths.labels)


def marks_stand_in(path: Path) -> bool:
    """Does the feature file itself say that it was generated (an attribute of an HDF5 file's root)?"""
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        try:
            return bool(np.any(file.attrs.get("stand_in", False)))
        except DAMAGE as error:
            raise InputError(f"{path}: its attributes cannot be read; download or export it again") from error
