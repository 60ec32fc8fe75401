"""Metrics of codes, and recomputation of stored metrics."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.base.npz_file import UNREADABLE, read_arrays
from bench.data.dataset import Dataset
from bench.metrics import PROTOCOLS, Scores, evaluate, evaluate_neighbours, evaluate_vectors, pack_codes
from bench.metrics.codes import (
    Chance,
    Diagnostics,
    bit_balance,
    bit_correlation,
    distinct_share,
    random_codes,
    useless_bits,
)
from bench.metrics.protocols import NEIGHBOURS
from bench.store.codes_file import Stored, StoredVectors, read_codes
from bench.store.consistency import AS_COMPUTED, require_sound, unsound
from bench.store.integrity import RECORD, UnsoundError
from bench.store.store import Store
from bench.store.stored_run import CODES, PER_QUERY, StoredRun, read_run
from bench.store.swap import look_through

ABSENT = "nothing"
Relevance = tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None, NDArray[np.int32] | None]


def relevance_of(data: Dataset) -> Relevance:
    """Labels of queries and of a separate gallery or, where there are none, the exact neighbours of the queries."""
    if data.query.labels is None or data.gallery.labels is None:
        return None, None, data.neighbours
    return data.query.labels, None if data.gallery is data.query else data.gallery.labels, None


def evaluate_codes(
    codes: Stored, protocols: Iterable[str] = tuple(PROTOCOLS), whole_ranking: bool = True
) -> dict[str, Scores]:
    """Metrics of stored codes or vectors by protocol; those without labels have only `neighbours`.

    `whole_ranking` is for codes, as in `bench.evaluate`.
    """
    if isinstance(codes, StoredVectors):
        return _evaluate_vectors(codes, protocols)
    if codes.query_labels is None:
        assert codes.neighbours is not None
        found = evaluate_neighbours(
            codes.query_codes, codes.neighbours, codes.gallery_codes, whole_ranking=whole_ranking
        )
        return {NEIGHBOURS.name: found}
    given = codes.query_codes, codes.query_labels, codes.gallery_codes, codes.gallery_labels
    return {name: evaluate(*given, protocol=name, whole_ranking=whole_ranking) for name in protocols}


def _evaluate_vectors(stored: StoredVectors, protocols: Iterable[str]) -> dict[str, Scores]:
    vectors = stored.query_vectors, stored.gallery_vectors
    if stored.query_labels is None:
        found = evaluate_vectors(*vectors, neighbours=stored.neighbours, is_self=stored.self_search)
        return {NEIGHBOURS.name: found}
    labels = stored.query_labels, stored.gallery_labels
    return {name: evaluate_vectors(*vectors, *labels, is_self=stored.self_search, protocol=name) for name in protocols}


def diagnose(codes: Stored, scores: Mapping[str, Scores]) -> Diagnostics | None:
    """Diagnostics of codes, such as constant bits, and the scores of random codes beside theirs; None of vectors."""
    if isinstance(codes, StoredVectors):
        return None
    queries, gallery = codes.query_codes, codes.gallery_codes
    every = queries if gallery is None else np.concatenate([queries, gallery])
    packed = pack_codes(every)
    constant, copied = useless_bits(packed)
    imbalance, entropy = bit_balance(packed)
    correlation, effective = bit_correlation(packed)
    drawn = random_codes(*every.shape)
    at_random = replace(
        codes, query_codes=drawn[: len(queries)], gallery_codes=None if gallery is None else drawn[len(queries) :]
    )
    chance: dict[str, dict[int, Chance]] = {}
    for name, random in evaluate_codes(at_random, scores, whole_ranking=False).items():
        ahead = {k: values - random.per_query[k] for k, values in scores[name].per_query.items()}
        chance[name] = {
            k: Chance(value=float(random.per_query[k].mean()), error=float(np.std(values) / np.sqrt(len(values))))
            for k, values in ahead.items()
        }
    return Diagnostics(
        constant_bits=constant,
        copied_bits=copied,
        distinct_codes=distinct_share(packed),
        bit_imbalance=imbalance,
        bit_entropy=entropy,
        bit_correlation=correlation,
        effective_bits=effective,
        random=chance,
    )


def write_per_query(path: Path, scores: Mapping[str, Scores]) -> None:
    """Write the score of every query as arrays `<protocol>@<k>`, which paired tests between methods need."""
    np.savez_compressed(path, allow_pickle=False, **_per_query(scores))


def evaluate_again(store: Store, protocols: Iterable[str]) -> list[StoredRun]:
    """Recompute the metrics of all finished runs from their codes, under these protocols, and update the records.

    Every number that changes is reported. Returns all stored runs; those with damaged or inconsistent files without
    numbers, but with a reason. Raises InputError if the store cannot be written.
    """
    asked = list(protocols)
    left_out: dict[Path, str] = {}
    folders = look_through(store.root).runs
    if folders:
        store.require_writable()
    for folder in folders:
        try:
            # Invalid metrics are about to be replaced.
            run = read_run(folder, metrics=False)
            if run.record.status == "done":
                _evaluate_again(store, run, asked)
        except UnsoundError as error:
            left_out[folder] = str(error.record.reason) if error.record else error.summary
    return [unsound(run, left_out[run.folder]) if run.folder in left_out else run for run in store.runs()]


def recomputed(codes: Stored, protocols: Iterable[str]) -> dict[str, Scores]:
    """Scores by protocol; unknown protocols are skipped."""
    return evaluate_codes(codes, [name for name in dict.fromkeys(protocols) if name in PROTOCOLS])


def changes(run: StoredRun, codes: Stored, scores: Mapping[str, Scores]) -> Iterator[str]:
    """A line for every stored number that differs by more than 1e-12 from the recomputed one.

    Metrics, diagnostics and values per query are compared; stored ones may be invalid.
    """
    metrics = stored_metrics(run)
    yield from _differences("", metrics, {name: _expected(metrics.get(name), score) for name, score in scores.items()})
    stored = _stored(run).get("diagnostics")
    if stored is not None and (diagnosed := diagnose(codes, scores)):  # records of earlier versions have none
        yield from _differences("diagnostics", stored, _expected(stored, diagnosed))
    try:
        kept: Mapping[str, NDArray[Any]] = read_arrays(run.folder / PER_QUERY)
    except UNREADABLE:
        kept = {}
    computed = _per_query(scores)
    for name, values in computed.items():
        yield from _array_differences(f"per query {name}", kept.get(name), values)
    for name in kept.keys() - computed.keys():
        yield f"AP {name}: stored {len(kept[name])} numbers, computed {ABSENT}"


def stored_metrics(run: StoredRun) -> dict[str, Any]:
    """The metrics in a run's record, not validated."""
    found = _stored(run).get("metrics")
    return found if isinstance(found, dict) else {}


