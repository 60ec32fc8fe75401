"""Under which settings an artefact's runs were made: what its claims hold for."""

from collections import defaultdict

from bench.fitting import resolve_parameters
from bench.paper.artefacts import PaperRow, Results
from bench.registry import Registry
from bench.report.runs import ReportRun, seeds_of
from bench.text import one_line


def conditions(results: Results, registry: Registry) -> str:
    """Seeds, code lengths, machine, and every parameter that is not the method's default; "" where nothing is done."""
    done = [run for run in results.all if run.done]
    if not done:
        return ""
    seeds = seeds_of(done)
    rows: dict[str, list[str]] = defaultdict(list)
    for row in results.need.rows:
        runs = [run for bits in results.need.bits for run in results.done(row.label, bits)]
        if runs:
            rows[_changed(row, runs[0], registry)].append(row.label)
    changed = [text if len(rows) == 1 else f"{', '.join(labels)}: {text}" for text, labels in rows.items()]
    return (
        f"{'Seeds' if len(seeds) > 1 else 'One seed:'} {', '.join(map(str, seeds))}; "
        f"{' and '.join(map(str, results.need.bits))} bits; {one_line(', '.join(sorted({run.machine for run in done})))}; "
        f"parameters, where they are not the methods' defaults: {'; '.join(changed)}."
    )


def _changed(row: PaperRow, run: ReportRun, registry: Registry) -> str:
    """The parameters that are not the method's defaults, but for those that make the row what it is."""
    method = registry.method(row.method)
    defaults = resolve_parameters(method, run.record.dataset, {}, {}).model_dump(mode="json")
    changed = {
        name: value
        for name, value in run.record.spec.parameters.items()
        if name not in row.parameters and value != defaults.get(name)
    }
    shown = [f"{name}={value} (default {defaults.get(name)})" for name, value in changed.items()]
    return one_line(", ".join(shown)) or "none"
