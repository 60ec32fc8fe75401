"""Where a dataset's feature files lie, how they are called, and which split queries which."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bench.errors import InputError
from bench.input_files import unreadable
from bench.text import one_line, slug, validation_message
from bench.toml_file import read_toml

SplitName = Literal["train", "test", "query"]
SPLITS: tuple[SplitName, ...] = ("train", "test", "query")
NOTE = "dataset.toml"
LONGEST_TEXT = 1000
FEATURES, LABELS = (".h5", ".npy", ".safetensors"), (".mat", ".npy")
"""Kinds of files that are looked for under the usual names."""


def _printable(text: str) -> str:
    strange = next((character for character in text if not character.isprintable()), None)
    if strange is not None:
        raise ValueError(f"holds the unprintable character U+{ord(strange):04X}; leave it out")
    return text


# What a terminal would obey, and what no file system takes, is refused where it comes in.
Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_printable)]
Name = Annotated[Text, Field(min_length=1)]
Names = Name | Annotated[list[Name], Field(min_length=1)]


class SplitFiles(BaseModel):
    """Where one split lies: file names relative to the folder, part files in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: Names | None = None
    labels: Names | None = None
    features_key: Name = "feats"
    labels_key: Name = "labels"

    def over(self, base: Self) -> Self:
        """This, with what it does not name taken from `base`. Files that it names come with its own key."""
        named = {name: getattr(self, name) for name in self.model_fields_set}
        for files in ("features", "labels"):
            if named.get(files) is not None:
                named.setdefault(f"{files}_key", getattr(self, f"{files}_key"))
        return base.model_copy(update=named)


class Files(BaseModel):
    """The tables `[files.train]`, `[files.test]` and `[files.query]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: SplitFiles = SplitFiles()
    test: SplitFiles = SplitFiles()
    query: SplitFiles = SplitFiles()


class Description(BaseModel):
    """The content of `dataset.toml`; every part is optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text | None = None
    title: Text | None = None
    query: SplitName | None = None
    gallery: SplitName | None = None
    class_names: list[Text] | None = None
    stand_in: bool = False
    """Generated in the layout of a real dataset."""
    files: Files = Files()
    recommended: dict[str, dict[str, Any]] = {}

    def over(self, base: Self) -> Self:
        """This, with what it does not say taken from `base`."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        split_files = {split: getattr(self.files, split).over(getattr(base.files, split)) for split in SPLITS}
        return base.model_copy(update={**said, "files": Files(**split_files)})


@dataclass(frozen=True)
class SplitPaths:
    """The files of one split, parts in order, and the names of the arrays inside."""

    features: tuple[Path, ...]
    labels: tuple[Path, ...]
    """Empty where the split has none."""
    features_key: str
    labels_key: str


@dataclass(frozen=True)
class Layout:
    """A folder with everything settled that its description, or the usual names, leave open."""

    folder: Path
    description: Description

    @property
    def name(self) -> str:
        """The dataset's name, fit for file names: the described one, else the folder's."""
        return slug(self.description.name or self.folder.resolve().name)

    @property
    def title(self) -> str:
        """What reports call the dataset: its title, else its name as it was written."""
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
        note = self.folder / NOTE
        return [*self.data_files(), note] if note.is_file() else self.data_files()

    def _paths(self, split: SplitName) -> SplitPaths:
        files: SplitFiles = getattr(self.description.files, split)
        # Training videos do without labels; those that query or are searched do not.
        needed = split in {self.query, self.gallery}
        return SplitPaths(
            features=self._paths_of(files.features or self._usual(f"{split}_feats", FEATURES)),
            labels=self._paths_of(files.labels or (self._usual(f"{split}_labels", LABELS) if needed else [])),
            features_key=files.features_key,
            labels_key=files.labels_key,
        )

    def _usual(self, stem: str, suffixes: tuple[str, ...]) -> str:
        return usual_file(self.folder, stem, suffixes) or f"{stem}{suffixes[0]}"

    def _paths_of(self, names: str | list[str]) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in ([names] if isinstance(names, str) else names))


def layout_of(folder: Path, built_in: Description | None = None) -> Layout:
    """The layout of a folder: as its `dataset.toml` says, else as `built_in` says, else by the usual names.

    Raises InputError if there is no such folder, the note is malformed, or it names files outside the folder.
    """
    try:
        missing = not folder.is_dir()
    except (OSError, ValueError) as error:
        raise unreadable(folder, error) from error
    if missing:
        raise InputError(f"{folder}: no such folder; give a folder with train_feats.h5 and test_feats.h5")
    note = _read_note(folder)
    for split in SPLITS:
        _require_inside(folder, getattr(note.files, split))
    return Layout(folder, note.over(built_in or _usual(folder, note)))


def _require_inside(folder: Path, files: SplitFiles) -> None:
    """InputError if the note, whoever wrote it, names a file outside the folder.

    The usual names may be links to anywhere, since no file says so: hubs and stores of data lay out folders like that.
    A note that is such a link itself may name links that lead to where it leads.
    """
    homes = folder.resolve(), (folder / NOTE).resolve().parent
    for given in (files.features or [], files.labels or []):
        for name in [given] if isinstance(given, str) else given:
            path = folder / name
            try:
                within = Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder))  # noqa: PTH100  no links
                inside = within and any(path.resolve().is_relative_to(home) for home in homes)
            except (OSError, RuntimeError) as error:  # links that lead in circles, names too long
                raise InputError(f"{path}: cannot be found ({one_line(str(error))}); put it there") from error
            if not inside:
                raise InputError(
                    f"{folder / NOTE}: {path} lies outside the folder; move it inside, or give it its usual name, "
                    "which may be a link"
                )


def as_toml(description: Description) -> str:
    """`description` as the text of a `dataset.toml`, without what it does not say."""
    said = description.model_dump(exclude_unset=True, exclude_none=True)
    tables = {f"files.{split}": files for split, files in said.pop("files", {}).items()}
    tables |= {f"recommended.{method}": values for method, values in said.pop("recommended", {}).items()}
    lines = [_line(key, value) for key, value in said.items()]
    for table, values in tables.items():
        lines += ["", f"[{table}]", *(_line(key, value) for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any) -> str:
    # Texts, numbers, booleans and lists of them look the same in JSON and TOML.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"


def _usual(folder: Path, note: Description) -> Description:
    """What the usual names of files say where they alone can: are there labels of training videos, or queries apart?"""
    train = SplitFiles(labels=note.files.train.labels or usual_file(folder, "train_labels", LABELS))
    query = SplitFiles(features=note.files.query.features or usual_file(folder, "query_feats", FEATURES))
    return Description(files=Files(train=train, query=query))


def usual_file(folder: Path, stem: str, suffixes: tuple[str, ...]) -> str | None:
    """The name of the one file of this stem in a folder, None if there is none. Raises InputError if there are more.

    A link that leads nowhere counts: leaving out what it stands for would change what a dataset is.
    """
    found = [f"{stem}{suffix}" for suffix in suffixes if os.path.lexists(folder / f"{stem}{suffix}")]
    if len(found) > 1:
        raise InputError(f"{folder}: holds {' and '.join(found)}; leave one, or name it in {NOTE}")
    return found[0] if found else None


def _read_note(folder: Path) -> Description:
    path = folder / NOTE
    if not os.path.lexists(path):
        return Description()
    try:
        return Description.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(f"{path}: {validation_message(error, Description)}") from error
