"""Failed runs: classification of errors, the reason in the record, and the command to try again."""

import errno
import json
import shlex
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from safetensors import SafetensorError

from bench.base.errors import InputError
from bench.base.text import one_line
from bench.registry.plugin_files import plugin_of
from bench.running.plan import PlannedRun
from bench.store.record import RunRecord
from bench.store.store import Store
from bench.store.stored_run import TRACEBACK, StoredRun

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}
LONGEST_REASON = 2000
"""Characters of an error that a record keeps; its traceback has them all."""


class StorageError(InputError, OSError):
    """Results cannot be written. This is not a run's fault, and all other runs would fail as well."""

    def __init__(self, root: Path, why: str) -> None:
        super().__init__(f"{root}: results cannot be written ({why}); fix this and repeat the command to continue")
        self.why = why


def reason_of(error: BaseException) -> str:
    """An error's type and message in one line of valid UTF-8."""
    try:
        text = str(error)
    except Exception as failure:  # a method's own error class may fail here
        text = f"its message cannot be formatted ({type(failure).__name__})"
    # File names that are not UTF-8 contain surrogates, which JSON cannot hold.
    line = one_line(f"{type(error).__name__}: {text}".encode(errors="backslashreplace").decode())
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 1]}…"


def store_error(
    store: Store,
    run: PlannedRun,
    record: RunRecord,
    error: BaseException,
    may_store: Callable[[], bool],
    isolated: bool,
) -> StoredRun | None:
    """Store a run as failed, within the handler of its error. Raises StorageError if the results folder caused it."""
    if _cannot_be_written(store.root, error):
        raise StorageError(store.root, _why(error)) from error
    failed = record.model_copy(update={"reason": reason_of(error)})
    return store_failed(store, run, failed, traceback.format_exc(), may_store, isolated)


def store_failed(
    store: Store,
    run: PlannedRun,
    record: RunRecord,
    trace: str,
    may_store: Callable[[], bool],
    isolated: bool = True,  # the default is for runs whose process died
) -> StoredRun | None:
    """Store a failed run with its traceback or last output, and the command to try it again."""
    command = f"{retry_command(run, store.root)} {options_here(run, record, isolated)}"
    text = f"{trace.rstrip()}\n\nTo try this run again:\n\n    {command}\n"
    return write(store, record, lambda folder: _write_text(folder / TRACEBACK, text), may_store)


def retry_command(run: PlannedRun, results: Path) -> str:
    """The command that repeats this run, without the options of `options_here`."""
    spec = run.spec
    call = ["bench", "run", "--methods", spec.method, "--datasets", run.dataset, "--bits", str(spec.bits)]
    call += ["--seeds", str(spec.seed), "--results", str(results), "--existing", "retry-failed"]
    # JSON values are valid TOML except null, which only a default can be.
    given = {name: json.dumps(value) for name, value in spec.parameters.items() if value is not None}
    for name, value in given.items():
        call += ["--set", f"{spec.method}.{name}={value}"]
    return shlex.join(call)


def options_here(run: PlannedRun, record: RunRecord, isolated: bool = True) -> str:
    """The options of a run that depend on this machine: data, plug-ins, device, isolation."""
    plugins = dict.fromkeys(filter(None, (plugin_of(run.method), plugin_of(type(run.source)))))
    given = ["--isolate", "--threads", str(record.environment["threads"])] if isolated else []
    given += ["--data-root", str(run.data_root)] if run.data_root else []
    given += [word for plugin in plugins for word in ("--plugin", str(plugin))]
    return shlex.join([*given, "--device", "cpu" if record.environment["device"] == "cpu" else "cuda"])


def write(
    store: Store, record: RunRecord, fill: Callable[[Path], None], may_store: Callable[[], bool]
) -> StoredRun | None:  # fmt: skip
    """Store a run if it `may_store`, else return None. Raises StorageError if the results folder cannot be written."""
    if not may_store():
        return None
    try:
        return store.write(record, fill)
    except Exception as error:
        # Other errors are the method's fault, such as weights that cannot be saved.
        if any(_of_the_system(cause) for cause in _causes(error)):
            raise StorageError(store.root, _why(error)) from error
        raise


def _cannot_be_written(root: Path, error: BaseException) -> bool:
    """Whether a full disk or the results folder caused an error, for instance when a training state was saved."""
    for cause in _causes(error):
        if isinstance(cause, OSError):
            if cause.errno in FULL or Path(str(cause.filename)).is_relative_to(root):
                return True
        elif _of_the_system(cause):
            return True
    return False


def _of_the_system(error: BaseException) -> bool:
    # safetensors puts the system's error into a text.
    return isinstance(error, OSError) or (isinstance(error, SafetensorError) and "(os error " in str(error))


def _why(error: BaseException) -> str:
    cause = next(cause for cause in _causes(error) if _of_the_system(cause))
    return (cause.strerror if isinstance(cause, OSError) else None) or str(cause)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error with its causes and contexts: closing a file that could not be written fails as well."""
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and not any(cause is one for one in seen):
        yield cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
