"""Values per query beside a record: what tests and intervals start from."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.npz_file import read_arrays
from bench.report.runs import ReportRun
from bench.store import PER_QUERY


def average_precision(
    run: ReportRun, wanted: Collection[tuple[str, int]]
) -> dict[tuple[str, int], NDArray[np.float64]]:  # fmt: skip
    """AP@k of every query of a run, (queries,), from 0 to 1, by protocol and k; what is not stored is left out.

    That the file is as it was written and belongs to the record was checked when the run was read.
    """
    if PER_QUERY not in run.record.checksums or not wanted:
        return {}
    names = {f"{protocol}@{k}": (protocol, k) for protocol, k in wanted}
    found = read_arrays(run.stored.verified(PER_QUERY), names)
    return {names[name]: values for name, values in found.items()}


def of_seeds(runs: Sequence[ReportRun], protocol: str, k: int) -> NDArray[np.float64] | None:
    """AP@k of the runs of a row, (seeds, queries); None unless every run stores it, for equally many queries."""
    found = [average_precision(run, [(protocol, k)]).get((protocol, k)) for run in runs]
    stored = [values for values in found if values is not None]
    if len(stored) < len(found) or len({len(values) for values in stored}) != 1:
        return None
    return seeds_by_queries(stored, runs[0].seeded)


def seeds_by_queries(values: Sequence[NDArray[np.float64]], seeded: bool) -> NDArray[np.float64]:
    """What the runs of a method score, as (seeds, queries).

    One run of a method that does not depend on the seed stands for all seeds: it comes twice, with no spread.
    """
    return np.stack([*values, *values] if len(values) == 1 and not seeded else values)
