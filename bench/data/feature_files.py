"""Datasets with published feature files: a description each; users download the files themselves."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from bench.base.errors import InputError
from bench.base.paths import named_path
from bench.data.dataset import Summary
from bench.data.description import NOTE, Description, SplitName
from bench.data.folder import FolderSource

VARIABLE = "VHBENCH_DATA"


@dataclass(frozen=True)
class Sizes:
    """Sizes of a dataset's published files."""

    videos: dict[SplitName, int]
    """By split, all parts together."""
    frames: int
    dimensions: int
    classes: int
    several_classes: bool = False
    """Whether a video can belong to more than one class."""


class FeatureFiles(FolderSource):
    """A dataset by name, read from `<root>/<name>/`, or from `<root>` itself where there is no such folder.

    A subclass declares file names, which split queries which, sizes and origin. A `dataset.toml` beside the files
    overrides the declaration, so that converted files keep the dataset's name.
    Raises InputError if no root is given, there is no such folder, or its note describes another dataset.
    """

    description: ClassVar[Description]
    sizes: ClassVar[Sizes]
    origin: ClassVar[str]
    """The place where the files are distributed, in words."""

    def __init__(self, root: Path | None = None) -> None:
        # A class declares its name and title once.
        declared = self.description.model_copy(update={"name": type(self).name, "title": type(self).title})
        super().__init__(self._folder(root), declared)
        if self.name != type(self).name:
            raise InputError(
                f"{self.layout.folder / NOTE}: describes '{self.name}', not '{type(self).name}'; "
                "name the folder itself as the dataset, or another --data-root"
            )

    @classmethod
    def at(cls, root: Path | None) -> Self:
        return cls(root)

    @classmethod
    def file_names(cls) -> list[str]:
        """The names of the published files, in order."""
        names: list[str] = []
        for files in (cls.description.files.train, cls.description.files.test, cls.description.files.query):
            for given in (files.features, files.labels):
                names += [given] if isinstance(given, str) else given or []
        return names

    def missing(self) -> list[Path]:
        """The files that are not there."""
        return [path for path in self.layout.data_files() if not os.path.lexists(path)]

    def summary(self) -> Summary:
        missing, all_files = self.missing(), self.layout.data_files()
        if missing:
            raise InputError(
                f"{self.name}: {len(missing)} of {len(all_files)} files are missing from {self.layout.folder}: "
                f"{', '.join(path.name for path in missing)}; get them from {self.origin}"
            )
        return super().summary()

    @classmethod
    def _folder(cls, root: Path | None) -> Path:
        named = root or os.environ.get(VARIABLE)
        if not named:
            raise InputError(
                f"{cls.name}: name the folder of its files with --data-root DIR (from Python root=, or the environment "
                f"variable {VARIABLE}); DIR/{cls.name} or DIR holds {', '.join(cls.file_names())}"
            )
        given = named_path(named)
        if not given.is_dir():
            raise InputError(f"--data-root {given}: no such folder; it holds the folder {cls.name}, or its files")
        own = given / cls.name
        return own if own.is_dir() else given
