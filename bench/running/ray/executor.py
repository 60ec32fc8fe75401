"""The driver of a sweep on a Ray cluster: reserves resources, hands runs to Ray, and stores what comes back."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import ray
import torch
from ray import ObjectRef
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.base.errors import InputError
from bench.base.files import gigabytes
from bench.base.processes import VARIABLES
from bench.base.progress import Progress, Stopped
from bench.base.text import message_of
from bench.running.failures import reason_of, store_failed
from bench.running.isolation import Isolation
from bench.running.one_run import new_record
from bench.running.plan import PlannedRun
from bench.running.queue import Job
from bench.running.ray.board import Board
from bench.running.ray.node import Ended, Files, Order, do_on_node, files_below, versions, write_files
from bench.running.stopping import StopRequest
from bench.running.worker import Relay
from bench.store.integrity import RECORD, unsealed
from bench.store.store import Store
from bench.store.stored_run import StoredRun

RETRIES = 2
"""The number of times that Ray restarts a run whose node or worker process was lost."""
POLL_SECONDS = 0.5
PASSED_ON = ("GOMP_SPINCOUNT", "VHBENCH_DATA")
"""Environment variables that are passed from the driver to runs on nodes."""


def resources_of(
    run: PlannedRun, rules: Isolation, device: str, nodes: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """The `CPU`, `GPU` and `memory` (bytes) to reserve for a run: as declared by its method or overridden by the rules.

    A GPU is reserved only if a node has one. Raises InputError if no node has enough.
    """
    declared = run.method.resources(run.summary)
    most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU", "memory")}
    asked = {
        "CPU": rules.threads or declared.cpus,
        "GPU": declared.gpus if device != "cpu" and most["GPU"] else 0,
        "memory": rules.memory_limit or declared.memory or 0,
    }
    if device == "cuda" and not most["GPU"]:
        raise InputError("--device cuda: Ray knows of no GPU in the cluster; use --device auto or cpu")
    if not any(fitting(asked, node) for node in nodes):
        raise InputError(f"{run.spec.folder} asks for {_shown(asked)}, which no node of the cluster has (at most "
                         f"{_shown(most)}); lower --threads or --memory-limit, or start a larger node")  # fmt: skip
    return asked


def fitting(resources: Mapping[str, float], node: Mapping[str, float]) -> int:
    """The number of runs with these resources that fit on a node."""
    return min(int(node.get(name, 0) / amount) for name, amount in resources.items() if amount)


class RayExecutor:
    """Does runs on the cluster to which this process is connected; a `bench.running.isolation.Executor`."""

    def __init__(
        self, rules: Isolation, jobs: int | None, device_name: str, store: Store, device: torch.device,
        stop: StopRequest, runs: Sequence[PlannedRun],
    ) -> None:  # fmt: skip
        """Start the board to which runs report. Raises InputError if a run needs more than any node has."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        self._rules, self._store, self._device, self._stop = rules, store, device, stop
        self._resources = {run.spec.folder: resources_of(run, rules, device_name, nodes) for run in runs}
        at_once = (sum(fitting(asked, node) for node in nodes) for asked in self._resources.values())
        self.jobs = jobs or min(max(at_once), len(runs))
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # If Ray restarts the actor, calls are repeated.
        options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": here}
        self._board = ray.remote(**options)(Board).remote()

    def do(self, job: Job, progress: Progress, say: Callable[[str], None]) -> StoredRun | None:
        """Do a run and store it; if Ray loses it too often, it is stored as failed."""
        record = new_record(job.run, self._device)
        try:
            ended = self._followed(job, progress, say)
        except RayTaskError as error:  # from the code around the run; the run itself fails in its own process
            if isinstance(error.cause, InputError):
                raise error.cause from None
            why = f"a node cannot do runs ({reason_of(error.cause)})"
            raise InputError(f"{why}; install vhbench[ray] in the same version on all nodes") from error
        except RayError as error:
            if self._stop.asked:
                raise Stopped(message_of(error)) from error
            lost = f"its node or Ray's worker process was lost {RETRIES + 1} times"
            failed = record.model_copy(update={"reason": f"{lost}, the last time: {message_of(error)}"})
            return store_failed(self._store, job.run, failed, str(error), lambda: job.lease.held)
        if not job.lease.held:
            return None
        write_files(self._store.training_folder(job.run.spec), ended.training)
        if ended.stopped is not None:
            raise Stopped(ended.stopped)
        return self._write(ended.run) if ended.run else ended.stored

    def _followed(self, job: Job, progress: Progress, say: Callable[[str], None]) -> Ended:
        """Submit a run to Ray and show its progress until it has ended."""
        task, hosts, identity = self._submit(job), list[str](), job.run.spec.identity
        done: list[ObjectRef[Ended]] = []
        try:
            with Relay(progress, say) as relay:
                while not done:
                    if self._stop.at_once or (self._stop.asked and not hosts):
                        raise Stopped("ended on request")
                    done, _ = ray.wait([task], timeout=POLL_SECONDS)
                    for message in map(json.loads, ray.get(self._board.collect.remote(identity, self._stop.asked))):
                        if "host" in message:
                            say(f"lost, and started again on {message['host']}" if hosts else f"on {message['host']}")
                            hosts.append(message["host"])
                        relay.receive(message)
            ended: Ended = ray.get(task)
            return ended
        finally:
            ray.cancel(task, force=True)

    def _submit(self, job: Job) -> "ObjectRef[Ended]":
        spec, asked = job.run.spec, self._resources[job.run.spec.folder]
        order = Order(
            spec=spec,
            dataset=job.run.dataset,
            rules=replace(self._rules, threads=int(asked["CPU"]), device_jobs=max(1, round(1 / (asked["GPU"] or 1)))),
            results=self._store.root,
            claim=job.lease.claim,
            training=ray.put(files_below(self._store.training_folder(spec))),
            working_folder=str(Path.cwd()),
            versions=versions(),
        )
        variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        variables |= {name: str(int(asked["CPU"])) for name in VARIABLES}
        task = ray.remote(
            num_cpus=asked["CPU"],
            num_gpus=asked["GPU"],
            memory=asked["memory"] or None,
            max_retries=RETRIES,
            # Ray cannot give a process another GPU later, so the process must end with its run.
            max_calls=1 if asked["GPU"] else 0,
            runtime_env={"env_vars": variables},
        )(do_on_node)
        return task.remote(order, self._board)

    def _write(self, files: Files) -> StoredRun:
        """Store a run returned by a node."""
        record = unsealed(files[RECORD], self._store.root)
        written = {name: files[name] for name in record.checksums}
        return self._store.write(record, lambda folder: write_files(folder, written))


def _shown(resources: Mapping[str, float]) -> str:
    memory = gigabytes(int(resources["memory"]))
    return f"{resources['CPU']:g} CPUs, {resources['GPU']:g} GPUs, {memory} of memory"
