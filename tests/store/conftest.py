"""Small stored runs with real codes, and processes that die in the middle of writing."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.dataset import Summary
from bench.store.codes_file import StoredCodes, write_codes
from bench.store.evaluation import evaluate_codes, write_per_query
from bench.store.record import RunRecord, RunSpec, Status
from bench.store.store import Store
from bench.store.stored_run import CODES, PER_QUERY, StoredRun
from tests.stored_files import write_description

STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "shutil.rmtree"}


def spec_of(seed: int = 0, method: str = "lsh") -> RunSpec:
    return RunSpec(
        method=method,
        dataset="toy",
        bits=8,
        seed=seed,
        parameters={"note": '\n "checksum": ""'},
        dataset_fingerprint="f" * 32,
        method_revision=1,
    )


def record_of(spec: RunSpec, status: Status = "done", reason: str | None = None, seconds: float = 1.0) -> RunRecord:
    return RunRecord(
        spec=spec,
        status=status,
        reason=reason,
        method_title="LSH",
        paper="Charikar, Similarity Estimation Techniques from Rounding Algorithms, STOC 2002",
        uses_labels=False,
        dataset=Summary(
            name="toy",
            title="Toy",
            fingerprint="f" * 32,
            train_videos=1,
            query_videos=12,
            gallery_videos=12,
            frames=2,
            dimensions=3,
            classes=3,
            self_search=True,
        ),
        started="2026-01-01T00:00:00+00:00",
        durations={"fit": seconds},
        environment={"cpu": "made up"},
    )


def add(store: Store, spec: RunSpec, status: Status = "done", codes_of: int = 0, **changes: Any) -> StoredRun:
    """Store a run with random codes of 12 videos and, if it is done, their metrics; `codes_of` draws other codes."""
    record = record_of(spec, status, **changes)
    if status != "done":
        return store.write(record, lambda folder: None)
    random = np.random.default_rng([spec.seed, codes_of])
    labels = np.eye(3, dtype=np.uint8)[np.arange(12) % 3]
    codes = StoredCodes(random.choice(np.array([-1, 1], dtype=np.int8), (12, 8)), labels, None, None)
    scores = evaluate_codes(codes, ["paper"])

    def fill(folder: Path) -> None:
        write_codes(folder / CODES, codes)
        write_per_query(folder / PER_QUERY, scores)
        write_description(folder, record)
        (folder / "encoder/encoder.safetensors").write_bytes(bytes(100))

    metrics = {name: score.without_queries() for name, score in scores.items()}
    return store.write(record.model_copy(update={"metrics": metrics}), fill)


@pytest.fixture
def said() -> list[str]:
    """What the store said."""
    return []


@pytest.fixture
def store(tmp_path: Path, said: list[str]) -> Store:
    return Store(tmp_path / "results", said.append)


def dies_at(step: int, work: Callable[[], object]) -> bool:
    """Do some work in another process, which is gone without a word at its so-many-th change of files; was it?"""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    seen = 0

    def die(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in STEPS and (event != "open" or arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            seen += 1
            if seen == step:
                os._exit(9)

    status = 1
    try:
        sys.addaudithook(die)
        work()
        status = 0
    finally:
        os._exit(status)


def everything(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
