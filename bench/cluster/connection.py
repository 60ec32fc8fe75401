"""Being part of a Ray cluster: one that runs already, or one that is started on this machine."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench.errors import InputError
from bench.threads import usable_cores

SECONDS = 5.0
"""How long the address of a cluster may take to answer."""
QUIET = {
    # Nothing is sent to Ray's makers, nor asked about it.
    "RAY_USAGE_STATS_ENABLED": "0",
    # What Ray says of lost nodes would go to standard output; the sweep says it in a line. Read when Ray is imported.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
IMPATIENT = {
    # Ray would try an address where something else than Ray listens twenty times, half a minute each.
    "RAY_NUM_REDIS_GET_RETRIES": "2",
}


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """While open, this process can use the cluster at `address` (host:port or `auto`); None: one of this machine alone.

    A connection that this process has already is used, and left as it is.
    Raises InputError if Ray is not installed, nobody answers, or a cluster's versions of Ray or Python are others.
    """
    for name, value in (QUIET if address is None else QUIET | IMPATIENT).items():
        os.environ.setdefault(name, value)
    try:
        import ray  # noqa: PLC0415  a second, and not everybody has it
    except ImportError as error:
        raise InputError(f'Ray cannot be imported ({error}); pip install "vhbench[ray]"') from error
    if ray.is_initialized():
        yield
        return
    if address is not None:
        _require_answer(address)
    settings: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if address is None:
        settings |= {"include_dashboard": False, "num_cpus": usable_cores()}
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        try:
            ray.init(address=address or "local", **settings)
        except Exception as error:  # other versions of Ray or Python, a token that is not the cluster's, no room, …
            raise InputError(f"--address {address or 'local'}: {' '.join(str(error).split())[:300]} (docs/clusters.md, "
                             "on versions and tokens)") from error  # fmt: skip
        if threading.current_thread() is threading.main_thread():
            # Ray ends the process at SIGTERM; who listens already knows better.
            for number, handler in handlers.items():
                signal.signal(number, handler)
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """InputError unless somebody listens at the address; Ray itself would try for minutes."""
    if "://" in address:
        raise InputError(f"--address {address}: expected host:port or auto; give the command on a machine of the "
                         "cluster (docs/clusters.md)")  # fmt: skip
    named = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    if named == "auto":
        return
    host, colon, port = named.rpartition(":")
    if not (colon and host and port.isdigit()):
        raise InputError(f"--address {address}: expected host:port or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--address {address}: no cluster answers there ({error}); start one with `ray start --head`, "
                         "or leave --address out for this machine alone") from error  # fmt: skip
