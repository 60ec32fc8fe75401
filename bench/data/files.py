"""Fingerprints of the files that people bring."""

import hashlib
import json
import os
from pathlib import Path

from bench import text
from bench.cache import cache_folder
from bench.data.space import gigabytes
from bench.input_files import require_file
from bench.news import say

# A fingerprint of a larger file takes more than a second or two, and is announced.
ANNOUNCED_BYTES = 10**9


def content_hash(paths: list[Path]) -> str:
    """A hash of the files' contents, in order; remembered by path, size and time of change, so it is read once."""
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        digest.update(_remembered_hash(require_file(path)).encode())
    return digest.hexdigest()


def _remembered_hash(path: Path) -> str:
    state = path.stat()
    key = json.dumps([str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino])
    note = cache_folder() / "fingerprints" / hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    if note.is_file() and len(known := note.read_text()) == 32:
        return known
    if state.st_size > ANNOUNCED_BYTES:
        say(f"fingerprint of {path.name}, {gigabytes(state.st_size)}, once")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        beside = note.with_name(f"{note.name}.{os.getpid()}")
        beside.write_text(digest)
        beside.replace(note)
    except OSError:
        # Remembering is a convenience: without a writable cache the file is hashed again next time.
        return digest
    return digest


def one_line(error: BaseException) -> str:
    """What a library says of an error, as a part of one line."""
    return text.one_line(str(error))[:200]
