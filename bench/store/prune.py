"""Unfinished runs, and the removal of what they left behind."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from bench.base.atomic import remove
from bench.base.errors import InputError
from bench.base.files import is_litter
from bench.store.consistency import DESCRIPTION, WEIGHTS
from bench.store.integrity import RECORD
from bench.store.leases import LEASES, Leases, leftovers
from bench.store.record import RunSpec
from bench.store.store import BEGUN, DAMAGED, TRAINING, Store
from bench.store.stored_run import CODES, PER_QUERY, TRACEBACK, read_run
from bench.store.swap import RUN_NAME, is_leftover, look_through

RUN_FILES = {RECORD, CODES, PER_QUERY, TRACEBACK, DESCRIPTION, WEIGHTS}


@dataclass(frozen=True)
class Unfinished:
    """A run that was begun; texts as files give them, not yet safe for terminals."""

    folder: Path
    """Where the state of its training lies."""
    dataset: str
    method: str
    bits: str
    seed: int | None
    """None where the run left no note of itself."""
    host: str | None
    """The machine that it runs on; None if it was interrupted."""
    progress: str
    """The last epoch that was saved, and when."""


def unfinished(store: Store) -> Iterator[Unfinished]:
    """What is under way or interrupted, in order of names.

    A stored run counts if it is being done again, or its retry was interrupted.
    """
    leases = Leases(store.root / LEASES)
    for folder in sorted((store.root / TRAINING).glob("*/*/*")):
        if not (RUN_NAME.fullmatch(folder.name) and folder.is_dir()):
            continue
        dataset, method, name = folder.parts[-3:]
        bits, _, identity = name.partition("-")
        owner = leases.holder(identity)
        run = store.root / dataset / method / name
        if owner is None and (is_done(run) or _stored_since(folder, run)):
            continue
        spec = _spec(folder)
        host = None if owner is None else str(owner.get("host", "another machine"))
        seed = None if spec is None else spec.seed
        yield Unfinished(folder, dataset, method, bits, seed, host, _progress(folder, spec))


def is_done(run: Path) -> bool:
    """Is this folder that of a run that needs no further try?"""
    try:
        return read_run(run).record.status == "done"
    except InputError:
        return False


def _stored_since(folder: Path, run: Path) -> bool:
    """Was a run stored after all that its training left? What ran out of time leaves its state without a retry."""
    try:
        stored = (run / RECORD).stat().st_mtime_ns
        return all(path.stat().st_mtime_ns < stored for path in folder.rglob("*") if path.is_file())
    except OSError:
        return False


def _spec(folder: Path) -> RunSpec | None:
    """What the run noted of itself; None if it did not, or the note is that of another."""
    path = folder / BEGUN
    try:
        spec = RunSpec.model_validate_json(path.read_bytes()) if path.is_file() else None
    except (OSError, ValidationError):
        return None
    return spec if spec is not None and folder.as_posix().endswith(spec.folder) else None


def _progress(folder: Path, spec: RunSpec | None) -> str:
    states = [path for path in folder.glob("*/*.safetensors") if path.is_file() and not path.name.startswith(".")]
    try:
        last = max(states, key=lambda path: path.stat().st_mtime, default=None)
        if last is None:
            return "no epoch saved yet"
        saved = datetime.fromtimestamp(last.stat().st_mtime, UTC)
        with safe_open(last, framework="np") as file:
            done = int(json.loads((file.metadata() or {})["note"])["epoch"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return "the saved state cannot be read"
    of = f" of {spec.parameters['epochs']}" if spec is not None and "epochs" in spec.parameters else ""
    return f"{done}{of} epochs done, saved {saved:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Superfluous:
    """A file or folder that no run needs, why, and its size in bytes."""

    path: Path
    why: str
    size: int

    def remove(self) -> None:
        remove(self.path)


def superfluous(store: Store) -> list[Superfluous]:
    """All there is to remove, in order of paths. Runs in conflict are results and not among it.

    Raises InputError if the folder holds no runs, nor anything to remove.
    """
    found = [Superfluous(path, why, _size(path)) for path, why in sorted(_candidates(store.root))]
    if not found:
        store.require_runs()
    return found


def _candidates(root: Path) -> Iterator[tuple[Path, str]]:
    for path in (root / DAMAGED).glob("*/*/*"):
        # What somebody put beside a run was set aside with it.
        if all(_is_of_a_run(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir()):
            yield path, "damaged, set aside"
    found = look_through(root)
    absent = {folder.name for folder in found.runs if not folder.exists()}
    for path in found.hidden:
        if is_leftover(path) and path.name.split(".")[1] not in absent:
            yield path, "leftover of a process that ended"
    for path in leftovers(root / LEASES):
        yield path, "leftover of a process that ended"
    leases = Leases(root / LEASES)
    for path in (root / TRAINING).glob("*/*/*"):
        identity = path.name.partition("-")[2]
        # Any other run may have been begun again, and go on from there.
        if is_done(root / path.relative_to(root / TRAINING)) and leases.holder(identity) is None:
            yield path, "training state of a finished run"


def _is_of_a_run(file: Path) -> bool:
    """Whether a file, by its path in a run's folder, is one that this package writes there."""
    return file.as_posix() in RUN_FILES or any(map(is_litter, file.parts))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
