"""Doing runs: fit, encode, evaluate, store; then measuring what encoding costs, when nothing else runs."""

import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import torch

from bench.codes_file import StoredCodes, write_codes
from bench.context import FitContext, Progress, SilentProgress
from bench.data.dataset import Dataset
from bench.encoder import Encoder
from bench.errors import InputError
from bench.evaluation import evaluate_codes, write_per_query
from bench.fitting import fit_method, inputs
from bench.method import Method
from bench.metrics import PROTOCOLS
from bench.profile.environment import environment
from bench.profile.measurement import measure_runs
from bench.record import RunRecord
from bench.store import CODES, ENCODER, PER_QUERY, TRACEBACK, Store, StoredRun, write_record
from bench.sweep import PlannedRun
from bench.training import DeepMethod, TrainingError
from bench.training.processes import agreed, join_processes, process_count, process_rank
from bench.training.states import TrainingStates, code_digest

UNMEASURED = "costs could not be measured"
Existing = Literal["reuse", "rerun", "retry-failed", "only-cached"]


def check_existing(policy: str) -> Existing:
    """The policy itself; InputError if it is not one."""
    for known in get_args(Existing):
        if policy == known:
            return known
    raise InputError(f"unknown policy '{policy}' for --existing: known: {', '.join(get_args(Existing))}")


