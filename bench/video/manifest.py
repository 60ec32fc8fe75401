"""The records of an extraction: settings in `extract.json`, and a row for every file in `manifest.jsonl`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.base.errors import InputError
from bench.base.files import require_file
from bench.base.text import validation_message
from bench.data.description import SplitName
from bench.video.decoding import Facts, Sampling

SETTINGS, MANIFEST = "extract.json", "manifest.jsonl"
MISSING = 0.05
"""Share of a declared duration that may be missing: containers round, and count sound that lasts longer."""


class Settings(BaseModel):
    """All that features depend on, but the videos themselves; and where these are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backbone: str
    """The name, as `--backbone` has it."""
    dimensions: int
    weights: str
    """The digest of the weights, SHA-256."""
    weights_file: str | None
    """The file that they were read from, if one was named."""
    sampling: Sampling
    versions: dict[str, str]
    """Of the libraries that decode and compute."""
    root: str | None = None
    """The folder that the paths in the manifest refer to."""


class Row(Facts):
    """A file of the source, and what became of it."""

    path: str
    """From the folder of the videos, or as the table has it."""
    state: Literal["done", "failed", "left out"]
    labels: tuple[str, ...] = ()
    split: SplitName | None = None
    row: int | None = None
    """The place of its features in the file of its split, from 0; None if there are none."""

    @property
    def incomplete(self) -> bool:
        """Whether the video ends before it should, or frames taken from it are damaged."""
        return bool(self.damaged) or (self.duration or 0) < (1 - MISSING) * (self.declared or 0)


def problems(rows: Iterable[Row]) -> list[str]:
    """What to say of videos that failed, and of those that are incomplete; nothing if all is well."""
    videos = [row for row in rows if row.state != "left out"]
    failed, incomplete = [row for row in videos if row.state == "failed"], [row for row in videos if row.incomplete]
    lines = []
    if incomplete:
        lines.append(
            f"{len(incomplete):,} videos are shorter than declared or damaged, the first: {incomplete[0].path}; see "
            f"duration, declared and damaged in {MANIFEST}"
        )
    if failed:
        lines.append(
            f"{len(failed):,} of {len(videos):,} videos failed, the first: {failed[0].path}: {failed[0].reason}; see "
            f"{MANIFEST}"
        )
    return lines


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write the rows as JSON, one a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{row.model_dump_json()}\n" for row in rows)


def read_manifest(folder: Path) -> Iterator[Row]:
    """The rows of an extracted folder's manifest. Raises InputError if there is none, or it is malformed."""
    path = require_file(folder / MANIFEST, "name a folder that `bench extract` wrote")
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield Row.model_validate_json(line)
            except ValidationError as error:
                raise InputError(
                    f"{path}: line {number}: {validation_message(error, Row)}; extract it again"
                ) from error


def read_settings(folder: Path) -> Settings:
    """The settings of an extracted folder. Raises InputError if there are none, or they are malformed."""
    path = require_file(folder / SETTINGS, "name a folder that `bench extract` wrote")
    try:
        return Settings.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(f"{path}: {validation_message(error, Settings)}; extract it again") from error
