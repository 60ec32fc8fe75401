"""Connection to a Ray cluster for a sweep. Ray itself is imported when there are runs to do."""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from bench.base.errors import InputError
from bench.base.processes import usable_cores
from bench.base.text import message_of
from bench.running.isolation import Executor, Isolation
from bench.running.plan import PlannedRun
from bench.running.stopping import StopRequest
from bench.store.store import Store

ANSWER_SECONDS = 5.0
ENVIRONMENT = {
    # Send no usage statistics to the makers of Ray.
    "RAY_USAGE_STATS_ENABLED": "0",
    # Keep Ray's messages on lost nodes out of standard output. Read when Ray is imported.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # Without this, Ray tries a wrong address twenty times, half a minute each.
    "RAY_NUM_REDIS_GET_RETRIES": "2",
}


@dataclass(frozen=True)
class OnRay:
    """Runs on the nodes of a Ray cluster; the connection is closed before costs are measured."""

    rules: Isolation
    """Plug-ins and limits; `threads` and `memory_limit` override what methods declare."""
    address: str | None = None
    """host:port, or `auto`; None: a cluster of this machine alone."""
    jobs: int | None = None
    """Runs at a time; None: as many as the nodes take."""
    device: str = "auto"

    @contextmanager
    def executor(
        self, store: Store, device: torch.device, stop: StopRequest, runs: Sequence[PlannedRun]
    ) -> Iterator[Executor]:
        """An executor on the cluster, see `bench.running.isolation.ExecutorFactory`.

        Raises InputError if there is no cluster, or a run needs more than any of its nodes has.
        """
        with connected(self.address):
            from bench.running.ray.executor import RayExecutor  # noqa: PLC0415  imports Ray, which not everybody has

            yield RayExecutor(self.rules, self.jobs, self.device, store, device, stop, runs)


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect to the cluster at `address` (host:port or `auto`; None: start one on this machine) while open.

    An existing connection of this process is used and left open.
    Raises InputError if Ray is not installed, no cluster answers, or it runs other versions of Ray or Python.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import ray  # noqa: PLC0415  takes a second, and not everybody has it
    except ImportError as error:
        raise InputError(f'Ray cannot be imported ({error}); pip install "vhbench[ray]"') from error
    if ray.is_initialized():
        yield
        return
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        settings |= {"include_dashboard": False, "num_cpus": usable_cores()}
    else:
        _require_answer(address)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            ray.init(address=address or "local", **settings)
        except Exception as error:  # other versions of Ray or Python, a wrong token, a full disk, …
            raise InputError(f"--address {address or 'local'}: {message_of(error)} (docs/clusters.md, "
                             "on versions and tokens)") from error  # fmt: skip
        if threading.current_thread() is threading.main_thread():
            # Ray replaces them: its own would end this process at SIGTERM.
            for number, handler in handlers.items():
                signal.signal(number, handler)
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """InputError unless a process listens at the address; Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if "://" in address or not (host and port.isdigit()):
        raise InputError(f"--address {address}: expected host:port or auto; run bench on a machine of the cluster")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no cluster answers there ({error}); start one with `ray start --head`, "
                         "or leave --address out for this machine alone") from error  # fmt: skip
