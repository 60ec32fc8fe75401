"""The paper's mAP@k panels: curves of what was measured here, and in tables of their own what others published."""

from collections.abc import Sequence

import pandas as pd

from bench.data.dataset import Summary
from bench.paper.artefacts import Results
from bench.paper.measured import PROTOCOL
from bench.report import quality
from bench.report.figures import Plot, assign
from bench.report.plots import map_at_k
from bench.report.published import PAPER_DATASET, dataset_title, published
from bench.report.published import PROTOCOL as PUBLISHED_PROTOCOL
from bench.report.runs import bounds_of, methods_of
from bench.report.tables import Cell, Table, number
from bench.text import slug

FOOTNOTES = "abcdefghijklmnopqrstuvwxyz"


def measured_panels(results: Results) -> Plot | None:
    """mAP@k over k, a panel for each code length; None where nothing was measured."""
    runs = [run for run in results.all if run.done]
    if not runs:
        return None
    scores = quality.select(quality.aggregate(runs), protocol=PROTOCOL)
    # A record just made and the same record read back list their k in different orders.
    scores = scores.sort_values(["bits", "k"], kind="stable", ignore_index=True)
    title = f"{runs[0].dataset_title} under protocol {PROTOCOL}, measured"
    return map_at_k("panels", title, scores, assign(methods_of(runs), bounds_of(runs)))


def reference_dataset(summary: Summary) -> str:
    """Whose published numbers stand beside: those of the measured dataset, or FCVID's where nobody published any."""
    return dataset_title(summary.name) or PAPER_DATASET


def published_panel(dataset: str, bits: int, comparable: bool) -> Table:
    """Published mAP@k at one code length, a row for every method and source; never averaged, ranked or plotted."""
    scores = published(dataset=dataset, bits=bits)
    frame = pd.DataFrame([vars(score) for score in scores])
    ks = sorted({score.k for score in scores})
    marks = _footnotes([score.source for score in scores])
    rows = []
    for (method, source), group in frame.groupby(["method", "source"], sort=False):
        values = group.set_index("k")["map"].reindex(ks)
        rows.append([Cell(str(method), mark=marks[str(source)]), *(Cell(number(values[k])) for k in ks)])
    reference = "" if comparable else " Another dataset than the measured one: for reference only."
    return Table(
        name=f"published-{slug(dataset)}-{bits}-bits",
        caption=f"Published mAP@k on {dataset} at {bits} bits.",
        header=["published", *(f"mAP@{k}" for k in ks)],
        rows=rows,
        frame=frame,
        notes=(
            f"Published, not measured here. {PUBLISHED_PROTOCOL}{reference}",
            *(f"{mark}: {source}" for source, mark in marks.items()),
        ),
    )


def _footnotes(sources: Sequence[str]) -> dict[str, str]:
    """A letter for every source, in order of first appearance."""
    return dict(zip(dict.fromkeys(sources), FOOTNOTES, strict=False))
