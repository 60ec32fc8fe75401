"""Runs without a result, results to doubt, and codes that are those of another run."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from bench.metrics.protocols import measure_of
from bench.report import escape
from bench.report.runs import ReportRun, headline_ks, protocols_of
from bench.report.tables import BITS, METHOD, NOTHING, Column, Table
from bench.store.twins import twins

SHORT = 60
"""Characters of a reason beside other results; the table of all problems has more room."""
LONG = 400
STILL_FALLING = 0.1
"""Share of the loss's whole fall that its last quarter of the epochs may bring before training looks cut short."""
LOW_ENTROPY = 0.5
"""Mean entropy of a bit, in bits, below which codes hold less than half of what they could."""
COLLAPSED = 8
"""Bits per effective bit from which codes hold next to nothing; encoders that work have 2 to 7 on the example data."""
SURE = 2.0
"""Standard errors by which a score must lie above that of random codes."""


def notes(runs: Iterable[ReportRun]) -> dict[tuple[str, int], str]:
    """The reasons for missing results, in a few words, by row label and code length."""
    seeds: dict[tuple[str, int], set[int]] = defaultdict(set)
    problems: dict[tuple[str, int], dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        key = (run.method, run.bits)
        seeds[key].add(run.record.spec.seed)
        if not run.done:
            problems[key][why(run, SHORT)].append(run.record.spec.seed)
    return {
        key: "; ".join(
            why if len(failed) == len(seeds[key]) else f"seed {', '.join(map(str, failed))} {why}"
            for why, failed in reasons.items()
        )
        for key, reasons in problems.items()
    }


def table(runs: Sequence[ReportRun]) -> Table | None:
    """All runs without a result; None where there are none."""
    rows = [
        {
            "dataset": run.dataset_title,
            "method": run.method,
            "bits": run.bits,
            "seed": run.record.spec.seed,
            "status": run.record.status,
            "reason": escape.shorten(run.record.reason or NOTHING, LONG),
        }
        for run in runs
        if not run.done
    ]
    if not rows:
        return None
    columns = [
        Column("dataset", lambda row: row["dataset"]),
        METHOD,
        BITS,
        Column("seed", lambda row: str(row["seed"])),
        Column("status", lambda row: row["status"], words=True),
        Column("reason", lambda row: row["reason"], words=True),
    ]
    return Table.of(columns, rows, name="without-result", caption="Runs without a result.")


def why(run: ReportRun, width: int) -> str:
    """The status and, in at most `width` characters, the reason."""
    reason = escape.shorten(run.record.reason or "", width)
    return f"{run.record.status}: {reason}" if reason else run.record.status


def equal_codes(runs: Sequence[ReportRun]) -> list[str]:
    """A line for every run whose codes are those of another one, which a reader must not take for two results."""
    return [f"{pair.second.record.spec.folder}: {pair.sentence}" for pair in twins(run.stored for run in runs)]


def cautions(runs: Sequence[ReportRun]) -> list[str]:
    """Reasons to doubt finished runs of one dataset: a sentence for every method and reason. Bounds have none."""
    found: dict[tuple[str, str], list[tuple[ReportRun, str]]] = defaultdict(list)
    for run in runs:
        if run.done and not run.record.bound:
            for reason, figure in _doubts(run):
                found[run.method, reason].append((run, figure))
    return [f"{method}, {_where(cases)}: {reason} ({_figures(cases)})." for (method, reason), cases in found.items()]


def _doubts(run: ReportRun) -> Iterator[tuple[str, str]]:
    """Reasons to doubt a run, each with a figure."""
    diagnostics = run.record.diagnostics
    if diagnostics is not None:
        yield from _weak(run)
        if diagnostics.constant_bits:
            yield "bits are the same for every video", f"{diagnostics.constant_bits} of {run.bits}"
        if diagnostics.copied_bits:
            yield "bits copy others", f"{diagnostics.copied_bits} of {run.bits}"
        if diagnostics.bit_entropy is not None and diagnostics.bit_entropy < LOW_ENTROPY:
            yield "bits are nearly the same for every video", f"mean entropy {diagnostics.bit_entropy:.2f} of 1"
        if diagnostics.effective_bits is not None and diagnostics.effective_bits < min(4, run.bits / COLLAPSED):
            yield "the codes collapsed: bits tell nearly the same", f"{diagnostics.effective_bits:.1f} effective bits"
    losses = [row["loss"] for row in run.record.history if "loss" in row]
    if len(losses) == 1:
        yield "trained for one epoch, which does not show whether the loss has settled", f"loss {losses[0]:.3g}"
    elif losses:
        last = max(1, len(losses) // 4)
        share = last_share(losses, last)
        if share > STILL_FALLING:
            yield (
                "the loss was still falling when training ended; more epochs may change the result",
                f"{share:.0%} of its fall came in the last {f'{last} ' if last > 1 else ''}of {len(losses)} epochs",
            )


def _weak(run: ReportRun) -> Iterator[tuple[str, str]]:
    """Whether random codes do as well, under the strictest protocol: elsewhere queries may find themselves."""
    assert run.record.diagnostics is not None
    protocol = protocols_of([run])[-1]
    scores, chance = run.scores(protocol), run.record.diagnostics.random.get(protocol, {})
    for k in headline_ks([k for k in scores if k in chance])[:1]:
        if scores[k] <= chance[k].value + SURE * chance[k].error:
            yield (
                "not above random codes",
                f"{measure_of(protocol)}@{k} {scores[k]:.3f}, random {chance[k].value:.3f}, protocol {protocol}",
            )


def last_share(losses: Sequence[float], last: int) -> float:
    """The share of the fall from the first to the last loss that came in the `last` epochs; 0 if it did not fall."""
    fall = losses[0] - losses[-1]
    return max(0.0, (losses[-1 - last] - losses[-1]) / fall) if fall > 0 else 0.0


def _where(cases: Sequence[tuple[ReportRun, str]]) -> str:
    lengths = ", ".join(map(str, sorted({run.bits for run, _ in cases})))
    seeds = sorted({run.record.spec.seed for run, _ in cases})
    return f"{lengths} bits, {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"


def _figures(cases: Sequence[tuple[ReportRun, str]]) -> str:
    """The first three figures, each once."""
    figures = list(dict.fromkeys(figure for _, figure in cases))
    return "; ".join(figures[:3]) + (" …" if len(figures) > 3 else "")
