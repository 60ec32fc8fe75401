"""Runs on disk: one folder a run, whole or absent."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from bench.errors import InputError
from bench.record import RunRecord
from bench.spec import RunSpec
from bench.text import validation_message

RECORD = "record.json"
CODES = "codes.npz"
PER_QUERY = "average_precision.npz"
ENCODER = "encoder"
TRACEBACK = "traceback.txt"
TRAINING = ".training"


@dataclass(frozen=True)
class StoredRun:
    """A run's record and the folder it lies in."""

    folder: Path
    record: RunRecord


class Store:
    """A results folder: `<dataset>/<method>/<bits>-<identity>/`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def require_writable(self) -> None:
        """InputError unless runs can be stored here."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe.{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InputError(f"{self.root}: results cannot be written there ({error.strerror}); name another folder "
                             "with --results") from error  # fmt: skip

    def find(self, spec: RunSpec) -> StoredRun | None:
        """The stored run of this spec, whatever its status."""
        folder = self.root / spec.folder
        return read_run(folder) if (folder / RECORD).is_file() else None

    def training_folder(self, spec: RunSpec) -> Path:
        """Where the training of this spec keeps its state until the run is stored."""
        return self.root / TRAINING / spec.folder

    def runs(self) -> Iterator[StoredRun]:
        """All stored runs, in order of their folders' names."""
        for path in sorted(self.root.glob(f"*/*/*/{RECORD}")):
            if not path.parent.name.startswith("."):
                yield read_run(path.parent)

    def write(self, record: RunRecord, fill: Callable[[Path], None]) -> StoredRun:
        """Store a run: `fill` writes its files into a folder beside, which then takes the run's place by renaming."""
        final = self.root / record.spec.folder
        final.parent.mkdir(parents=True, exist_ok=True)
        beside = final.parent / f".{final.name}.{os.getpid()}"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        try:
            fill(beside)
            files = sorted(path for path in beside.rglob("*") if path.is_file())
            checksums = {path.relative_to(beside).as_posix(): sha256(path) for path in files}
            complete = record.model_copy(update={"checksums": checksums})
            write_record(beside, complete)
            if final.exists():
                replaced = final.parent / f".{final.name}.{os.getpid()}.old"
                final.rename(replaced)
                beside.rename(final)
                shutil.rmtree(replaced)
            else:
                beside.rename(final)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        # A failed run's training would only fail again from where it stopped.
        shutil.rmtree(self.training_folder(record.spec), ignore_errors=True)
        return StoredRun(final, complete)


def read_run(folder: Path) -> StoredRun:
    """The run in `folder`. Raises InputError if its record cannot be read."""
    path = folder / RECORD
    try:
        return StoredRun(folder, RunRecord.model_validate_json(path.read_bytes()))
    except ValidationError as error:
        raise InputError(f"{path}: not a record of this version ({validation_message(error)}); "
                         "move the folder away and run again") from error  # fmt: skip
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `record.json` atomically, readable for people: sorted keys, indented."""
    beside = folder / f".{RECORD}.{os.getpid()}"
    text = json.dumps(record.model_dump(mode="json"), indent=1, sort_keys=True, allow_nan=False)
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(folder / RECORD)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
