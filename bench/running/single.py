"""One run: fit, encode, evaluate, store. Whatever a method does wrong becomes the run's record."""

import errno
import importlib
import json
import shlex
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import torch
from safetensors import SafetensorError

from bench.codes_file import StoredCodes, write_codes
from bench.context import FitContext, Progress
from bench.data.dataset import Dataset
from bench.encoder import Encoder
from bench.errors import InputError
from bench.evaluation import diagnose, evaluate_codes, write_per_query
from bench.fitting import fit_method, inputs
from bench.inference.stream import OutputError
from bench.method import Method
from bench.plugin_files import code_digest, plugin_of
from bench.process_state import deterministic
from bench.profile.environment import environment
from bench.record import RunRecord, Status
from bench.store import CODES, ENCODER, PER_QUERY, TRACEBACK, Store, StoredRun
from bench.sweep import PlannedRun
from bench.text import one_line
from bench.training import DeepMethod
from bench.training.states import TrainingStates

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
LONGEST_REASON = 2000
"""Characters of an error that a record keeps; its traceback has them all."""


class StorageError(InputError, OSError):
    """Results cannot be written: no run's fault, and no other run would fare better."""

    def __init__(self, root: Path, why: str) -> None:
        super().__init__(f"{root}: results cannot be written ({why}); fix that and give the same command again: it "
                         "goes on from there")  # fmt: skip
        self.why = why


def fit_context(
    store: Store, run: PlannedRun, device: torch.device, progress: Progress, say: Callable[[str], None],
    stop: Callable[[], bool] = lambda: False,
) -> FitContext:  # fmt: skip
    """What a run's method is handed; its training goes on from the last state in the results folder."""
    states = TrainingStates(store.training_folder(run.spec) / code_digest(run.method))
    return FitContext(run.spec.seed, device, progress, states=states, say=say, stop=stop)


def do_run(
    run: PlannedRun, data: Dataset, store: Store, context: FitContext, entitled: Callable[[], bool], apart: bool = False
) -> StoredRun | None:
    """Do a run and store it, done or failed; None if it is not `entitled` to be stored any more.

    `apart` says that this process does nothing else, so that the run is to be tried again in one of its own as well.

    Raises:
        StorageError: the results folder cannot be written.
        Stopped: `context.stop` came true during training, whose state is saved.
    """
    record, durations = begun(run, context.device), dict[str, float]()
    try:
        store.begin(run.spec)
        complete, fill = _computed(run, data, record, context, durations)
        return _write(store, complete, fill, entitled)
    except (StorageError, KeyboardInterrupt, GeneratorExit):  # Stopped is an interrupt, too
        raise
    except BaseException as error:  # a method may fail in any way; the run becomes a row with its reason
        if _cannot_be_written(store.root, error):
            raise StorageError(store.root, _why(error)) from error
        failed = record.model_copy(update={"reason": reason_of(error), "durations": durations})
        return store_failed(store, run, failed, traceback.format_exc(), entitled, apart)


def begun(run: PlannedRun, device: torch.device, status: Status = "failed") -> RunRecord:
    """The record of a run that starts now and has come to nothing yet."""
    return RunRecord(
        spec=run.spec,
        status=status,
        method_title=run.method.title,
        paper=run.method.paper,
        bound=run.method.bound,
        uses_labels=run.method.uses_labels,
        dataset=run.summary,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        durations={},
        environment=environment(device),
    )


def reason_of(error: BaseException) -> str:
    """What an error says, in one line that every file can hold."""
    try:
        text = str(error)
    except Exception as failure:  # a method's own errors may fail in this as well
        text = f"its text cannot be made ({type(failure).__name__})"
    # Names of files that are not UTF-8 come with surrogates, which no JSON can hold.
    line = one_line(f"{type(error).__name__}: {text}".encode(errors="backslashreplace").decode())
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…"


def store_failed(
    store: Store,
    run: PlannedRun,
    record: RunRecord,
    trace: str,
    entitled: Callable[[], bool],
    apart: bool = True,  # as all runs are whose process could not store them itself
) -> StoredRun | None:
    """Store a run that came to nothing, with what it said last and how to try it again."""
    command = f"{retry_command(run, store.root)} {options_here(run, record, apart)}"
    text = f"{trace.rstrip()}\n\nTo try this run again:\n\n    {command}\n"
    return _write(store, record, lambda folder: _write_text(folder / TRACEBACK, text), entitled)


