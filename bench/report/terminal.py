"""The short summary that ends a run, for the terminal."""

from collections.abc import Iterable, Sequence

import pandas as pd

from bench.metrics.protocols import measure_of
from bench.report import cautions, cost_frames, costs, escape, problems, quality
from bench.report.render import NOTHING, number
from bench.report.runs import ReportRun, bits_of, datasets_of, methods_of, name_runs, protocols_of, seeds_of
from bench.store import StoredRun
from bench.text import one_line
from bench.text_table import folded, text_table

LABEL_WIDTH = 40
ROUGH = " ≈"


def summary(runs: Iterable[StoredRun], protocols: Sequence[str] = ()) -> str:
    """Per dataset: methods with their mAP and what encoding with them costs; then what is doubtful or has no result.

    Under each of the `protocols`. None named: under the first that the runs have, and where the queries are the gallery
    under all, since finding oneself counts under some.
    """
    named = name_runs(runs)
    if not named:
        return "No runs are stored."
    return "\n\n".join(_dataset(group, protocols) for group in datasets_of(named).values())


def _dataset(runs: Sequence[ReportRun], wanted: Sequence[str]) -> str:
    scores = quality.aggregate(runs)
    known = protocols_of(runs)
    self_search = runs[0].record.dataset.self_search
    protocols = [name for name in wanted if name in known] or known[: None if self_search else 1]
    heading = one_line(runs[0].dataset_title)
    lines = [heading, "=" * len(heading), *_how(runs, protocols)]
    shown = scores[scores["protocol"].isin(protocols)]
    for index, k in enumerate(quality.headline_ks([int(k) for k in shown["k"].unique()]) if protocols else []):
        lines += ["", _table(runs, quality.select(shown, k=k), k, protocols, with_costs=index == 0)]
    if any(ROUGH in line for line in lines):
        lines += ["", f"{ROUGH.strip()} too noisy: an order of magnitude."]
    disturbed = costs.disturbed(runs)
    if disturbed:
        lines += ["", disturbed]
    if _several_machines(runs):
        lines += ["", "Times come from different machines, which do not compare: the report shows them apart."]
    doubts = cautions.cautions(runs)
    if doubts:
        lines += ["", "Be careful with:"]
        lines += [folded(one_line(doubt)) for doubt in doubts]
    why = problems.notes(runs)
    if why:
        lines += ["", "Without a result:"]
        lines += [f"  {one_line(method)}, {bits} bits: {note}" for (method, bits), note in why.items()]
    equal = problems.equal_codes(runs)
    if equal:
        lines += ["", "Equal codes:", *(f"  {one_line(line)}" for line in equal)]
    return "\n".join(lines)


def _how(runs: Sequence[ReportRun], protocols: Sequence[str]) -> list[str]:
    """What the numbers below are."""
    if not protocols:
        return []
    seeds = seeds_of(runs)
    over = f", mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else ""
    lines = [f"{measure_of(protocols[0])} under protocol {' and '.join(protocols)}{over}"]
    chance = next((run.record.diagnostics.random for run in reversed(runs) if run.record.diagnostics), {})
    if runs[0].record.dataset.self_search and {"paper", "strict"} <= chance.keys():
        k = quality.headline_ks(list(chance["paper"]))[0]
        paper, strict = (number(chance[name][k].value) for name in ("paper", "strict"))
        lines.append(
            "The queries are the gallery. Under paper each finds itself, which alone gives random codes "
            f"mAP@{k} {paper}; strict leaves it out ({strict})."
        )
    if measure_of(protocols[0]) == "recall":
        lines.append("No labels: recall of the exact nearest neighbours by the cosine of mean features.")
    return lines


def _table(
    runs: Sequence[ReportRun], scores: pd.DataFrame, k: int, protocols: Sequence[str], with_costs: bool
) -> str:  # fmt: skip
    lengths = bits_of(runs)
    longest = lengths[-1]
    several = len(protocols) > 1
    header = ["method"]
    header += [f"{measure_of(name)}@{k}\n{bits} bits" + f"\n{name}" * several for bits in lengths for name in protocols]
    if with_costs:
        header += [f"parameters\nat {longest} bits", "multiply-\nadds (M)", "ms/video,\nbest batch"]
    missing = {(run.method, run.bits): run.record.status for run in runs if not run.done}
    rows = []
    for method in methods_of(runs):
        row = [escape.shorten(method, LABEL_WIDTH)]
        for bits in lengths:
            for name in protocols:
                found = quality.select(scores, method=method, bits=bits, protocol=name)
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
        costs.multiply_adds(row),
        costs.significant(row["batched_ms"]) + (ROUGH if row["batched_noisy"] else "") if with_time else NOTHING,
    ]


def _several_machines(runs: Sequence[ReportRun]) -> bool:
    return len({cost_frames.machine(measured) for _, measured in cost_frames.measurements(runs)}) > 1
