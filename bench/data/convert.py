"""Conversion of a dataset into the files that train fastest: one contiguous array a split, in one precision."""

import os
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.base.atomic import new_folder, remove_leftovers
from bench.base.errors import InputError
from bench.base.files import require_space
from bench.base.progress import Progress
from bench.data.dataset import Dataset, Split
from bench.data.description import NOTE, Description, Files, SplitFiles, SplitName, as_toml
from bench.data.features import videos_a_block
from bench.data.headers import ITEM_BYTES, safetensors_header
from bench.data.precision import Precision, as_stored

KEY = "feats"
LARGEST: dict[Precision, float] = {
    "float16": 65504.0,
    "bfloat16": 3.3895313892515355e38,
    "float32": float(np.finfo(np.float32).max),
}


def conversion_precision(name: str) -> Precision:
    """The precision of this name. Raises InputError if datasets are not converted to it."""
    for precision in LARGEST:
        if precision == name:
            return precision
    raise InputError(f"--to {name}: expected one of {', '.join(LARGEST)}")


def require_new_folder(folder: Path) -> None:
    """InputError unless the folder is missing, or is an empty one that another can replace."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise InputError(f"--out {folder}: is a file; name a folder")
    if any(folder.iterdir()):
        raise InputError(f"--out {folder}: holds files already; remove them, or name another folder")
    if os.path.ismount(folder) or folder.resolve() == Path.cwd():
        raise InputError(f"--out {folder}: cannot be replaced by a new folder; name a folder inside it")


@dataclass(frozen=True)
class Conversion:
    """A dataset, the precision to store it in, and the folder to write."""

    dataset: Dataset
    precision: Precision
    folder: Path

    @cached_property
    def splits(self) -> dict[SplitName, Split]:
        """The splits to write, by their names in a feature folder; a split that plays two parts is written once."""
        train, query, gallery = self.dataset.train, self.dataset.query, self.dataset.gallery
        splits: dict[SplitName, Split] = {"train": train}
        if gallery is not train:
            splits["test"] = gallery
        if query is not train and query is not gallery:
            splits["query" if "test" in splits else "test"] = query
        return splits

    @property
    def size(self) -> int:
        """Bytes of the features, without a header of about a hundred bytes per file."""
        return sum(prod(split.features.shape) for split in self.splits.values()) * ITEM_BYTES[self.precision]

    def write(self, progress: Progress) -> None:
        """Write all files into a hidden folder beside the named one, then rename it: whole or not at all.

        Raises InputError if the folder is not new, the disk has too little space, or a value is NaN, infinite or too
        large for the precision.
        """
        require_new_folder(self.folder)
        require_space(self.folder, self.size, "the conversion", "free some, or name another disk in --out")
        folder = self.folder.resolve()
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
            with new_folder(folder) as beside:
                for name in self.splits:
                    self._write_split(name, beside, progress)
                (beside / NOTE).write_text(self._note(), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"--out {self.folder}: cannot be written ({error.strerror}); name another folder"
            ) from error

    def _write_split(self, name: SplitName, folder: Path, progress: Progress) -> None:
        split, file_name = self.splits[name], _features_name(name)
        shape = split.features.shape
        steps = -(-shape[0] // videos_a_block(shape))
        with (folder / file_name).open("wb") as file, progress.task(f"writing {file_name}", steps) as task:
            file.write(safetensors_header(KEY, self.precision, shape))
            for first, block in split.features.blocks():
                self._require_range(name, first, block)
                file.write(as_stored(block, self.precision).reshape(-1).view(np.uint8).data)
                task.advance(f"{first + len(block):,} of {shape[0]:,} videos")
        if split.labels is not None:
            np.save(folder / _labels_name(name), split.labels, allow_pickle=False)

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
        """The text of `dataset.toml`: all that the dataset's description says and the files do not."""
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


def _features_name(split: SplitName) -> str:
    return f"{split}_feats.safetensors"


def _labels_name(split: SplitName) -> str:
    return f"{split}_labels.npy"
