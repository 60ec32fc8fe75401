"""The record of a run, as `record.json` keeps it."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from bench.data.dataset import Summary
from bench.record_metrics import check_metrics
from bench.spec import RunSpec

Status = Literal["done", "failed", "timeout", "skipped"]


class Timing(BaseModel):
    """Time a video (or a query), in milliseconds, over repeats of one batch after a warm-up."""

    model_config = ConfigDict(frozen=True)

    batch: int
    repeats: int
    median_ms: float
    lower_ms: float
    upper_ms: float
    """Quartiles."""
    low_ms: float
    high_ms: float
    """The 95 % confidence interval of the median, by order statistics."""
    noisy: bool
    """Half of that interval is more than a tenth of the median."""


class Rates(BaseModel):
    """The machine at its best: multiply-adds a second of matrix products, bytes a second read and written by a copy."""

    model_config = ConfigDict(frozen=True)

    float32: float
    bfloat16: float
    copy_bytes: float


class EncodingTimes(BaseModel):
    """Encoding times on a device with so many threads."""

    model_config = ConfigDict(frozen=True)

    device: str
    """`cpu`, or the name of the GPU."""
    threads: int
    rates: Rates
    others: float | None = None
    """Share of the machine's processor time, from 0 to 1, that other programs took meanwhile; None: not measured."""
    sweep: list[Timing]
    """By batch size, from 1 on; features lie in the device's memory."""
    with_transfer: list[Timing] = []
    """The same with the copy of the features to the GPU; empty on the CPU."""
    modules: dict[str, float] = {}
    """Milliseconds a video in each part of the encoding network at the best batch size; `rest`: between the parts."""

    @property
    def single(self) -> Timing:
        """At batch 1: the latency."""
        return self.sweep[0]

    @property
    def best(self) -> Timing:
        """At the batch size with the highest throughput."""
        return min(self.sweep, key=lambda timing: timing.median_ms)


class SearchTime(BaseModel):
    """Time a query of finding the `nearest` of a gallery of random codes by Hamming distance, exactly."""

    model_config = ConfigDict(frozen=True)

    gallery: int
    nearest: int
    threads: int
    timing: Timing


class Costs(BaseModel):
    """What encoding costs. docs/costs.md says what each figure includes."""

    model_config = ConfigDict(frozen=True)

    parameters_instantiated: int
    parameters_trained: int
    parameters_encode: int
    flops: int
    """Multiply-adds of one video, as fvcore counts them."""
    flops_by_module: dict[str, int]
    """The same by submodule, those of a submodule's own parts included."""
    uncounted_operators: dict[str, int]
    """Operators that fvcore has no count for, with their number of calls in one encoding."""
    other_operations: dict[str, int]
    """Operations, by operator, of those that fvcore leaves out and whose formula is known."""
    encoder_bytes: int
    """The weights on disk."""
    code_bytes: int
    peak_bytes: dict[int, int]
    """Peak memory of encoding, by batch size."""
    encoding: list[EncodingTimes]
    """The CPU with one thread, with all, and the GPU if there is one."""
    search: SearchTime | None = None
    loading: Timing | None = None
    """Reading features, which no other time includes."""
    processor: str
    measured_on: str
    """The run whose encoder was measured: encoders that are alike share their figures."""
    measured_at: str

    @property
    def main(self) -> EncodingTimes:
        """The times that a report shows first: the GPU's, else those with all threads."""
        return self.encoding[-1]

    @property
    def device(self) -> str:
        return self.main.device

    @property
    def threads(self) -> int:
        return self.main.threads


class Chance(BaseModel):
    """What random codes score in a run's place, and how sure it is that the run scores more."""

    model_config = ConfigDict(frozen=True)

    value: float = Field(ge=0, le=1)
    """The mean over the queries, of what the protocol compares: AP@k, or recall@k."""
    error: float = Field(ge=0, le=1)
    """Standard error, over the queries, of the run's mean minus this one."""


class Diagnostics(BaseModel):
    """What the codes of queries and gallery look like, whatever they retrieve."""

    model_config = ConfigDict(frozen=True)

    constant_bits: int = Field(ge=0)
    """Bits that are the same for every video."""
    copied_bits: int = Field(ge=0)
    """Of the others those that copy an earlier bit, or its inverse."""
    distinct_codes: float = Field(gt=0, le=1)
    """The number of different codes over the number of videos."""
    random: dict[str, dict[int, Chance]]
    """By protocol and k."""


def _check_names(checksums: dict[str, str]) -> dict[str, str]:
    """A record may come from anybody: what it names must lie in its own folder."""
    for name in checksums:
        parts = name.split("/")
        ordinary = name.isprintable() and "\\" not in name and all(0 < len(part) <= 255 for part in parts)
        if not ordinary or {".", ".."} & set(parts) or name == "record.json" or len(name) > 1000:
            raise ValueError(f"{name[:80]!r} is no name of a file beside a record")
    return checksums


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
    """The method was shown the labels."""
    bound: bool = Field(default=False, validate_default=True)
    """Shown beside the methods, ranked with none. What was shown the labels always is one."""
    dataset: Summary
    started: str
    durations: dict[str, float]
    """Seconds of each phase: fit, encode, evaluate."""
    checkpoint: str = "last epoch"
    """How the evaluated weights were chosen; never by test labels."""
    history: list[dict[str, float]] = []
    """Training losses, one row an epoch, with `epoch`, `loss` and the parts of the loss."""
    metrics: Annotated[dict[str, dict[str, Any]], AfterValidator(check_metrics)] = {}
    """By protocol name: `bench.metrics.Scores.to_json()`."""
    diagnostics: Diagnostics | None = None
    """None in records of versions that did not look."""
    costs: Costs | None = None
    """None until measured; a method that was shown the labels never is."""
    environment: dict[str, Any]
    checksums: Annotated[dict[str, str], AfterValidator(_check_names)] = {}
    """SHA-256 of the files beside the record."""

    @field_validator("bound")
    @classmethod
    def _labels_make_a_bound(cls, bound: bool, fields: ValidationInfo) -> bool:
        # Records of versions that kept no bounds say so by their labels alone.
        return bound or fields.data.get("uses_labels", False)
