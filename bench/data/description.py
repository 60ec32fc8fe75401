"""`dataset.toml`: a dataset's own description of its files."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from bench.base.errors import InputError
from bench.base.text import validation_message
from bench.base.toml_file import read_toml

SplitName = Literal["train", "test", "query"]
SPLITS: tuple[SplitName, ...] = ("train", "test", "query")
NOTE = "dataset.toml"
LONGEST_TEXT = 1000


def _printable(text: str) -> str:
    strange = next((character for character in text if not character.isprintable()), None)
    if strange is not None:
        raise ValueError(f"holds the unprintable character U+{ord(strange):04X}; leave it out")
    return text


# Control characters and other unprintable ones are refused at the input.
Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_printable)]
Name = Annotated[Text, Field(min_length=1)]
Names = Name | Annotated[list[Name], Field(min_length=1)]


class SplitFiles(BaseModel):
    """The files of one split: names relative to the folder, part files in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: Names | None = None
    labels: Names | None = None
    features_key: Name = "feats"
    labels_key: Name = "labels"

    def over(self, base: Self) -> Self:
        """A copy with missing values taken from `base`. Named files keep the key given with them."""
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

    def names(self) -> Iterator[str]:
        """All names of files that are given."""
        for split in SPLITS:
            for given in (getattr(self, split).features, getattr(self, split).labels):
                yield from [given] if isinstance(given, str) else given or []


class Description(BaseModel):
    """The content of `dataset.toml`; every part is optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Text | None = None
    title: Text | None = None
    query: SplitName | None = None
    gallery: SplitName | None = None
    class_names: list[Text] | None = None
    stand_in: bool = False
    """Whether it was generated in the layout of a real dataset."""
    files: Files = Files()
    recommended: dict[str, dict[str, Any]] = {}

    def over(self, base: Self) -> Self:
        """A copy with missing values taken from `base`."""
        said = {name: getattr(self, name) for name in self.model_fields_set}
        split_files = {split: getattr(self.files, split).over(getattr(base.files, split)) for split in SPLITS}
        return base.model_copy(update={**said, "files": Files(**split_files)})


def as_toml(description: Description) -> str:
    """`description` as the text of a `dataset.toml`, without unset values."""
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


def read_note(folder: Path) -> Description:
    """The `dataset.toml` of a folder; empty if there is none. Raises InputError if it is malformed."""
    path = folder / NOTE
    if not os.path.lexists(path):
        return Description()
    try:
        return Description.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(f"{path}: {validation_message(error, Description)}") from error
