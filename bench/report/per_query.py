"""Values per query beside a record: what tests and intervals start from."""

import zipfile

import numpy as np
from numpy.typing import NDArray

from bench.errors import InputError
from bench.report.runs import ReportRun
from bench.store import PER_QUERY


def average_precision(run: ReportRun, protocol: str, k: int) -> NDArray[np.float64] | None:
    """AP@k of every query of a run, (queries,), from 0 to 1; None where none is stored.

    Raises:
        InputError: the file cannot be read, or does not belong to the record.
    """
    path = run.stored.folder / PER_QUERY
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as arrays:
            name = f"{protocol}@{k}"
            if name not in arrays:
                return None
            values = np.asarray(arrays[name], dtype=np.float64)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read; make it anew from the stored codes with `bench evaluate`") from error
    queries = run.record.metrics[protocol]["queries"]
    if values.shape != (queries,):
        raise InputError(
            f"{path}: {name} has shape {values.shape} where the record counts {queries} queries; make it anew from the "
            "stored codes with `bench evaluate`"
        )
    return values
