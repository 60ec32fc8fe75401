"""From stored codes to metrics, and metrics again without training."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bench.codes_file import StoredCodes, read_codes
from bench.integrity import DamagedError
from bench.metrics import Scores, evaluate
from bench.store import CODES, PER_QUERY, Store, StoredRun


def evaluate_codes(codes: StoredCodes, protocol: str) -> Scores:
    """All metrics of stored codes under a named protocol."""
    return evaluate(codes.query_codes, codes.query_labels, codes.gallery_codes, codes.gallery_labels, protocol=protocol)


def write_per_query(path: Path, scores: Mapping[str, Scores]) -> None:
    """Write every query's AP@k, as arrays named `<protocol>@<k>`: what paired tests between methods need."""
    arrays = {f"{name}@{k}": values for name, score in scores.items() for k, values in score.average_precision.items()}
    np.savez_compressed(path, allow_pickle=False, **arrays)


def evaluate_again(store: Store, protocols: Iterable[str]) -> list[StoredRun]:
    """Metrics of all finished runs again from their stored codes, under these protocols; the records are updated.

    A run whose files are damaged is set aside, which the store says. Raises InputError if the store cannot be written.
    """
    asked = list(protocols)
    updated: list[StoredRun] = []
    found = list(store.runs())
    if found:
        store.require_writable()
    for run in found:
        try:
            updated.append(_evaluated(store, run, asked) if run.record.status == "done" else run)
        except DamagedError as damage:
            store.set_aside(run.folder, damage.what)
    return updated


def _evaluated(store: Store, run: StoredRun, protocols: Iterable[str]) -> StoredRun:
    codes = read_codes(run.verified(CODES))
    # Those stored before are computed again too: all of a record's numbers come from one version of the evaluator.
    scores = {name: evaluate_codes(codes, name) for name in dict.fromkeys([*run.record.metrics, *protocols])}
    record = run.record.model_copy(update={"metrics": {name: score.to_json() for name, score in scores.items()}})
    return store.rewrite(run, record, lambda folder: write_per_query(folder / PER_QUERY, scores))