def retry_command(run: PlannedRun, results: Path) -> str:
    """The command that does this run again, but for what `options_here` adds."""
    spec = run.spec
    call = ["bench", "run", "--methods", spec.method, "--datasets", run.dataset, "--bits", str(spec.bits)]
    call += ["--seeds", str(spec.seed), "--results", str(results), "--existing", "retry-failed"]
    # JSON is TOML for all but nothing at all, which only a default can be.
    given = {name: json.dumps(value) for name, value in spec.parameters.items() if value is not None}
    for name, value in given.items():
        call += ["--set", f"{spec.method}.{name}={value}"]
    return shlex.join(call)


def options_here(run: PlannedRun, record: RunRecord, apart: bool = True) -> str:
    """The options that say where a run finds its data, plug-ins and device on this machine, and how it is done."""
    plugins = dict.fromkeys(filter(None, (plugin_of(run.method), plugin_of(type(run.source)))))
    given = ["--isolate", "--threads", str(record.environment["threads"])] if apart else []
    given += ["--data-root", str(run.data_root)] if run.data_root else []
    given += [word for plugin in plugins for word in ("--plugin", str(plugin))]
    return shlex.join([*given, "--device", "cpu" if record.environment["device"] == "cpu" else "cuda"])


def encode_dataset(encoder: Encoder, method: Method, data: Dataset) -> StoredCodes:
    """Codes of queries and gallery, whole, and what says who is relevant: labels or, without any, neighbours.

    Raises OutputError if all videos have the same code.
    """
    labelled = data.query.labels is not None and data.gallery.labels is not None
    query = encoder.encode(inputs(type(method), data.query))
    apart = data.gallery is not data.query
    codes = StoredCodes(
        query,
        data.query.labels if labelled else None,
        encoder.encode(inputs(type(method), data.gallery)) if apart else None,
        data.gallery.labels if labelled and apart else None,
        None if labelled else data.neighbours,
    )
    ranked = codes.query_codes if codes.gallery_codes is None else codes.gallery_codes
    if len(ranked) > 1 and (ranked == ranked[0]).all() and (codes.query_codes == ranked[0]).all():
        raise OutputError(f"{method.name} gave all {len(ranked)} videos the same code, which ranks nothing")
    return codes


def _computed(
    run: PlannedRun, data: Dataset, record: RunRecord, context: FitContext, durations: dict[str, float]
) -> tuple[RunRecord, Callable[[Path], None]]:  # fmt: skip
    method = run.instantiate()
    _load_libraries(run.method)
    with _timed(durations, "fit"):
        encoder = fit_method(method, data, context)
    if context.states:
        durations["fit"] = round(durations["fit"] + context.states.earlier, 3)
    with _timed(durations, "encode"):
        codes = encode_dataset(encoder, method, data)
    with _timed(durations, "evaluate"):
        scores = evaluate_codes(codes)

    def fill(folder: Path) -> None:
        write_codes(folder / CODES, codes)
        write_per_query(folder / PER_QUERY, scores)
        encoder.save(folder / ENCODER)

    complete = record.model_copy(
        update={
            "status": "done",
            "durations": durations,
            "history": encoder.history,
            "checkpoint": context.checkpoint,
            "metrics": {name: score.without_queries() for name, score in scores.items()},
            "diagnostics": diagnose(codes, scores),
        }
    )
    return complete, fill


def _load_libraries(method: type[Method]) -> None:
    """Import what takes seconds once a process, and would count as the fitting of its first run."""
    with deterministic():  # which brings PyTorch's compiler
        pass
    if issubclass(method, DeepMethod):
        importlib.import_module("faiss")


def _write(
    store: Store, record: RunRecord, fill: Callable[[Path], None], entitled: Callable[[], bool]
) -> StoredRun | None:  # fmt: skip
    if not entitled():
        return None
    try:
        return store.write(record, fill)
    except Exception as error:
        # What a method is to blame for is no error of the system: weights that cannot be saved, for instance.
        if any(_of_the_system(cause) for cause in _causes(error)):
            raise StorageError(store.root, _why(error)) from error
        raise


def _cannot_be_written(root: Path, error: BaseException) -> bool:
    """Is a full disk or the results folder to blame, such as for a training state that cannot be saved?"""
    for cause in _causes(error):
        if isinstance(cause, OSError):
            if cause.errno in FULL or Path(str(cause.filename)).is_relative_to(root):
                return True
        elif _of_the_system(cause):
            return True
    return False


def _of_the_system(error: BaseException) -> bool:
    # safetensors wraps what the system says in a text.
    return isinstance(error, OSError) or (isinstance(error, SafetensorError) and "(os error " in str(error))


def _why(error: BaseException) -> str:
    cause = next(cause for cause in _causes(error) if _of_the_system(cause))
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those in whose handling it was raised: closing a file that could not be written fails as well."""
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and not any(cause is one for one in seen):
        yield cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__


@contextmanager
def _timed(durations: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        durations[phase] = round(time.perf_counter() - start, 3)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
