"""One run: fit, encode, evaluate, store."""

import hashlib
import importlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import torch

import bench
from bench.base.atomic import remove
from bench.base.paths import cache_folder
from bench.base.progress import Progress
from bench.data.dataset import Dataset
from bench.encoding.backends import OutputError
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit_method, inputs
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.learning.method import Method
from bench.learning.states import TrainingStates
from bench.profile.environment import environment
from bench.registry import METHODS
from bench.registry.plugin_files import code_digest
from bench.running.failures import store_error
from bench.running.forking import TRAINING_LIBRARIES
from bench.running.plan import PlannedRun
from bench.running.storage import StorageError, write
from bench.store.codes_file import Stored, StoredCodes, StoredVectors, write_codes
from bench.store.evaluation import diagnose, evaluate_codes, relevance_of, write_per_query
from bench.store.record import RunRecord, Status
from bench.store.store import Store
from bench.store.stored_run import CODES, ENCODER, PER_QUERY, StoredRun

STAGES_KEPT = 30 * 86_400
"""Seconds for which stages stay in the cache after one of them was last trained. They only save time."""


def do_run(
    run: PlannedRun,
    data: Dataset,
    store: Store,
    context: FitContext,
    may_store: Callable[[], bool],
    isolated: bool = False,
) -> StoredRun | None:
    """Do a run and store it, done or failed. Returns None if `may_store` is false then: another process took it over.

    `isolated`: this process does only this run; the command stored with a failure then isolates it as well.

    Raises:
        StorageError: the results folder cannot be written.
        Stopped: `context.stop` became true during training; the training's state is saved.
    """
    record, durations = new_record(run, context.device), dict[str, float]()
    try:
        store.begin(run.spec)
        method = run.instantiate()
        _import_training_libraries(run.method)
        with _timed(durations, "fit"):
            encoder = fit_method(method, data, context)
        if context.states:
            durations["fit"] = round(durations["fit"] + context.states.earlier, 3)
        with _timed(durations, "encode"):
            codes = encode_dataset(encoder, method, data)
        with _timed(durations, "evaluate"):
            scores = evaluate_codes(codes)
        done = {
            "status": "done",
            "durations": durations,
            "history": encoder.history,
            "checkpoint": context.checkpoint,
            "metrics": {name: score.without_queries() for name, score in scores.items()},
            "diagnostics": diagnose(codes, scores),
        }

        def fill(folder: Path) -> None:
            write_codes(folder / CODES, codes)
            write_per_query(folder / PER_QUERY, scores)
            encoder.save(folder / ENCODER)

        return write(store, record.model_copy(update=done), fill, may_store)
    except (StorageError, KeyboardInterrupt, GeneratorExit):  # Stopped is a KeyboardInterrupt, too
        raise
    except BaseException as error:  # a method may fail in any way; the run is stored as failed, with the reason
        return store_error(store, run, record.model_copy(update={"durations": durations}), error, may_store, isolated)


def fit_context(
    store: Store, run: PlannedRun, device: torch.device, progress: Progress, say: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> FitContext:  # fmt: skip
    """The context of a run's training, which continues from the last state saved in the results folder."""
    folder = store.training_folder(run.spec) / code_digest(run.method)
    states = TrainingStates(folder, shared=shared_stages(run, device))
    return FitContext(run.spec.seed, device, progress, states=states, say=say, stop=stop)


def shared_stages(run: PlannedRun, device: torch.device) -> Path | None:
    """The cache folder for stages that methods share, of this run's data, seed, machine, libraries and code.

    Old ones, such as those of earlier code, are removed.
    """
    cache = cache_folder()
    if cache is None:
        return None
    for old in (cache / "stages").glob("*"):
        with suppress(OSError):  # another process may have removed it
            if time.time() - old.stat().st_mtime > STAGES_KEPT:
                remove(old)
    known = (run.spec.dataset_fingerprint, run.spec.seed, environment(device))
    digest = hashlib.blake2b(json.dumps(known, sort_keys=True).encode(), digest_size=8)
    # Of all sources: a stage depends on a method's, and on most of those below it.
    packages = (bench, importlib.import_module(METHODS.built_in))
    for folder in sorted({Path(place).resolve() for package in packages for place in package.__path__}):
        for file in sorted(folder.rglob("*.py")):
            digest.update(file.read_bytes())
    return cache / "stages" / digest.hexdigest()


def new_record(run: PlannedRun, device: torch.device, status: Status = "failed") -> RunRecord:
    """The record of a run that starts now and has no results yet."""
    return RunRecord(
        spec=run.spec,
        status=status,
        method_title=run.method.title,
        paper=run.method.paper,
        bound=run.method.bound,
        reference=run.method.reference,
        uses_labels=run.method.uses_labels,
        dataset=run.summary,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        durations={},
        environment=environment(device),
    )


def encode_dataset(encoder: Encoder, method: Method, data: Dataset) -> Stored:
    """Codes, or a reference's vectors, of queries and gallery with their labels or, for data without, exact neighbours.

    Raises OutputError if all videos have the same code.
    """
    separate = data.gallery is not data.query
    query, gallery = inputs(type(method), data.query), inputs(type(method), data.gallery)
    query_labels, gallery_labels, neighbours = relevance_of(data)
    if method.reference:
        vectors = encoder.vectors(query, as_queries=True), encoder.vectors(gallery, as_queries=False)
        return StoredVectors(method.bits, *vectors, query_labels, gallery_labels, neighbours, not separate)
    gallery_codes = encoder.encode(gallery) if separate else None
    codes = StoredCodes(encoder.encode(query), query_labels, gallery_codes, gallery_labels, neighbours)
    ranked = codes.query_codes if codes.gallery_codes is None else codes.gallery_codes
    if len(ranked) > 1 and (ranked == ranked[0]).all() and (codes.query_codes == ranked[0]).all():
        raise OutputError(f"{method.name} gave all {len(ranked)} videos the same code, which ranks nothing")
    return codes


def _import_training_libraries(method: type[Method]) -> None:
    """Import them before the clock starts: they take seconds, once per process."""
    if issubclass(method, DeepMethod):
        for library in TRAINING_LIBRARIES:
            importlib.import_module(library)


@contextmanager
def _timed(durations: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        durations[phase] = round(time.perf_counter() - start, 3)
