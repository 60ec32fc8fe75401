"""The costs of encoding, as stored in the record of a run."""

from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from bench.base.quantity import Quantity
from bench.base.text import contradiction

Count = Annotated[int, Field(ge=0)]
Number = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

REST = "rest"
"""The time between the parts of a network."""


class Timing(BaseModel):
    """Time per video (or query) in milliseconds, over repeats of one batch after a warm-up."""

    model_config = ConfigDict(frozen=True)

    batch: Number
    repeats: Number
    median_ms: Positive
    lower_ms: Positive
    upper_ms: Positive
    """Quartiles."""
    low_ms: Positive
    high_ms: Positive
    """The 95 % confidence interval of the median, by order statistics."""
    noisy: bool
    """Half of that interval is more than a tenth of the median."""

    @model_validator(mode="after")
    def _around_the_median(self) -> Self:
        for low, high in ((self.lower_ms, self.upper_ms), (self.low_ms, self.high_ms)):
            if not low <= self.median_ms <= high:
                raise contradiction("median_ms", self.median_ms, f"between {low} and {high}")
        return self


class Rates(BaseModel):
    """The machine's best rates per second: multiply-adds of matrix products, bytes read and written by a copy."""

    model_config = ConfigDict(frozen=True)

    float32: Positive
    bfloat16: Positive
    copy_bytes: Positive


class EncodingTimes(BaseModel):
    """Encoding times on one device, with one number of threads."""

    model_config = ConfigDict(frozen=True)

    device: str
    """`cpu`, or the name of the GPU."""
    threads: Number
    rates: Rates
    others: Annotated[Seconds, Field(le=1)] | None = None
    """Share of the machine's CPU time, from 0 to 1, that other programs used meanwhile; None: not measured."""
    sweep: Annotated[list[Timing], Field(min_length=1)]
    """By batch size, from 1 on; the features are in the device's memory."""
    with_transfer: list[Timing] = []
    """Likewise, including the copy of the features to the GPU; empty on the CPU."""
    modules: dict[str, Seconds] = {}
    """Milliseconds per video in each part of the encoding network at the best batch size; `rest`: between the parts."""

    @model_validator(mode="after")
    def _from_batch_one_on(self) -> Self:
        for timings in filter(None, (self.sweep, self.with_transfer)):
            batches = [timing.batch for timing in timings]
            if batches[0] != 1 or any(one >= other for one, other in pairwise(batches)):
                raise contradiction("batch sizes", batches, "ascending from 1")
        return self

    @property
    def single(self) -> Timing:
        """At batch 1: the latency."""
        return self.sweep[0]

    @property
    def best(self) -> Timing:
        """At the batch size with the highest throughput."""
        return min(self.sweep, key=lambda timing: timing.median_ms)


class SearchTime(BaseModel):
    """Time per query of an exact search for the `nearest` codes by Hamming distance in a gallery of random codes."""

    model_config = ConfigDict(frozen=True)

    gallery: Number
    nearest: Number
    threads: Number
    timing: Timing


class Costs(BaseModel):
    """The costs of encoding. docs/costs.md describes what each figure includes."""

    model_config = ConfigDict(frozen=True)

    parameters_instantiated: Annotated[Count, Quantity("parameters instantiated", "lower")]
    parameters_trained: Annotated[Count, Quantity("parameters trained", "lower")]
    parameters_encode: Annotated[Count, Quantity("parameters to encode", "lower")]
    flops: Annotated[Count, Quantity("multiply-adds", "lower", "M")]
    """Multiply-adds of one video, as fvcore counts them."""
    flops_by_module: dict[str, Count]
    """Multiply-adds by submodule, including those of its own parts."""
    counted_by_hand: dict[str, Count] = {}
    """Of the multiply-adds, those that parts of the encoder count themselves, by the name of their class."""
    uncounted_operators: dict[str, Count]
    """Operators that fvcore cannot count, with their number of calls in one encoding."""
    other_operations: Annotated[dict[str, Count], Quantity("other operations", "lower", "M")]
    """Operations by operator, for operators with a known formula that fvcore ignores."""
    code_bytes: Annotated[Number, Quantity("code", "lower", "bytes")]
    encoder_bytes: Annotated[Count, Quantity("model", "lower", "kB")]
    """Size of the weights on disk."""
    peak_bytes: Annotated[dict[Number, Count], Quantity("peak memory", "lower", "MB")]
    """Peak memory of encoding, by batch size."""
    encoding: Annotated[list[EncodingTimes], Field(min_length=1)]
    """The CPU with one thread, with all, and the GPU if there is one."""
    search: SearchTime | None = None
    loading: Timing | None = None
    """Reading of features; no other time includes it."""
    processor: str
    measured_on: str
    """The run whose encoder was measured: equal encoders share their costs."""
    measured_at: str

    @model_serializer(mode="wrap")
    def _without_nothing_by_hand(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Records of earlier versions, which counted nothing by hand, stay as they are.
        return {name: value for name, value in handler(self).items() if name != "counted_by_hand" or value}

    @model_validator(mode="after")
    def _parts_within_the_whole(self) -> Self:
        for name in ("parameters_trained", "parameters_encode"):
            if getattr(self, name) > self.parameters_instantiated:
                raise contradiction(name, getattr(self, name), f"at most {self.parameters_instantiated}")
        for name, flops in self.flops_by_module.items():
            if flops > self.flops:
                raise contradiction(f"flops of {name}", flops, f"at most {self.flops}")
        return self

    @property
    def main(self) -> EncodingTimes:
        """The times on the GPU, else with all threads: a report shows them first."""
        return self.encoding[-1]

    @property
    def device(self) -> str:
        return self.main.device

    @property
    def threads(self) -> int:
        return self.main.threads
