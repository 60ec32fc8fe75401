"""Checks of a feature folder: every file is read, and every defect is reported."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from bench.base.errors import InputError
from bench.base.progress import Progress
from bench.base.text import one_line
from bench.data.description import SplitName
from bench.data.feature_files import Sizes
from bench.data.features import Features, blocks_to_check, require_finite
from bench.data.folder import joined, marks_stand_in, open_parts
from bench.data.label_files import features_of_labels, labels_in
from bench.data.layout import Layout, SplitPaths


@dataclass
class CheckedFile:
    """The result for one file, or for a folder of files with one video each."""

    path: Path
    name: str
    """The path within the dataset's folder."""
    key: str
    kind: Literal["features", "labels"]
    files: int = 1
    shape: tuple[int, ...] | None = None
    """(N, T, D) of features, (N, C) or (N,) of labels; None where they cannot be read."""
    note: str = ""
    """A remark on how they are read, if that is unusual."""
    stand_in: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> str:
        """The shape in words."""
        unit = "(videos, frames, dimensions)" if self.kind == "features" else "(videos, classes)"
        if self.shape is None:
            return f"'{self.key}' {unit}"
        return f"'{self.key}' " + " × ".join(f"{size:,}" for size in self.shape)

    @property
    def ok(self) -> bool:
        """Whether nothing is missing or wrong."""
        return not self.problems

    @property
    def state(self) -> str:
        """The state for a table: ok, missing or wrong, with the reason."""
        if self.files == 1 and not os.path.lexists(self.path) and os.access(self.path.parent, os.X_OK):
            return f"missing: put it at {self.path}"
        if self.problems:
            return "wrong: " + "; ".join(self.problems)
        return f"ok ({self.note})" if self.note else "ok"


def check_files(layout: Layout, sizes: Sizes | None, *, all_values: bool, progress: Progress) -> list[CheckedFile]:
    """All files of a layout, in the order of splits, with everything that is wrong with them.

    `sizes` are those of the published files, if the dataset is known; a stand-in may differ. With `all_values` every
    feature value is checked, else a sample of files larger than 2 GiB.
    """
    files: dict[SplitName, tuple[list[CheckedFile], list[CheckedFile]]] = {}
    for split, paths in layout.splits.items():
        parts = _features_of(layout, paths, all_values, progress)
        shapes = [part.shape for part in parts if part.shape]
        whole = len(shapes) == len(parts)
        each = features_of_labels(paths, shapes) if whole else [None] * len(paths.labels)
        files[split] = (
            parts,
            [_labels(layout, path, paths.labels_key, shape) for path, shape in zip(paths.labels, each, strict=True)],
        )
    features = [file for both in files.values() for file in both[0]]
    labels = [file for both in files.values() for file in both[1]]
    if layout.description.stand_in or any(file.stand_in for file in features):
        sizes = None
    _agree(features, (sizes.frames, sizes.dimensions) if sizes else None, "(frames, dimensions)")
    tables = [file for file in labels if file.shape and len(file.shape) == 2]
    _agree(tables, (sizes.classes,) if sizes else None, "(classes,)")
    for split, (parts, label_parts) in files.items():
        _count(parts, label_parts, sizes.videos.get(split) if sizes else None)
    return [*features, *labels]


def _features_of(layout: Layout, paths: SplitPaths, all_values: bool, progress: Progress) -> list[CheckedFile]:
    """The files of features of one split; a folder with one file per video counts as one."""
    if paths.videos:
        return [_features(layout, paths, paths.videos, all_values, progress)]
    return [
        _features(layout, replace(paths, features=(path,), labels=()), path, all_values, progress)
        for path in paths.features
    ]


def _features(layout: Layout, paths: SplitPaths, path: Path, all_values: bool, progress: Progress) -> CheckedFile:
    found = CheckedFile(
        path, path.relative_to(layout.folder).as_posix(), paths.features_key, "features", len(paths.features)
    )
    try:
        features = joined(paths, open_parts(paths))
        found.shape, found.stand_in = features.shape, any(map(marks_stand_in, paths.features))
        notes = {
            f"{found.files:,} files": found.files > 1,
            f"{features.dtype}, read as float32": features.dtype != "float32",
            "one frame a video": features.shape[1] == 1,
        }
        found.note = "; ".join(note for note, true in notes.items() if true)
        _check_values(features, f"{path}: '{found.key}'", all_values, progress)
    except InputError as error:
        found.problems.append(_without(path, error))
    return found


def _check_values(features: Features, source: str, all_values: bool, progress: Progress) -> None:
    with progress.task(source, len(blocks_to_check(features, all_values=all_values))) as task:
        require_finite(features, source, all_values=all_values, step=task.advance)


def _labels(layout: Layout, path: Path, key: str, shape: tuple[int, ...] | None) -> CheckedFile:
    found = CheckedFile(path, path.relative_to(layout.folder).as_posix(), key, "labels")
    try:
        labels = labels_in(path, key, shape)
        found.shape = labels.values.shape
        notes = {labels.kind: labels.values.ndim == 1, "read as (classes, videos)": labels.turned}
        found.note = "; ".join(note for note, true in notes.items() if true)
    except InputError as error:
        found.problems.append(_without(path, error))
    return found


def _agree(files: Sequence[CheckedFile], expected: tuple[int, ...] | None, what: str) -> None:
    """Report files whose sizes after the first differ from the expected ones, or from those of most files."""
    sizes = [file.shape[1:] for file in files if file.shape]
    if not sizes:
        return
    wanted = expected or Counter(sizes).most_common(1)[0][0]
    for file in files:
        if file.shape and file.shape[1:] != wanted:
            others = "" if expected else " as in other files"
            file.problems.append(f"'{file.key}' has {what} = {file.shape[1:]}; expected {wanted}{others}")


def _count(parts: Sequence[CheckedFile], labels: Sequence[CheckedFile], expected: int | None) -> None:
    """Report a wrong number of videos, or of rows of labels."""
    if any(file.shape is None for file in parts):
        return
    videos = sum(file.shape[0] for file in parts if file.shape)
    names = parts[0].name if len(parts) == 1 else f"{parts[0].name} and the {len(parts) - 1} parts after it"
    if expected is not None and videos != expected:
        parts[0].problems.append(f"{videos:,} videos in {names}; expected {expected:,}")
    if not labels or any(file.shape is None for file in labels):
        return
    rows = sum(file.shape[0] for file in labels if file.shape)
    if rows != videos:
        labels[0].problems.append(f"{rows:,} rows of labels for the {videos:,} videos of {names}")


def _without(path: Path, error: InputError) -> str:
    return one_line(str(error).removeprefix(f"{path}: "))