def _expected(stored: Any, computed: Scores | Diagnostics) -> dict[str, Any]:
    """The computed values, without optional quantities that the stored ones, of an earlier version, lack."""
    known = stored if isinstance(stored, dict) else {}
    return {
        name: value
        for name, value in computed.model_dump(mode="json").items()
        if name in known or type(computed).model_fields[name].is_required()
    }  # fmt: skip


def _stored(run: StoredRun) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run.folder / RECORD).read_bytes())
    return content


def _evaluate_again(store: Store, run: StoredRun, protocols: Iterable[str]) -> None:
    require_sound(run)
    # Stored protocols are recomputed too: all numbers of a record come from one version of the evaluator.
    stored, codes = stored_metrics(run), read_codes(run.verified(CODES))
    scores = recomputed(codes, [*stored, *protocols])
    for line in changes(run, codes, {name: score for name, score in scores.items() if name in stored}):
        store.say(f"{run.folder}: {line}")
    for name in stored.keys() & scores.keys():
        added = [title for title, value in scores[name].model_dump(mode="json").items()
                 if title not in stored[name] and value is not None]  # fmt: skip
        if added:
            store.say(f"{run.folder}: {name}: added {', '.join(added)}, which this version computes")
    metrics = {name: score.without_queries() for name, score in scores.items()}
    record = run.record.model_copy(update={"metrics": metrics, "diagnostics": diagnose(codes, scores)})
    store.rewrite(run, record, lambda folder: write_per_query(folder / PER_QUERY, scores))


def _per_query(scores: Mapping[str, Scores]) -> dict[str, NDArray[np.float64]]:
    return {f"{name}@{k}": values for name, score in scores.items() for k, values in score.per_query.items()}


def _differences(name: str, stored: Any, computed: Any) -> Iterator[str]:
    """A line for each leaf of nested dictionaries that differs; a list of numbers is one leaf."""
    if isinstance(computed, dict):
        found = stored if isinstance(stored, dict) else {}
        for key in dict.fromkeys([*computed, *found]):
            yield from _differences(f"{name} {key}".strip(), found.get(key, ABSENT), computed.get(key, ABSENT))
    elif isinstance(computed, list) and isinstance(stored, list):
        yield from _array_differences(name, np.asarray(stored), np.asarray(computed))
    elif not _agree(stored, computed):
        yield f"{name}: stored {stored}, computed {computed}"


def _agree(stored: Any, computed: Any) -> bool:
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in (stored, computed)):
        return bool(abs(stored - computed) <= AS_COMPUTED)
    return bool(stored == computed)


def _array_differences(name: str, stored: NDArray[Any] | None, computed: NDArray[Any]) -> Iterator[str]:
    """One line for an array with entries that differ."""
    if stored is None or stored.shape != computed.shape or stored.dtype.kind not in "fiu":
        shape = ABSENT if stored is None else f"shape {stored.shape}"
        yield f"{name}: stored {shape}, computed {len(computed)} numbers"
        return
    differs = ~(np.abs(stored - computed) <= AS_COMPUTED)
    if differs.any():
        first = int(np.argmax(differs))
        others = f" (and {differs.sum() - 1:,} others of {len(computed):,})" if differs.sum() > 1 else ""
        yield f"{name} [{first}]: stored {stored[first]}, computed {computed[first]}{others}"
