"""Tables of encoding times in every setting, of search and reading, of the machines, and of work by module."""

from collections.abc import Sequence

import pandas as pd

from bench.report import cost_frames, frames
from bench.report.costs import (
    LOWER_BOUND,
    NOISY,
    SHARE,
    bounded,
    machines,
    multiply_adds,
    percent,
    rows_of,
    significant,
)
from bench.report.quality import select
from bench.report.render import NOTHING, Cell, Table, number, significant_decimals
from bench.report.runs import ReportRun, bits_of

BY = ("dataset", "method", "bound", "bits", "machine", "setting", "with_transfer")
MEAN = ("lower_ms", "upper_ms", "low_ms", "high_ms", "noisy", "repeats", "share", "flops_at_least", "intensity", "rate",
        "product_rate", "copy_rate")  # fmt: skip


def aggregate(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """Times over measurements, a row for every setting and batch size."""
    frame = cost_frames.times(runs).astype({"noisy": float, "flops_at_least": float})
    mean = frames.over_seeds(frame, (*BY, "batch"), spread=["ms"], mean=MEAN)
    return mean.assign(flops_at_least=mean["flops_at_least"] > 0)


def best_batches(times: pd.DataFrame) -> pd.DataFrame:
    """Of every row and setting the batch size with the highest throughput."""
    return times.loc[times.groupby(list(BY), sort=False)["ms"].idxmin()]


def time_table(runs: Sequence[ReportRun], times: pd.DataFrame) -> Table:
    """Latency at batch 1 and throughput at the best batch size, with confidence intervals, in every setting.

    `runs` are those of one dataset, `times` comes from `aggregate`.
    """
    several_machines = len(machines(times)) > 1
    best = best_batches(times)
    rows = []
    for method, bits in rows_of(runs):
        singles = select(times, method=method, bits=bits, batch=1)
        for (_, single), (_, row) in zip(
            singles.iterrows(), select(best, method=method, bits=bits).iterrows(), strict=True
        ):
            setting = f"{single['setting']}{', with copy' if single['with_transfer'] else ''}"
            cells = [method, str(bits), setting, interval(single), _share(single), str(int(row["batch"]))]
            cells += [interval(row), _share(row), significant(1000 / row["ms"])]
            rows.append([Cell(text) for text in [*cells, *[row["machine"]] * several_machines]])
    header = [
        "method",
        "bits",
        "setting",
        "ms/video, batch 1",
        "share of the rate",
        "best batch",
        "ms/video, best batch",
    ]
    header += ["share of the rate", "videos/s", *["machine"] * several_machines]
    note = (
        "Medians with their 95 % confidence intervals (order statistics; they cover the repeats, not another day or "
        f"machine). {SHARE} Above 100 %: data lay in caches, or what encodes does less than the definition counts. "
    )
    if times["with_transfer"].any():
        note += "With copy: the copy of the features to the GPU is within the time. "
    if (times["noisy"] > 0).any():
        note += f"{NOISY}: half of the interval is more than a tenth of the median. "
    if times["flops_at_least"].any():
        note += f"{LOWER_BOUND} "
    if several_machines:
        note += "Only shares compare across machines. "
    return Table(
        name=f"{runs[0].dataset}-encoding-time",
        caption=f"Encoding time of one video of {runs[0].dataset_title}, by setting.",
        header=header,
        rows=rows,
        frame=times,
        words=frozenset({"setting", "machine"}),
        notes=(note.strip(),),
    )


def search_table(runs: Sequence[ReportRun]) -> Table | None:
    """Search and reading, which no encoding time includes; None where neither was measured."""
    searches, loading = cost_frames.searches(runs), cost_frames.loading(runs)
    rows = [
        [
            f"search, {row['bits']} bits: {row['nearest']} nearest of {row['gallery']:,}",
            _median(row),
            "query",
            row["machine"],
        ]
        for _, row in searches.iterrows()
    ]
    rows += [["reading features", _median(row), "video", row["machine"]] for _, row in loading.iterrows()]
    if not rows:
        return None
    return Table(
        name=f"{runs[0].dataset}-search",
        caption=f"Time of searching and reading {runs[0].dataset_title}.",
        header=["what", "ms (median, quartiles)", "per", "machine"],
        rows=[[Cell(text) for text in row] for row in rows],
        frame=pd.concat([searches.assign(what="search"), loading.assign(what="reading")], ignore_index=True),
        words=frozenset({"per", "machine"}),
        notes=(
            "Search: exact Hamming distances of 64 queries at once to random codes by faiss; it depends on the length "
            "of codes and the gallery, not on the method. Reading: features from where the dataset keeps them, again "
            "and again, so that files come from the system's memory.",
        ),
    )


def machine_table(runs: Sequence[ReportRun]) -> Table:
    """The rates that every machine reached when times were measured; the best, where there are several measurements."""
    found = cost_frames.rates(runs)
    best = found.groupby(["machine", "setting"], sort=False, as_index=False).max()
    rows = [
        [
            row["machine"],
            row["setting"],
            *(significant(rate / 1e9) for rate in (row["float32"], row["bfloat16"], row["copy_bytes"])),
            NOTHING if pd.isna(row["others"]) else f"{100 * row['others']:.0f} %",
        ]
        for _, row in best.iterrows()
    ]
    return Table(
        name=f"{runs[0].dataset}-machines",
        caption=f"Rates of the machines that encoded {runs[0].dataset_title}, measured in the same run as the times.",
        header=["machine", "setting", "float32 (10⁹ multiply-adds/s)", "bfloat16", "memory copy (GB/s)", "others"],
        rows=[[Cell(text) for text in row] for row in rows],
        frame=best,
        words=frozenset({"setting"}),
        notes=(
            "Products of square matrices, and a copy counted as read and written; the best of five. Others: the share "
            "of the machine's processor time that other programs took while times were measured, at most.",
        ),
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
    return Table(
        name=f"{runs[0].dataset}-modules",
        caption=f"Multiply-adds of encoding one video of {runs[0].dataset_title} by module, {longest} bits.",
        header=["method", "module", "multiply-adds (M)", "share"],
        rows=[
            [
                Cell(row["method"]),
                Cell(row["module"]),
                Cell(multiply_adds(row)),
                Cell(NOTHING if pd.isna(row["share"]) else percent(row["share"])),
            ]
            for _, row in frame.iterrows()
        ],
        frame=frame,
        words=frozenset({"module"}),
        notes=(
            "Of the definition, as fvcore counts; what passes between modules is in none."
            + f" {LOWER_BOUND}" * bool(frame["flops_at_least"].any()),
        ),
    )


def _share(row: pd.Series) -> str:
    return bounded(row, percent(row["share"]))


def interval(row: pd.Series) -> str:
    """Median and 95 % confidence interval in milliseconds."""
    decimals = significant_decimals(row["ms"])
    low, high = (number(row[f"{end}_ms"], decimals=decimals) for end in ("low", "high"))
    return f"{number(row['ms'], row['ms_std'], decimals)} [{low}–{high}]{f' {NOISY}' if row['noisy'] else ''}"


def _median(row: pd.Series) -> str:
    median, lower, upper = row[["ms", "lower_ms", "upper_ms"]]
    decimals = significant_decimals(median)
    quartiles = f"({number(lower, decimals=decimals)}–{number(upper, decimals=decimals)})"
    return f"{number(median, decimals=decimals)} {quartiles}{f' {NOISY}' if row['noisy'] else ''}"
