"""Stand-ins for datasets that cannot be downloaded: synthetic features and labels in the real layout."""

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.base.atomic import new_file
from bench.base.errors import InputError
from bench.base.files import require_space
from bench.base.progress import Progress
from bench.base.text import message_of
from bench.data.description import NOTE, Description, SplitName, as_toml
from bench.data.feature_files import FeatureFiles, Sizes
from bench.data.features import videos_a_block
from bench.data.layout import Layout, SplitPaths

ATTRIBUTES, ATTRIBUTES_A_CLASS, OTHERS_A_VIDEO = 64, 5, 3
# Standard deviations of one feature before rectification; an attribute's is drawn evenly from this range.
ATTRIBUTE, OWN, MOVEMENT = (0.2, 0.7), 0.6, 0.6
# Subtracted before negative numbers are set to zero, so that well over half of all values end as zero.
THRESHOLD = 0.4
KEY_FRAMES = 6
SECOND_CLASS_SHARE = 0.1
# Videos made at once: few enough for their frames to stay in the processor's cache, which is what makes this quick.
VIDEOS_AT_ONCE = 4
FEWEST_VIDEOS_A_FILE = 4
MOST_NUMBERS = 2**60
MAT_HEADER = b"MATLAB 5.0 MAT-file, stand-in"


