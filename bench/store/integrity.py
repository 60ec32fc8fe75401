"""Integrity of stored files: checksums, and records that hold their own."""

import hashlib
import json
import re
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bench.base.errors import InputError
from bench.base.text import validation_message
from bench.store.record import RunRecord

RECORD = "record.json"
SCHEMA_VERSION = 1
# Only keys at the top level of a record are indented by one space: strings in JSON hold no line breaks.
SEAL = re.compile(rb'^ "checksum": "([0-9a-f]{64})"', re.MULTILINE)
BLANK = b'\n "checksum": ""'
TEXT = {".json", ".txt"}
"""Files in which version control may change line ends."""
REFUSED = {"metrics", "diagnostics", "costs", "relaxed", "history", "durations", "reason"}
"""Fields that are dropped from a record that contradicts itself."""


class UnsoundError(InputError):
    """A stored run that cannot be used: `summary` says why, such as `damaged (codes.npz differs from its checksum)`.

    `record` has its spec and the reason, but no numbers; None if it does not even say which run it is.
    """

    kind: Literal["damaged", "inconsistent"]

    def __init__(self, folder: Path, what: str, record: RunRecord | None = None) -> None:
        self.what, self.summary, self.record = what, f"{self.kind} ({what})", record
        super().__init__(f"{folder}: {self.summary}; move the folder away and run again")


class DamagedError(UnsoundError):
    """A stored run was changed since it was written."""

    kind = "damaged"


class InconsistentError(UnsoundError):
    """An undamaged stored run contradicts itself."""

    kind = "inconsistent"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; line ends of text files do not change it."""
    if path.suffix in TEXT:
        return hashlib.sha256(with_plain_ends(path.read_bytes())).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_plain_ends(content: bytes) -> bytes:
    """The text with LF line ends: git's core.autocrlf writes CR LF."""
    return content.replace(b"\r\n", b"\n")


def sealed(record: RunRecord) -> bytes:
    """The text of `record.json`: sorted keys, indented.

    Its `checksum` is the SHA-256 of the same text with an empty checksum.
    """
    values = record.model_dump(mode="json") | {"checksum": ""}
    blank = (json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    seal = hashlib.sha256(blank).hexdigest().encode()
    return blank.replace(BLANK, BLANK[:-1] + seal + b'"', 1)


def unsealed(content: bytes, folder: Path, *, metrics: bool = True) -> RunRecord:
    """The record that `sealed` wrote into `folder`. `metrics=False` ignores its metrics, which may then be invalid.

    Raises:
        DamagedError: the text was changed since it was written.
        InconsistentError: it was not, but contradicts itself.
        InputError: another version of this package wrote it.
    """
    content = with_plain_ends(content)
    seal = SEAL.search(content)
    blank = content[: seal.start(1)] + content[seal.end(1) :] if seal else content
    whole = seal is not None and hashlib.sha256(blank).hexdigest().encode() == seal[1]
    version = SCHEMA_VERSION if whole else _schema_version(content)
    try:
        if whole and metrics:
            return RunRecord.model_validate_json(content)
        if whole:
            return RunRecord.model_validate(json.loads(content) | {"metrics": {}})
    except ValidationError as error:
        version = _schema_version(content)
        if version == SCHEMA_VERSION:
            raise _contradiction(content, folder, validation_message(error)) from error
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise InputError(
            f"{folder / RECORD}: written by another version of vhbench (schema version {version}; this one reads "
            f"{SCHEMA_VERSION}); use that version, or name another folder with --results"
        )
    what = f"{RECORD} differs from its checksum" if seal else f"{RECORD} has no checksum"
    raise DamagedError(folder, what, _without_numbers(content, f"damaged ({what})"))


def _contradiction(content: bytes, folder: Path, what: str) -> UnsoundError:
    """The error of an undamaged but invalid record."""
    record = _without_numbers(content, what)
    return InconsistentError(folder, what, record) if record else DamagedError(folder, f"{RECORD}: {what}")


def _without_numbers(content: bytes, reason: str) -> RunRecord | None:
    """A record without its numbers, marked as unsound; None if the rest is not valid either."""
    try:
        kept = {name: value for name, value in json.loads(content).items() if name not in REFUSED}
        return RunRecord.model_validate({**kept, "status": "unsound", "reason": reason, "durations": {}})
    except (ValueError, AttributeError, RecursionError):
        return None


def _schema_version(content: bytes) -> object:
    """The schema version in a text that may be damaged; None if it cannot be read."""
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return None
    version = values.get("schema_version") if isinstance(values, dict) else None
    return None if isinstance(version, bool) else version
