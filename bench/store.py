"""Runs on disk: one folder a run, whole or absent, its files as they were written."""

import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench import news
from bench.errors import InputError
from bench.integrity import RECORD, DamagedError, sealed, sha256, sync_folder, sync_tree, unsealed, write_durably
from bench.integrity_swap import hidden_beside, is_leftover, look_through, put_back, put_in_place, remove, replaced_by
from bench.litter import is_litter
from bench.record import RunRecord
from bench.spec import RunSpec

__all__ = [
    "BEGUN",
    "CODES",
    "CONFLICTS",
    "DAMAGED",
    "ENCODER",
    "PER_QUERY",
    "RECORD",
    "TRACEBACK",
    "TRAINING",
    "Store",
    "StoredRun",
    "read_run",
    "strays",
    "write_record",
]

CODES = "codes.npz"
PER_QUERY = "average_precision.npz"
ENCODER = "encoder"
TRACEBACK = "traceback.txt"
TRAINING = ".training"
BEGUN = "run.json"
"""Beside a training's state: the spec of the run, which its folder's name alone would not tell."""
DAMAGED = ".damaged"
CONFLICTS = ".conflicts"
FOREIGN_SHOWN = 3


@dataclass(frozen=True)
class StoredRun:
    """A run's record and the folder it lies in."""

    folder: Path
    record: RunRecord

    def verified(self, name: str) -> Path:
        """The path of a file of the run, such as `codes.npz`, that is as it was written. Raises DamagedError."""
        path = self.folder / name
        found = _sha256_now(path) if path.is_file() else None
        expected = self.record.checksums.get(name)
        # The run may have been evaluated again since its record was read.
        if found != expected and found != read_run(self.folder).record.checksums.get(name):
            raise DamagedError(self.folder, f"checksum of {name}" if found else f"{name} is missing")
        return path

    def set_aside(self, name: str, mend: str) -> None:
        """Move one damaged file of the run out of the way, and say so with the `mend`."""
        Store(self.folder.parents[2]).set_aside(self.folder / name, f"checksum of {name}", mend)


