"""What a forger does who has this package's source: edit what is stored, and seal it again as if it were written so."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.store.codes_file import StoredCodes, read_codes, write_codes
from bench.store.evaluation import evaluate_codes, write_per_query
from bench.store.record import RunSpec

RECORD, CODES, PER_QUERY, ENCODER = "record.json", "codes.npz", "average_precision.npz", "encoder"


def values_of(folder: Path) -> dict[str, Any]:
    """The record of a run."""
    found: dict[str, Any] = json.loads((folder / RECORD).read_bytes())
    return found


def seal(folder: Path, values: dict[str, Any]) -> None:
    """Write a record with the checksums of the files that lie beside it, and its own."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != RECORD)
    sums = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    blank = json.dumps(values | {"checksums": sums, "checksum": ""}, indent=1, sort_keys=True) + "\n"
    digest = hashlib.sha256(blank.encode()).hexdigest()
    (folder / RECORD).write_text(blank.replace('\n "checksum": ""', f'\n "checksum": "{digest}"', 1))


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a record, and seal it."""
    values = values_of(folder)
    change(values)
    seal(folder, values)


def move(folder: Path, **spec: Any) -> Path:
    """Give a run another identity: spec, folder, and the description of its encoder."""
    values = values_of(folder)
    values["spec"] |= spec
    wanted = RunSpec.model_validate(values["spec"])
    target = folder.parents[2] / wanted.folder
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    described = json.loads((target / ENCODER / "encoder.json").read_bytes())
    told = {"method": wanted.method, "bits": wanted.bits, "parameters": wanted.parameters}
    (target / ENCODER / "encoder.json").write_text(json.dumps(described | told))
    seal(target, values)
    return target


def per_query(folder: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    """Change the values per query; the record is to be sealed afterwards."""
    with np.load(folder / PER_QUERY) as arrays:
        values = dict(arrays)
    change(values)
    np.savez_compressed(folder / PER_QUERY, **values)


def codes_of(folder: Path) -> StoredCodes:
    """The codes of a run that is no reference."""
    codes = read_codes(folder / CODES)
    assert isinstance(codes, StoredCodes)
    return codes


def with_codes(folder: Path, change: Callable[[StoredCodes], StoredCodes]) -> None:
    """Put other codes into a run, evaluate them as the benchmark does, and seal all of it."""
    codes = change(codes_of(folder))
    write_codes(folder / CODES, codes)
    values = values_of(folder)
    scores = evaluate_codes(codes, values["metrics"])
    write_per_query(folder / PER_QUERY, scores)
    values["metrics"] = {name: score.to_json() for name, score in scores.items()}
    seal(folder, values)
