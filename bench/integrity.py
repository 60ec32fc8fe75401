"""Stored files that are as they were written: checksums, sealed records, writes that a power cut does not tear."""

import hashlib
import json
import os
import re
from pathlib import Path

from pydantic import ValidationError

from bench.errors import InputError
from bench.record import RunRecord
from bench.text import validation_message

RECORD = "record.json"
SCHEMA_VERSION = 1
# At the top level of a record, and nowhere else, a key stands behind one space: texts in JSON hold no line breaks.
SEAL = re.compile(rb'^ "checksum": "([0-9a-f]{64})"', re.MULTILINE)
BLANK = b'\n "checksum": ""'


class DamagedError(InputError):
    """A stored run is not as it was written; `what` of it."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"{folder}: damaged ({what}); move the folder away and run again")
        self.folder = folder
        self.what = what


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sealed(record: RunRecord) -> bytes:
    """The text of `record.json`, readable for people: sorted keys, indented.

    Its `checksum` is the SHA-256 of the same text with nothing between the quotes of the checksum.
    """
    values = record.model_dump(mode="json") | {"checksum": ""}
    blank = (json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    seal = hashlib.sha256(blank).hexdigest().encode()
    return blank.replace(BLANK, BLANK[:-1] + seal + b'"', 1)


def unsealed(content: bytes, folder: Path) -> RunRecord:
    """The record that `sealed` wrote into `folder`.

    Raises:
        DamagedError: the text is not the one that was written.
        InputError: another version of this package wrote it.
    """
    seal = SEAL.search(content)
    blank = content[: seal.start(1)] + content[seal.end(1) :] if seal else content
    whole = seal is not None and hashlib.sha256(blank).hexdigest().encode() == seal[1]
    version = SCHEMA_VERSION if whole else _schema_version(content)
    try:
        if whole:
            return RunRecord.model_validate_json(content)
    except ValidationError as error:
        version = _schema_version(content)
        if version == SCHEMA_VERSION:
            raise InputError(
                f"{folder / RECORD}: not a record of this version ({validation_message(error)}); move the folder away "
                "and run again"
            ) from error
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise InputError(
            f"{folder / RECORD}: written by another version of vhbench (schema version {version}; this one reads "
            f"{SCHEMA_VERSION}); use that version, or name another folder with --results"
        )
    raise DamagedError(folder, f"{'checksum of' if seal else 'no checksum in'} {RECORD}")


def write_durably(path: Path, content: bytes) -> None:
    """Write a file whose bytes are on disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Have all files below a folder, and their names, on disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def _schema_version(content: bytes) -> object:
    """What a text that may be damaged says of its version; None if nothing can be made out."""
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return None
    version = values.get("schema_version") if isinstance(values, dict) else None
    return None if isinstance(version, bool) else version
