"""Integrity of stored files: checksums, sealed records, durable writes."""

import hashlib
import json
import re
from pathlib import Path

from pydantic import ValidationError

from bench.base.errors import InputError
from bench.base.text import validation_message
from bench.store.record import RunRecord

RECORD = "record.json"

SCHEMA_VERSION = 1

# At the top level of a record, and nowhere else, a key stands behind one space: texts in JSON hold no line breaks.
SEAL = re.compile(rb'^ "checksum": "([0-9a-f]{64})"', re.MULTILINE)

BLANK = b'\n "checksum": ""'

TEXT = {".json", ".txt"}
"""Files that version control may write with other line ends."""

REFUSED = {"metrics", "diagnostics", "costs", "history", "durations", "reason"}
"""What is left out of a record that contradicts itself."""


class DamagedError(InputError):
    """A stored run is not as it was written; `what` of it."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(f"{folder}: damaged ({what}); move the folder away and run again")
        self.folder = folder
        self.what = what


class InconsistentError(InputError):
    """A stored run is as it was written, yet contradicts itself; `record` is what can be shown of it: a reason."""

    def __init__(self, folder: Path, what: str, record: RunRecord) -> None:
        super().__init__(f"{folder}: inconsistent ({what}); move the folder away and run again")
        self.folder = folder
        self.what = what
        self.record = record


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; that of a text does not depend on its line ends."""
    if path.suffix in TEXT:
        return hashlib.sha256(with_plain_ends(path.read_bytes())).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def with_plain_ends(content: bytes) -> bytes:
    """A text whose lines end as this package writes them: git's core.autocrlf makes them end in CR LF."""
    return content.replace(b"\r\n", b"\n")


def sealed(record: RunRecord) -> bytes:
    """The text of `record.json`, readable for people: sorted keys, indented.

    Its `checksum` is the SHA-256 of the same text with nothing between the quotes of the checksum.
    """
    values = record.model_dump(mode="json") | {"checksum": ""}
    blank = (json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    seal = hashlib.sha256(blank).hexdigest().encode()
    return blank.replace(BLANK, BLANK[:-1] + seal + b'"', 1)


def unsealed(content: bytes, folder: Path, *, metrics: bool = True) -> RunRecord:
    """The record that `sealed` wrote into `folder`; if asked for, without its metrics, whatever they are.

    Raises:
        DamagedError: the text is not the one that was written.
        InconsistentError: it is, and contradicts itself.
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
    raise DamagedError(folder, f"{'checksum of' if seal else 'no checksum in'} {RECORD}")


def _contradiction(content: bytes, folder: Path, what: str) -> InputError:
    """What is wrong with a record that is as it was written: a row with its reason, if it says whose run it is."""
    values = json.loads(content)
    kept = {name: value for name, value in values.items() if name not in REFUSED}
    try:
        record = RunRecord.model_validate({**kept, "status": "unsound", "reason": what, "durations": {}})
    except ValidationError:
        # It does not even say which run it is.
        return DamagedError(folder, f"{RECORD}: {what}")
    return InconsistentError(folder, what, record)


def _schema_version(content: bytes) -> object:
    """What a text that may be damaged says of its version; None if nothing can be made out."""
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return None
    version = values.get("schema_version") if isinstance(values, dict) else None
    return None if isinstance(version, bool) else version
