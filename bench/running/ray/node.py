"""A run on a cluster's node: isolated, and stored in the results folder if the node can access it."""

import os
import shlex
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

import ray
from ray import ObjectRef
from ray.actor import ActorHandle

from bench.base.errors import InputError
from bench.base.processes import usable_cores
from bench.base.progress import Stopped
from bench.encoding.fitting import choose_device
from bench.running.isolation import IsolatedRuns, Isolation
from bench.running.plan import PlannedRun, found_again
from bench.running.stopping import StopRequest
from bench.running.worker import Messenger
from bench.store.leases import LEASES, Claim, Leases
from bench.store.record import RunSpec
from bench.store.store import Store
from bench.store.stored_run import TRACEBACK, StoredRun

EXCHANGE_SECONDS = 0.5
Files = Mapping[str, bytes]
"""Contents by name below a folder."""


@dataclass(frozen=True)
class Order:
    """A run with everything that a node needs to do it."""

    spec: RunSpec
    dataset: str
    """As given by the user."""
    rules: Isolation
    results: Path
    claim: Claim
    """The driver's lease of the run, in the results folder."""
    training: "ObjectRef[Files]"
    """`Files` of the run's interrupted training."""
    working_folder: str
    """The driver's working folder, for relative paths."""
    versions: Mapping[str, str]


@dataclass(frozen=True)
class Ended:
    """The outcome of a run on a node."""

    stored: StoredRun | None = None
    """The stored run if the node can access the results folder; None if another process took the run over."""
    stopped: str | None = None
    """Why the run was stopped."""
    run: Files = field(default_factory=dict)
    """The content of the run's folder, if the node cannot access the results folder."""
    training: Files = field(default_factory=dict)
    """Likewise, the content of its training folder, from which the training can continue."""


def do_on_node(order: Order, board: ActorHandle) -> Ended:
    """Do a run on this node, with its progress reported to the board. Raises InputError if the node cannot do it."""
    # So many runs may share the node's memory.
    rules = replace(order.rules, jobs=max(1, usable_cores() // (order.rules.threads or 1)))
    # The processes that runs are done in would import the program that Ray runs here.
    vars(sys.modules["__main__"]).pop("__file__", None)
    host = socket.gethostname()
    with _connected_to(board, order.spec.identity, host) as (messenger, stop), _results(order) as (root, claim):
        store, stored, stopped = Store(root, messenger.say), None, None
        try:
            run = _planned(order)
            device = choose_device("cuda" if ray.get_runtime_context().get_accelerator_ids().get("GPU") else "cpu")
            stored = IsolatedRuns(store, device, stop, rules).do_claimed(run, claim, messenger, messenger.say)
        except Stopped as reason:
            stopped = str(reason)
        except InputError as error:
            raise InputError(f"node {host}: {error}") from None
        if claim is order.claim:
            return Ended(stored, stopped)
        if stored and (trace := stored.folder / TRACEBACK).exists():
            # It ends with the command that does the run again.
            text = trace.read_text(encoding="utf-8").replace(str(root), shlex.quote(str(order.results)))
            trace.write_text(text, encoding="utf-8")
        run_files = files_below(stored.folder) if stored else {}
        return Ended(None, stopped, run_files, files_below(store.training_folder(order.spec)))


def versions() -> dict[str, str]:
    """Versions of the packages that affect results, without the build for a device."""
    return {name: version(name).partition("+")[0] for name in ("vhbench", "numpy", "torch")}


def files_below(folder: Path) -> Files:
    """All files below a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_files(folder: Path, files: Files) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@contextmanager
def _connected_to(board: ActorHandle, run: str, host: str) -> Iterator[tuple[Messenger, StopRequest]]:
    """While open, what is sent is reported to the board, and its request to stop arrives."""
    outbox, stop, ended = SimpleQueue[bytes](), StopRequest(), threading.Event()
    messenger = Messenger(outbox.put)

    def exchange() -> None:
        messages = [outbox.get() for _ in range(outbox.qsize())]
        stop.asked = ray.get(board.report.remote(run, messages))

    def keep_exchanging() -> None:
        while not ended.wait(EXCHANGE_SECONDS):
            exchange()
        exchange()

    # Before any work: the driver learns of every attempt, however early it is lost or asked to stop.
    messenger.send(host=host)
    exchange()
    thread = threading.Thread(target=keep_exchanging, name="exchange", daemon=True)
    thread.start()
    try:
        yield messenger, stop
    finally:
        ended.set()
        thread.join()


def _planned(order: Order) -> PlannedRun:
    """The run as this node finds its method and dataset. Raises InputError if they are not those of the driver."""
    for name, here in versions().items():
        if here != order.versions[name]:
            raise InputError(f"{name} is {here} here, and {order.versions[name]} where the sweep was started; install "
                             "the same on all machines")  # fmt: skip
    with suppress(OSError):  # it is needed only for relative paths
        os.chdir(order.working_folder)
    return found_again(order.spec, order.dataset, order.rules.plugins, order.rules.data_root)


@contextmanager
def _results(order: Order) -> Iterator[tuple[Path, Claim]]:
    """The driver's results folder or, if this node does not see it, a temporary one; with the lease of the run."""
    # Who sees the driver's lease sees its results folder.
    if order.claim.held:
        yield order.results, order.claim
        return
    with TemporaryDirectory(prefix="vhbench-") as folder:
        root = Path(folder)
        write_files(Store(root).training_folder(order.spec), ray.get(order.training))
        lease = Leases(root / LEASES).take(order.spec.identity)
        assert lease is not None, "no other process knows the folder"
        with lease:
            yield root, lease.claim
