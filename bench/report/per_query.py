"""Values per query beside a record: what tests and intervals start from."""

import io
import zipfile
import zlib
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError
from bench.integrity import DamagedError
from bench.report.runs import ReportRun
from bench.store import PER_QUERY

HEADER = 10
"""Bytes of a stored array before its header: magic number, version, the header's length."""
MEND = "make it anew from the stored codes with `bench evaluate`"


def values_of(run: ReportRun) -> Path | None:
    """The file with a run's values per query, as it was written; None if there is none.

    A file that is not as it was written is set aside, with a line on standard error, and counts as not stored.
    """
    if not (run.stored.folder / PER_QUERY).is_file():
        return None
    try:
        return run.stored.verified(PER_QUERY)
    except DamagedError:
        run.stored.set_aside(PER_QUERY, MEND)
        return None


def average_precision(
    run: ReportRun, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], NDArray[np.float64]]:  # fmt: skip
    """AP@k of every query of a run, (queries,), from 0 to 1, by protocol and k; what is not stored is left out.

    Raises:
        InputError: the file is as it was written, but cannot be read or does not belong to the record.
    """
    path = values_of(run) if wanted else None
    if path is None:
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            named = {f"{protocol}@{k}.npy": (protocol, k) for protocol, k in wanted}
            found = {named[name]: _array(archive.read(name)) for name in archive.namelist() if name in named}
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: cannot be read; {MEND}") from error
    for (protocol, k), values in found.items():
        queries = run.record.metrics[protocol]["queries"]
        if values.shape != (queries,):
            raise InputError(
                f"{path}: {protocol}@{k} has shape {values.shape} where the record counts {queries} queries; {MEND}"
            )
    return found


def of_seeds(runs: Sequence[ReportRun], protocol: str, k: int) -> NDArray[np.float64] | None:
    """AP@k of the runs of a row, (seeds, queries); None unless every run stores it, for equally many queries."""
    found = [average_precision(run, [(protocol, k)]).get((protocol, k)) for run in runs]
    stored = [values for values in found if values is not None]
    if len(stored) < len(found) or len({len(values) for values in stored}) != 1:
        return None
    return np.stack(stored)


def _array(content: bytes) -> NDArray[np.float64]:
    """The array of a file as `numpy.save` writes them."""
    start = HEADER + int.from_bytes(content[HEADER - 2 : HEADER], "little")
    shape, kind = _shape_and_kind(content[:start])
    return np.frombuffer(content, kind, offset=start).reshape(shape).astype(np.float64, copy=False)


@cache  # numpy parses every header as Python, which would take longer than the values; they hardly differ
def _shape_and_kind(header: bytes) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    stream = io.BytesIO(header)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("not as this package writes arrays")
    shape, _, kind = np.lib.format.read_array_header_1_0(stream)
    return shape, kind
