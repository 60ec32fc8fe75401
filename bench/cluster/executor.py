"""The driver's side: runs are handed to Ray, begun again where a node was lost, and stored here."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.atomic import remove
from bench.cluster.capacity import Need, at_once, need_of, require_room
from bench.cluster.growth import possible_nodes
from bench.cluster.node import do_on_node
from bench.cluster.order import RESULTS, STATE_FILES, STATES, Begun, Ended, News, Order, Sent, Told
from bench.cluster.parcels import Incoming, pack
from bench.cluster.sweep_actor import SweepActor
from bench.cluster.versions import versions
from bench.context import Progress, Stopped
from bench.errors import InputError
from bench.integrity import RECORD, sha256, unsealed
from bench.plugin_files import code_digest
from bench.running.apart import Isolation
from bench.running.messages import Relay
from bench.running.queue import Job
from bench.running.single import begun, options_here, retry_command, store_failed
from bench.running.stopping import StopRequest
from bench.running.threads import VARIABLES
from bench.store import TRACEBACK, Store, StoredRun
from bench.sweep import PlannedRun

ATTEMPTS = 3
POLL_SECONDS = 0.5


class LostError(Exception):
    """A node, or Ray's worker on it, is gone with the run that it did."""


@contextmanager
def on_connected(
    rules: Isolation, jobs: int | None, device_name: str, store: Store, device: torch.device, stop: StopRequest,
    runs: Sequence[PlannedRun],
) -> Iterator["RayExecutor"]:  # fmt: skip
    """What does these runs on the cluster that this process is connected to.

    Raises InputError if a run asks for more than any node has that is there, or that the cluster could start.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]] + possible_nodes(len(runs))
    needs = {run.spec.folder: need_of(run, rules, device_name, nodes) for run in runs}
    require_room(needs, nodes)
    actor = _actor(rules, runs)
    try:
        yield RayExecutor(store, device, stop, rules, jobs or at_once(list(needs.values()), nodes), needs, actor)
    finally:
        ray.kill(actor)


@dataclass
class RayExecutor:
    """Does runs on a cluster's nodes, there in processes of their own."""

    store: Store
    device: torch.device
    stop: StopRequest
    rules: Isolation
    jobs: int
    needs: Mapping[str, Need]
    actor: ActorHandle

    def __post_init__(self) -> None:
        self._plugins = ray.put(pack(self.rules.plugins))
        self._versions = versions()

    def do(self, job: Job, progress: Progress, say: Callable[[str], None]) -> StoredRun | None:
        """As `bench.running.apart.Executor` has it; a run whose node was lost three times is a row."""
        record = begun(job.run, self.device)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(job, progress, say)
            except LostError as lost:
                reason = f"its node or Ray's worker there was lost: {lost}"
                if self.stop.asked:
                    raise Stopped(reason) from lost
                if attempt < ATTEMPTS:
                    say(f"{reason}; begun again from what reached this machine")
        reason = f"{reason}; so ended all {ATTEMPTS} attempts"
        failed = record.model_copy(update={"reason": reason})
        return store_failed(self.store, job.run, failed, reason, lambda: job.lease.held)

    def _attempt(self, job: Job, progress: Progress, say: Callable[[str], None]) -> StoredRun | None:
        received = self.store.training_folder(job.run.spec) / ".received"
        remove(received)
        try:
            return self._followed(job, received, progress, say)
        finally:
            remove(received)

    def _followed(
        self, job: Job, received: Path, progress: Progress, say: Callable[[str], None]
    ) -> StoredRun | None:  # fmt: skip
        """Hand a run to Ray, and take what comes back until it is stored. Raises LostError if it never is."""
        incoming = {kind: Incoming(received / kind) for kind in (RESULTS, STATES)}
        host = ""
        with Relay(progress, say) as relay:
            for told in self._told(self._submit(job.run)):
                if isinstance(told, Begun):
                    host = told.host
                    say(f"on {host}")
                elif isinstance(told, News):
                    for message in told.messages:
                        relay.hear(json.loads(message))
                elif isinstance(told, Sent):
                    path = incoming[told.kind].take(told.piece)
                    if path and told.kind == STATES and job.lease.held:
                        _put(path, received.parent / told.piece.name)
                elif told.outcome == "refused":
                    raise InputError(f"node {host}: {told.reason}")
                elif told.outcome == "stopped":
                    raise Stopped(told.reason)
                else:
                    return self._store(job, received / RESULTS, told)
        raise LostError("it ended without a word")

    def _submit(self, run: PlannedRun) -> Any:
        need = self.needs[run.spec.folder]
        folder = self.store.training_folder(run.spec)
        order = Order(
            spec=run.spec,
            dataset=run.dataset,
            need=need,
            versions=self._versions,
            method_digest=code_digest(run.method),
            states={path.relative_to(folder).as_posix(): path.read_bytes()
                    for path in folder.glob(STATE_FILES) if not path.name.startswith(".")},
            time_limit=self.rules.time_limit,
            memory_limit=self.rules.memory_limit,
        )  # fmt: skip
        # Ray gives a process that has seen one GPU no run with another: it is to end with its run.
        task = ray.remote(
            num_cpus=need.cpus,
            num_gpus=need.gpus,
            memory=need.memory,
            num_returns="streaming",
            max_retries=0,
            max_calls=1 if need.gpus else 0,
            # As many threads as on one machine with --threads; processes that began with others are not used again.
            runtime_env={"env_vars": _environment({name: str(need.cpus) for name in VARIABLES})},
        )(do_on_node)
        return task.remote(order, self._plugins, self.actor)

    def _told(self, generator: Any) -> Iterator[Told]:
        heard, asked, ended = False, False, False
        try:
            while True:
                if self.stop.at_once or (self.stop.asked and not heard):
                    raise Stopped("ended on request")
                if self.stop.asked and not asked:
                    asked = True
                    self.actor.stop.remote()
                ready, _ = ray.wait([generator], timeout=POLL_SECONDS)
                if ready:
                    told = ray.get(next(generator))
                    heard, ended = True, isinstance(told, Ended)
                    yield told
        except StopIteration:
            return
        except RayTaskError as error:
            raise _meaning(error) from error
        except RayError as error:
            raise LostError(_first_line(error)) from error
        finally:
            if not ended:
                ray.cancel(generator, force=True)

    def _store(self, job: Job, received: Path, told: Ended) -> StoredRun | None:
        """Put a run that was received whole into the store."""
        try:
            record = unsealed((received / RECORD).read_bytes(), received)
            whole = all(sha256(received / name) == digest for name, digest in record.checksums.items())
        except (InputError, FileNotFoundError) as error:
            raise LostError(f"what it sent is damaged ({error})") from error
        if not whole or record.spec != job.run.spec:
            raise LostError("what it sent is damaged")
        if record.status != "done":
            trace = received / TRACEBACK
            text, there = trace.read_text(encoding="utf-8"), retry_command(job.run, told.results)
            here = f"{retry_command(job.run, self.store.root)} {options_here(job.run, record)}\n"
            trace.write_text(text[: text.rindex(there)] + here, encoding="utf-8")
        if not job.lease.held:
            return None

        def fill(folder: Path) -> None:
            for name in record.checksums:
                _put(received / name, folder / name)

        return self.store.write(record, fill)


