"""Costs of planned runs: trained encoders after a sweep, untrained ones for `bench profile`."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from bench.data.dataset import Dataset
from bench.learning.deep_method import DeepMethod
from bench.profile.cost_types import Costs, SearchTime
from bench.profile.costs import Subject, measure_costs
from bench.profile.environment import environment
from bench.profile.timing import HostStopwatch, time_loading, time_search
from bench.running.plan import PlannedRun
from bench.store.record import RunRecord
from bench.store.stored_run import StoredRun


def measure_runs(
    runs: Sequence[PlannedRun],
    device: torch.device,
    datasets: Mapping[str, Dataset],
    say: Callable[[str], None] = lambda line: None,
) -> list[Costs | Exception]:
    """The costs of every run's encoder, or what was raised instead; encoders that are alike are measured once.

    Nothing is trained: costs depend on shapes. Reading is timed for the `datasets` at hand, by fingerprint.
    """
    subjects: list[Subject | Exception] = [_subject(run) for run in runs]
    known = [subject for subject in subjects if isinstance(subject, Subject)]
    if not known:
        return [subject for subject in subjects if isinstance(subject, Exception)]
    kinds = len({subject.kind for subject in known})
    say(f"measuring the cost of encoding: {kinds} kind{'s' if kinds > 1 else ''} of encoder, in turn")
    measured = iter(measure_costs(known, device))
    watch = HostStopwatch()
    searches: dict[tuple[int, int], SearchTime] = {}
    loading = {key: time_loading(data.query.features, watch) for key, data in datasets.items()}
    found: list[Costs | Exception] = []
    for run, subject in zip(runs, subjects, strict=True):
        costs = subject if isinstance(subject, Exception) else next(measured)
        if isinstance(costs, Costs):
            size = run.spec.bits, run.summary.gallery_videos
            if size not in searches:
                searches[size] = time_search(*size, torch.get_num_threads(), watch)
            reading = loading.get(run.summary.fingerprint)
            costs = costs.model_copy(update={"search": searches[size], "loading": reading})
        found.append(costs)
    return found


def _subject(run: PlannedRun) -> Subject | Exception:
    frames, dimensions = run.summary.frames, run.summary.dimensions
    try:
        method = run.instantiate()
        if isinstance(method, DeepMethod):
            network = method.network(frames, dimensions)
            module = method.encoder(network)
        else:
            network = module = method.build(frames, dimensions)
    except Exception as error:  # a method's code may fail in any way; the others are measured all the same
        return error
    return Subject(run.spec.folder, module, network, run.spec.bits, frames, dimensions)


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
