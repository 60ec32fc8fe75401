"""Measurements of encoders after a sweep: costs, also of untrained ones, and scores of relaxed outputs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from bench.data.dataset import Dataset
from bench.encoding.encoder import load_encoder
from bench.learning.deep_method import DeepMethod
from bench.profile.cost_types import Costs, SearchTime
from bench.profile.costs import Subject, measure_costs
from bench.profile.timing import HostStopwatch, time_loading, time_search
from bench.running.failures import reason_of
from bench.running.one_run import new_record
from bench.running.plan import PlannedRun
from bench.store.recompute import relaxed_scores
from bench.store.record import RunRecord
from bench.store.stored_run import ENCODER, StoredRun


def measure_runs(
    runs: Sequence[PlannedRun],
    device: torch.device,
    datasets: Mapping[str, Dataset],
    say: Callable[[str], None] = lambda line: None,
) -> list[Costs | Exception]:
    """The costs of every run's encoder, or the error that occurred; equal encoders are measured once.

    Nothing is trained: costs depend on shapes. `datasets`, by fingerprint, are those whose reading is timed.
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
            # References are searched in other ways, which are not timed.
            if size not in searches and not run.method.reference:
                searches[size] = time_search(*size, torch.get_num_threads(), watch)
            others = {
                "search": None if run.method.reference else searches[size],
                "loading": loading.get(run.summary.fingerprint),
                "code_bytes": run.instantiate().code_bytes(run.summary.dimensions),
            }
            costs = costs.model_copy(update=others)
        found.append(costs)
    return found


def with_relaxed(run: PlannedRun, stored: StoredRun, data: Dataset, device: torch.device) -> RunRecord:
    """The record of a finished run with the scores of its encoder's relaxed outputs; nothing is trained."""
    encoder = load_encoder(stored.folder / ENCODER, plugins=[run.method])
    encoder.module.to(device)
    scores = relaxed_scores(encoder, run.method, data, stored.record.metrics)
    return stored.record.model_copy(update={"relaxed": scores})


def profile_untrained(
    planned: Sequence[PlannedRun], device: torch.device, say: Callable[[str], None] = lambda line: None
) -> list[StoredRun]:
    """Records of untrained encoders with only their costs, not stored; methods that need labels are skipped."""
    runs = [run for run in planned if not run.method.uses_labels]
    return [
        StoredRun(Path(), _record(run, costs, device))
        for run, costs in zip(runs, measure_runs(runs, device, {}, say), strict=True)
    ]


def _subject(run: PlannedRun) -> Subject | Exception:
    frames, dimensions = run.summary.frames, run.summary.dimensions
    try:
        method = run.instantiate()
        if isinstance(method, DeepMethod):
            network = method.network(frames, dimensions)
            module = method.encoder(network)
        else:
            network = module = method.build(frames, dimensions)
    except Exception as error:  # a method's code may fail in any way; the others are still measured
        return error
    return Subject(run.spec.folder, module, network, run.spec.bits, frames, dimensions)


def _record(run: PlannedRun, costs: Costs | Exception, device: torch.device) -> RunRecord:
    if isinstance(costs, Exception):
        return new_record(run, device).model_copy(update={"reason": reason_of(costs)})
    return new_record(run, device, "done").model_copy(update={"costs": costs})