@dataclass
class Runner:
    """Does planned runs one after the other and stores each as soon as it is finished."""

    store: Store
    device: torch.device
    existing: Existing = "reuse"
    progress: Progress = field(default_factory=SilentProgress)
    say: Callable[[str], None] = lambda line: None

    def run(self, planned: Sequence[PlannedRun]) -> list[StoredRun]:
        """Do what is not stored yet, as the policy for existing results says; all stored runs, in order.

        Under `torchrun` process 0 does this, and the others take part in its training only: they return nothing.
        """
        join_processes(self.device)
        if process_rank():
            self._follow(planned)
            return []
        finished: list[StoredRun] = []
        found = self._load(planned)
        for number, run in enumerate(planned, start=1):
            label = f"[{number}/{len(planned)}] {run.spec.dataset} {run.spec.method} {run.spec.bits} bits"
            label += f" seed {run.spec.seed}"
            stored = self.store.find(run.spec)
            if stored is not None and not self._again(stored):
                self.say(f"{label}: {stored.record.status}, stored")
                finished.append(stored)
                agreed(False)
                continue
            if self.existing == "only-cached":
                self.say(f"{label}: not stored, left out (--existing only-cached)")
                agreed(False)
                continue
            agreed(True)
            done = self._do(run, found[run.summary.fingerprint])
            seconds = sum(done.record.durations.values())
            reason = f": {done.record.reason}" if done.record.reason else ""
            self.say(f"{label}: {done.record.status} in {seconds:.1f} s{reason}")
            finished.append(done)
        return self._measure(planned, finished, found)

    def _measure(
        self, planned: Sequence[PlannedRun], finished: Sequence[StoredRun], found: Mapping[str, Dataset]
    ) -> list[StoredRun]:  # fmt: skip
        """The runs with their costs: those that lack them are measured together, and their records written again."""
        by_identity = {run.spec.identity: run for run in planned}
        lacking = {stored.record.spec.identity: stored for stored in finished if self._unmeasured(stored)}
        measured = measure_runs([by_identity[identity] for identity in lacking], self.device, found, self.say)
        for (identity, stored), costs in zip(list(lacking.items()), measured, strict=True):
            if isinstance(costs, Exception):  # the run keeps its quality
                record = stored.record.model_copy(update={"reason": f"{UNMEASURED}: {_reason(costs)}"})
            else:
                record = stored.record.model_copy(update={"reason": None, "costs": costs})
            write_record(stored.folder, record)
            lacking[identity] = StoredRun(stored.folder, record)
        return [lacking.get(stored.record.spec.identity, stored) for stored in finished]

    def _unmeasured(self, stored: StoredRun) -> bool:
        """Is this a finished run whose costs are to be measured?"""
        record = stored.record
        if self.existing == "only-cached" or record.status != "done" or record.costs or record.uses_labels:
            return False
        return self.existing != "reuse" or not (record.reason or "").startswith(UNMEASURED)

    def _load(self, planned: Sequence[PlannedRun]) -> dict[str, Dataset]:
        """The datasets of the runs that will be done, by fingerprint, all read and checked before the first is done."""
        found: dict[str, Dataset] = {}
        for run in planned:
            stored = self.store.find(run.spec)
            kept = stored is not None and not self._again(stored) and not self._unmeasured(stored)
            if self.existing == "only-cached" or kept:
                continue
            if run.summary.fingerprint not in found:
                self.say(f"loading {run.summary.name}")
                found[run.summary.fingerprint] = run.source.load()
        return found

    def _follow(self, planned: Sequence[PlannedRun]) -> None:
        found: dict[str, Dataset] = {}
        for run in planned:
            if not agreed(False) or not issubclass(run.method, DeepMethod):
                continue
            if run.summary.fingerprint not in found:
                found[run.summary.fingerprint] = run.source.load()
            with suppress(TrainingError):
                fit_method(run.instantiate(), found[run.summary.fingerprint], self._context(run, SilentProgress()))

    def _context(self, run: PlannedRun, progress: Progress) -> FitContext:
        states = TrainingStates(self.store.training_folder(run.spec) / code_digest(run.method))
        say = self.say if process_rank() == 0 else lambda line: None
        return FitContext(run.spec.seed, self.device, progress, states=states, say=say)

    def _again(self, stored: StoredRun) -> bool:
        if self.existing == "retry-failed":
            return stored.record.status != "done"
        return self.existing == "rerun"

    def _do(self, run: PlannedRun, data: Dataset) -> StoredRun:
        record = RunRecord(
            spec=run.spec,
            status="failed",
            method_title=run.method.title,
            paper=run.method.paper,
            uses_labels=run.method.uses_labels,
            dataset=run.summary,
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            durations={},
            environment=environment(self.device),
        )
        durations: dict[str, float] = {}
        try:
            return self._complete(run, data, record, durations)
        except Exception as error:  # a method may fail in any way; the run becomes a row with its reason
            failed = record.model_copy(update={"reason": _reason(error), "durations": durations})
            text = traceback.format_exc()
            stored = self.store.write(failed, lambda folder: _write_text(folder / TRACEBACK, text))
            if process_count() > 1 and not isinstance(error, TrainingError):
                # The other processes wait within a training that this one has left; only ending can free them.
                self.say(f"{failed.reason}; stored; the processes end, since they cannot go on together")
                raise SystemExit(1) from error
            return stored

    def _complete(
        self, run: PlannedRun, data: Dataset, record: RunRecord, durations: dict[str, float]
    ) -> StoredRun:  # fmt: skip
        method = run.instantiate()
        context = self._context(run, self.progress)
        with _timed(durations, "fit"):
            encoder = fit_method(method, data, context)
        with _timed(durations, "encode"):
            codes = encode_dataset(encoder, method, data)
        with _timed(durations, "evaluate"):
            scores = {name: evaluate_codes(codes, name) for name in PROTOCOLS}

        def fill(folder: Path) -> None:
            write_codes(folder / CODES, codes)
            write_per_query(folder / PER_QUERY, scores)
            encoder.save(folder / ENCODER)

        complete = record.model_copy(
            update={
                "status": "done",
                "durations": durations,
                "history": encoder.history,
                "checkpoint": context.checkpoint,
                "metrics": {name: score.to_json() for name, score in scores.items()},
            }
        )
        return self.store.write(complete, fill)


def encode_dataset(encoder: Encoder, method: Method, data: Dataset) -> StoredCodes:
    """Codes and labels of queries and gallery, whole: all that evaluation needs."""
    if data.query.labels is None or data.gallery.labels is None:
        raise InputError(f"{data.summary.name}: queries and gallery need labels to be evaluated")
    query = encoder.encode(inputs(type(method), data.query))
    if data.gallery is data.query:
        return StoredCodes(query, data.query.labels, None, None)
    gallery = encoder.encode(inputs(type(method), data.gallery))
    return StoredCodes(query, data.query.labels, gallery, data.gallery.labels)


@contextmanager
def _timed(durations: dict[str, float], phase: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        durations[phase] = round(time.perf_counter() - start, 3)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
