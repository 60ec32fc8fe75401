"""`paper.md`: every artefact asked for, with its protocol, dataset, seeds, and the claims a reader can check."""

from collections.abc import Callable, Mapping
from functools import cached_property

from bench.data.dataset import Dataset, DatasetSource, Summary
from bench.paper.artefacts import Results
from bench.paper.claims import backbone_claims, caution, cost_claims, loss_claims
from bench.paper.conditions import conditions
from bench.paper.cost_table import cost_table
from bench.paper.embedding import embedding_plot
from bench.paper.measured import Beside, beside, like_with_like
from bench.paper.panels import measured_panels, published_panel, reference_dataset
from bench.paper.retrieval import retrieval_plot
from bench.paper.runs_table import runs_table
from bench.paper.tables import backbone_table, loss_table, seeds_phrase
from bench.registry import Registry
from bench.report.document import Document
from bench.report.escape import markdown
from bench.report.figures import Plot
from bench.report.published import PAPER_DATASET
from bench.text import slug

MARKER = "<!-- rendered by vhbench from stored results; `bench reproduce` writes it anew -->"
FILE = "paper.md"
HOW_TO_READ = """\
- **Measured** rows come from runs made and stored here; their number of seeds stands under every table.
- **Published** rows are copied from the source named under the table. They are never averaged, ranked or plotted.
- **Difference** (measured minus published) is shown only where both are of the same dataset under the same protocol."""
NINE_PANELS = (
    "The paper's nine panels are of three datasets: `bench reproduce figures --datasets fcvid,activitynet,yfcc` makes "
    "three each, from their files."
)


class Paper:
    """The document as it is composed, from results by the name of their need."""

    def __init__(self, results: Mapping[str, Results], source: DatasetSource, registry: Registry) -> None:
        self._results = results
        self._source = source
        self._registry = registry
        self._summary: Summary = source.summary()
        self._comparable = like_with_like(self._summary)
        self.document = Document()

    @cached_property
    def _data(self) -> Dataset:
        """Read only where a figure needs it: tables come from the records alone."""
        return self._source.load()

    def compose(self) -> Document:
        """Everything there are results for. Plots must be drawn within `bench.report.figures.settings()`."""
        self.document.add(MARKER, "# The MCMSH paper's tables and figures, made again", *self._overview())
        self.document.add("## How to read this", HOW_TO_READ)
        if "table1" in self._results:
            shown = beside(self._results["table1"], 1, self._comparable)
            self.document.add("## Table 1: backbones")
            self.document.add_table(backbone_table(shown))
            self._quality_claims(shown, backbone_claims(shown))
        if "table2" in self._results:
            shown = beside(self._results["table2"], 2, self._comparable)
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
        self.document.add("## Runs")
        self.document.add_table(runs_table(self._results.values()))
        return self.document

    def _overview(self) -> list[str]:
        data = self._summary
        search = "searched among themselves" if data.self_search else f"against a gallery of {data.gallery_videos:,}"
        sentence = (
            f"Measured on **{markdown(data.title)}** (`{data.name}`): {data.train_videos:,} training videos, "
            f"{data.query_videos:,} queries {search}; {data.frames} frames × {data.dimensions:,} dimensions; "
            f"{data.classes:,} classes; data fingerprint `{data.fingerprint[:12]}`."
        )
        if self._comparable:
            return [sentence]
        warning = (
            f"**The paper's own tables are of {PAPER_DATASET}, another dataset.** Its numbers stand beside as a "
            "reference only: look at which rows are better than which, not at how far measured and published lie apart."
        )
        return [sentence, warning]

    def _quality_claims(self, shown: Beside, sentences: list[str]) -> None:
        self._claims(shown.results, sentences)
        words = caution(sentences)
        if words:
            self.document.add(markdown(words))

    def _claims(self, results: Results, sentences: list[str]) -> None:
        settings = conditions(results, self._registry)
        if not settings:
            return
        self.document.add(
            "The paper's claims, checked on the measured numbers:",
            "\n".join(f"- {markdown(line)}" for line in sentences),
            f"They hold for these settings. {markdown(settings)}",
        )

    def _panels(self, results: Results) -> None:
        self.document.add("## mAP@k panels")
        plot = measured_panels(results)
        if plot is None:
            self.document.add("No curves: none of the runs has a result.")
        else:
            self.document.add_plot(plot)
            self.document.add(f"Measured, {seeds_phrase(results)}. {NINE_PANELS}")
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
