"""Runs on a Ray cluster, as the runner sees it. Nothing of Ray is imported before there is something to do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from bench.cluster.connection import connected
from bench.running.apart import Executor, Isolation
from bench.running.stopping import StopRequest
from bench.store import Store
from bench.sweep import PlannedRun


@dataclass(frozen=True)
class OnRay:
    """How runs are done on the nodes of a cluster; the connection ends when the last is done, before measuring."""

    rules: Isolation
    """Plug-ins and limits; threads go before what methods declare."""
    address: str | None = None
    """host:port, or `auto`; None: a cluster of this machine alone."""
    jobs: int | None = None
    """Runs at a time; None: as many as the nodes take."""
    device: str = "auto"

    @contextmanager
    def executor(
        self, store: Store, device: torch.device, stop: StopRequest, runs: Sequence[PlannedRun]
    ) -> Iterator[Executor]:
        """As `bench.running.apart.Elsewhere` has it."""
        with connected(self.address):
            from bench.cluster.executor import on_connected  # noqa: PLC0415  imports Ray, which not everybody has

            with on_connected(self.rules, self.jobs, self.device, store, device, stop, runs) as executor:
                yield executor
