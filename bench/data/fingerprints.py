"""Fingerprints of the files of a dataset."""

import hashlib
import json
import time
from pathlib import Path

from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.base.files import gigabytes, require_file, unreadable
from bench.base.paths import cache_folder
from bench.base.text import say

# Fingerprints of larger files take more than a second or two and are announced.
ANNOUNCED_BYTES = 10**9
# The coarsest clock of file systems: two changes within it may leave the same times.
CLOCK_NANOSECONDS = 3 * 10**9
# Sampled to notice changed contents where tools can set all times back.
SAMPLES, SAMPLE_BYTES = 16, 4096


def content_hash(paths: list[Path]) -> str:
    """A hash of the files' contents, in order; remembered, so that a file is read once until it changes.

    Raises InputError if a file cannot be read, or changes while it is read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(_remembered_hash(require_file(path)).encode())
    return digest.hexdigest()


def likeness(path: Path) -> str:
    """A hash of place, size, times and a sample of the contents, to notice a changed file without reading it all."""
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
        raise InputError(f"{path}: was changed while it was read; try again when its writer has finished")
    # A file that was changed just now could be changed again with the same times.
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
