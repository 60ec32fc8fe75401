"""The MCMSH paper's tables and figures (Hao et al., ACM MM 2022), measured beside published."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from bench.data.dataset import DatasetSource
from bench.registry import Registry
from bench.report.document import Document
from bench.report.recipe import Need, Recipe, Results, Row

from ..panels import panels_need
from .document import Composition
from .rows import EMBEDDING, RETRIEVAL, TABLES


class McmshPaper(Recipe):
    """Tables 1 to 3, and as `figures` the mAP@k panels, the feature distributions and the retrieved results."""

    name: ClassVar[str] = "mcmsh"
    title: ClassVar[str] = "The MCMSH paper's tables and figures, reproduced"
    artefacts: ClassVar[tuple[str, ...]] = (*TABLES, "figures")

    def needs(self, artefact: str, registry: Registry, methods: Collection[str] = ()) -> list[Need]:
        """The runs of an artefact, of these methods alone where any are named.

        The panels show the methods that `panels_need` says, or the named ones; so does the figure of retrieved results,
        which else shows the paper's two.

        Raises:
            InputError: a table has no row of any of the methods.
        """
        if artefact in TABLES:
            return [TABLES[artefact].only(methods)]
        named = tuple(Row(method, method) for method in methods)
        # Both halves of the figure, or none.
        whole = not methods or {row.method for row in EMBEDDING.rows} <= {*methods}
        return [
            panels_need(registry, methods),
            EMBEDDING if whole else replace(EMBEDDING, rows=()),
            replace(RETRIEVAL, rows=named or RETRIEVAL.rows),
        ]

    def compose(
        self, document: Document, results: Mapping[str, Results], sources: Sequence[DatasetSource], registry: Registry
    ) -> None:
        """Tables with their claims, then figures."""
        (source,) = sources
        Composition(document, results, source, registry).compose()
