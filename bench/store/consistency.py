"""Consistency of stored runs: with their files, the registry and each other.

These checks are cheap enough for every reading of a record. `bench.store.evaluation` recomputes metrics from codes.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.errors import InputError
from bench.base.npz_file import UNREADABLE, read_arrays
from bench.metrics.protocols import measure_of
from bench.metrics.scores import ROUNDING
from bench.store.codes_file import CodesDigest, digest_of
from bench.store.integrity import DamagedError, InconsistentError
from bench.store.record import RunRecord
from bench.store.registered import KnownDataset, known_dataset, known_methods, registered_datasets
from bench.store.stored_run import CODES, ENCODER, PER_QUERY, StoredRun, state_of

DESCRIPTION, WEIGHTS = f"{ENCODER}/encoder.json", f"{ENCODER}/encoder.safetensors"
WHERE = {"name", "title", "place"}
"""Fields of a dataset that may differ for the same data."""
AS_COMPUTED = 1e-12
"""The largest difference between a stored number and the same one recomputed."""


def examined(run: StoredRun, root: Path | None = None) -> StoredRun:
    """The run with the digest of its codes; without its numbers if it is damaged or contradicts itself.

    Its dataset is looked up in the run's own results folder, or in `root`.
    """
    try:
        codes = _examine(run, known_dataset(run.record.spec.dataset_fingerprint, root or run.root))
    except DamagedError as damage:
        return unsound(run, damage.summary)
    except InputError as error:
        return unsound(run, str(error))
    return replace(run, codes=codes)


def require_sound(run: StoredRun, root: Path | None = None) -> StoredRun:
    """The run as from `examined`, with all files checked. Raises DamagedError or InconsistentError."""
    for name in run.record.checksums:
        run.verified(name)
    found = examined(run, root)
    if found.record.status == "unsound":
        raise InconsistentError(run.folder, str(found.record.reason), found.record)
    return found


def unsound(run: StoredRun, reason: str) -> StoredRun:
    """The run without its numbers, with the reason."""
    blank: dict[str, Any] = {"metrics": {}, "history": [], "durations": {}}
    blank |= dict.fromkeys(("diagnostics", "costs", "relaxed"))
    return replace(run, record=run.record.model_copy(update={**blank, "status": "unsound", "reason": reason}))


def agreeing(runs: Iterable[StoredRun]) -> list[StoredRun]:
    """The runs; those that contradict the majority on what they share lose their numbers."""
    found = list(runs)
    for what, of, key in SHARED:
        found = _outvoted(found, what, of, key)
    return found


def _examine(run: StoredRun, dataset: KnownDataset | None) -> CodesDigest | None:
    """The digest of a finished run's codes. Raises InputError (or DamagedError) for any contradiction."""
    _require_known_method(run.record)
    _require_known_dataset(run, dataset)
    if run.record.status != "done":
        return None
    needed = [CODES, DESCRIPTION] + [PER_QUERY] * bool(run.record.metrics)
    for name in needed:
        if name not in run.record.checksums:
            raise InputError(f"{name} is missing from the record's list of files")
    _require_own_encoder(run)
    _require_own_weights(run)
    _require_means(run)
    path = run.verified(CODES)
    codes = _digest_of(path, state_of(path))
    _require_own_codes(run, codes, dataset)
    return codes


def _require(what: str, stored: object, expected: object, source: str) -> None:
    if stored != expected:
        raise InputError(f"{what} is stored as {stored}; {source}: {expected}")


def _require_known_method(record: RunRecord) -> None:
    known = known_methods().get(record.spec.method)
    if known is None:
        return
    if not isinstance(record.spec.method_revision, int):
        raise InputError(f"method revision is stored as {record.spec.method_revision}, that of a plug-in; "
                         f"{record.spec.method} is built in")  # fmt: skip
    for what, stored, wordings in (("title", record.method_title, known.titles), ("paper", record.paper, known.papers)):
        if stored not in wordings:
            _require(what, stored, wordings[0], f"{record.spec.method} has")
    kinds = {"bound": known.bound or known.uses_labels, "reference": known.reference, "uses_labels": known.uses_labels}
    for what, kind in kinds.items():
        _require(what, getattr(record, what), kind, f"{record.spec.method} has")
    epochs = [row.get("epoch") for row in record.history]
    planned = record.spec.parameters.get("epochs")
    if record.status == "done" and isinstance(planned, int):
        _require("history", f"{len(epochs)} epochs", f"{planned} epochs", "parameters say")
        _require("epochs of history", epochs, list(range(planned)), "expected")


def _require_known_dataset(run: StoredRun, known: KnownDataset | None) -> None:
    dataset = run.record.dataset
    if known is None:
        return
    # A user's own folder may hold the same data under another name.
    names = {"place"} if dataset.fingerprint in registered_datasets() else WHERE
    stored, expected = dataset.model_dump(exclude=names), known.summary.model_dump(exclude=names)
    for name, value in stored.items():
        _require(f"dataset.{name}", value, expected[name], "the dataset has")


