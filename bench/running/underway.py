"""Runs that are not finished: under way in some process, or interrupted with the state of their training kept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from bench.errors import InputError
from bench.integrity_swap import RUN_NAME
from bench.leases import Leases
from bench.running.queue import LEASES
from bench.spec import RunSpec
from bench.store import BEGUN, RECORD, TRAINING, Store, read_run


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
