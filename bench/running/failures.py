"""Failed runs: the reason in the record, and the command to try again."""

import json
import shlex
import traceback
from collections.abc import Callable
from pathlib import Path

from bench.base.text import one_line
from bench.registry.plugin_files import plugin_of
from bench.running.plan import PlannedRun
from bench.running.storage import require_method_fault, write
from bench.store.record import RunRecord
from bench.store.store import Store
from bench.store.stored_run import TRACEBACK, StoredRun

LONGEST_REASON = 2000
"""Characters of an error that a record keeps; its traceback has them all."""


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
    require_method_fault(store.root, error)
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


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
