"""Fingerprints of the files of a dataset."""

import hashlib
import json
import time
from pathlib import Path

from bench.base import text
from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.base.files import gigabytes, require_file, unreadable
from bench.base.paths import cache_folder
from bench.base.text import say

# A fingerprint of a larger file takes more than a second or two, and is announced.
ANNOUNCED_BYTES = 10**9

# The coarsest clocks of file systems: what changes a file again within it may leave the same times.
CLOCK_NANOSECONDS = 3 * 10**9

# Read to notice other contents where the file system keeps no time that tools cannot set back.
SAMPLES, SAMPLE_BYTES = 16, 4096


def content_hash(paths: list[Path]) -> str:
    """A hash of the files' contents, in order; remembered, so that a file is read once until it changes.

    Raises InputError if a file cannot be read, or changes meanwhile.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(_remembered_hash(require_file(path)).encode())
    return digest.hexdigest()


def likeness(path: Path) -> str:
    """What tells, without reading it all, that a file is the one that it was: place, size, times and some contents."""
    try:
        state = path.stat()
        times = state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino
        with path.open("rb", buffering=0) as file:
            digest = hashlib.blake2b(json.dumps([str(path.resolve()), *times]).encode(), digest_size=16)
            for number in range(SAMPLES):
                file.seek(number * state.st_size // SAMPLES)
                digest.update(file.read(SAMPLE_BYTES))
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def _remembered_hash(path: Path) -> str:
    before, folder = likeness(path), cache_folder()
    note = folder / "fingerprints" / before if folder else None
    known = _read(note) if note else None
    if known is not None:
        return known
    state, now = path.stat(), time.time_ns()
    if state.st_size > ANNOUNCED_BYTES:
        say(f"fingerprint of {path.name}, {gigabytes(state.st_size)}, once")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error
    if likeness(path) != before:
        raise InputError(f"{path}: was changed while it was read; try again when its writer has ended")
    # A file that was changed just now could be changed again without another time to show for it.
    if note and min(abs(now - changed) for changed in (state.st_mtime_ns, state.st_ctime_ns)) > CLOCK_NANOSECONDS:
        _write(note, digest)
    return digest


def _read(note: Path) -> str | None:
    try:
        known = note.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return known if len(known) == 32 else None


def _write(note: Path, digest: str) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        write_file(note, digest.encode("ascii"))
    except OSError:
        # Remembering is a convenience: without a writable cache the file is hashed again next time.
        return


def one_line(error: BaseException) -> str:
    """What a library says of an error, as a part of one line."""
    return text.one_line(str(error))[:200]
