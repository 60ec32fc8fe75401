"""The feature folder of an extraction, as `bench run` and the field's repositories read it."""

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

from bench.base.text import one_line
from bench.data.description import LONGEST_TEXT, NOTE, SPLITS, Description, SplitName, as_toml
from bench.video.manifest import MANIFEST, SETTINGS, Row, Settings, read_manifest, read_settings, write_manifest
from bench.video.sources import Collection, Video, as_text

MATLAB_HEADER = b"MATLAB 5.0 MAT-file".ljust(116)
"""In place of one with the time: the same videos give the same bytes."""
Features = Callable[[Video], NDArray[np.float32]]


def fill_folder(folder: Path, videos: Collection, settings: Settings, rows: list[Row], kept: Features) -> None:
    """Fill a new folder: features and labels of every split, the dataset's description, manifest and settings."""
    for split in SPLITS:
        members = [
            video
            for video, row in zip(videos.videos, rows, strict=False)  # those left out come last
            if video.split == split and row.state == "done"
        ]
        if members:
            _write_split(folder, split, members, videos, settings, kept)
    query, gallery = videos.roles
    said = {"name": videos.name, "title": videos.title, "query": query, "gallery": gallery}
    names = [one_line(name)[:LONGEST_TEXT] for name in videos.classes]
    description = Description.model_validate({**said, **({"class_names": names} if names else {})})
    (folder / NOTE).write_text(as_toml(description), encoding="utf-8")
    noted = settings.model_copy(update={"root": as_text(videos.root.resolve())})
    (folder / SETTINGS).write_text(noted.model_dump_json(indent=2) + "\n", encoding="utf-8")
    write_manifest(folder / MANIFEST, rows)


def _write_split(
    folder: Path, split: SplitName, members: list[Video], videos: Collection, settings: Settings, kept: Features
) -> None:
    shape = len(members), settings.sampling.frames, settings.dimensions
    with h5py.File(folder / f"{split}_feats.h5", "w") as file:
        features = file.create_dataset("feats", shape, np.float32)
        for number, video in enumerate(members):
            features[number] = kept(video)
    if videos.classes:
        columns = {name: column for column, name in enumerate(videos.classes)}
        labels = np.zeros((len(members), len(columns)), np.uint8)
        for number, video in enumerate(members):
            labels[number, [columns[label] for label in video.labels]] = 1
        buffer = io.BytesIO()
        savemat(buffer, {"labels": labels})
        (folder / f"{split}_labels.mat").write_bytes(MATLAB_HEADER + buffer.getvalue()[len(MATLAB_HEADER) :])


@dataclass(frozen=True)
class Extracted:
    """A feature folder that is there."""

    folder: Path
    settings: Settings
    rows: dict[str, Row]
    """By the names of the videos."""
    written: int
    """When, in nanoseconds."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises InputError if manifest or settings are missing or malformed."""
        rows = {row.path: row for row in read_manifest(folder) if row.state != "left out"}
        return cls(folder, read_settings(folder), rows, (folder / MANIFEST).stat().st_mtime_ns)

    def knows(self, video: Video) -> bool:
        """Whether there is a row for this video, and its file has not changed since."""
        row = self.rows.get(video.name)
        if row is None:
            return False
        if row.sha256 is None:
            return not (video.path.is_file() and os.access(video.path, os.R_OK))
        try:
            found = video.path.stat()
            if found.st_size != row.size:
                return False
            if max(found.st_mtime_ns, found.st_ctime_ns) < self.written:
                return True
            with video.path.open("rb") as content:
                return hashlib.file_digest(content, "sha256").hexdigest() == row.sha256
        except OSError:
            return False

    def features(self, video: Video) -> NDArray[np.float32]:
        """The features (T, D) of a video that has some."""
        row = self.rows[video.name]
        with h5py.File(self.folder / f"{row.split}_feats.h5") as file:
            features: NDArray[np.float32] = file["feats"][row.row]
        return features
