"""The end of a report: parameters of every row, software and hardware of every run."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from bench.report.escape import code_block, html, markdown
from bench.report.render import Cell, Table
from bench.report.runs import ReportRun, methods_of


def parameters(datasets: Mapping[str, Sequence[ReportRun]]) -> list[str]:
    """The parameters of every row, collapsed."""
    parts = []
    for group in datasets.values():
        for method in methods_of(group):
            record = next(run.record for run in group if run.method == method)
            values = sorted(record.spec.parameters.items())
            lines = [f"{name} = {json.dumps(value, sort_keys=True, ensure_ascii=False)}" for name, value in values]
            parts.append(
                f"<details><summary>{html(method)} on {html(group[0].dataset_title)}</summary>\n\n"
                f"`{record.spec.method}`, revision {record.spec.method_revision}. {markdown(record.paper)}\n\n"
                f"{code_block(chr(10).join(lines) or 'no parameters')}\n\n"
                "</details>"
            )
    return parts


def environment_table(runs: Sequence[ReportRun]) -> Table:
    """What the runs ran on; where they differ, every value with its number of runs."""
    values: dict[str, Counter[str]] = {}
    for run in runs:
        for name, value in _flat(run.record.environment):
            values.setdefault(name, Counter())[value] += 1
    frame = pd.DataFrame(
        [(name, value, number) for name, counts in sorted(values.items()) for value, number in sorted(counts.items())],
        columns=["property", "value", "runs"],
    )
    return Table(
        name="environment",
        caption="Software and hardware of the runs.",
        header=["property", "value", "runs"],
        rows=[[Cell(str(value)) for value in row] for row in frame.itertuples(index=False)],
        frame=frame,
        words=frozenset({"value"}),
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    pairs = []
    for name, entry in value.items():
        if isinstance(entry, Mapping):
            pairs += _flat(entry, f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", str(entry)))
    return pairs
