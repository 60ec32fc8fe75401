"""From stored codes to metrics, and metrics again without training."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.codes_file import StoredCodes, read_codes
from bench.integrity import DamagedError
from bench.metrics import PROTOCOLS, Scores, evaluate, evaluate_neighbours, pack_codes
from bench.metrics.diagnostics import distinct_share, random_codes, useless_bits
from bench.metrics.protocols import NEIGHBOURS
from bench.record import Chance, Diagnostics
from bench.store import CODES, PER_QUERY, Store, StoredRun


def evaluate_codes(codes: StoredCodes, protocols: Iterable[str] = tuple(PROTOCOLS)) -> dict[str, Scores]:
    """All metrics of stored codes, by protocol; codes without labels have one of their own, `neighbours`."""
    if codes.query_labels is None:
        assert codes.neighbours is not None
        return {NEIGHBOURS.name: evaluate_neighbours(codes.query_codes, codes.neighbours, codes.gallery_codes)}
    return {
        name: evaluate(
            codes.query_codes, codes.query_labels, codes.gallery_codes, codes.gallery_labels, protocol=name
        )
        for name in protocols
    }  # fmt: skip


def diagnose(codes: StoredCodes, scores: Mapping[str, Scores]) -> Diagnostics:
    """What is to be known of codes before their `scores` are believed, among it what random codes score."""
    queries, gallery = codes.query_codes, codes.gallery_codes
    every = queries if gallery is None else np.concatenate([queries, gallery])
    packed = pack_codes(every)
    constant, copied = useless_bits(packed)
    drawn = random_codes(*every.shape)
    at_random = replace(
        codes, query_codes=drawn[: len(queries)], gallery_codes=None if gallery is None else drawn[len(queries) :]
    )
    chance: dict[str, dict[int, Chance]] = {}
    for name, random in evaluate_codes(at_random, scores).items():
        ahead = {k: values - random.per_query[k] for k, values in scores[name].per_query.items()}
        chance[name] = {
            k: Chance(value=float(random.per_query[k].mean()), error=float(np.std(values) / np.sqrt(len(values))))
            for k, values in ahead.items()
        }
    return Diagnostics(constant_bits=constant, copied_bits=copied, distinct_codes=distinct_share(packed), random=chance)


def write_per_query(path: Path, scores: Mapping[str, Scores]) -> None:
    """Write what every query scores, as arrays named `<protocol>@<k>`: what paired tests between methods need."""
    arrays = {f"{name}@{k}": values for name, score in scores.items() for k, values in score.per_query.items()}
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
    scores = evaluate_codes(codes, dict.fromkeys([*run.record.metrics, *protocols]))
    metrics = {name: score.to_json() for name, score in scores.items()}
    record = run.record.model_copy(update={"metrics": metrics, "diagnostics": diagnose(codes, scores)})
    return store.rewrite(run, record, lambda folder: write_per_query(folder / PER_QUERY, scores))
