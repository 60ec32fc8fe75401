"""Tables of encoding times in every setting, by part and module, of search and reading, and of the machines."""

from collections.abc import Sequence

import pandas as pd

from bench.report import cost_frames, frames
from bench.report.cost_frames import FIGURES
from bench.report.costs import LOWER_BOUND, NOISE, NOISY, SHARE, bounded, multiply_adds
from bench.report.quality import select
from bench.report.runs import ReportRun, bits_of, rows_by_method
from bench.report.tables import (
    BITS,
    MACHINE,
    METHOD,
    NOTHING,
    Column,
    Row,
    Table,
    number,
    percent,
    rows_for,
    several_machines,
    significant,
    significant_decimals,
)

BY = ("dataset", "method", "bound", "bits", "machine", "setting", "with_transfer")
MEAN = ("lower_ms", "upper_ms", "low_ms", "high_ms", "noisy", "repeats", "share", "flops_at_least", "intensity", "rate",
        "product_rate", "copy_rate")  # fmt: skip
TIMES = (
    "Medians with their 95 % confidence intervals (order statistics; they cover the repeats, not another day or "
    "machine)."
)
ABOVE = "Above 100 %: data lay in caches, or what encodes does less than the definition counts."


def aggregate(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """Times over measurements, a row for every setting and batch size."""
    frame = cost_frames.times(runs).astype({"noisy": float, "flops_at_least": float})
    mean = frames.over_seeds(frame, (*BY, "batch"), spread=["ms"], mean=MEAN)
    return mean.assign(flops_at_least=mean["flops_at_least"] > 0)


def best_batches(times: pd.DataFrame) -> pd.DataFrame:
    """The batch size with the highest throughput of every row and setting."""
    return times.loc[times.groupby(list(BY), sort=False)["ms"].idxmin()]


def time_table(runs: Sequence[ReportRun], times: pd.DataFrame) -> Table:
    """Latency at batch 1 and throughput at the best batch size, with confidence intervals, in every setting.

    `runs` are those of one dataset, `times` comes from `aggregate`.
    """
    keys = [key for key in rows_by_method(runs) if key in set(zip(times["method"], times["bits"], strict=True))]
    rows: list[Row] = [
        {**best, "single": single}
        for single, best in zip(
            rows_for(keys, select(times, batch=1)), rows_for(keys, best_batches(times)), strict=True
        )
    ]
    columns = [
        METHOD,
        BITS,
        Column("setting", lambda row: row["setting"] + ", with copy" * row["with_transfer"], words=True),
        Column("ms/video, batch 1", lambda row: interval(row["single"])),
        Column("share of the rate", lambda row: _share(row["single"])),
        Column("best batch", lambda row: str(row["batch"])),
        Column("ms/video, best batch", interval),
        Column("share of the rate", _share),
        Column("videos/s", lambda row: significant(1000 / row["ms"])),
        MACHINE,
    ]
    return Table.of(
        columns,
        rows,
        name=f"{runs[0].dataset}-encoding-time",
        caption=f"Encoding time of one video of {runs[0].dataset_title}, by setting.",
        frame=times,
        notes=[
            TIMES,
            f"{SHARE} {ABOVE}",
            "With copy: including the copy of the features to the GPU." if times["with_transfer"].any() else "",
            NOISE if (times["noisy"] > 0).any() else "",
            LOWER_BOUND if times["flops_at_least"].any() else "",
            "Only shares compare across machines." if several_machines(rows) else "",
        ],
    )


def parts_table(runs: Sequence[ReportRun]) -> Table | None:
    """Encoding time by part of the network; None where no parts were measured."""
    frame = cost_frames.parts(runs)
    if frame.empty:
        return None
    columns = [
        METHOD,
        BITS,
        Column("setting", lambda row: row["setting"], words=True),
        Column("batch", lambda row: str(row["batch"])),
        Column("part", lambda row: row["part"], words=True),
        Column("ms/video", lambda row: significant(row["ms"])),
    ]
    rows = frame.to_dict("records")
    return Table.of(columns, rows, name="parts", caption="Encoding time by part of the network.", frame=frame)


def search_table(runs: Sequence[ReportRun]) -> Table | None:
    """Search and reading, which no encoding time includes; None where neither was measured."""
    searches, loading = cost_frames.searches(runs), cost_frames.loading(runs)
    rows = [
        {"shown": f"search, {row['bits']} bits: {row['nearest']} nearest of {row['gallery']:,}", "per": "query", **row}
        for row in searches.to_dict("records")
    ]
    rows += [{"shown": "reading features", "per": "video", **row} for row in loading.to_dict("records")]
    if not rows:
        return None
    columns = [
        Column("what", lambda row: row["shown"]),
        Column("ms (median, quartiles)", _median),
        Column("per", lambda row: row["per"], words=True),
        MACHINE,
    ]
    return Table.of(
        columns,
        rows,
        name=f"{runs[0].dataset}-search",
        caption=f"Time of searching and reading {runs[0].dataset_title}.",
        frame=pd.concat([searches.assign(what="search"), loading.assign(what="reading")], ignore_index=True),
        notes=[
            "Search: exact Hamming distances of 64 queries at once to random codes by faiss; it depends on the length "
            "of codes and the gallery, not on the method.",
            "Reading: features from where the dataset keeps them, again and again, so that files come from the "
            "system's memory.",
            NOISE if any(row["noisy"] for row in rows) else "",
        ],
    )


def machine_table(runs: Sequence[ReportRun]) -> Table:
    """The rates that every machine reached when times were measured; the best, where there are several measurements."""
    found = cost_frames.rates(runs)
    best = found.groupby(["machine", "setting"], sort=False, as_index=False).max()
    columns = [
        Column("machine", lambda row: row["machine"]),
        Column("setting", lambda row: row["setting"], words=True),
        Column("float32 (10⁹ multiply-adds/s)", lambda row: significant(row["float32"] / 1e9)),
        Column("bfloat16", lambda row: significant(row["bfloat16"] / 1e9)),
        Column("memory copy (GB/s)", lambda row: significant(row["copy_bytes"] / 1e9)),
        Column("others", lambda row: NOTHING if pd.isna(row["others"]) else f"{100 * row['others']:.0f} %"),
    ]
    return Table.of(
        columns,
        best.to_dict("records"),
        name=f"{runs[0].dataset}-machines",
        caption=f"Rates of the machines that encoded {runs[0].dataset_title}, measured in the same run as the times.",
        frame=best,
        notes=[
            "Products of square matrices, and a copy counted as read and written; the best of five.",
            "Others: the largest share of the machine's processor time that other programs took meanwhile.",
        ],
    )


def module_table(runs: Sequence[ReportRun]) -> Table | None:
    """Multiply-adds by top-level module at the longest codes; None where fvcore finds no modules."""
    longest = bits_of(runs)[-1]
    rows = [
        {
            "method": run.method,
            "bits": longest,
            "module": name,
            "flops": count,
            "flops_at_least": cost_frames.at_least(measured),
            "share": float("nan") if cost_frames.at_least(measured) else count / measured.flops,
        }
        for run, measured in cost_frames.measurements(runs)
        if run.bits == longest
        for name, count in sorted(measured.flops_by_module.items(), key=lambda item: (-item[1], item[0]))
        if "." not in name
    ]
    if not rows:
        return None
    frame = pd.DataFrame(rows).drop_duplicates(ignore_index=True)
    columns = [
        METHOD,
        Column("module", lambda row: row["module"], words=True),
        Column(FIGURES["flops"].heading, multiply_adds),
        Column("share", lambda row: percent(row["share"])),
    ]
    return Table.of(
        columns,
        frame.to_dict("records"),
        name=f"{runs[0].dataset}-modules",
        caption=f"Multiply-adds of encoding one video of {runs[0].dataset_title} by module, {longest} bits.",
        frame=frame,
        notes=[
            "Of the method's definition, as fvcore counts; what is computed between modules belongs to none.",
            LOWER_BOUND if frame["flops_at_least"].any() else "",
        ],
    )


def interval(row: Row) -> str:
    """Median and 95 % confidence interval in milliseconds."""
    decimals = significant_decimals(row["ms"])
    low, high = (number(row[f"{end}_ms"], decimals=decimals) for end in ("low", "high"))
    return f"{number(row['ms'], row['ms_std'], decimals)} [{low}–{high}]{f' {NOISY}' if row['noisy'] else ''}"


def _share(row: Row) -> str:
    return bounded(row, percent(row["share"]))


def _median(row: Row) -> str:
    decimals = significant_decimals(row["ms"])
    median, lower, upper = (number(row[name], decimals=decimals) for name in ("ms", "lower_ms", "upper_ms"))
    return f"{median} ({lower}–{upper}){f' {NOISY}' if row['noisy'] else ''}"
