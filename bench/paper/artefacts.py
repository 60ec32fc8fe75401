"""Which runs each artefact of the MCMSH paper needs (Hao et al., ACM MM 2022)."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from bench.errors import InputError
from bench.registry import Registry
from bench.report.published import published_methods
from bench.report.runs import ReportRun, name_runs
from bench.store import StoredRun
from bench.sweep import PlannedRun, plan, require_among
from bench.text import closest


@dataclass(frozen=True)
class PaperRow:
    """A row of the paper: its label there, the method here, and the parameters that differ from the defaults."""

    label: str
    method: str
    parameters: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


def _losses(label: str, cluster: float, similarity: float, quadruplet: float) -> PaperRow:
    # The quantisation loss keeps its weight in every row: the paper's Table 2 varies the weights of its three
    # structures only, and the cluster loss alone would not reach the layer that makes the codes.
    weights = {"cluster_weight": cluster, "similarity_weight": similarity, "quadruplet_weight": quadruplet}
    return PaperRow(label, "mcmsh", weights)


WITHOUT_BRANCHES = PaperRow("MLP-Mixer", "mlp-mixer")
BACKBONES = (
    WITHOUT_BRANCHES,
    PaperRow("+L-RD", "mixer-lrd"),
    PaperRow("+M-RD", "mixer-mrd"),
    PaperRow("+S-RD", "mixer-srd"),
    PaperRow("MC-MLP", "mcmsh"),
)
LOSSES = (
    _losses("cluster (1)", 1, 0, 0),
    _losses("sim (1)", 0, 1, 0),
    _losses("quad (1)", 0, 0, 1),
    _losses("0.8 cluster + 0.1 sim", 0.8, 0.1, 0),
    _losses("0.8 cluster + 0.01 quad", 0.8, 0, 0.01),
    _losses("0.1 sim + 0.01 quad", 0, 0.1, 0.01),
    PaperRow("MCMSH (all)", "mcmsh"),
)
BTH, MCMSH = PaperRow("BTH", "bth"), PaperRow("MCMSH", "mcmsh")


@dataclass(frozen=True)
class Need:
    """The runs of one table or figure: every row at every code length."""

    name: str
    rows: tuple[PaperRow, ...]
    bits: tuple[int, ...]


TABLES = {
    "table1": Need("table1", BACKBONES, (32, 64)),
    "table2": Need("table2", LOSSES, (64,)),
    # 64 bits: the code length at which MCMSH has the 1.76 M parameters that the paper's Table 3 gives.
    "table3": Need("table3", (BTH, MCMSH), (64,)),
}
EMBEDDING = Need("embedding", (WITHOUT_BRANCHES, PaperRow("MC-MLP", "mcmsh")), (64,))
NO_EMBEDDING = replace(EMBEDDING, rows=())
RETRIEVAL = Need("retrieval", (MCMSH, BTH), (64,))
ARTEFACTS = (*TABLES, "figures")


def check_artefacts(names: Sequence[str]) -> list[str]:
    """The names, each once, in the paper's order. Raises InputError with the closest names for one that is unknown."""
    if not names:
        raise InputError(f"no artefact named; known: {', '.join(ARTEFACTS)}")
    for name in names:
        if name not in ARTEFACTS:
            raise InputError(f"unknown artefact '{name}': {closest(name, ARTEFACTS)}")
    return [name for name in ARTEFACTS if name in names]


def needs(name: str, registry: Registry, methods: Collection[str] = ()) -> list[Need]:
    """What an artefact needs, of these methods alone where any are named.

    The panels show every method here that the literature has numbers of, or the named ones; so does the figure of
    retrieved results, which else shows the paper's two.

    Raises:
        InputError: a table has no row of any of the methods.
    """
    if name in TABLES:
        table = TABLES[name]
        rows = tuple(row for row in table.rows if not methods or row.method in methods)
        if not rows:
            known = ", ".join(dict.fromkeys(row.method for row in table.rows))
            raise InputError(f"--methods {','.join(methods)}: {name} has no row of these; it has {known}")
        return [replace(table, rows=rows)]
    named = tuple(PaperRow(method, method) for method in methods)
    compared = sorted(published_methods() & set(registry.methods))
    panels = named or tuple(PaperRow(method, method) for method in compared)
    embedding = EMBEDDING if {row.method for row in EMBEDDING.rows} <= {*methods} or not methods else NO_EMBEDDING
    return [Need("panels", panels, (16, 32, 64)), embedding, replace(RETRIEVAL, rows=named or RETRIEVAL.rows)]


@dataclass(frozen=True)
class PlannedNeed:
    """A need with its planned runs, one a seed, by row label and code length."""

    need: Need
    runs: Mapping[tuple[str, int], Sequence[PlannedRun]]


def plan_artefacts(
    names: Sequence[str],
    dataset: str,
    registry: Registry,
    seeds: Sequence[int],
    methods: Sequence[str],
    parameters: Mapping[str, Mapping[str, Any]],
) -> list[PlannedNeed]:
    """What the named artefacts need on a dataset, of the `methods` alone where any are named.

    `parameters`, by method, take the place of what the dataset recommends.

    Raises:
        InputError: a method is unknown or in no artefact, or a method cannot work on the dataset.
    """
    found = [need for name in names for need in needs(name, registry, methods)]
    used = list(dict.fromkeys(row.method for need in found for row in need.rows))
    for method in methods:
        registry.method(method)
        if method not in used:
            raise InputError(f"--methods {method}: none of these artefacts shows it; they show {', '.join(used)}")
    require_among(used, parameters, "--set ")
    return [plan_need(need, dataset, registry, seeds, parameters) for need in found]


def plan_need(
    need: Need,
    dataset: str,
    registry: Registry,
    seeds: Sequence[int],
    parameters: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> PlannedNeed:
    """The runs of a need on a dataset. Raises InputError for anything that cannot work there."""
    runs: dict[tuple[str, int], list[PlannedRun]] = {}
    for row in need.rows:
        chosen = parameters.get(row.method, {})
        varied = sorted(chosen.keys() & row.parameters.keys())
        if varied:
            raise InputError(f"--set {row.method}.{varied[0]}: {need.name} varies it from row to row; leave it out")
        planned = plan(
            registry,
            methods=[row.method],
            datasets=[dataset],
            bits=need.bits,
            seeds=seeds,
            parameters={row.method: {**chosen, **row.parameters}},
        )
        for run in planned:
            runs.setdefault((row.label, run.spec.bits), []).append(run)
    return PlannedNeed(need, runs)


def distinct(planned: Iterable[PlannedNeed]) -> list[PlannedRun]:
    """All planned runs, each once: the tables and figures share many."""
    runs = [run for need in planned for group in need.runs.values() for run in group]
    return list({run.spec.identity: run for run in runs}.values())


@dataclass(frozen=True)
class Results:
    """What is stored of a need's runs. Runs that failed are here too; runs that were left out are missing."""

    need: Need
    runs: Mapping[tuple[str, int], Sequence[ReportRun]]

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


def collect(planned: PlannedNeed, stored: Iterable[StoredRun]) -> Results:
    """The stored runs of a planned need."""
    wanted = {run.spec.identity for group in planned.runs.values() for run in group}
    named = name_runs(run for run in stored if run.record.spec.identity in wanted)
    found = {run.record.spec.identity: run for run in named}
    runs = {
        key: [found[run.spec.identity] for run in group if run.spec.identity in found]
        for key, group in planned.runs.items()
    }
    return Results(planned.need, runs)
