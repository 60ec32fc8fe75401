"""Arrays are read as numpy reads them, and refused where they are not as this package writes them."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.npz_file import UNREADABLE, read_arrays
from bench.report.runs import ReportRun, name_runs
from bench.report.significance import average_precision
from bench.store.integrity import sha256
from bench.store.stored_run import PER_QUERY, StoredRun

QUERIES = 40


def stored(builder: Any, write: Callable[[Path], object]) -> ReportRun:
    """A run whose values per query are as `write` writes them, with a checksum that fits."""
    run = builder.add("alpha", 16)
    write(run.folder / PER_QUERY)
    record = run.record.model_copy(update={"checksums": {PER_QUERY: sha256(run.folder / PER_QUERY)}})
    (named,) = name_runs([StoredRun(run.folder, record)])
    return named


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", ["<f8", ">f8", "<f4"])
def test_values_are_those_that_numpy_reads(builder: Any, save: Callable[..., None], kind: str) -> None:
    values = np.random.default_rng(0).random((2, QUERIES)).astype(kind)
    run = stored(
        builder, lambda path: save(path, **{"paper@5": values[0], "strict@5": values[1], "paper@20": values[0]})
    )
    found = average_precision(run, [("strict", 5), ("paper", 5), ("paper", 100)])
    assert set(found) == {("paper", 5), ("strict", 5)}
    with np.load(run.stored.folder / PER_QUERY) as arrays:
        for (protocol, k), mine in found.items():
            np.testing.assert_array_equal(mine, arrays[f"{protocol}@{k}"])


def member(content: bytes) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("paper@5.npy", content)

    return write


def saved(array: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        saved(np.ones(QUERIES))[:-1],
        saved(np.ones(QUERIES), (2, 0)),
        saved(np.array([None] * QUERIES)),
        saved(np.array(["high"] * QUERIES)),
        saved(np.ones(QUERIES)).replace(b"(40,)", b"(99,)"),
        saved(np.ones(QUERIES)).replace(b"'shape'", b"__import"),
    ],
)
def test_arrays_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    member(content)(tmp_path / PER_QUERY)
    with pytest.raises(UNREADABLE):
        read_arrays(tmp_path / PER_QUERY)
