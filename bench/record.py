"""The record of a run, as `record.json` keeps it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bench.data.dataset import Summary
from bench.spec import RunSpec

Status = Literal["done", "failed", "timeout", "skipped"]


class Timing(BaseModel):
    """Encoding time a video, in milliseconds: median and quartiles over repeats of one batch."""

    model_config = ConfigDict(frozen=True)

    batch: int
    repeats: int
    median_ms: float
    lower_ms: float
    upper_ms: float


class Costs(BaseModel):
    """What encoding costs. FLOPs are multiply-adds of one video, as fvcore counts them."""

    model_config = ConfigDict(frozen=True)

    parameters_trained: int
    parameters_encode: int
    flops: int
    uncounted_operators: dict[str, int]
    """Operators that fvcore has no count for, with their number of calls in one encoding."""
    encoder_bytes: int
    code_bytes: int
    device: str
    threads: int
    single: Timing
    batched: Timing


class RunRecord(BaseModel):
    """Everything that is known of a run but its codes and encoder."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    spec: RunSpec
    status: Status
    reason: str | None = None
    method_title: str
    paper: str
    uses_labels: bool
    """The method was shown the labels (a bound, not a competitor)."""
    dataset: Summary
    started: str
    durations: dict[str, float]
    """Seconds of each phase: fit, encode, evaluate, profile."""
    checkpoint: str = "last epoch"
    """How the evaluated weights were chosen; never by test labels."""
    history: list[dict[str, float]] = []
    """Training losses, one row an epoch, with `epoch`, `loss` and the parts of the loss."""
    metrics: dict[str, dict[str, Any]] = {}
    """By protocol name: `bench.metrics.Scores.to_json()`."""
    costs: Costs | None = None
    environment: dict[str, Any]
    checksums: dict[str, str] = {}
    """SHA-256 of the files beside the record."""
