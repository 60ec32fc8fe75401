"""Stored runs: a record and the files beside it."""

import os
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from bench.base.atomic import write_file
from bench.base.errors import InputError
from bench.base.files import is_litter
from bench.store.codes_file import CodesDigest
from bench.store.integrity import RECORD, DamagedError, UnsoundError, sealed, sha256, unsealed
from bench.store.record import RunRecord
from bench.store.swap import hidden_beside

CODES = "codes.npz"
PER_QUERY = "average_precision.npz"
ENCODER = "encoder"
TRACEBACK = "traceback.txt"


@dataclass(frozen=True)
class StoredRun:
    """A run's record and its folder."""

    folder: Path
    record: RunRecord
    codes: CodesDigest | None = field(default=None, compare=False)
    """The digest of its codes, once they were read (`bench.store.consistency`)."""

    @property
    def root(self) -> Path:
        """The results folder."""
        return self.folder.parents[2]

    def verified(self, name: str) -> Path:
        """The path of a file of the run, such as `codes.npz`. Raises DamagedError unless its checksum is correct."""
        path = self.folder / name
        found = checksum_of(path) if path.is_file() else None
        expected = self.record.checksums.get(name)
        # The run may have been evaluated again since its record was read.
        if found != expected and found != read_run(self.folder).record.checksums.get(name):
            raise DamagedError(self.folder, f"{name} differs from its checksum" if found else f"{name} is missing")
        return path


def state_of(path: Path) -> tuple[int, ...]:
    """Inode, size and times of a file: what was read of it before may be reused while they are unchanged."""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def checksum_of(path: Path) -> str:
    """The SHA-256 of a file, computed once per process unless the file changes."""
    return _sha256_of(path, state_of(path))


def forget_checksums() -> None:
    """Have files hashed again even if they seem unchanged."""
    _sha256_of.cache_clear()


def read_run(folder: Path, *, metrics: bool = True) -> StoredRun:
    """The run in `folder`. `metrics=False` ignores its metrics, which may then be invalid.

    Raises:
        DamagedError: its record was changed since it was written, or belongs to another run.
        InconsistentError: its record contradicts itself.
        InputError: its record cannot be read, or another version of this package wrote it.
    """
    path = folder / RECORD
    try:
        record = unsealed(path.read_bytes(), folder, metrics=metrics)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnsoundError as error:
        if error.record is not None and not _is_at_home(folder, error.record):
            # What it says of its run is damaged, too.
            raise DamagedError(folder, error.what) from error
        raise
    if not _is_at_home(folder, record):
        raise DamagedError(folder, f"{RECORD} belongs to {record.spec.folder}")
    return StoredRun(folder, record)


def _is_at_home(folder: Path, record: RunRecord) -> bool:
    # Some file systems return accented letters as two characters.
    return [unicodedata.normalize("NFC", part) for part in folder.parts[-3:]] == record.spec.folder.split("/")


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `record.json` atomically."""
    write_file(folder / RECORD, sealed(record), hidden_beside(folder, ".record"))


def strays(run: StoredRun) -> list[Path]:
    """Files in a run's folder that its record does not list."""
    known = {RECORD, *run.record.checksums}
    found = []
    for place, _, names in os.walk(run.folder):
        below = Path(place).relative_to(run.folder)
        found += [path for path in map(below.joinpath, names) if path.as_posix() not in known]
    return [run.folder / path for path in sorted(found) if not any(map(is_litter, path.parts))]


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, state: tuple[int, ...]) -> str:
    return sha256(path)
