"""Tables of retrieval quality: methods in rows, mAP@k in columns, one table per code length.

Where there are no labels, recall@k of the exact neighbours stands in place of mAP@k.
"""

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from bench.metrics.protocols import measure_of
from bench.report import frames, problems
from bench.report.render import NOTHING, Cell, Table, number
from bench.report.runs import ReportRun, bounds_of, methods_of, seeds_of
from bench.report.significance import explanation, indistinguishable
from bench.text import slug

BY = ("dataset", "protocol", "method", "bound", "bits", "k")
DECIMALS = 3
HEADLINE_KS = (20, 100)


def headline_ks(ks: Sequence[int]) -> list[int]:
    """The cut-offs that short tables and plots show: 20 and 100, or the smallest and largest where neither is known."""
    return [k for k in HEADLINE_KS if k in ks] or sorted({min(ks), max(ks)})


def aggregate(runs: Sequence[ReportRun]) -> pd.DataFrame:
    """mAP@k over seeds."""
    return frames.over_seeds(frames.scores(runs), BY, spread=["map"], mean=["map_best", "map_worst"])


def select(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows of `frame` in which every named column holds the given value."""
    chosen = frame
    for column, value in values.items():
        chosen = chosen[chosen[column] == value]
    return chosen


def table(runs: Sequence[ReportRun], scores: pd.DataFrame, protocol: str, bits: int) -> Table:
    """mAP@k of all methods at one code length. `runs` are those of one dataset, `scores` comes from `aggregate`."""
    here = [run for run in runs if run.bits == bits]
    evaluated = select(scores, dataset=here[0].dataset, protocol=protocol)
    chosen = select(evaluated, bits=bits)
    ks = sorted(int(k) for k in evaluated["k"].unique())
    best = _best(chosen)
    compared = indistinguishable(here, protocol, ks)
    tested = any(methods is not None for methods in compared.values())
    near = {k: (methods or set()) - best[k] for k, methods in compared.items()}
    why = problems.notes(here)
    tie_ks = [k for k in sorted({headline_ks(ks)[0], max(ks)}) if _ties_show(select(chosen, k=k))]
    show_seeds = bool((chosen["seeds"] > 1).any())
    rows = []
    for method in methods_of(here):
        values = select(chosen, method=method).set_index("k")
        found = not values.empty
        values = values.reindex(ks)
        row = [Cell(method)]
        row += [
            Cell(
                number(values["map"][k], values["map_std"][k], DECIMALS),
                bold=method in best[k],
                mark="†" if method in near[k] else "",
            )
            for k in ks
        ]
        for k in tie_ks:
            lowest, highest = (number(values[end][k]) for end in ("map_worst", "map_best"))
            row.append(Cell(f"{lowest}–{highest}" if found else NOTHING))
        if show_seeds:
            row.append(Cell(number(values["seeds"].max(), decimals=0)))
        if not found and (method, bits) not in why:
            why[method, bits] = "not evaluated under this protocol"
        row.append(Cell(why.get((method, bits), "")))
        rows.append(row)
    header = ["method", *(f"{measure_of(protocol)}@{k}" for k in ks)]
    header += [f"ties @{k}" for k in tie_ks] + ["seeds"] * show_seeds + ["note"]
    if not why:
        header, rows = header[:-1], [row[:-1] for row in rows]
    return Table(
        name=f"{here[0].dataset}-{slug(protocol)}-{bits}-bits",
        caption=f"{measure_of(protocol)}@k on {here[0].dataset_title} at {bits} bits, protocol {protocol}.",
        header=header,
        rows=rows,
        frame=chosen.assign(
            best=[method in best[k] for method, k in zip(chosen["method"], chosen["k"], strict=True)],
            not_significantly_worse=[
                method in near[k] for method, k in zip(chosen["method"], chosen["k"], strict=True)
            ],
        ),
        words=frozenset({"note"}),
        notes=_notes(here, protocol, tie_ks, show_seeds, tested),
    )


def protocol_sentence(runs: Sequence[ReportRun], protocol: str) -> str:
    """What the protocol means, in the words stored with the results."""
    description = next(
        (run.record.metrics[protocol].protocol.description for run in runs if protocol in run.record.metrics),
        "",
    )
    return f"Protocol {protocol}: {description}"


def seeds_sentence(seeds: Sequence[int]) -> str:
    """What two numbers around `±` are."""
    return f"Mean ± standard deviation over the seeds {', '.join(map(str, seeds))}."


def _best(chosen: pd.DataFrame) -> dict[int, set[str]]:
    """By k, the methods whose mAP, as shown, is the highest; a bound is never among them."""
    competing = chosen[~chosen["bound"].astype(bool)]
    best: dict[int, set[str]] = defaultdict(set)
    for k, rows in competing.groupby("k"):
        shown = rows["map"].map(f"{{:.{DECIMALS}f}}".format)
        best[int(str(k))] = set(rows["method"][shown == shown.max()])
    return best


def _ties_show(scores: pd.DataFrame) -> bool:
    """Do the worst and the best order of ties lie further apart than rounding does anywhere?"""
    return bool((scores["map_best"] - scores["map_worst"] > 0.5 * 10**-DECIMALS).any())


def _notes(
    runs: Sequence[ReportRun], protocol: str, tie_ks: Sequence[int], several_seeds: bool, tested: bool
) -> tuple[str, ...]:
    """What a reader must know to read the table alone."""
    texts = [protocol_sentence(runs, protocol)]
    if several_seeds:
        texts.append(seeds_sentence(seeds_of(runs)))
    texts.append(f"Bold: best{' (bounds do not compete)' if bounds_of(runs) else ''}.")
    if tested:
        texts.append(explanation(runs, protocol))
    if tie_ks:
        texts.append("Ties: mAP@k with items at equal distance in the worst and in the best order.")
    texts.append(_without_relevant(runs, protocol))
    return (" ".join(filter(None, texts)),)


def _without_relevant(runs: Sequence[ReportRun], protocol: str) -> str:
    counts = {
        (scores.queries_without_relevant, scores.queries)
        for run in runs
        if run.done and (scores := run.record.metrics.get(protocol))
    }
    worst, queries = max(counts, default=(0, 0))
    if not worst:
        return ""
    return f"{worst:,} of {queries:,} queries have nothing relevant in the gallery and count as 0."
