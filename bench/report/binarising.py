"""The table of what taking signs costs: codes beside the relaxed outputs that they are the signs of."""

from collections.abc import Callable, Sequence

import pandas as pd

from bench.metrics.protocols import measure_of
from bench.report import frames
from bench.report.runs import ReportRun, headline_ks, protocols_of
from bench.report.tables import BITS, METHOD, SEEDS, Column, Row, Table, number, several_seeds

BY = ("dataset", "protocol", "method", "bound", "bits", "k")
VALUES = ("codes", "relaxed", "difference")


def table(runs: Sequence[ReportRun]) -> Table | None:
    """Scores of codes and of relaxed outputs under the strictest protocol; None where no run of a dataset has both."""
    scored = [run for run in runs if run.record.relaxed]
    if not scored:
        return None
    protocol = protocols_of(scored)[-1]
    k = headline_ks(list(scored[0].scores(protocol)))[0]
    frame = frames.over_seeds(observed(scored, protocol, k), BY, spread=VALUES)
    rows: Sequence[Row] = frame.to_dict("records")
    measure = f"{measure_of(protocol)}@{k}"
    titles = (f"{measure} of codes", f"{measure} of relaxed outputs", "difference")
    columns = [Column(title, _value(name)) for title, name in zip(titles, VALUES, strict=True)]
    return Table.of(
        [METHOD, BITS, *columns, SEEDS],
        rows,
        name=f"{runs[0].dataset}-binarising",
        caption=f"What taking signs costs on {runs[0].dataset_title}, protocol {protocol}.",
        frame=frame,
        notes=[
            "Relaxed outputs are the real numbers whose signs are the codes; they rank by their cosine, and do not "
            "compete with codes. Difference: codes less relaxed outputs.",
            "Mean ± standard deviation over seeds." if several_seeds(rows) else "",
        ],
    )


def observed(runs: Sequence[ReportRun], protocol: str, k: int) -> pd.DataFrame:
    """Both scores of every run, and their difference."""
    pairs = [(run, run.scores(protocol).get(k), (run.record.relaxed or {}).get(protocol, {}).get(k)) for run in runs]
    rows = [
        {
            **frames.identify(run),
            "protocol": protocol,
            "k": k,
            "codes": codes,
            "relaxed": relaxed,
            "difference": codes - relaxed,
        }
        for run, codes, relaxed in pairs
        if codes is not None and relaxed is not None
    ]
    return pd.DataFrame(rows, columns=[*BY, "seed", *VALUES])


def _value(name: str) -> Callable[[Row], str]:
    return lambda row: number(row[name], row[f"{name}_std"])
