"""The short summary that ends a run, for the terminal."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.report import cost_frames, costs, escape, problems, quality
from bench.report.render import NOTHING, number
from bench.report.runs import ReportRun, bits_of, datasets_of, methods_of, name_runs, protocols_of, seeds_of
from bench.store import StoredRun
from bench.text import one_line
from bench.text_table import text_table

LABEL_WIDTH = 40
ROUGH = " ≈"


def summary(runs: Iterable[StoredRun], protocols: Sequence[str] = ()) -> str:
    """Per dataset: methods with their mAP and what encoding with them costs; then the runs without a result.

    Under each of the `protocols`; none named: under the first that the runs have.
    """
    named = name_runs(runs)
    if not named:
        return "No runs are stored."
    return "\n\n".join(_dataset(group, protocols) for group in datasets_of(named).values())


def _dataset(runs: Sequence[ReportRun], wanted: Sequence[str]) -> str:
    scores = quality.aggregate(runs)
    protocols = protocols_of(runs)
    heading = one_line(runs[0].dataset_title)
    lines = [heading, "=" * len(heading)]
    for number_of, protocol in enumerate(wanted or protocols[:1]):
        shown = quality.select(scores, protocol=protocol)
        seeds = seeds_of(runs)
        over = f", mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else ""
        lines += ([""] if number_of else []) + [f"mAP under protocol {protocol}{over}"]
        for index, k in enumerate(quality.headline_ks([int(k) for k in shown["k"].unique()])):
            lines += ["", _table(runs, quality.select(shown, k=k), k, with_costs=number_of + index == 0)]
    if any(ROUGH in line for line in lines):
        lines += ["", f"{ROUGH.strip()} too noisy: an order of magnitude."]
    disturbed = costs.disturbed(runs)
    if disturbed:
        lines += ["", disturbed]
    if _several_machines(runs):
        lines += ["", "Times come from different machines, which do not compare: the report shows them apart."]
    why = problems.notes(runs)
    if why:
        lines += ["", "Without a result:"]
        lines += [f"  {one_line(method)}, {bits} bits: {note}" for (method, bits), note in why.items()]
    return "\n".join(lines)


def _table(runs: Sequence[ReportRun], scores: pd.DataFrame, k: int, with_costs: bool) -> str:
    lengths = bits_of(runs)
    longest = lengths[-1]
    header = ["method", *(f"mAP@{k}\n{bits} bits" for bits in lengths)]
    if with_costs:
        header += [f"parameters\nat {longest} bits", "multiply-\nadds (M)", "ms/video,\nbest batch"]
    missing = {(run.method, run.bits): run.record.status for run in runs if not run.done}
    rows = []
    for method in methods_of(runs):
        row = [escape.shorten(method, LABEL_WIDTH)]
        for bits in lengths:
            found = quality.select(scores, method=method, bits=bits)
            if found.empty:
                row.append(missing.get((method, bits), NOTHING))
            else:
                row.append(number(found["map"].iloc[0], found["map_std"].iloc[0]))
        if with_costs:
            here = [run for run in runs if run.method == method and run.bits == longest]
            row += _costs(here, with_time=not _several_machines(runs))
        rows.append(row)
    return text_table(rows, header, colalign=["left"] + ["right"] * (len(header) - 1))


def _costs(runs: Sequence[ReportRun], with_time: bool) -> list[str]:
    frame = costs.aggregate(runs)
    if frame.empty:
        return [NOTHING] * 3
    row = frame.iloc[0]
    return [
        number(row["parameters_encode"], decimals=0),
        costs.significant(row["flops"] / 1e6),
        costs.significant(row["batched_ms"]) + (ROUGH if row["batched_noisy"] else "") if with_time else NOTHING,
    ]


def _several_machines(runs: Sequence[ReportRun]) -> bool:
    return len({cost_frames.machine(measured) for _, measured in cost_frames.measurements(runs)}) > 1
