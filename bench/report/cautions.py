"""Reasons to doubt a result before it is compared: codes that say little, training that had not settled."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from bench.metrics.protocols import measure_of
from bench.report.quality import headline_ks
from bench.report.runs import ReportRun, protocols_of

STILL_FALLING = 0.1
"""Share of the loss's whole fall that its last quarter of the epochs may bring before training looks cut short."""
SURE = 2.0
"""Standard errors by which a score must lie above that of random codes."""


def cautions(runs: Sequence[ReportRun]) -> list[str]:
    """One sentence for every method and reason, over code lengths and seeds. `runs`: one dataset; bounds have none."""
    found: dict[tuple[str, str], list[tuple[ReportRun, str]]] = defaultdict(list)
    for run in runs:
        if run.done and not run.record.bound:
            for reason, detail in _reasons(run):
                found[run.method, reason].append((run, detail))
    return [f"{method}, {_where(cases)}: {reason} ({_range(cases)})." for (method, reason), cases in found.items()]


def _reasons(run: ReportRun) -> Iterator[tuple[str, str]]:
    """What is doubtful, and a figure for it."""
    diagnostics = run.record.diagnostics
    if diagnostics is not None:
        yield from _weak(run)
        if diagnostics.constant_bits:
            yield "bits are the same for every video", f"{diagnostics.constant_bits} of {run.bits}"
        if diagnostics.copied_bits:
            yield "bits copy others", f"{diagnostics.copied_bits} of {run.bits}"
    losses = [row["loss"] for row in run.record.history if "loss" in row]
    if len(losses) == 1:
        yield "trained for one epoch, which does not show whether the loss has settled", f"loss {losses[0]:.3g}"
    elif losses:
        last = max(1, len(losses) // 4)
        share = last_share(losses, last)
        if share > STILL_FALLING:
            yield (
                "the loss was still falling when training ended; more epochs may change the result",
                (f"{share:.0%} of its fall came in the last {last} of {len(losses)} epochs"),
            )


def _weak(run: ReportRun) -> Iterator[tuple[str, str]]:
    """Whether random codes would do as well, under the strictest protocol: elsewhere queries may find themselves."""
    assert run.record.diagnostics is not None
    protocol = protocols_of([run])[-1]
    scores, chance = run.scores(protocol), run.record.diagnostics.random.get(protocol, {})
    for k in headline_ks([k for k in scores if k in chance])[:1]:
        if scores[k] <= chance[k].value + SURE * chance[k].error:
            yield (
                "not above random codes",
                (f"{measure_of(protocol)}@{k} {scores[k]:.3f}, random {chance[k].value:.3f}, protocol {protocol}"),
            )


def last_share(losses: Sequence[float], last: int) -> float:
    """The share of the fall from the first to the last loss that came in the `last` epochs; 0 if it did not fall."""
    fall = losses[0] - losses[-1]
    return max(0.0, (losses[-1 - last] - losses[-1]) / fall) if fall > 0 else 0.0


def _where(cases: Sequence[tuple[ReportRun, str]]) -> str:
    lengths = ", ".join(map(str, sorted({run.bits for run, _ in cases})))
    seeds = sorted({run.record.spec.seed for run, _ in cases})
    return f"{lengths} bits, {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _range(cases: Sequence[tuple[ReportRun, str]]) -> str:
    """The figures, each once, the first three."""
    details = list(dict.fromkeys(detail for _, detail in cases))
    return "; ".join(details[:3]) + (" …" if len(details) > 3 else "")
