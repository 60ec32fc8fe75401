"""Layout of a feature folder: file names, keys, and which split queries which."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.base.errors import InputError
from bench.base.files import unreadable
from bench.base.text import message_of, one_line, slug
from bench.data.description import NOTE, Description, Files, SplitFiles, SplitName, read_note
from bench.data.headers import Rows

FEATURES = (".h5", ".hdf5", ".mat", ".npy", ".safetensors")
LABELS = (".mat", ".h5", ".hdf5", ".npy")
"""Suffixes of files with the usual names; features may also be in a folder of such files."""


@dataclass(frozen=True)
class SplitPaths:
    """The files of one split, parts in order, and the names of the arrays inside."""

    features: tuple[Path, ...]
    labels: tuple[Path, ...]
    """Empty where the split has none."""
    features_key: str
    labels_key: str
    videos: Path | None
    """The folder or pattern that names a file for every video; None where files are named one by one."""
    rows: Rows | None
    """The meaning of the first of two axes in a file of features; None in one of several files, where it is unclear."""


@dataclass(frozen=True)
class Layout:
    """A folder with the files and roles of its splits, by its description or the usual names."""

    folder: Path
    description: Description
    note: Path | None = None
    """The `dataset.toml` in the folder, if there is one."""
    noted: frozenset[str] = frozenset()
    """The file names in it, which are untrusted."""

    @property
    def name(self) -> str:
        """The dataset's name, usable in file names: the described one, else the folder's."""
        return slug(self.description.name or self.folder.resolve().name)

    @property
    def title(self) -> str:
        """The title in reports: the described one, else the name as it was written."""
        described = self.description.title or self.description.name
        return described or one_line(self.folder.resolve().name) or self.name

    @cached_property
    def query(self) -> SplitName:
        """The split whose videos are searched for."""
        return self.description.query or ("query" if self.description.files.query.features else "test")

    @cached_property
    def gallery(self) -> SplitName:
        """The split that is searched."""
        files = self.description.files
        usual: SplitName = "train" if files.train.labels and not files.query.features else "test"
        return self.description.gallery or usual

    @cached_property
    def splits(self) -> dict[SplitName, SplitPaths]:
        """The files of every split that is trained on, queries or is searched."""
        return {split: self._paths(split) for split in sorted({"train", self.query, self.gallery})}

    def data_files(self) -> list[Path]:
        """The files of features and labels, in a fixed order."""
        features = [path for split in self.splits.values() for path in split.features]
        return features + [path for split in self.splits.values() for path in split.labels]

    def files(self) -> list[Path]:
        """All files that make the dataset, in a fixed order: those with data, and the note if there is one."""
        return [*self.data_files(), *([self.note] if self.note else [])]

    def _paths(self, split: SplitName) -> SplitPaths:
        files = self._named(split)
        features = files.features or usual_file(self.folder, f"{split}_feats", (*FEATURES, ""))
        found = self._found(features or f"{split}_feats{FEATURES[0]}", FEATURES)
        several = isinstance(features, str) and found != (self.folder / features,)
        return SplitPaths(
            features=found,
            labels=self._found(self._labels(split), LABELS),
            features_key=files.features_key,
            labels_key=files.labels_key,
            videos=self.folder / str(features) if several else None,
            rows="frames" if several else "videos" if len(found) == 1 else None,
        )

    def _named(self, split: SplitName) -> SplitFiles:
        files: SplitFiles = getattr(self.description.files, split)
        return files

    def _labels(self, split: SplitName) -> str | list[str]:
        """The files of labels. Training videos need none; queries and gallery have labels both, or neither."""

        def there(split: SplitName) -> str | list[str] | None:
            return self._named(split).labels or usual_file(self.folder, f"{split}_labels", LABELS)

        compared = {self.query, self.gallery}
        if split not in compared:
            return self._named(split).labels or []
        needed = any(there(other) for other in compared)
        return there(split) or (f"{split}_labels{LABELS[0]}" if needed else [])

    def _found(self, names: str | list[str], suffixes: tuple[str, ...]) -> tuple[Path, ...]:
        """The files of these names; those in a folder, or matching a pattern, sorted by name."""
        files: list[Path] = []
        for name in [names] if isinstance(names, str) else names:
            path = self.folder / name
            if name in self.noted:
                self._require_inside(path)
            if path.is_dir():
                within = [child for child in path.iterdir() if child.suffix in suffixes]
                lacks = f'holds no {", ".join(suffixes)}; name files, or a pattern such as "{name.rstrip("/")}/*/*.npy"'
            elif set("*?[") & set(name) and not os.path.lexists(path):
                within = [child for child in self.folder.glob(name) if child.is_file()]
                lacks = "fits no file; name a folder, a file, or a pattern that fits some"
            else:
                files.append(path)
                continue
            # Systems leave hidden files beside others.
            within = sorted(child for child in within if not child.name.startswith("."))
            if not within:
                raise InputError(f"{path}: {lacks}")
            for child in within if name in self.noted else ():
                self._require_inside(child)
            files += within
        return tuple(files)

    def _require_inside(self, path: Path) -> None:
        """InputError if a file that the note names lies outside the folder.

        The usual names may be links to anywhere, since no file names them: data hubs lay out folders like
        that. A note that is such a link itself may name files beside its target.
        """
        homes = self.folder.resolve(), (self.folder / NOTE).resolve().parent
        try:
            within = Path(os.path.abspath(path)).is_relative_to(os.path.abspath(self.folder))  # noqa: PTH100  no links
            inside = within and any(path.resolve().is_relative_to(home) for home in homes)
        except (OSError, RuntimeError) as error:  # link loops, names too long
            raise InputError(f"{path}: cannot be found ({message_of(error)}); put it there") from error
        if not inside:
            raise InputError(
                f"{self.folder / NOTE}: {path} lies outside the folder; move it inside, or give it its usual name, "
                "which may be a link, and leave it out of the note"
            )


def layout_of(place: Path, built_in: Description | None = None) -> Layout:
    """The layout of a folder: as its `dataset.toml` says, else as `built_in` says, else by the usual names.

    A single feature file is a dataset too: trained on, and searched against itself. Its labels, if any, are beside
    it: `mine_labels.npy` for `mine.npy` or `mine_feats.npy`. Raises InputError if there is no such folder, the
    note is malformed, or it names files outside the folder.
    """
    try:
        is_file, is_folder = place.is_file(), place.is_dir()
    except (OSError, ValueError) as error:
        raise unreadable(place, error) from error
    if is_file:
        layout = _of_file(place)
    elif not is_folder:
        raise InputError(f"{place}: no such folder; give a folder with train_feats.h5 and test_feats.h5")
    else:
        said = read_note(place)
        note = place / NOTE
        described = said.over(built_in or _usual(place, said))
        layout = Layout(place, described, note if note.is_file() else None, frozenset(said.files.names()))
    # Computed now, so that a name outside the folder is refused at once.
    assert layout.splits
    return layout


def _of_file(path: Path) -> Layout:
    labels = usual_file(path.parent, f"{path.stem.removesuffix('_feats')}_labels", LABELS)
    # Not validated: the file system accepted the name.
    train = SplitFiles.model_construct(features=path.name, labels=labels)
    files = Files.model_construct(train=train)
    described = Description.model_construct(name=path.stem, query="train", gallery="train", files=files)
    return Layout(path.parent, described)


def _usual(folder: Path, note: Description) -> Description:
    """The parts that only the usual file names show: labels of training videos, and a separate split of queries."""
    train = SplitFiles(labels=note.files.train.labels or usual_file(folder, "train_labels", LABELS))
    query = SplitFiles(features=note.files.query.features or usual_file(folder, "query_feats", (*FEATURES, "")))
    return Description(files=Files(train=train, query=query))


def usual_file(folder: Path, stem: str, suffixes: tuple[str, ...]) -> str | None:
    """The name of the one file or subfolder with this stem, None if there is none.

    A broken link counts: without its target this would be another dataset. Raises InputError if there are several.
    """
    found = [f"{stem}{suffix}" for suffix in suffixes if os.path.lexists(folder / f"{stem}{suffix}")]
    if len(found) > 1:
        raise InputError(f"{folder}: holds {' and '.join(found)}; leave one, or name it in {NOTE}")
    return found[0] if found else None