def _require_own_encoder(run: StoredRun) -> None:
    record = run.record
    try:
        stored = json.loads(run.verified(DESCRIPTION).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{DESCRIPTION} cannot be read ({error})") from error
    dataset = record.dataset
    frames, dimensions = (1, dataset.classes) if record.uses_labels else (dataset.frames, dataset.dimensions)
    expected = {
        "method": record.spec.method,
        "bits": record.spec.bits,
        "frames": frames,
        "dimensions": dimensions,
        "parameters": record.spec.parameters,
    }
    for name, value in expected.items():
        _require(f"{name} of the encoder", stored.get(name) if isinstance(stored, dict) else None, value, "the run has")


def _require_own_weights(run: StoredRun) -> None:
    path, costs = run.folder / WEIGHTS, run.record.costs
    if costs is not None and WEIGHTS in run.record.checksums and path.is_file():
        _require("encoder_bytes", costs.encoder_bytes, path.stat().st_size, f"{WEIGHTS} has")


def _require_means(run: StoredRun) -> None:
    """InputError unless each mAP@k (or recall@k) is the mean of its values per query, one for each query."""
    if not run.record.metrics:
        return
    path = run.verified(PER_QUERY)
    found = _per_query(path, state_of(path))
    expected = {
        f"{name}@{k}": (scores.queries, mean)
        for name, scores in run.record.metrics.items()
        for k, mean in scores.compared.items()
    }
    _require(f"values per query in {PER_QUERY}", sorted(found), sorted(expected), "the record has")
    for name, (queries, mean) in expected.items():
        shape, low, high, computed = found[name]
        _require(f"shape of {name} per query", shape, (queries,), "the record has")
        if not -ROUNDING <= low <= high <= 1 + ROUNDING:
            raise InputError(f"{name} per query is stored from {low} to {high}; expected from 0 to 1")
        if not abs(mean - computed) <= AS_COMPUTED:
            what = measure_of(name.partition("@")[0])
            raise InputError(f"{what} {name} is stored as {mean}; the mean over the queries is {computed}")


def _require_own_codes(run: StoredRun, codes: CodesDigest, known: KnownDataset | None) -> None:
    dataset = run.record.dataset
    _require(f"bits of {CODES}", codes.bits, run.record.spec.bits, "the run has")
    _require(f"vectors in {CODES}", codes.vectors, run.record.reference, "the record has reference")
    _require(f"queries of {CODES}", codes.queries, dataset.query_videos, "the dataset has")
    gallery = None if dataset.self_search else dataset.gallery_videos
    _require(f"gallery of {CODES}", codes.gallery, gallery, "the dataset has")
    _require(f"classes of {CODES}", codes.classes, dataset.classes, "the dataset has")
    if known is not None:
        _require(f"digest of the labels in {CODES}", codes.labels, known.labels, "the dataset has")


def _labels(run: StoredRun) -> str | None:
    return None if run.codes is None else run.codes.labels


def _sizes(run: StoredRun) -> str:
    return str(run.record.dataset.model_dump(exclude={*WHERE, "fingerprint"}))


def _parameters(run: StoredRun) -> str | None:
    costs = run.record.costs
    if costs is None:
        return None
    return f"{costs.parameters_instantiated}, {costs.parameters_trained}, {costs.parameters_encode}"


def _one_encoder(run: StoredRun) -> Hashable:
    """A key that runs share if their encoders have the same shape."""
    spec, dataset = run.record.spec, run.record.dataset
    return (spec.method, spec.method_revision, spec.bits, json.dumps(spec.parameters, sort_keys=True), dataset.frames,
            dataset.dimensions, dataset.classes)  # fmt: skip


SHARED: tuple[tuple[str, Callable[[StoredRun], str | None], Callable[[StoredRun], Hashable]], ...] = (
    ("digest of the labels", _labels, lambda run: run.record.spec.dataset_fingerprint),
    ("sizes of the dataset", _sizes, lambda run: run.record.spec.dataset_fingerprint),
    ("numbers of parameters (all, trained, to encode)", _parameters, _one_encoder),
)
"""Values that runs of one kind share: their name, a run's value (None if it has none), and the run's kind."""


def _outvoted(
    runs: Sequence[StoredRun],
    what: str,
    of: Callable[[StoredRun], str | None],
    key: Callable[[StoredRun], Hashable],
) -> list[StoredRun]:
    votes: dict[Hashable, Counter[str]] = defaultdict(Counter)
    for run, value in _values(runs, of):
        votes[key(run)][value] += 1
    wrong: dict[Path, str] = {}
    for run, value in _values(runs, of):
        counted = votes[key(run)]
        (most, number), *others = counted.most_common(2)
        # Without a majority no value can be trusted.
        if others and (value != most or number == others[0][1]):
            other = most if value != most else others[0][0]
            wrong[run.folder] = f"{what} is stored as {value}; other runs on this data have {other}"
    return [unsound(run, wrong[run.folder]) if run.folder in wrong else run for run in runs]


def _values(runs: Iterable[StoredRun], of: Callable[[StoredRun], str | None]) -> Iterator[tuple[StoredRun, str]]:
    for run in runs:
        value = of(run) if run.record.status == "done" else None
        if value is not None:
            yield run, value


@lru_cache(maxsize=4096)
def _digest_of(path: Path, state: tuple[int, ...]) -> CodesDigest:
    return digest_of(path)


@lru_cache(maxsize=4096)
def _per_query(path: Path, state: tuple[int, ...]) -> dict[str, tuple[tuple[int, ...], float, float, float]]:
    """Shape, lowest, highest and mean of every array."""
    try:
        return {
            name: (
                values.shape,
                float(values.min()),
                float(values.max()),
                float(values.sum(dtype=np.float64)) / values.size,
            )
            for name, values in read_arrays(path).items()
        }
    except UNREADABLE as error:
        raise InputError(f"{path.name} cannot be read ({error})") from error
