"""Feature folders as datasets, in the layout of the video-hashing repositories.

`train_feats.h5`, `test_feats.h5` with dataset `feats` (N, T, D); `train_labels.mat`, `test_labels.mat` with key
`labels` (N, C); optionally `query_feats.h5`, `query_labels.mat`. Features may also end in `.npy` or `.safetensors`,
labels in `.npy`. An optional `dataset.toml` names other files, keys and parts.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.base.files import require_file
from bench.base.labels import Labels, as_tables, require_alike
from bench.base.text import say
from bench.data.dataset import Dataset, DatasetSource, Split, Summary
from bench.data.description import Description, SplitName
from bench.data.features import Features, concatenated, require_finite
from bench.data.fingerprints import content_hash
from bench.data.hdf5 import DAMAGE, hdf5_axes, is_hdf5, open_hdf5, open_hdf5_features
from bench.data.headers import MATLAB_AXES, NAME_IT, Rows, open_npy, open_safetensors, safetensors_axes
from bench.data.label_files import features_of_labels, labels_in
from bench.data.layout import SplitPaths, layout_of

FEATS = "feats"
"""Name of the array in published files."""
# First bytes of MATLAB files older than version 7.3, which are not HDF5.
OLD_MATLAB = b"MATLAB 5.0"
NAMED = 10


class FolderSource(DatasetSource):
    """A dataset in a folder; every defect is an InputError that names the file and the fix."""

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
                turned = f"; or the axes are {MATLAB_AXES}" if features.shape[:2] == train.shape[:2] else ""
                raise InputError(
                    f"{self._source(split)}: (frames, dimensions) = {features.shape[1:]}, but "
                    f"{self._source('train')} has {train.shape[1:]}; they must agree{turned}"
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
        paths, shapes = self.layout.splits[split], [part.shape for part in self._parts[split]]
        each = features_of_labels(paths, shapes)
        parts = {
            f"the labels in {path}": labels_in(path, paths.labels_key, shape)
            for path, shape in zip(paths.labels, each, strict=True)
        }
        require_alike(parts)
        values = np.concatenate([part.values for part in parts.values()])
        videos = len(self._features[split])
        if len(values) != videos:
            raise InputError(
                f"{self._labels_source(split)}: {len(values)} rows of labels for the {videos} videos of "
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


def marks_stand_in(path: Path) -> bool:
    """Whether the feature file itself says that it was generated, by an attribute of an HDF5 file's root."""
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        try:
            return bool(np.any(file.attrs.get("stand_in", False)))
        except DAMAGE as error:
            raise InputError(f"{path}: its attributes cannot be read; download or export it again") from error


def open_features(path: Path, key: str = FEATS, rows: Rows | None = "videos", fix: str = NAME_IT) -> Features:
    """The features (N, T, D) in a file, left on disk: `.npy`, `.safetensors`, and HDF5 under any other name.

    `key` names the array inside, or an HDF5 group of arrays, one video each; a `.npy` file holds one array without a
    name. Contiguous arrays (all `.npy` and `.safetensors`, HDF5 without chunks) are read straight from the file, by any
    number of threads at once. Axes that MATLAB wrote are reversed, and two axes are read as `feature_shape` says.
    Raises InputError naming the file, the key and what was expected if there are no such features; `fix` says how to
    name another key.
    """
    require_file(path)
    if path.suffix == ".npy":
        return open_npy(path, rows)
    if path.suffix == ".safetensors":
        return open_safetensors(path, key.strip("/"), rows, fix)
    with path.open("rb") as file:
        if file.read(len(OLD_MATLAB)) == OLD_MATLAB:
            raise InputError(f"{path}: is a MATLAB file older than version 7.3; save features with -v7.3, or as .npy")
    return open_hdf5_features(path, key, rows, fix)


def only_key(path: Path) -> str:
    """The name of the only array that can be features; `feats` if there is one of that name, or no single one."""
    if path.suffix == ".npy":
        return FEATS
    axes = safetensors_axes(path) if path.suffix == ".safetensors" else hdf5_axes(path)
    # Pooled features have two axes, as much else has.
    fitting = next(filter(None, ([name for name, found in axes.items() if found == count] for count in (3, 2))), [])
    return fitting[0] if FEATS not in axes and len(fitting) == 1 else FEATS


def open_parts(paths: SplitPaths) -> list[Features]:
    """The features in each file of a split. Raises InputError as `open_features` does."""
    return [open_features(path, paths.features_key, paths.rows) for path in paths.features]


def joined(paths: SplitPaths, parts: Sequence[Features]) -> Features:
    """The features of a split, from those in each of its files. Raises InputError as `concatenated` does."""
    return concatenated(parts, list(map(str, paths.features)))


def names_of(paths: Sequence[Path]) -> str:
    """Some files in words; they can be thousands."""
    if len(paths) > NAMED:
        return f"{paths[0]}, … {paths[-1]} ({len(paths):,} files)"
    return ", ".join(map(str, paths))
