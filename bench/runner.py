"""Doing runs: fit, encode, evaluate, measure, store."""

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from bench.profile.costs import measure_costs
from bench.profile.environment import environment
from bench.record import Costs, RunRecord
from bench.store import CODES, ENCODER, PER_QUERY, TRACEBACK, Store, StoredRun
from bench.sweep import PlannedRun
from bench.training import DeepMethod

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
        """Do what is not stored yet, as the policy for existing results says; all stored runs, in order."""
        finished: list[StoredRun] = []
        found = self._load(planned)
        for number, run in enumerate(planned, start=1):
            label = f"[{number}/{len(planned)}] {run.spec.dataset} {run.spec.method} {run.spec.bits} bits"
            label += f" seed {run.spec.seed}"
            stored = self.store.find(run.spec)
            if stored is not None and not self._again(stored):
                self.say(f"{label}: {stored.record.status}, stored")
                finished.append(stored)
                continue
            if self.existing == "only-cached":
                self.say(f"{label}: not stored, left out (--existing only-cached)")
                continue
            done = self._do(run, found[run.summary.fingerprint])
            seconds = sum(done.record.durations.values())
            reason = f": {done.record.reason}" if done.record.reason else ""
            self.say(f"{label}: {done.record.status} in {seconds:.1f} s{reason}")
            finished.append(done)
        return finished

    def _load(self, planned: Sequence[PlannedRun]) -> dict[str, Dataset]:
        """The datasets of the runs that will be done, by fingerprint, all read and checked before the first is done."""
        found: dict[str, Dataset] = {}
        for run in planned:
            stored = self.store.find(run.spec)
            if self.existing == "only-cached" or (stored is not None and not self._again(stored)):
                continue
            if run.summary.fingerprint not in found:
                self.say(f"loading {run.summary.name}")
                found[run.summary.fingerprint] = run.source.load()
        return found

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
            return self.store.write(failed, lambda folder: _write_text(folder / TRACEBACK, text))

    def _complete(
        self, run: PlannedRun, data: Dataset, record: RunRecord, durations: dict[str, float]
    ) -> StoredRun:  # fmt: skip
        method = run.instantiate()
        context = FitContext(run.spec.seed, self.device, self.progress)
        with _timed(durations, "fit"):
            encoder = fit_method(method, data, context)
        with _timed(durations, "encode"):
            codes = encode_dataset(encoder, method, data)
        with _timed(durations, "evaluate"):
            scores = {name: evaluate_codes(codes, name) for name in PROTOCOLS}
        costs, reason = None, None
        with _timed(durations, "profile"):
            try:
                costs = None if method.uses_labels else profile_encoder(encoder, method, data)
            except Exception as error:  # an encoder that cannot be profiled keeps its quality
                reason = f"costs could not be measured: {_reason(error)}"

        def fill(folder: Path) -> None:
            write_codes(folder / CODES, codes)
            write_per_query(folder / PER_QUERY, scores)
            encoder.save(folder / ENCODER)

        complete = record.model_copy(
            update={
                "status": "done",
                "reason": reason,
                "durations": durations,
                "history": encoder.history,
                "checkpoint": context.checkpoint,
                "metrics": {name: score.to_json() for name, score in scores.items()},
                "costs": costs,
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


def profile_encoder(encoder: Encoder, method: Method, data: Dataset) -> Costs:
    """Costs of the encoder on the dataset's queries."""
    trained = encoder.module
    if isinstance(method, DeepMethod):
        trained = method.network(data.summary.frames, data.summary.dimensions)
    return measure_costs(encoder, trained, data.query.features)


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
