"""Two sets of stored runs side by side: the rows that face each other, and the text that shows them."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench.base.text import one_line
from bench.metrics.protocols import measure_of
from bench.report.comparison_tables import COST_NOTE, QUALITY_NOTE, Pair, cost_table, quality_table, shown_scores
from bench.report.problems import why
from bench.report.runs import ReportRun, datasets_of, name_runs, protocols_phrase, seeds_of
from bench.report.tables import to_text
from bench.store.store import Store
from bench.store.stored_run import StoredRun

REASON_WIDTH, NOTE_WIDTH = 60, 120


def compare_folders(first: Path, second: Path) -> str:
    """The comparison of two results folders, as text for a terminal.

    Raises:
        InputError: a folder is none, or holds no stored runs.
    """
    return comparison(str(first), _runs_in(first), str(second), _runs_in(second))


def comparison(first_name: str, first: Iterable[StoredRun], second_name: str, second: Iterable[StoredRun]) -> str:
    """Quality and costs of two sets of runs side by side, in the order of the report's tables."""
    sides = named_alike(first, second)
    legend = [
        f"{letter}: {one_line(name)} ({len(runs)} run{'' if len(runs) == 1 else 's'})"
        for letter, name, runs in zip("AB", (first_name, second_name), sides, strict=True)
    ]
    parts = ["\n".join(legend)]
    by_dataset = [datasets_of(side) for side in sides]
    for dataset in sorted({*by_dataset[0], *by_dataset[1]}):
        parts += _dataset(by_dataset[0].get(dataset, []), by_dataset[1].get(dataset, []))
    return "\n\n".join([*parts, *(textwrap.fill(note, NOTE_WIDTH) for note in (QUALITY_NOTE, COST_NOTE))])


def named_alike(first: Iterable[StoredRun], second: Iterable[StoredRun]) -> tuple[list[ReportRun], list[ReportRun]]:
    """Both sets with the names that a report of all of them would use, in its order."""
    sides = [{run.record.spec.identity: run for run in side} for side in (first, second)]
    named = name_runs([*sides[0].values(), *sides[1].values()])
    one, other = (
        [replace(run, stored=side[identity]) for run in named if (identity := run.record.spec.identity) in side]
        for side in sides
    )
    return one, other


def pairs(first: Sequence[ReportRun], second: Sequence[ReportRun]) -> list[Pair]:
    """The rows of one dataset, by method, then code length; a side without runs of a row is empty there.

    Variants of a method face each other where all their settings agree. Where one variant is left over on each side,
    these two do: that is what a changed parameter or revision of the method looks like.
    """
    rows = []
    for method in dict.fromkeys(run.record.spec.method for run in sorted([*first, *second], key=_row_order)):
        one, other = (_variants(side, method) for side in (first, second))
        labels = [(label, label) for label in dict.fromkeys([*one, *other]) if label in one and label in other]
        left = [label for label in one if label not in other], [label for label in other if label not in one]
        if len(left[0]) == len(left[1]) == 1:
            labels.append((left[0][0], left[1][0]))
        else:
            labels += [(label, label) for label in (*left[0], *left[1])]
        for mine, theirs in labels:
            runs = one.get(mine, []), other.get(theirs, [])
            label = mine if mine == theirs else f"{mine} → {theirs}"
            for bits in sorted({run.bits for run in (*runs[0], *runs[1])}):
                here = (tuple(run for run in side if run.bits == bits) for side in runs)
                rows.append(Pair(label, bits, *here))
    return rows


def _dataset(first: Sequence[ReportRun], second: Sequence[ReportRun]) -> list[str]:
    heading = one_line((first or second)[0].dataset_title)
    parts = [f"{heading}\n{'=' * len(heading)}"]
    rows = pairs(first, second)
    both = [row for row in rows if all(row.done)]
    protocols: dict[tuple[str, str], list[str]] = {}
    for protocol, k in shown_scores(both):
        table = quality_table(both, protocol, k)
        if table.rows:
            protocols.setdefault((f"{measure_of(protocol)}@{k}", to_text(table)), []).append(one_line(protocol))
    for (measure, text), names in protocols.items():  # equal tables stand once
        parts += [f"{measure} under {protocols_phrase(names)}", text]
    costs = cost_table(both)
    if costs.rows:
        parts += ["Cost of encoding one video", to_text(costs)]
    missing = [line for row in rows for line in _not_on_both(row)]
    if missing:
        parts.append("\n".join(["Not on both sides:", *(f"  {line}" for line in missing)]))
    return parts


def _not_on_both(row: Pair) -> list[str]:
    """Seeds without a result on both sides, with what each side has of them."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for seed in seeds_of([*row.first, *row.second]):
        states = _state(row.first, seed), _state(row.second, seed)
        if states != ("done", "done"):
            seeds.setdefault(states, []).append(seed)
    return [
        f"{row.shown_label}, {row.bits} bits, seed{'s' if len(found) > 1 else ''} "
        f"{', '.join(map(str, found))}: A {one}, B {other}"
        for (one, other), found in seeds.items()
    ]


def _state(runs: Sequence[ReportRun], seed: int) -> str:
    found = [run for run in runs if run.record.spec.seed == seed]
    return why(found[0], REASON_WIDTH) if found else "not stored"


def _variants(runs: Sequence[ReportRun], method: str) -> dict[str, list[ReportRun]]:
    """The runs of a method by label."""
    found: dict[str, list[ReportRun]] = {}
    for run in runs:
        if run.record.spec.method == method:
            found.setdefault(run.method, []).append(run)
    return found


def _row_order(run: ReportRun) -> tuple[int, bool, str, str]:
    return run.row_order


def _runs_in(folder: Path) -> list[StoredRun]:
    store = Store(folder)
    store.require_runs()
    return list(store.runs())
