"""A run on a node: done apart, as on one machine, with all that it leaves sent to the driver while it goes on."""

import queue
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
import torch
from numpy.typing import NDArray
from ray.actor import ActorHandle

from bench.cluster.order import RESULTS, STATE_FILES, STATES, Begun, Ended, News, Order, Sent, Told
from bench.cluster.parcels import PluginFiles, inside, pieces, unpack
from bench.cluster.placement import PlacedArray, PlacedDataset, PlacedDescription, place
from bench.cluster.scratch import MEND, run_folder
from bench.cluster.versions import require_alike, versions
from bench.context import Stopped
from bench.errors import InputError
from bench.leases import Leases
from bench.plugin_files import code_digest
from bench.registry import Registry, load_registry
from bench.running.apart import Apart, Isolation
from bench.running.messages import Messenger
from bench.running.queue import LEASES, Job
from bench.running.single import StorageError
from bench.running.stopping import StopRequest
from bench.store import Store
from bench.sweep import PlannedRun

POLL_SECONDS = 0.5
AHEAD = 2
"""Chunks of features that are fetched while one is written."""


def do_on_node(order: Order, plugins: Sequence[PluginFiles], actor: ActorHandle) -> Iterator[Told]:
    """Do a run; what becomes of it, as it happens. Whatever is raised is no fault of the run's."""
    # The processes that runs are done in would import the program that Ray runs here.
    vars(sys.modules["__main__"]).pop("__file__", None)
    yield Begun(socket.gethostname())
    with run_folder() as folder:
        work = _Work(order, plugins, actor, folder)
        states = _States(work.store.training_folder(order.spec))
        work.thread.start()
        try:
            while not work.finished.wait(POLL_SECONDS):
                yield from work.news()
                yield from states.changed()
                work.stop.asked = ray.get(actor.stopping.remote())
            yield from work.news()
            ended = work.ended()
            yield from states.changed()
            if ended.outcome == "stored":
                yield from work.results()
        finally:
            # The driver wants no more of it, or cannot be asked: the run's process goes with this.
            work.stop.asked = work.stop.at_once = True
            work.thread.join()
    # Told when all is tidied up: the driver may be gone the next moment.
    yield ended


