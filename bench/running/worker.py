"""The process that does one run apart from all others, and is gone when its parent is."""

import faulthandler
import os
import resource
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from bench import streams
from bench.context import Stopped
from bench.errors import InputError
from bench.registry import load_registry
from bench.running.messages import STOP, Messenger, Task
from bench.running.parent import end_with_parent
from bench.running.single import StorageError, do_run, fit_context
from bench.running.stopping import StopRequest
from bench.store import Store
from bench.sweep import PlannedRun, revision_of
from bench.training import residency


def work(connection: Connection, task: str, output: Path) -> None:
    """Do the run of a task (JSON), and tell over the connection how it goes; what is printed goes into `output`."""
    # A group of its own, so that all it starts can be ended with it, and no Ctrl-C reaches it but through the parent.
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with_parent()
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    streams.prepare()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable()
    stop = StopRequest()
    threading.Thread(target=_listen, args=(connection, stop), name="parent", daemon=True).start()
    messenger = Messenger(connection)
    try:
        outcome, reason = _do(Task.model_validate_json(task), messenger, stop), ""
    except Stopped as stopped:
        outcome, reason = "stopped", str(stopped)
    except StorageError as error:
        outcome, reason = "unwritable", error.why
    messenger.send(outcome=outcome, reason=reason)


def _do(task: Task, messenger: Messenger, stop: StopRequest) -> str:
    if task.threads:
        torch.set_num_threads(task.threads)
    # All may look at what is free at the same moment: each takes its part of it.
    residency.DEVICE_SHARE /= task.device_jobs
    residency.MEMORY_SHARE /= task.jobs
    registry = load_registry(task.plugins, task.data_root)
    source = registry.dataset(task.dataset)
    summary = source.summary()
    if summary.fingerprint != task.spec.dataset_fingerprint:
        raise InputError(f"{task.dataset}: the dataset was changed since the sweep began; start it again")
    method = registry.method(task.spec.method)
    if revision_of(method) != task.spec.method_revision:
        raise InputError(f"{method.name}: its source was changed since the sweep began; start it again")
    run = PlannedRun(task.spec, method, source, summary, task.dataset, task.data_root)
    store = Store(task.results, messenger.say)
    context = fit_context(store, run, torch.device(task.device), messenger, messenger.say, stop)
    stored = do_run(run, source.load(), store, context, lambda: task.claim.held, apart=True)
    return "lost" if stored is None else "stored"


def _listen(connection: Connection, stop: StopRequest) -> None:
    try:
        while connection.recv_bytes() == STOP:
            stop.asked = True
    except (EOFError, OSError):
        # The parent is gone: so is the purpose, and with this process all that it has started.
        os.killpg(0, signal.SIGKILL)
