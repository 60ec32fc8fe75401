"""Tidy frames of what encoding costs: one row per measurement, full precision; cost tables and plots start here.

Encoders that are alike are measured once for several seeds; of runs in a row that share a measurement only the first
counts, so that a mean over measurements has a spread of its own.
"""

from collections.abc import Iterable, Iterator

import pandas as pd

from bench.base.quantity import quantities
from bench.profile.cost_types import REST, Costs, EncodingTimes, Timing
from bench.profile.operators import may_hold_products, moved_bytes, needed_seconds
from bench.report.frames import identify
from bench.report.runs import ReportRun, threads_phrase

MAIN = ("single", "batched")
"""Names of the two main timings: at batch 1, and at the batch size with the highest throughput."""
ROW = ["dataset", "method", "bound", "bits", "seed", "machine"]
FIGURES = quantities(Costs)
"""What is counted, in the order of the table."""
COUNTED = [*(name for name in FIGURES if name != "peak_bytes"), "peak_bytes_1", "peak_bytes_64"]
TIMED = ["batch", "ms", "lower_ms", "upper_ms", "low_ms", "high_ms", "noisy", "repeats", "share"]
COSTS = [*ROW, *COUNTED, "flops_at_least", *(f"{name}_{column}" for name in MAIN for column in TIMED)]
TIMES = [
    *ROW, "setting", "with_transfer", *TIMED, "flops_at_least", "intensity", "rate", "product_rate", "copy_rate",
]  # fmt: skip
PARTS = [*ROW, "setting", "batch", "part", "ms"]
RATES = ["machine", "setting", "float32", "bfloat16", "copy_bytes", "others"]
SEARCHES = ["dataset", "bits", "machine", "gallery", "nearest", "threads", *TIMED[:-1]]
LOADING = ["dataset", "machine", *TIMED[:-1]]


def costs(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """Counts, and the two main timings; `share` is what the machine's rates would need, over the time taken.

    `flops_at_least`: not everything is counted, so that `flops` and all that follows from it are lower bounds.
    """
    rows = [
        {
            **_row(run, measured),
            **measured.model_dump(include=set(COUNTED)),
            "flops_at_least": at_least(measured),
            "other_operations": sum(measured.other_operations.values()),
            **{f"peak_bytes_{batch}": size for batch, size in measured.peak_bytes.items()},
            **{
                f"{name}_{column}": value
                for name, timing in zip(MAIN, (measured.main.single, measured.main.best), strict=True)
                for column, value in _timed(run, measured, measured.main, timing).items()
            },
        }
        for run, measured in measurements(runs)
    ]
    return pd.DataFrame(rows).reindex(columns=COSTS)


def times(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """All encoding times: a row for every setting and batch size, with and without the copy to the GPU.

    `intensity` is in multiply-adds a byte moved, `rate` in multiply-adds a second, as are `product_rate` and, in bytes,
    `copy_rate` of the machine.
    """
    rows = [
        {
            **_row(run, measured),
            "setting": setting(place),
            "with_transfer": transfer,
            **_timed(run, measured, place, timing),
            "flops_at_least": at_least(measured),
            "intensity": measured.flops / _moved(run, measured, timing.batch),
            "rate": measured.flops / timing.median_ms * 1000,
            "product_rate": place.rates.float32,
            "copy_rate": place.rates.copy_bytes,
        }
        for run, measured in measurements(runs)
        for place in measured.encoding
        for transfer, sweep in ((False, place.sweep), (True, place.with_transfer))
        for timing in sweep
    ]
    return pd.DataFrame(rows, columns=TIMES)


def parts(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """Time in every part of the encoding network."""
    rows = [
        {
            **_row(run, measured),
            "setting": setting(place),
            "batch": place.best.batch,
            "part": part,
            "ms": milliseconds,
        }
        for run, measured in measurements(runs)
        for place in measured.encoding
        # The order in which they ran is lost in the record; the largest first then, and the rest last.
        for part, milliseconds in sorted(place.modules.items(), key=lambda item: (item[0] == REST, -item[1]))
    ]
    return pd.DataFrame(rows, columns=PARTS)


def rates(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """The rates of every machine that anything was measured on."""
    rows = [
        {
            "machine": machine(measured),
            "setting": setting(place),
            **place.rates.model_dump(),
            "others": float("nan") if place.others is None else place.others,
        }
        for _, measured in measurements(runs)
        for place in measured.encoding
    ]
    return pd.DataFrame(rows, columns=RATES)


def searches(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """Search times: they depend on the code length and the gallery, not on the method."""
    rows = [
        {
            "dataset": run.dataset,
            "bits": run.bits,
            "machine": machine(measured),
            **measured.search.model_dump(exclude={"timing"}),
            **_plain(measured.search.timing),
        }
        for run, measured in measurements(runs)
        if measured.search
    ]
    return pd.DataFrame(rows, columns=SEARCHES).drop_duplicates(ignore_index=True)


def loading(runs: Iterable[ReportRun]) -> pd.DataFrame:
    """Times of reading features: they depend on the dataset."""
    rows = [
        {"dataset": run.dataset, "machine": machine(measured), **_plain(measured.loading)}
        for run, measured in measurements(runs)
        if measured.loading
    ]
    return pd.DataFrame(rows, columns=LOADING).drop_duplicates(ignore_index=True)


def measurements(runs: Iterable[ReportRun]) -> Iterator[tuple[ReportRun, Costs]]:
    """The runs with costs of their own: of those in a row that share a measurement, the first."""
    seen = set()
    for run in runs:
        measured = run.record.costs
        if not run.done or measured is None:
            continue
        key = run.dataset, run.method, run.bits, measured.measured_on, measured.measured_at
        if key not in seen:
            seen.add(key)
            yield run, measured


def machine(measured: Costs) -> str:
    """The machine that costs were measured on: times of different machines do not compare."""
    if measured.device == "cpu":
        return f"{measured.processor}, {threads_phrase(measured.threads)}"
    return f"{measured.device} ({measured.processor})"


def at_least(measured: Costs) -> bool:
    """Whether the multiply-adds are a lower bound: an operator without a count may hold some."""
    return bool(may_hold_products(measured.uncounted_operators))


def setting(place: EncodingTimes) -> str:
    """The device, or the number of threads."""
    if place.device != "cpu":
        return place.device
    return threads_phrase(place.threads)


def _row(run: ReportRun, measured: Costs) -> dict[str, object]:
    return {**identify(run), "machine": machine(measured)}


def _timed(run: ReportRun, measured: Costs, place: EncodingTimes, timing: Timing) -> dict[str, object]:
    moved = _moved(run, measured, timing.batch)
    needed = needed_seconds(measured.flops, moved, place.rates.float32, place.rates.copy_bytes)
    return {**_plain(timing), "share": 1000 * needed / timing.median_ms}


def _plain(timing: Timing) -> dict[str, object]:
    values = timing.model_dump()
    return {"ms": values.pop("median_ms"), **values}


def _moved(run: ReportRun, measured: Costs, batch: int) -> float:
    data = run.record.dataset
    return moved_bytes(data.frames, data.dimensions, run.bits, measured.encoder_bytes, batch)
