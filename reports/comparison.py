"""A paper's main comparison: methods on its datasets, at its code lengths and k, measured beside published.

The published numbers are those of many sources; of each number the most trusted one stands in the tables.
"""

import math
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase
from typing import ClassVar

from bench.base.text import slug
from bench.data.dataset import DatasetSource, Summary
from bench.registry import Registry
from bench.registry.published_only import published_only
from bench.report.document import Document
from bench.report.escape import markdown
from bench.report.published import PROTOCOL as PUBLISHED_PROTOCOL
from bench.report.published import (
    PaperScore,
    PublishedScore,
    dataset_title,
    published,
    test_set_sentence,
)
from bench.report.recipe import Need, Recipe, Results, Row
from bench.report.runs import stand_in_phrase
from bench.report.tables import Table

from .beside import HOW_TO_READ, Beside, beside, like_with_like, quality_table
from .claims import NOT_SAID, best, caution, count
from .panels import add_panels

COMPARED_IN = "github.com/EliSpectre/CVPR25-AutoSSVH/issues/2"
"""The one table at hand that has these methods side by side."""
OF_ONE_TABLE = frozenset({"github_issue", "other_paper"})
"""Kinds of the sources that give that table or copy it."""
NOT_BUILT_IN = "no such method is built in"

Cell = tuple[str, int, int]
"""Label of a row, code length, k."""


