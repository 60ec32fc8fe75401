"""Conversion of a dataset into the files that train fastest: one contiguous array a split, in one precision."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.base.files import require_space
from bench.base.progress import Progress
from bench.data.dataset import Dataset, Split
from bench.data.description import NOTE, Description, Files, SplitFiles, SplitName, as_toml
from bench.data.features import Features, videos_a_block
from bench.data.headers import ITEM_BYTES, safetensors_header
from bench.data.journal import Journal, restore, sha256_of, write_on
from bench.data.precision import Precision, as_stored

KEY, JOURNAL, CHECKSUMS = "feats", "conversion.journal", "checksums.json"

LARGEST: dict[Precision, float] = {
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": float(np.finfo(np.float32).max),
}


def conversion_precision(name: str) -> Precision:
    """The precision of this name, if datasets are converted to it. Raises InputError if not."""
    for precision in LARGEST:
        if precision == name:
            return precision
    raise InputError(f"--to {name}: expected one of {', '.join(LARGEST)}")


def require_own_folder(folder: Path) -> None:
    """InputError if the folder is a file, or holds files that are no conversion."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; name a folder")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if names and not names & {JOURNAL, CHECKSUMS}:
        raise InputError(f"--out {folder}: holds other files; name a folder of its own")


@dataclass(frozen=True)
class Conversion:
    """A dataset, and the folder and precision that it is to be written in."""

    dataset: Dataset
    precision: Precision
    folder: Path

    @cached_property
    def splits(self) -> dict[SplitName, Split]:
        """What is written, under the names of the feature folder; a split that plays two parts is written once."""
        train, query, gallery = self.dataset.train, self.dataset.query, self.dataset.gallery
        splits: dict[SplitName, Split] = {"train": train}
        if gallery is not train:
            splits["test"] = gallery
        if query is not train and query is not gallery:
            splits["query" if "test" in splits else "test"] = query
        return splits

    @property
    def size(self) -> int:
        """Bytes that the features take, but for a header of a hundred bytes a file."""
        return sum(prod(split.features.shape) for split in self.splits.values()) * ITEM_BYTES[self.precision]

    def left(self) -> int:
        """Bytes of features that are not on disk yet."""
        there = [self.folder / _features_name(split) for split in self.splits]
        return max(0, self.size - sum(path.stat().st_size for path in there if path.is_file()))

    def write(self, progress: Progress) -> None:
        """Write everything, or what is left of it, and check what is there.

        Raises InputError if the folder holds another conversion, the disk has no room, or a value is NaN, infinite or
        too large for the precision; and if the conversion is complete and a file is no longer as it was written.
        """
        require_own_folder(self.folder)
        if (self.folder / CHECKSUMS).is_file():
            self._verify(progress)
            return
        require_space(self.folder, self.left(), "the conversion", "free some, or name another disk in --out")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            journal = Journal(self.folder / JOURNAL, self._work)
            files = {
                name: digest
                for split in self.splits
                for name, digest in self._write_split(split, journal, progress).items()
            }
            files[NOTE] = self._write_whole(NOTE, self._note().encode())
            content = {"work": json.loads(self._work), "sha256": files}
            self._write_whole(CHECKSUMS, (json.dumps(content, indent=1) + "\n").encode())
            (self.folder / JOURNAL).unlink()
        except OSError as error:
            raise InputError(
                f"--out {self.folder}: cannot be written ({error.strerror}); the same call goes on from there"
            ) from error

    @property
    def _work(self) -> str:
        summary = self.dataset.summary
        return json.dumps({"layout": 1, "of": summary.fingerprint, "name": summary.name, "precision": self.precision})

    def _write_split(self, name: SplitName, journal: Journal, progress: Progress) -> dict[str, str]:
        """Write features and labels of one split; their SHA-256 by file name."""
        split = self.splits[name]
        features, path = split.features, self.folder / _features_name(name)
        marks = journal.marks(path.name)
        with progress.task(f"checking {path.name}", len(marks)) as task:
            restored = restore(path, marks, task.advance)
        start = restored.mark.videos if restored.mark else 0
        digest = restored.digest.hexdigest()
        header = safetensors_header(KEY, self.precision, features.shape)
        blocks = -(-(len(features) - start) // videos_a_block(features.shape))
        with progress.task(f"writing {path.name}", blocks) as task:
            for mark in write_on(path, restored, header, self._blocks(name, features, start)):
                journal.add(mark)
                digest = mark.sha256
                task.advance(f"{mark.videos:,} of {len(features):,} videos")
        files = {path.name: digest}
        if split.labels is not None:
            labels = io.BytesIO()
            np.save(labels, split.labels, allow_pickle=False)
            files[_labels_name(name)] = self._write_whole(_labels_name(name), labels.getvalue())
        return files

    def _blocks(self, name: SplitName, features: Features, start: int) -> Iterator[tuple[int, memoryview]]:
        for first, block in features.blocks(start=start):
            self._require_range(name, first, block)
            stored = as_stored(block, self.precision)
            yield first + len(block), stored.reshape(-1).view(np.uint8).data

    def _require_range(self, name: SplitName, first: int, block: NDArray[np.float32]) -> None:
        magnitudes = np.maximum(block.max(axis=(1, 2)), -block.min(axis=(1, 2)))
        # NaN is not within the range either.
        wrong = np.flatnonzero(~(magnitudes <= LARGEST[self.precision]))
        if not wrong.size:
            return
        magnitude = magnitudes[wrong[0]]
        video = f"{self.dataset.summary.name}: video {first + int(wrong[0])} of split '{name}'"
        if not np.isfinite(magnitude):
            raise InputError(f"{video} has NaN or infinite features; remove or repair it")
        raise InputError(
            f"{video} has a value of {magnitude:g}, beyond {self.precision}'s {LARGEST[self.precision]:g}; "
            "convert --to bfloat16 or float32"
        )

    def _note(self) -> str:
        """`dataset.toml`: whatever the dataset's own description says that the files do not."""
        dataset, files = self.dataset, {}
        for name, split in self.splits.items():
            labels = {"labels": _labels_name(name)} if split.labels is not None else {}
            files[name] = SplitFiles(features=_features_name(name), features_key=KEY, **labels)
        described = {
            "name": dataset.summary.name,
            "title": dataset.summary.title,
            "query": self._playing(dataset.query),
            "gallery": self._playing(dataset.gallery),
            "class_names": list(dataset.class_names),
            "files": Files(**files),
            "recommended": {method: dict(values) for method, values in dataset.recommended.items()},
        }
        if dataset.summary.stand_in:
            described["stand_in"] = True
        origin = f"# Converted to {self.precision} from files with the fingerprint {dataset.summary.fingerprint}.\n"
        return origin + as_toml(Description.model_validate(described))

    def _playing(self, part: Split) -> SplitName:
        return next(name for name, split in self.splits.items() if split is part)

    def _write_whole(self, name: str, content: bytes) -> str:
        """Write a small file, whole or not at all; its SHA-256."""
        write_file(self.folder / name, content)
        return hashlib.sha256(content).hexdigest()

    def _verify(self, progress: Progress) -> None:
        """Check a complete conversion against the checksums that were taken when it was written."""
        path = self.folder / CHECKSUMS
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            work, files = content["work"], dict(content["sha256"])
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: damaged, or not of a conversion; name another folder in --out") from error
        if work != json.loads(self._work):
            raise InputError(f"--out {self.folder}: holds a conversion of something else; name another folder")
        with progress.task(f"checking {self.folder.name}", len(files)) as task:
            for name, digest in files.items():
                task.advance(name)
                if not (self.folder / name).is_file() or sha256_of(self.folder / name) != digest:
                    raise InputError(
                        f"{self.folder / name}: missing, or not as it was written; delete {self.folder} and convert "
                        "again"
                    )


def _features_name(split: SplitName) -> str:
    return f"{split}_feats.safetensors"


def _labels_name(split: SplitName) -> str:
    return f"{split}_labels.npy"
