"""Failed runs: whose fault it is, the reason in the record, and the command to try again."""

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
    """Results cannot be written: no run's fault, and no other run would fare better."""

    def __init__(self, root: Path, why: str) -> None:
        super().__init__(f"{root}: results cannot be written ({why}); fix that and give the same command again: it "
                         "goes on from there")  # fmt: skip
        self.why = why


def reason_of(error: BaseException) -> str:
    """What an error says, in one line that every file can hold."""
    try:
        text = str(error)
    except Exception as failure:  # a method's own errors may fail in this as well
        text = f"its text cannot be made ({type(failure).__name__})"
    # Names of files that are not UTF-8 come with surrogates, which no JSON can hold.
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
    """Store a run that raised an error, which is being handled. Raises StorageError if the folder is to blame."""
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
    isolated: bool = True,  # as all runs are whose process could not store them itself
) -> StoredRun | None:
    """Store a run that came to nothing, with what it said last and how to try it again."""
    command = f"{retry_command(run, store.root)} {options_here(run, record, isolated)}"
    text = f"{trace.rstrip()}\n\nTo try this run again:\n\n    {command}\n"
    return write(store, record, lambda folder: _write_text(folder / TRACEBACK, text), may_store)


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


def options_here(run: PlannedRun, record: RunRecord, isolated: bool = True) -> str:
    """The options that say where a run finds its data, plug-ins and device on this machine, and how it is done."""
    plugins = dict.fromkeys(filter(None, (plugin_of(run.method), plugin_of(type(run.source)))))
    given = ["--isolate", "--threads", str(record.environment["threads"])] if isolated else []
    given += ["--data-root", str(run.data_root)] if run.data_root else []
    given += [word for plugin in plugins for word in ("--plugin", str(plugin))]
    return shlex.join([*given, "--device", "cpu" if record.environment["device"] == "cpu" else "cuda"])


def write(
    store: Store, record: RunRecord, fill: Callable[[Path], None], may_store: Callable[[], bool]
) -> StoredRun | None:  # fmt: skip
    """Store a run; None if it is not `may_store` to be stored any more. Raises StorageError if that is impossible."""
    if not may_store():
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


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