class _Outbox:
    """Messages that wait to be told."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def send_bytes(self, message: bytes, /) -> None:
        self._waiting.put(message)

    def take(self) -> list[bytes]:
        return [self._waiting.get() for _ in range(self._waiting.qsize())]


class _Work:
    """The run itself, in a thread, so that it can be watched and stopped."""

    def __init__(self, order: Order, plugins: Sequence[PluginFiles], actor: ActorHandle, folder: Path) -> None:
        self._order, self._plugins, self._actor, self._folder = order, plugins, actor, folder
        self.stop, self.finished = StopRequest(), threading.Event()
        self._outbox = _Outbox()
        self._messenger = Messenger(self._outbox)
        self.store = Store(folder / "results", self._messenger.say)
        self.thread = threading.Thread(target=self._run, name="run", daemon=True)
        self._ended: Ended | BaseException = Ended("stopped")

    def news(self) -> Iterator[News]:
        """What was said since the last time."""
        if messages := self._outbox.take():
            yield News(messages)

    def ended(self) -> Ended:
        """How the run ended; raises what was no fault of the run's."""
        if isinstance(self._ended, BaseException):
            raise self._ended
        return replace(self._ended, results=self.store.root)

    def results(self) -> Iterator[Sent]:
        """All files of the stored run."""
        stored = self.store.root / self._order.spec.folder
        for path in sorted(path for path in stored.rglob("*") if path.is_file()):
            yield from (Sent(RESULTS, piece) for piece in pieces(stored, path.relative_to(stored).as_posix()))

    def _run(self) -> None:
        try:
            self._ended = self._do()
        except Stopped as stopped:
            self._ended = Ended("stopped", str(stopped))
        except StorageError as error:
            self._ended = Ended("refused", f"{self._folder}: cannot be written ({error.why}); {MEND}")
        except InputError as error:
            self._ended = Ended("refused", str(error))
        except BaseException as error:  # told to the driver, in whose hands it is to begin again
            self._ended = error
        finally:
            self.finished.set()

    def _do(self) -> Ended:
        order = self._order
        require_alike(versions(), order.versions)
        plugins = unpack(self._plugins, self._folder / "plugins")
        method = _method(load_registry(plugins), order)
        placed = place(order.spec.dataset_fingerprint, self._describe, self._chunks, self.stop, self._messenger.say)
        source = PlacedDataset(placed)
        for name, content in order.states.items():
            path = self.store.training_folder(order.spec) / inside(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        run = PlannedRun(order.spec, method, source, source.summary(), order.dataset)
        # Here to be taken, since the folder is nobody else's: who may store the run is the driver's to know.
        lease = Leases(self.store.root / LEASES).take(order.spec.identity)
        if lease is None:
            raise RuntimeError("a folder that was just made is in use")
        with lease:
            Apart(self.store, _device(), self.stop, self._rules(plugins, placed)).do(
                Job(0, run, lease), self._messenger, self._messenger.say
            )
        return Ended("stored")

    def _rules(self, plugins: list[Path], placed: Path) -> Isolation:
        order, need = self._order, self._order.need
        here = ray.get_runtime_context().get_node_id()
        node = next(node["Resources"] for node in ray.nodes() if node["NodeID"] == here)
        return Isolation(
            plugins=plugins,
            jobs=max(1, need.fits(node)),
            threads=need.cpus,
            time_limit=order.time_limit,
            memory_limit=order.memory_limit,
            device_jobs=max(1, round(1 / need.gpus)) if need.gpus else 1,
            placed=placed,
        )

    def _describe(self) -> PlacedDescription:
        found = ray.get(self._actor.describe.remote(self._order.spec.dataset_fingerprint))
        assert isinstance(found, PlacedDescription)
        return found

    def _chunks(self, array: PlacedArray) -> Iterable[NDArray[Any]]:
        waiting = []
        for start, stop in array.chunks():
            if self.stop():
                raise Stopped("stopped while features came to the node")
            fingerprint = self._order.spec.dataset_fingerprint
            waiting.append(self._actor.chunk.remote(fingerprint, array.file, start, stop))
            if len(waiting) > AHEAD:
                yield ray.get(waiting.pop(0))
        while waiting:
            yield ray.get(waiting.pop(0))


class _States:
    """The states of a training, as they change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sent: dict[str, tuple[int, int]] = {}

    def changed(self) -> Iterator[Sent]:
        """The states that were written since the last time; every one is written beside, and renamed."""
        for path in sorted(self._folder.glob(STATE_FILES)):
            name = path.relative_to(self._folder).as_posix()
            try:
                state = path.stat()
                if path.name.startswith(".") or self._sent.get(name) == (state.st_ino, state.st_mtime_ns):
                    continue
                sent = [Sent(STATES, piece) for piece in pieces(self._folder, name)]
            except FileNotFoundError:  # the run was stored this moment
                continue
            self._sent[name] = state.st_ino, state.st_mtime_ns
            for piece in sent:  # noqa: UP028  Ray sends values into generators, which lists do not take
                yield piece


def _method(registry: Registry, order: Order) -> Any:
    try:
        method = registry.method(order.spec.method)
    except InputError as error:
        raise InputError(
            f"{error} (plug-ins that are installed as packages must be installed on every node)"
        ) from error
    require_alike({f"the source of {method.name}": code_digest(method)},
                  {f"the source of {method.name}": order.method_digest})  # fmt: skip
    return method


def _device() -> torch.device:
    if not ray.get_runtime_context().get_accelerator_ids().get("GPU"):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError("Ray gave the run a GPU, and PyTorch finds none there; install PyTorch with CUDA, or give "
                         "--device cpu")  # fmt: skip
    return torch.device("cuda")
