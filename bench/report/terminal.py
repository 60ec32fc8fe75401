"""Results as text for the terminal: the summary that ends a run, and the costs that `bench profile` shows."""

from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from bench.base.text import folded, one_line
from bench.metrics.protocols import measure_of
from bench.report import cost_frames, costs, escape, problems, quality, times
from bench.report.runs import (
    ReportRun,
    bits_of,
    datasets_of,
    headline_ks,
    methods_of,
    name_runs,
    protocols_of,
    seeds_of,
)
from bench.report.tables import NOTHING, Column, Row, Table, number, rows_for, significant, to_text
from bench.store.stored_run import StoredRun

LABEL_WIDTH = 40
HEADER_WIDTH = 14
ROUGH = " ≈"


def summary(runs: Iterable[StoredRun], protocols: Sequence[str] = ()) -> str:
    """Per dataset: methods with their mAP and what encoding with them costs; then what is doubtful or has no result.

    Under each of the `protocols`. None named: under the first that the runs have, and where the queries are the gallery
    under all, since finding oneself counts under some. Protocols that give the same numbers are shown as one.
    """
    named = name_runs(runs)
    if not named:
        return "No runs are stored."
    return "\n\n".join(_dataset(group, protocols) for group in datasets_of(named).values())


def profile_text(runs: Iterable[StoredRun]) -> str:
    """Counts, times, machine, search and parts of every dataset's encoders."""
    return "\n\n".join(_profile(group) for group in datasets_of(name_runs(runs)).values())


def _dataset(runs: Sequence[ReportRun], wanted: Sequence[str]) -> str:
    scores = quality.aggregate(runs)
    known = protocols_of(runs)
    self_search = runs[0].record.dataset.self_search
    asked = [name for name in wanted if name in known]
    groups = quality.equal_protocols(scores, asked or known)
    if not asked and not self_search:
        groups = groups[:1]
    protocols = [group[0] for group in groups]
    heading = one_line(runs[0].dataset_title)
    lines = [heading, "=" * len(heading), *_meaning(runs, groups)]
    shown = scores[scores["protocol"].isin(protocols)]
    for index, k in enumerate(headline_ks([int(k) for k in shown["k"].unique()]) if protocols else []):
        table = _table(runs, quality.select(shown, k=k), k, protocols, with_costs=index == 0)
        lines += ["", to_text(table)]
    if any(ROUGH in line for line in lines):
        lines += ["", f"{ROUGH.strip()} too noisy: an order of magnitude."]
    disturbed = costs.disturbed(runs)
    if disturbed:
        lines += ["", disturbed]
    if _several_machines(runs):
        lines += ["", "Times come from different machines, which do not compare: the report shows them separately."]
    doubts = problems.cautions(runs)
    if doubts:
        lines += ["", "Be careful with:", *(folded(one_line(doubt)) for doubt in doubts)]
    why = problems.notes(runs)
    if why:
        lines += ["", "Without a result:"]
        lines += [f"  {one_line(method)}, {bits} bits: {note}" for (method, bits), note in why.items()]
    equal = problems.equal_codes(runs)
    if equal:
        lines += ["", "Equal codes:", *(f"  {one_line(line)}" for line in equal)]
    return "\n".join(lines)


def _meaning(runs: Sequence[ReportRun], groups: Sequence[Sequence[str]]) -> list[str]:
    """The meaning of the numbers below."""
    if not groups:
        return []
    seeds = seeds_of(runs)
    over = f", mean ± standard deviation over {len(seeds)} seeds" if len(seeds) > 1 else ""
    measure = measure_of(groups[0][0])
    protocols = " and ".join(" and ".join(group) + " (the same here)" * (len(group) > 1) for group in groups)
    several = sum(map(len, groups)) > 1
    lines = [f"{measure} under protocol{'s' * several} {protocols}{over}"]
    chance = next((run.record.diagnostics.random for run in reversed(runs) if run.record.diagnostics), {})
    if runs[0].record.dataset.self_search and {"paper", "strict"} <= chance.keys():
        k = headline_ks(list(chance["paper"]))[0]
        paper, strict = (number(chance[name][k].value) for name in ("paper", "strict"))
        lines.append(
            "The queries are the gallery. Under paper each finds itself, which alone gives random codes "
            f"mAP@{k} {paper}; strict leaves it out ({strict})."
        )
    if measure == "recall":
        lines.append("No labels: recall of the exact nearest neighbours by the cosine of mean features.")
    return lines


def _table(
    runs: Sequence[ReportRun], scores: pd.DataFrame, k: int, protocols: Sequence[str], with_costs: bool
) -> Table:  # fmt: skip
    """mAP@k by code length and protocol; costs are those of the longest codes."""
    longest = bits_of(runs)[-1]
    missing = {(run.method, run.bits): run.record.status for run in runs if not run.done}
    found = {(row["method"], row["bits"], row["protocol"]): row for row in scores.to_dict("records")}

    def score(bits: int, protocol: str) -> Callable[[Row], str]:
        def value(row: Row) -> str:
            known = found.get((row["method"], bits, protocol))
            if known is None:
                return missing.get((row["method"], bits), NOTHING)
            return number(known["map"], known["map_std"])

        return value

    measured = costs.aggregate([run for run in runs if run.bits == longest])
    rows = rows_for([(method, longest) for method in methods_of(runs)], measured.drop_duplicates("method"))
    columns = [Column("method", lambda row: escape.shorten(row["method"], LABEL_WIDTH))]
    columns += [
        Column(f"{measure_of(name)}@{k}\n{bits} bits" + f"\n{name}" * (len(protocols) > 1), score(bits, name))
        for bits in bits_of(runs)
        for name in protocols
    ]
    if with_costs:
        columns += [
            Column(f"parameters\nat {longest} bits", lambda row: number(row["parameters_encode"], decimals=0)),
            Column("multiply-\nadds (M)", costs.multiply_adds),
            Column("ms/video,\nbest batch", _milliseconds, when=lambda _: not _several_machines(runs)),
        ]
    return Table.of(columns, rows)


def _milliseconds(row: Row) -> str:
    return significant(row["batched_ms"]) + ROUGH * (row["batched_noisy"] > 0)


def _several_machines(runs: Sequence[ReportRun]) -> bool:
    return len({cost_frames.machine(measured) for _, measured in cost_frames.measurements(runs)}) > 1


def _profile(runs: Sequence[ReportRun]) -> str:
    tables: list[Table | None] = [costs.encoding_table(runs)]
    if any(run.record.costs for run in runs):
        tables += [times.time_table(runs, times.aggregate(runs)), times.parts_table(runs), times.module_table(runs)]
        tables += [times.machine_table(runs), times.search_table(runs)]
    noted: set[str] = set()
    parts = []
    for table in filter(None, tables):
        parts += [table.caption, to_text(table, HEADER_WIDTH), *(note for note in table.notes if note not in noted)]
        noted.update(table.notes)
    return "\n\n".join(parts)
