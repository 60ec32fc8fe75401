"""Costs without training: they depend on shapes, not on what was learned."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from bench.profile.cost_types import Costs
from bench.profile.environment import environment
from bench.profile.measurement import measure_runs
from bench.record import RunRecord
from bench.store import StoredRun
from bench.sweep import PlannedRun


def profile_untrained(
    planned: Sequence[PlannedRun], device: torch.device, say: Callable[[str], None] = lambda line: None
) -> list[StoredRun]:
    """Records of untrained encoders with their costs alone, stored nowhere; none of those made from labels."""
    runs = [run for run in planned if not run.method.uses_labels]
    surroundings = environment(device)
    return [
        StoredRun(Path(), _record(run, costs, surroundings))
        for run, costs in zip(runs, measure_runs(runs, device, {}, say), strict=True)
    ]


def _record(run: PlannedRun, costs: Costs | Exception, surroundings: dict[str, object]) -> RunRecord:
    failed = isinstance(costs, Exception)
    return RunRecord(
        spec=run.spec,
        status="failed" if failed else "done",
        reason=f"{type(costs).__name__}: {' '.join(str(costs).split())}" if failed else None,
        method_title=run.method.title,
        paper=run.method.paper,
        bound=run.method.bound,
        uses_labels=False,
        dataset=run.summary,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        durations={},
        costs=None if isinstance(costs, Exception) else costs,
        environment=surroundings,
    )