class Synthetic:
    """A generator of videos with labels; equal seeds give equal videos."""

    def __init__(self, seed: str, frames: int, dimensions: int, classes: int) -> None:
        self._seed, self._frames, self._classes = seed, frames, classes
        random = self._random("attributes")
        self._attributes = random.standard_normal((ATTRIBUTES, dimensions), dtype=np.float32)
        self._of_class = random.permuted(np.tile(np.arange(ATTRIBUTES), (classes, 1)), axis=1)[:, :ATTRIBUTES_A_CLASS]
        self._key_frames = np.unique(np.linspace(0, frames - 1, KEY_FRAMES).round().astype(int))

    def labels(self, stream: str, videos: int, *, several: bool) -> NDArray[np.uint8]:
        """(videos, C) multi-hot: classes as even as can be; if `several`, every tenth video has one more class."""
        random = self._random(stream, "labels")
        labels = np.zeros((videos, self._classes), dtype=np.uint8)
        labels[np.arange(videos), random.permutation(np.arange(videos) % self._classes)] = 1
        if several:
            more = random.random(videos) < SECOND_CLASS_SHARE
            labels[more, random.integers(self._classes, size=int(more.sum()))] = 1
        return labels

    def features(self, stream: str, labels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Videos with these labels, (n, T, D) float32, >= 0; each stream gives different ones."""
        random = self._random(stream, "features")
        out = np.empty((len(labels), self._frames, self._attributes.shape[1]), dtype=np.float32)
        for start in range(0, len(labels), VIDEOS_AT_ONCE):
            part = slice(start, start + VIDEOS_AT_ONCE)
            self._fill(out[part], labels[part], random)
        return out

    def _fill(self, out: NDArray[np.float32], labels: NDArray[np.uint8], random: np.random.Generator) -> None:
        """Rectified straight lines between key frames, each of them the video's own vector and something new."""
        keys = random.standard_normal((len(self._key_frames), len(out), out.shape[2]), dtype=np.float32)
        keys *= np.float32(MOVEMENT)
        keys += self._still(labels, random)
        for number, frame in enumerate(self._key_frames):
            out[:, frame] = keys[number]
        for number, (frame, following) in enumerate(zip(self._key_frames, self._key_frames[1:], strict=False)):
            step = (keys[number + 1] - keys[number]) / np.float32(following - frame)
            for between in range(frame + 1, following):
                np.add(out[:, between - 1], step, out=out[:, between])
        np.maximum(out, 0, out=out)

    def _still(self, labels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.float32]:
        """The constant part of each video, (n, D)."""
        videos, dimensions = len(labels), self._attributes.shape[1]
        still = random.standard_normal((videos, dimensions), dtype=np.float32)
        still *= np.float32(OWN)
        still -= np.float32(THRESHOLD)
        for video in range(videos):
            others = random.integers(ATTRIBUTES, size=OTHERS_A_VIDEO)
            shown = np.concatenate([*self._of_class[np.flatnonzero(labels[video])], others])
            strength = random.uniform(*ATTRIBUTE, size=len(shown)).astype(np.float32)
            # Added one by one: a matrix product may round differently on another machine.
            for number, attribute in enumerate(shown):
                still[video] += strength[number] * self._attributes[attribute]
        return still

    def _random(self, *stream: str) -> np.random.Generator:
        text = "/".join((self._seed, *stream))
        return np.random.Generator(np.random.SFC64(int.from_bytes(hashlib.blake2b(text.encode()).digest())))


@dataclass(frozen=True)
class StandIn:
    """A planned stand-in: its files and their sizes."""

    description: Description
    splits: dict[SplitName, SplitPaths]
    sizes: Sizes
    note: Path
    origin: str
    """The call that generates it, recorded in its files."""
    seed: str

    @property
    def size(self) -> int:
        """Bytes on disk, without headers of some kilobytes per file."""
        video = 4 * self.sizes.frames * self.sizes.dimensions + self.sizes.classes
        return video * sum(self.sizes.videos[split] for split in self.splits)

    def write(self, progress: Progress) -> None:
        """Write all files, block by block. An interrupted file never has its final name.

        Raises InputError if the folder cannot be written.
        """
        try:
            self._write(progress)
        except OSError as error:
            raise InputError(f"--out {self.note.parent}: cannot be written ({message_of(error)})") from error

    def _write(self, progress: Progress) -> None:
        self.note.parent.mkdir(parents=True, exist_ok=True)
        made = Synthetic(self.seed, self.sizes.frames, self.sizes.dimensions, self.sizes.classes)
        for split, paths in self.splits.items():
            labels = made.labels(split, self.sizes.videos[split], several=self.sizes.several_classes)
            for path, part in zip(paths.features, np.array_split(labels, len(paths.features)), strict=True):
                self._write_features(path, paths.features_key, made, part, progress)
            for path, part in zip(paths.labels, np.array_split(labels, len(paths.labels) or 1), strict=False):
                _write_labels(path, paths.labels_key, part)
        self.note.write_text(f"# {self.origin}\n{as_toml(self.description)}", encoding="utf-8")

    def _write_features(
        self, path: Path, key: str, made: Synthetic, labels: NDArray[np.uint8], progress: Progress
    ) -> None:
        import h5py  # noqa: PLC0415  planning does without

        sizes, unfinished = self.sizes, path.with_name(f".{path.name}.unfinished")
        shape = len(labels), sizes.frames, sizes.dimensions
        step = videos_a_block(shape)
        with (
            new_file(path, unfinished),
            h5py.File(unfinished, "w") as file,
            progress.task(path.name, -(-len(labels) // step)) as task,
        ):
            file.attrs.update({"stand_in": True, "made_by": self.origin})
            features = file.create_dataset(key, shape, dtype="<f4")
            for start in range(0, len(labels), step):
                part = slice(start, start + step)
                features[part] = made.features(f"{path.name}/{start}", labels[part])
                task.advance()


def plan_stand_in(
    dataset: type[FeatureFiles], folder: Path, scale: float, seed: int, *, dimensions: int | None = None
) -> StandIn:
    """A stand-in of a dataset in `folder`, with `scale` times its videos, at least four per file.

    Frames, dimensions and classes are the dataset's own, unless other `dimensions` are given. Equal calls give equal
    files. Raises InputError if the scale is not a positive number, a file is already there, or the disk has no room.
    """
    if not 0 < scale < float("inf"):
        raise InputError(f"--scale {scale}: expected a number above 0, such as 0.01; 1 is the dataset's own size")
    if seed < 0:
        raise InputError(f"--seed {seed}: expected 0 or more")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; name a folder")
    real = dataset.sizes
    described = dataset.description.model_copy(update={"name": dataset.name, "title": dataset.title, "stand_in": True})
    layout = Layout(folder, described)
    if scale * max(real.videos.values()) * real.frames * real.dimensions > MOST_NUMBERS:
        raise InputError(f"--scale {scale:g}: no disk holds that many videos; 1 is the dataset's own size")
    videos = {
        split: max(round(scale * real.videos[split]), FEWEST_VIDEOS_A_FILE * len(paths.features))
        for split, paths in layout.splits.items()
    }
    planned = StandIn(
        description=described,
        splits=layout.splits,
        sizes=Sizes(videos, real.frames, dimensions or real.dimensions, real.classes, real.several_classes),
        note=folder / NOTE,
        origin=f"bench data fake {dataset.name} --scale {scale:g} --seed {seed}",
        seed=f"{dataset.name}/{scale!r}/{seed}",
    )
    there = [path for path in (*layout.data_files(), planned.note) if os.path.lexists(path)]
    if there:
        raise InputError(f"--out {folder}: {there[0].name} is there already; remove it, or name another folder")
    require_space(
        folder, planned.size, f"--out: a stand-in of {dataset.title} at this scale", "choose a smaller --scale"
    )
    return planned


def _write_labels(path: Path, key: str, labels: NDArray[np.uint8]) -> None:
    from scipy.io import savemat  # noqa: PLC0415  slow to import

    content = io.BytesIO()
    savemat(content, {key: labels})
    # Overwrites the time of writing, so that equal calls give equal files.
    content.seek(0)
    content.write(MAT_HEADER.ljust(116))
    path.write_bytes(content.getvalue())