@dataclass(frozen=True)
class Comparison:
    """The rows of a comparison, by their names in the literature, and what is claimed of the paper's own."""

    own: str
    rows: tuple[str, ...]
    """The earliest first; the last is the paper's own."""
    bits: tuple[int, ...]
    ks: tuple[int, ...]
    datasets: tuple[str, ...]
    """The literature's names; numbers on the first stand beside those of datasets that nobody published any on."""
    origin: str
    """Sentences on where rows and claims are from."""

    def need(self, artefact: str, registry: Registry, methods: Collection[str]) -> Need:
        """The runs of the rows that can be run here, of these methods alone where any are named.

        Raises:
            InputError: a method is unknown or has published numbers only, or there is no row of any of the methods.
        """
        for method in methods:
            registry.method(method)
        return Need(artefact, tuple(self._measurable(registry)), self.bits).only(methods)

    def compose(
        self, document: Document, results: Results, sources: Sequence[DatasetSource], registry: Registry
    ) -> None:
        """A section for each dataset, with a table for each code length and the claims; then the panels."""
        measurable = {row.label for row in self._measurable(registry)}
        shown = {row.label for row in results.need.rows}
        # Whoever names methods wants no others.
        labels = [label for label in self.rows if label in shown or (shown == measurable and label not in measurable)]
        tested = test_set_sentence(score for score in published() if score.method in labels)
        document.add("## How to read this", HOW_TO_READ, markdown(" ".join([self.origin, PUBLISHED_PROTOCOL, tested])))
        names = ",".join(map(slug, self.datasets))
        document.add(f"All datasets of the comparison: `bench reproduce {results.need.name} --datasets {names}`.")
        lines = [f"- {markdown(f'{label}: {_why(label)}.')}" for label in labels if label not in shown]
        if lines:
            document.add("Published only, not run here:", "\n".join(lines))
        found = {_identity(group.all[0].record.dataset): group for group in results.by_dataset().values()}
        sentences: list[str] = []
        for source in sources:
            summary = source.summary()
            here = found.get(_identity(summary), Results(results.need, {}))
            sentences += self._section(document, here, summary, labels, registry)
        if caution(sentences):
            document.add("## How the claims were checked", markdown(caution(sentences)))
        document.add("## mAP@k panels")
        add_panels(document, results)

    def _section(
        self, document: Document, results: Results, summary: Summary, labels: Sequence[str], registry: Registry
    ) -> list[str]:
        """The tables and claims of one dataset; the sentences of the claims."""
        reference = dataset_title(summary.name) or self.datasets[0]
        scores = published(dataset=reference)
        trusted = _first(scores)
        said = [
            PaperScore(label, bits, k, trusted[label, bits, k].map if (label, bits, k) in trusted else math.nan)
            for label in labels
            for bits in self.bits
            for k in self.ks
        ]
        shown = beside(results, said, reference, like_with_like(summary, reference))
        cells = zip(shown.frame["label"], shown.frame["bits"], shown.frame["k"], strict=True)
        origins = [trusted.get(cell) for cell in cells]
        shown = replace(
            shown,
            frame=shown.frame.assign(source=["" if origin is None else origin.source for origin in origins]),
            where="in the published numbers",
        )
        document.add_section(stand_in_phrase(summary) if summary.stand_in else summary.title)
        for bits in self.bits:
            document.add(f"### {bits} bits")
            document.add_table(self._table(shown, bits, results.all[0].dataset if results.all else slug(summary.name)))
        settings = results.conditions(registry)
        if self.own not in labels:
            document.add(*[markdown(settings)] * bool(settings))
            return []
        one_table = _first([score for score in scores if score.source_kind in OF_ONE_TABLE])
        document.add(
            markdown(
                f"Of these rows {self.own} is the highest published on {reference} {self._highest(trusted, labels)} by "
                f"the most trusted source of each number, and {self._highest(one_table, labels)} by the table of "
                f"{COMPARED_IN}."
            )
        )
        sentences = self._claims(shown)
        if not settings or not sentences:
            document.add(*[markdown(settings)] * bool(settings))
            return []
        document.add(
            "What these numbers claim, checked on the measured ones:",
            "\n".join(f"- {markdown(line)}" for line in sentences),
            f"They hold for these settings. {markdown(settings)}",
        )
        return sentences

    def _table(self, shown: Beside, bits: int, dataset: str) -> Table:
        part = replace(shown, frame=shown.frame[shown.frame["bits"] == bits])
        sources = [source for source in dict.fromkeys(part.frame["source"]) if source]
        marks = dict(zip(sources, ascii_lowercase, strict=False))
        given = "; ".join(f"[{mark}] {source}" for source, mark in marks.items()) or "nothing"
        caption = f"{self.own} and earlier methods, {{conditions}}."
        return quality_table(part, f"{dataset}-{bits}-bits", "method", caption, given, marks)

    def _claims(self, shown: Beside) -> list[str]:
        """At each code length: better than each of the others, and best at every k."""
        pairs = [(self.own, row.label) for row in shown.results.need.rows if row.label != self.own]
        lines = []
        for bits in self.bits if pairs else ():
            lines.append(count(f"{self.own} is better than each of the others", shown, pairs, bits))
            lines.append(best(f"{self.own} is best at every k", shown, pairs, bits, self.ks))
        return lines

    def _highest(self, scores: Mapping[Cell, PublishedScore], labels: Sequence[str]) -> str:
        """At how many code lengths and k the own row is above all others that have a number there."""
        won = []
        for bits in self.bits:
            for k in self.ks:
                cells = {label: scores[label, bits, k].map for label in labels if (label, bits, k) in scores}
                if self.own in cells and len(cells) > 1:
                    won.append(all(cells[self.own] > score for label, score in cells.items() if label != self.own))
        return f"at {sum(won)} of {len(won)} code lengths and k" if won else f"at none ({NOT_SAID})"

    def _measurable(self, registry: Registry) -> list[Row]:
        return [Row(label, slug(label)) for label in self.rows if slug(label) in registry.methods]


class ComparisonPaper(Recipe):
    """A recipe with one artefact of its own name, a comparison; a subclass names it."""

    all_datasets: ClassVar[bool] = True

    @property
    @abstractmethod
    def comparison(self) -> Comparison:
        """Its rows and what is claimed of them."""

    def needs(self, artefact: str, registry: Registry, methods: Collection[str] = ()) -> list[Need]:
        """The runs of the rows that can be run here; see `Comparison.need` for errors."""
        return [self.comparison.need(artefact, registry, methods)]

    def compose(
        self, document: Document, results: Mapping[str, Results], sources: Sequence[DatasetSource], registry: Registry
    ) -> None:
        """A section for each dataset, then the panels of all."""
        self.comparison.compose(document, results[self.name], sources, registry)


def _first(scores: Sequence[PublishedScore]) -> dict[Cell, PublishedScore]:
    """Of the scores of a cell the first, which is the most trusted."""
    found: dict[Cell, PublishedScore] = {}
    for score in scores:
        found.setdefault((score.method, score.bits, score.k), score)
    return found


def _why(label: str) -> str:
    only = published_only().get(slug(label))
    return NOT_BUILT_IN if only is None else only.why


def _identity(summary: Summary) -> tuple[str, str]:
    return summary.name, summary.fingerprint
