"""A folder of feature files as a dataset: the layout that the video-hashing repositories use.

`train_feats.h5`, `test_feats.h5` with dataset `feats` (N, T, D); `train_labels.mat`, `test_labels.mat` with key
`labels` (N, C); optionally `query_feats.h5`, `query_labels.mat`. An optional `dataset.toml` names other files, keys and
parts.
"""

import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.data.dataset import Dataset, DatasetSource, Split, Summary
from bench.data.features import ConcatenatedFeatures, Features, Hdf5Features
from bench.data.files import content_hash, read_mat
from bench.data.labels import as_multi_hot, require_length
from bench.errors import InputError
from bench.text import slug, validation_message

SplitName = Literal["train", "test", "query"]
# Every value is looked at up to this size; of larger files an evenly spread sample of this size.
CHECKED_BYTES = 2 * 2**30


class SplitFiles(BaseModel):
    """Where one split lies: file names relative to the folder, part files in order."""

    model_config = ConfigDict(extra="forbid")

    features: str | Annotated[list[str], Field(min_length=1)] | None = None
    labels: str | Annotated[list[str], Field(min_length=1)] | None = None
    features_key: str = "feats"
    labels_key: str = "labels"


class Files(BaseModel):
    """The tables `[files.train]`, `[files.test]` and `[files.query]`."""

    model_config = ConfigDict(extra="forbid")

    train: SplitFiles = SplitFiles()
    test: SplitFiles = SplitFiles()
    query: SplitFiles = SplitFiles()


