"""The MCMSH paper's tables and figures (Hao et al., ACM MM 2022), measured beside published."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar

from bench.base.errors import InputError
from bench.data.dataset import DatasetSource
from bench.registry import Registry
from bench.report.document import Document
from bench.report.published import published_methods
from bench.report.recipe import Need, Recipe, Results, Row

from .document import Composition
from .rows import EMBEDDING, PANEL_BITS, RETRIEVAL, TABLES


class McmshPaper(Recipe):
    """Tables 1 to 3, and as `figures` the mAP@k panels, the feature distributions and the retrieved results."""

    name: ClassVar[str] = "mcmsh"
    title: ClassVar[str] = "The MCMSH paper's tables and figures, reproduced"
    artefacts: ClassVar[tuple[str, ...]] = (*TABLES, "figures")

    def needs(self, artefact: str, registry: Registry, methods: Collection[str] = ()) -> list[Need]:
        """The runs of an artefact, of these methods alone where any are named.

        The panels show every method here that the literature has numbers of, or the named ones; so does the figure of
        retrieved results, which else shows the paper's two.

        Raises:
            InputError: a table has no row of any of the methods.
        """
        if artefact in TABLES:
            table = TABLES[artefact]
            rows = tuple(row for row in table.rows if not methods or row.method in methods)
            if not rows:
                known = ", ".join(dict.fromkeys(row.method for row in table.rows))
                raise InputError(f"--methods {','.join(methods)}: {artefact} has no row of these; it has {known}")
            return [replace(table, rows=rows)]
        named = tuple(Row(method, method) for method in methods)
        compared = sorted(published_methods() & set(registry.methods))
        panels = named or tuple(Row(method, method) for method in compared)
        # Both halves of the figure, or none.
        whole = not methods or {row.method for row in EMBEDDING.rows} <= {*methods}
        return [
            Need("panels", panels, PANEL_BITS),
            EMBEDDING if whole else replace(EMBEDDING, rows=()),
            replace(RETRIEVAL, rows=named or RETRIEVAL.rows),
        ]

    def compose(
        self, document: Document, results: Mapping[str, Results], source: DatasetSource, registry: Registry
    ) -> None:
        """Tables with their claims, then figures."""
        Composition(document, results, source, registry).compose()