class Store:
    """A results folder: `<dataset>/<method>/<bits>-<identity>/`.

    A run that is damaged is moved to `.damaged/` below the folder, with a line to `say`, and counts as not stored.
    """

    def __init__(self, root: Path, say: Callable[[str], None] = news.say) -> None:
        # Absolute, since methods may change the working directory.
        self.root = root.absolute()
        self.say = say

    def require_writable(self) -> None:
        """InputError unless runs can be stored here. Removes what killed processes left half-written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise InputError(f"{self.root}: results cannot be written there ({error.strerror}); name another folder "
                             "with --results") from error  # fmt: skip
        found = look_through(self.root)
        for folder in found.runs:
            self._complete(folder)
        for path in filter(is_leftover, found.hidden):
            self._discard(path)

    def find(self, spec: RunSpec) -> StoredRun | None:
        """The stored run of this spec, whatever its status."""
        return self._read(self.root / spec.folder)

    def find_sound(self, spec: RunSpec) -> StoredRun | None:
        """The same, if all its files are as they were written; else it is set aside."""
        run = self.find(spec)
        if run is None:
            return None
        try:
            for name in run.record.checksums:
                run.verified(name)
        except DamagedError as damage:
            self.set_aside(damage.folder, damage.what)
            return None
        return run

    def training_folder(self, spec: RunSpec) -> Path:
        """Where the training of this spec keeps its state until the run is stored."""
        return self.root / TRAINING / spec.folder

    def begin(self, spec: RunSpec) -> None:
        """Note that a run is being done, for whoever looks through the results before it is stored."""
        folder = self.training_folder(spec)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / BEGUN).write_text(spec.model_dump_json(), encoding="utf-8")

    def runs(self) -> Iterator[StoredRun]:
        """All stored runs, in order of their folders' names. Foreign files are named and left alone."""
        found = look_through(self.root)
        for folder in found.runs:
            run = self._read(folder)
            if run is not None:
                yield run
            elif folder.exists() and not (folder / RECORD).exists():
                found.foreign.append(folder)
        if found.foreign:
            names = [path.relative_to(self.root).as_posix() for path in sorted(found.foreign)]
            more = f" and {len(names) - FOREIGN_SHOWN} more" if len(names) > FOREIGN_SHOWN else ""
            self.say(f"{self.root}: not runs, left alone: {', '.join(names[:FOREIGN_SHOWN])}{more}")

    def write(self, record: RunRecord, fill: Callable[[Path], None]) -> StoredRun:
        """Store a run: `fill` writes its files into a folder beside, which then takes the run's place by renaming."""
        final = self.root / record.spec.folder
        final.parent.mkdir(parents=True, exist_ok=True)
        beside = hidden_beside(final)
        remove(beside)
        beside.mkdir()
        try:
            fill(beside)
            files = sorted(path for path in beside.rglob("*") if path.is_file() and not is_litter(path.name))
            checksums = {path.relative_to(beside).as_posix(): sha256(path) for path in files}
            complete = record.model_copy(update={"checksums": checksums})
            (beside / RECORD).write_bytes(sealed(complete))
            sync_tree(beside)
            self.place(beside, final)
        finally:
            remove(beside)
        # A failed run's training would only fail again from where it stopped; with more time it goes on from there.
        if record.status != "timeout":
            remove(self.training_folder(record.spec))
        return StoredRun(final, complete)

    def rewrite(self, run: StoredRun, record: RunRecord, fill: Callable[[Path], None]) -> StoredRun:
        """Store a run again with another record; files that `fill` does not write anew stay as they are.

        Raises DamagedError if one of those is not as it was written.
        """

        def fill_and_link(folder: Path) -> None:
            fill(folder)
            for name in run.record.checksums:
                target = folder / name
                if not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _link(run.verified(name), target)

        return self.write(record, fill_and_link)

    def place(self, written: Path, final: Path) -> None:
        """Have a complete folder take a run's place."""
        old = put_in_place(written, final)
        if old is not None:
            self._discard(old)

    def set_aside(self, path: Path, what: str, mend: str = "run again to make it anew") -> None:
        """Move a damaged run, or a damaged file of one, to `.damaged/`, and say so."""
        try:
            target = self._move(path, self.root / DAMAGED / path.relative_to(self.root))
        except FileNotFoundError:  # another process was faster
            return
        except OSError as error:
            self.say(f"{path}: damaged ({what}); left out; cannot be set aside ({error.strerror})")
            return
        self.say(f"{path}: damaged ({what}); set aside as {target}; {mend}")

    def _read(self, folder: Path) -> StoredRun | None:
        if not self._complete(folder):
            return None
        try:
            return read_run(folder)
        except DamagedError as damage:
            self.set_aside(folder, damage.what)
            return None

    def _complete(self, folder: Path) -> bool:
        """Is there a run? One that was being replaced when its process died is put back."""
        return (folder / RECORD).is_file() or (put_back(folder) and (folder / RECORD).is_file())

    def _discard(self, hidden: Path) -> None:
        """Remove what a newer run took the place of, or what was never finished; keep what is no run of ours."""
        final = replaced_by(hidden)
        if final is None or _ordinary(hidden):
            remove(hidden)
        else:
            self._move(hidden, self.root / DAMAGED / final.relative_to(self.root))

    def _move(self, path: Path, target: Path) -> Path:
        number, free = 1, target
        while free.exists():
            number += 1
            free = target.with_name(f"{target.name}-{number}")
        free.parent.mkdir(parents=True, exist_ok=True)
        path.rename(free)
        return free


def read_run(folder: Path) -> StoredRun:
    """The run in `folder`.

    Raises:
        DamagedError: its record is not as it was written, or is that of another run.
        InputError: its record cannot be read, or another version of this package wrote it.
    """
    path = folder / RECORD
    try:
        record = unsealed(path.read_bytes(), folder)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    # Some file systems give letters with accents back in two parts.
    if [unicodedata.normalize("NFC", part) for part in folder.parts[-3:]] != record.spec.folder.split("/"):
        raise DamagedError(folder, f"{RECORD} is that of {record.spec.folder}")
    return StoredRun(folder, record)


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `record.json` atomically."""
    beside = hidden_beside(folder, ".record")
    try:
        write_durably(beside, sealed(record))
        beside.replace(folder / RECORD)
    finally:
        beside.unlink(missing_ok=True)
    sync_folder(folder)


def strays(run: StoredRun) -> list[Path]:
    """Files in a run's folder that its record knows nothing of."""
    known = {RECORD, *run.record.checksums}
    files = sorted(path for path in run.folder.rglob("*") if not path.is_dir())
    return [
        path
        for path in files
        if path.relative_to(run.folder).as_posix() not in known
        and not any(map(is_litter, path.relative_to(run.folder).parts))
    ]


def _sha256_now(path: Path) -> str:
    state = path.stat()
    return _sha256_of(path, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=4096)
def _sha256_of(path: Path, *state: int) -> str:
    return sha256(path)


def _ordinary(folder: Path) -> bool:
    """Is this a run and nothing more?"""
    try:
        return not strays(StoredRun(folder, unsealed((folder / RECORD).read_bytes(), folder)))
    except (InputError, OSError):
        return False


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        shutil.copy2(source, target)