class Description(BaseModel):
    """The content of `dataset.toml`; every part is optional."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    title: str | None = None
    query: SplitName | None = None
    gallery: SplitName | None = None
    class_names: list[str] | None = None
    files: Files = Files()
    recommended: dict[str, dict[str, Any]] = {}


class FolderSource(DatasetSource):
    """Reads a folder; every defect of it is an InputError that names the file and the mend."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give a folder with train_feats.h5 and test_feats.h5")
        self._folder = folder
        self._description = _read_description(folder)
        self.name = slug(self._description.name or folder.resolve().name)
        self.title = self._description.title or self.name
        self.recommended = self._description.recommended

    def summary(self) -> Summary:
        roles = self._roles
        train, query, gallery = (self._features(split) for split in ("train", *roles))
        for split, features in zip(roles, (query, gallery), strict=True):
            if features.shape[1:] != train.shape[1:]:
                raise InputError(
                    f"{self._source(split)}: (frames, dimensions) = {features.shape[1:]}, but "
                    f"{self._source('train')} has {train.shape[1:]}; they must agree"
                )
        return Summary(
            name=self.name,
            title=self.title,
            fingerprint=content_hash(self._files()),
            train_videos=len(train),
            query_videos=len(query),
            gallery_videos=len(gallery),
            frames=train.shape[1],
            dimensions=train.shape[2],
            classes=self._labels(roles[0]).shape[1],
            self_search=roles[0] == roles[1],
        )

    def load(self) -> Dataset:
        summary = self.summary()
        query_name, gallery_name = self._roles
        labels = {split: self._labels(split) for split in {query_name, gallery_name}}
        if labels[query_name].shape[1] != labels[gallery_name].shape[1]:
            raise InputError(
                f"{self._labels_source(query_name)}: {labels[query_name].shape[1]} classes, but "
                f"{self._labels_source(gallery_name)} has {labels[gallery_name].shape[1]}; they must agree"
            )
        for split in sorted({"train", query_name, gallery_name}):
            _require_finite(self._features(split), self._source(split))
        train_labels = self._labels("train") if self._has_labels("train") else None
        train = Split(self._features("train"), train_labels)
        splits = {"train": train} | {
            split: Split(self._features(split), labels[split]) for split in labels if split != "train"
        }
        names = self._description.class_names or [str(number) for number in range(summary.classes)]
        if len(names) != summary.classes:
            raise InputError(
                f"{self._folder / 'dataset.toml'}: {len(names)} class_names for {summary.classes} columns of labels"
            )
        return Dataset(
            summary, train, splits[query_name], splits[gallery_name], tuple(names), self._description.recommended
        )

    @cached_property
    def _roles(self) -> tuple[str, str]:
        """Which split is searched for, which is searched."""
        description = self._description
        has_query = description.files.query.features is not None or self._paths("query")[0].is_file()
        query = description.query or ("query" if has_query else "test")
        gallery = description.gallery
        if gallery is None:
            gallery = "train" if not has_query and self._has_labels("train") else "test"
        return query, gallery

    def _split_files(self, split: str) -> SplitFiles:
        files: SplitFiles = getattr(self._description.files, split)
        return files

    def _paths(self, split: str) -> list[Path]:
        return self._named(self._split_files(split).features, f"{split}_feats.h5")

    def _label_paths(self, split: str) -> list[Path]:
        return self._named(self._split_files(split).labels, f"{split}_labels.mat")

    def _named(self, names: str | list[str] | None, default: str) -> list[Path]:
        listed = [names] if isinstance(names, str) else names or [default]
        folder = self._folder.resolve()
        paths = [folder / name for name in listed]
        for path in paths:
            if not path.resolve().is_relative_to(folder):
                raise InputError(f"{self._folder / 'dataset.toml'}: {path} lies outside the folder; move it inside")
        return [self._folder / name for name in listed]

    def _files(self) -> list[Path]:
        splits = sorted({"train", *self._roles})
        labelled = [split for split in splits if split != "train" or self._has_labels(split)]
        paths = [path for split in splits for path in self._paths(split)]
        paths += [path for split in labelled for path in self._label_paths(split)]
        note = self._folder / "dataset.toml"
        return [*paths, note] if note.is_file() else paths

    def _source(self, split: str) -> str:
        return ", ".join(str(path) for path in self._paths(split))

    def _labels_source(self, split: str) -> str:
        return ", ".join(str(path) for path in self._label_paths(split))

    def _has_labels(self, split: str) -> bool:
        # Named files must be there; only the default names may be missing.
        return self._split_files(split).labels is not None or self._label_paths(split)[0].is_file()

    def _features(self, split: str) -> Features:
        if split not in self._opened:
            key = self._split_files(split).features_key
            parts = [Hdf5Features(path, key) for path in self._paths(split)]
            self._opened[split] = parts[0] if len(parts) == 1 else ConcatenatedFeatures(parts)
        return self._opened[split]

    @cached_property
    def _opened(self) -> dict[str, Features]:
        return {}

    def _labels(self, split: str) -> NDArray[np.uint8]:
        key = self._split_files(split).labels_key
        parts = [as_multi_hot(read_mat(path, key), f"{path} '{key}'") for path in self._label_paths(split)]
        if len({part.shape[1] for part in parts}) != 1:
            raise InputError(f"{self._labels_source(split)}: parts differ in the number of classes")
        labels = np.concatenate(parts)
        require_length(labels, len(self._features(split)), self._labels_source(split), self._source(split))
        return labels


def _read_description(folder: Path) -> Description:
    path = folder / "dataset.toml"
    if not path.is_file():
        return Description()
    try:
        return Description.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid TOML ({error})") from error
    except ValidationError as error:
        raise InputError(f"{path}: {validation_message(error)}") from error


def _require_finite(features: Features, source: str) -> None:
    count, frames, dimensions = features.shape
    every = max(1, -(-count * frames * dimensions * 4 // CHECKED_BYTES))
    for number, (start, block) in enumerate(features.blocks()):
        if number % every:
            continue
        finite = np.isfinite(block).all(axis=(1, 2))
        if not finite.all():
            video = start + int(np.flatnonzero(~finite)[0])
            raise InputError(f"{source}: video {video} has NaN or infinite features; remove or repair it")
