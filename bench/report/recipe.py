"""A report recipe: a paper's tables and figures, the runs that they need, and their document."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import ClassVar

from bench.base.errors import InputError
from bench.base.text import closest, one_line
from bench.data.dataset import DatasetSource
from bench.encoding.fitting import resolve_parameters
from bench.registry import Kind, Registry
from bench.report.document import Document
from bench.report.runs import ReportRun, seeds_of


@dataclass(frozen=True)
class Row:
    """A row of a paper: its label there, the method here, and the parameters that differ from the defaults."""

    label: str
    method: str
    parameters: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True)
class Need:
    """The runs of one table or figure: every row at every code length. The user chooses dataset and seeds."""

    name: str
    rows: tuple[Row, ...]
    bits: tuple[int, ...]

    def only(self, methods: Collection[str]) -> "Need":
        """The runs of these methods alone, if any are named. Raises InputError if there is no row of any of them."""
        rows = tuple(row for row in self.rows if not methods or row.method in methods)
        if not rows:
            known = ", ".join(dict.fromkeys(row.method for row in self.rows))
            raise InputError(f"--methods {','.join(methods)}: {self.name} has no row of these; it has {known}")
        return replace(self, rows=rows)


@dataclass(frozen=True)
class Results:
    """The stored runs of a need, failed ones among them; runs that were left out are missing."""

    need: Need
    runs: Mapping[tuple[str, int], Sequence[ReportRun]]
    """By row label and code length."""

    def by_dataset(self) -> "dict[str, Results]":
        """The results on each dataset, by its key."""
        return {
            dataset: Results(
                self.need,
                {key: [run for run in group if run.dataset == dataset] for key, group in self.runs.items()},
            )
            for dataset in dict.fromkeys(run.dataset for run in self.all)
        }

    def done(self, label: str, bits: int) -> list[ReportRun]:
        """The finished runs of a row at a code length, by seed."""
        return [run for run in self.runs.get((label, bits), ()) if run.done]

    def of_one_seed(self, bits: int) -> dict[str, ReportRun]:
        """A run of every row, all of the first seed that every row finished; empty where there is no such seed."""
        rows = {row.label: {run.record.spec.seed: run for run in self.done(row.label, bits)} for row in self.need.rows}
        shared = set.intersection(*(set(by_seed) for by_seed in rows.values())) if rows else set()
        return {label: by_seed[min(shared)] for label, by_seed in rows.items()} if shared else {}

    @property
    def all(self) -> list[ReportRun]:
        """All of them, in the order of the rows."""
        return [run for group in self.runs.values() for run in group]

    def conditions(self, registry: Registry) -> str:
        """Seeds, code lengths, machine, and parameters that are not the methods' defaults; "" where nothing is done."""
        done = [run for run in self.all if run.done]
        if not done:
            return ""
        seeds = seeds_of(done)
        rows: dict[str, list[str]] = defaultdict(list)
        for row in self.need.rows:
            runs = [run for bits in self.need.bits for run in self.done(row.label, bits)]
            if runs:
                rows[_changed(row, runs[0], registry)].append(row.label)
        changed = [text if len(rows) == 1 else f"{', '.join(labels)}: {text}" for text, labels in rows.items()]
        *shorter, longest = map(str, self.need.bits)
        lengths = " and ".join([*[", ".join(shorter)] * bool(shorter), longest])
        return (
            f"{'Seeds' if len(seeds) > 1 else 'One seed:'} {', '.join(map(str, seeds))}; "
            f"{lengths} bits; {one_line(', '.join(sorted({run.machine for run in done})))}; "
            f"parameters, where they are not the methods' defaults: {'; '.join(changed)}."
        )


def _changed(row: Row, run: ReportRun, registry: Registry) -> str:
    """The parameters that are not the method's defaults, but for those that make the row what it is."""
    method = registry.method(row.method)
    defaults = resolve_parameters(method, run.record.dataset, {}, {}).model_dump(mode="json")
    changed = {
        name: value
        for name, value in run.record.spec.parameters.items()
        if name not in row.parameters and value != defaults.get(name)
    }
    shown = [f"{name}={value} (default {defaults.get(name)})" for name, value in changed.items()]
    return one_line(", ".join(shown)) or "none"


class Recipe(ABC):
    """A paper's tables and figures, reproduced on any dataset with labels.

    A subclass names its artefacts, says which runs each needs, and writes about their results. `bench reproduce` plans
    and does the runs, and frames the document: title and dataset before, the table of runs after.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """The heading of the document."""
    artefacts: ClassVar[tuple[str, ...]]
    """The names to ask for, in the order of the paper."""
    all_datasets: ClassVar[bool] = False
    """Whether one document shows all datasets that are asked for; else each dataset has its own."""

    @abstractmethod
    def needs(self, artefact: str, registry: Registry, methods: Collection[str] = ()) -> list[Need]:
        """The runs of an artefact, of these methods alone where any are named. No two artefacts share a need's name.

        Raises InputError if the artefact shows none of the methods.
        """

    @abstractmethod
    def compose(
        self, document: Document, results: Mapping[str, Results], sources: Sequence[DatasetSource], registry: Registry
    ) -> None:
        """Add to the document what there are results for, by the name of their need.

        `sources` is one dataset, or all of them with `all_datasets`; then the results hold the runs on all.
        Plots may rely on `bench.report.figures.settings()`. Equal results must give equal bytes.
        """


RECIPES = Kind("report recipe", Recipe, "bench.reports", "vhbench.reports")


def choose(names: Sequence[str], registry: Registry) -> list[tuple[Recipe, list[str]]]:
    """The recipes that offer the named artefacts, with these: each once, in the recipe's order.

    Where several recipes offer a name, `mcmsh:table1` says whose is meant.

    Raises:
        InputError: no name is given, or one is unknown (with the closest names) or offered by several recipes.
    """
    recipes: list[Recipe] = [found() for _, found in sorted(registry.plugins[RECIPES].items())]
    known = dict.fromkeys(artefact for recipe in recipes for artefact in recipe.artefacts)
    if not names:
        raise InputError(f"no artefact named; known: {', '.join(known)}")
    chosen: dict[str, set[str]] = defaultdict(set)
    for name in names:
        paper, _, artefact = name.rpartition(":")
        offered = [recipe.name for recipe in recipes if artefact in recipe.artefacts and paper in {"", recipe.name}]
        if not offered:
            raise InputError(f"unknown artefact '{name}': {closest(name, known)}{registry.broken_hint()}")
        if len(offered) > 1:
            raise InputError(f"artefact '{name}': {' and '.join(offered)} have one; name it as {offered[0]}:{name}")
        chosen[offered[0]].add(artefact)
    return [
        (recipe, [artefact for artefact in recipe.artefacts if artefact in chosen[recipe.name]])
        for recipe in recipes
        if recipe.name in chosen
    ]
