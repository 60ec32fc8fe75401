"""The document's sections: every artefact asked for, with its protocol, and the claims a reader can check."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import pandas as pd

from bench.base.text import slug
from bench.data.dataset import Dataset, DatasetSource, Summary
from bench.registry import Registry
from bench.report.document import Document
from bench.report.escape import markdown
from bench.report.figures import Plot
from bench.report.published import PAPER_DATASET, dataset_title, published
from bench.report.published import PROTOCOL as PUBLISHED_PROTOCOL
from bench.report.recipe import Results
from bench.report.tables import Cell, Table, number

from ..beside import HOW_TO_READ, Beside, like_with_like
from ..claims import caution
from ..panels import add_panels
from .claims import backbone_claims, cost_claims, loss_claims
from .cost_table import cost_table
from .embedding import embedding_plot
from .quality_tables import backbone_table, loss_table, paper_table
from .retrieval import retrieval_plot

FOOTNOTES = "abcdefghijklmnopqrstuvwxyz"
ANOTHER_DATASET = (
    f"**The paper's own tables are of {PAPER_DATASET}, another dataset.** Its numbers stand beside as a "
    "reference only: look at which rows are better than which, not at how far measured and published lie apart."
)
NINE_PANELS = (
    "The paper's nine panels are of three datasets: `bench reproduce panels --datasets fcvid,activitynet,yfcc` draws "
    "all of them as one figure."
)


class Composition:
    """The document as it grows, from results by the name of their need."""

    def __init__(
        self, document: Document, results: Mapping[str, Results], source: DatasetSource, registry: Registry
    ) -> None:
        self.document = document
        self._results = results
        self._source = source
        self._registry = registry
        self._summary: Summary = source.summary()
        self._comparable = like_with_like(self._summary, PAPER_DATASET)

    @cached_property
    def _data(self) -> Dataset:
        """Read only where a figure needs it: tables come from the records alone."""
        return self._source.load()

    def compose(self) -> None:
        """Add everything there are results for."""
        if not self._comparable:
            self.document.add(ANOTHER_DATASET)
        self.document.add("## How to read this", HOW_TO_READ)
        if "table1" in self._results:
            shown = paper_table(self._results["table1"], 1, self._comparable)
            self.document.add("## Table 1: backbones")
            self.document.add_table(backbone_table(shown))
            self._quality_claims(shown, backbone_claims(shown))
        if "table2" in self._results:
            shown = paper_table(self._results["table2"], 2, self._comparable)
            self.document.add("## Table 2: losses")
            self.document.add_table(loss_table(shown))
            self.document.add("The quantisation loss keeps its default weight in every row.")
            self._quality_claims(shown, loss_claims(shown))
        if "table3" in self._results:
            self.document.add("## Table 3: cost")
            self.document.add_table(cost_table(self._results["table3"], self._comparable))
            self._claims(self._results["table3"], cost_claims(self._results["table3"]))
        if "panels" in self._results:
            self._panels(self._results["panels"])
            self._figure("Feature distributions", self._results["embedding"], self._embedding)
            self._figure("Retrieved results", self._results["retrieval"], self._retrieval)

    def _quality_claims(self, shown: Beside, sentences: list[str]) -> None:
        self._claims(shown.results, sentences)
        words = caution(sentences)
        if words:
            self.document.add(markdown(words))

    def _claims(self, results: Results, sentences: list[str]) -> None:
        settings = results.conditions(self._registry)
        if not settings:
            return
        self.document.add(
            "The paper's claims, checked on the measured numbers:",
            "\n".join(f"- {markdown(line)}" for line in sentences),
            f"They hold for these settings. {markdown(settings)}",
        )

    def _panels(self, results: Results) -> None:
        self.document.add("## mAP@k panels")
        add_panels(self.document, results)
        self.document.add(NINE_PANELS)
        reference = reference_dataset(self._summary)
        same = slug(reference) == slug(self._summary.name) and not self._summary.stand_in
        which = "" if same else f" ({markdown(self._summary.title)} has none; another dataset, for reference only)"
        self.document.add(f"### Published on {markdown(reference)}{which}")
        for bits in results.need.bits:
            self.document.add(f"#### {bits} bits")
            self.document.add_table(published_panel(reference, bits, same))

    def _figure(self, title: str, results: Results, draw: Callable[[Results], Plot | None]) -> None:
        self.document.add(f"## {title}")
        plot = draw(results)
        if plot is None:
            self.document.add(
                "No figure: it needs finished runs of all its methods with the same seed, and enough labelled queries."
            )
        else:
            self.document.add_plot(plot)

    def _embedding(self, results: Results) -> Plot | None:
        return embedding_plot(results, self._data, self._registry)

    def _retrieval(self, results: Results) -> Plot | None:
        return retrieval_plot(results, self._data)


def reference_dataset(summary: Summary) -> str:
    """The dataset of the published numbers: the measured one, or FCVID where nobody published any on it."""
    return dataset_title(summary.name) or PAPER_DATASET


def published_panel(dataset: str, bits: int, comparable: bool) -> Table:
    """Published mAP@k at one code length, a row for every method and source; never averaged or ranked."""
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
