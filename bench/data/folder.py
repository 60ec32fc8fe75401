"""A folder of feature files as a dataset: the layout that the video-hashing repositories use.

`train_feats.h5`, `test_feats.h5` with dataset `feats` (N, T, D); `train_labels.mat`, `test_labels.mat` with key
`labels` (N, C); optionally `query_feats.h5`, `query_labels.mat`. Features may also end in `.npy` or `.safetensors`,
labels in `.npy`. An optional `dataset.toml` names other files, keys and parts.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.data.dataset import Dataset, DatasetSource, Split, Summary
from bench.data.features import ConcatenatedFeatures, Features
from bench.data.files import content_hash
from bench.data.finite import require_finite
from bench.data.hdf5 import DAMAGE, is_hdf5, open_hdf5
from bench.data.label_files import read_labels
from bench.data.labels import as_multi_hot, require_length
from bench.data.layout import NOTE, Description, SplitName, layout_of
from bench.data.opening import open_features
from bench.errors import InputError


class FolderSource(DatasetSource):
    """Reads a folder; every defect of it is an InputError that names the file and the mend."""

    def __init__(self, folder: Path, built_in: Description | None = None) -> None:
        self.layout = layout_of(folder, built_in)
        self.name = self.layout.name
        self.title = self.layout.title
        self.recommended = self.layout.description.recommended

    def summary(self) -> Summary:
        layout = self.layout
        train, query, gallery = (self._features(split) for split in ("train", layout.query, layout.gallery))
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
            classes=self._labels(layout.query).shape[1],
            self_search=layout.query == layout.gallery,
            stand_in=layout.description.stand_in or any(marked),
            place=str(layout.folder.resolve()),
        )

    def load(self) -> Dataset:
        summary, layout = self.summary(), self.layout
        labels = {split: self._labels(split) for split, paths in layout.splits.items() if paths.labels}
        widths = {split: labels[split].shape[1] for split in (layout.query, layout.gallery)}
        if widths[layout.query] != widths[layout.gallery]:
            raise InputError(
                f"{self._labels_source(layout.query)}: {widths[layout.query]} classes, but "
                f"{self._labels_source(layout.gallery)} has {widths[layout.gallery]}; they must agree"
            )
        names = layout.description.class_names or [str(number) for number in range(summary.classes)]
        if len(names) != summary.classes:
            raise InputError(
                f"{layout.folder / NOTE}: {len(names)} class_names for {summary.classes} columns of labels"
            )
        for split in layout.splits:
            require_finite(self._features(split), self._source(split))
        splits = {split: Split(self._features(split), labels.get(split)) for split in layout.splits}
        return Dataset(
            summary, splits["train"], splits[layout.query], splits[layout.gallery], tuple(names), self.recommended
        )

    def _source(self, split: SplitName) -> str:
        return ", ".join(str(path) for path in self.layout.splits[split].features)

    def _labels_source(self, split: SplitName) -> str:
        return ", ".join(str(path) for path in self.layout.splits[split].labels)

    @cached_property
    def _opened(self) -> dict[SplitName, Features]:
        return {}

    def _features(self, split: SplitName) -> Features:
        if split not in self._opened:
            paths = self.layout.splits[split]
            parts = [open_features(path, paths.features_key) for path in paths.features]
            for path, part in zip(paths.features, parts, strict=True):
                if part.shape[1:] != parts[0].shape[1:]:
                    raise InputError(
                        f"{path}: '{paths.features_key}' has (frames, dimensions) = {part.shape[1:]}, but the first "
                        f"part {paths.features[0]} has {parts[0].shape[1:]}; parts must agree"
                    )
            self._opened[split] = parts[0] if len(parts) == 1 else ConcatenatedFeatures(parts)
        return self._opened[split]

    def _labels(self, split: SplitName) -> NDArray[np.uint8]:
        paths = self.layout.splits[split]
        parts = [
            as_multi_hot(read_labels(path, paths.labels_key), f"{path} '{paths.labels_key}'") for path in paths.labels
        ]
        if len({part.shape[1] for part in parts}) != 1:
            raise InputError(f"{self._labels_source(split)}: parts differ in the number of classes")
        labels = np.concatenate(parts)
        require_length(labels, len(self._features(split)), self._labels_source(split), self._source(split))
        return labels


def marks_stand_in(path: Path) -> bool:
    """Does the feature file itself say that it was generated (an attribute of an HDF5 file's root)?"""
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        try:
            return bool(np.any(file.attrs.get("stand_in", False)))
        except DAMAGE as error:
            raise InputError(f"{path}: its attributes cannot be read; download or export it again") from error
