"""The literature's numbers for a dataset, in tables of their own: never averaged, ranked, marked or plotted."""

from collections.abc import Sequence

import pandas as pd

from bench.published import PROTOCOL, PublishedScore, dataset_title, published, test_set_sentence
from bench.report.render import Cell, Table, number
from bench.report.runs import ReportRun

NEAREST_PROTOCOL = "paper"
"""The protocol whose tables they stand beside. The papers' code orders ties otherwise, and some of its codes differ."""
PROTOCOL_LABEL = "papers' code"


def tables(runs: Sequence[ReportRun], bits: int, ks: Sequence[int]) -> list[Table]:
    """Published mAP@k of the dataset of `runs` at one code length; nothing where there is none, or for stand-in data.

    Only cut-offs in `ks` are shown, so that columns are those of the measured table beside.
    """
    data = runs[0].record.dataset
    title = dataset_title(data.name)
    if title is None or data.stand_in:
        return []
    scores = [score for score in published(dataset=title, bits=bits) if score.k in ks]
    return [_table(runs[0].dataset, title, bits, scores)] if scores else []


def _table(dataset: str, title: str, bits: int, scores: Sequence[PublishedScore]) -> Table:
    frame = pd.DataFrame([vars(score) for score in scores]).assign(protocol=PROTOCOL_LABEL)
    ks = sorted({score.k for score in scores})
    numbers = {source: index for index, source in enumerate(dict.fromkeys(frame["source"]), start=1)}
    rows = []
    for (method, source), group in frame.groupby(["method", "source"], sort=False):
        values = group.set_index("k")["map"].reindex(ks)
        kind = str(group["source_kind"].iloc[0]).replace("_", " ")
        texts = [str(method), *(number(values[k]) for k in ks), PROTOCOL_LABEL, f"{kind} [{numbers[str(source)]}]"]
        rows.append([Cell(text, italic=True) for text in texts])
    return Table(
        name=f"{dataset}-published-{bits}-bits",
        caption=f"Published mAP@k on {title} at {bits} bits; not measured here.",
        header=["published", *(f"mAP@{k}" for k in ks), "protocol", "source"],
        rows=rows,
        frame=frame,
        words=frozenset({"protocol", "source"}),
        notes=(
            f"Published, not measured here: a row for every source, as it stands there. Protocol {PROTOCOL_LABEL}: "
            f"{PROTOCOL}",
            "; ".join(f"[{index}] {source}" for source, index in numbers.items()) + ".",
            *filter(None, [test_set_sentence(scores)]),
        ),
    )