def _actor(rules: Isolation, runs: Sequence[PlannedRun]) -> ActorHandle:
    names = {run.summary.fingerprint: run.dataset for run in runs}
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    own = {name: value for name, value in os.environ.items() if name.startswith("VHBENCH_")}
    actor = ray.remote(
        num_cpus=0,
        max_concurrency=8,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=here,
        runtime_env={"env_vars": _environment(own)},
    )(SweepActor)
    return actor.remote(str(Path.cwd()), names, list(rules.plugins), rules.data_root)


def _environment(variables: dict[str, str]) -> dict[str, str]:
    spinning = os.environ.get("GOMP_SPINCOUNT")
    return variables | ({"GOMP_SPINCOUNT": spinning} if spinning else {})


def _put(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)


def _meaning(error: RayTaskError) -> Exception:
    """What it means that a node raised something itself."""
    cause = error.cause
    if isinstance(cause, ImportError) or "failed to import" in str(cause):
        return InputError(f"a node cannot import vhbench ({_last_line(cause)}); install the same version with "
                          "vhbench[ray] on all of them")  # fmt: skip
    if isinstance(cause, InputError):
        return InputError(str(cause))
    return LostError(f"{type(cause).__name__}: {_first_line(cause)}")


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]


def _last_line(error: BaseException) -> str:
    return next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)[
        :300
    ]
