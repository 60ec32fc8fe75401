"""The table and curves of all that an evaluation stores beside mAP@k, as `Scores` declares it."""

from collections.abc import Callable, Sequence

import pandas as pd

from bench.base.quantity import Quantity
from bench.base.text import slug
from bench.report import frames, problems, quality
from bench.report.frames import OTHER_METRICS
from bench.report.runs import ReportRun, protocols_phrase, rows_by_bits
from bench.report.tables import (
    BITS,
    METHOD,
    NOTHING,
    SEEDS,
    Column,
    Row,
    Table,
    note_column,
    number,
    rows_for,
    several_seeds,
)

BY = ("dataset", "protocol", "method", "bound", "bits", "k")


def table(runs: Sequence[ReportRun], group: Sequence[str], k: int) -> Table:
    """The metrics at cut-off `k`, those of the whole ranking, and those within a radius. `runs`: one dataset.

    `group` are protocols that give the same values, from `quality.equal_protocols` of `frames.other_metrics`.
    """
    observed = quality.select(frames.other_metrics(runs, k), protocol=group[0])
    frame = frames.over_seeds(observed, BY, spread=list(OTHER_METRICS))
    rows = rows_for(rows_by_bits(runs), frame)
    # Records of earlier versions lack what was added since.
    known = {name: quantity for name, quantity in OTHER_METRICS.items() if frame.empty or frame[name].notna().any()}
    return Table.of(
        [
            METHOD,
            BITS,
            *(
                Column(title, _value(name, quantity), about={"metric": title})
                for name, quantity in known.items()
                for title in [quantity.title.replace("@k", f"@{k}")]
            ),
            SEEDS,
            note_column(problems.notes(runs)),
        ],
        rows,
        name=f"{runs[0].dataset}-{slug(group[0])}-other-metrics",
        caption=f"Other metrics on {runs[0].dataset_title}, {protocols_phrase(group)}.",
        frame=frame,
        notes=[
            *(quality.protocol_sentence(runs, protocol) for protocol in group),
            "These metrics are the same under every protocol." if len(group) > 1 else "",
            quality.seeds_sentence(runs) if several_seeds(rows) else "",
            *(quantity.note for quantity in known.values()),
        ],
    )


def curves(runs: Sequence[ReportRun], protocol: str) -> pd.DataFrame:
    """Precision and recall within every Hamming radius, over seeds. `runs`: one dataset."""
    by = ("dataset", "protocol", "method", "bound", "bits", "radius")
    return frames.over_seeds(frames.precision_recall(runs, protocol), by, spread=["precision"], mean=["recall"])


def share(mean: float, std: float = float("nan")) -> str:
    """`12.5 %`, or `12.5 ± 0.4 %`; a dash where there is no value."""
    shown = number(100 * mean, 100 * std, decimals=1)
    return shown if shown == NOTHING else f"{shown} %"


def _value(name: str, quantity: Quantity) -> Callable[[Row], str]:
    shape = share if quantity.unit == "%" else number
    return lambda row: shape(row[name], row[f"{name}_std"])
