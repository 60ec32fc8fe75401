"""Which runs each artefact of the MCMSH paper needs (Hao et al., ACM MM 2022)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from bench.errors import InputError
from bench.published import published_methods
from bench.registry import Registry
from bench.report.runs import ReportRun, name_runs
from bench.store import StoredRun
from bench.sweep import PlannedRun, plan
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


def needs(name: str, registry: Registry) -> list[Need]:
    """What an artefact needs. The panels show every method here that the literature has numbers of."""
    if name in TABLES:
        return [TABLES[name]]
    compared = sorted(published_methods() & set(registry.methods))
    rows = tuple(PaperRow(method, method) for method in compared)
    return [Need("panels", rows, (16, 32, 64)), EMBEDDING, RETRIEVAL]


@dataclass(frozen=True)
class PlannedNeed:
    """A need with its planned runs, one a seed, by row label and code length."""

    need: Need
    runs: Mapping[tuple[str, int], Sequence[PlannedRun]]


def plan_need(need: Need, dataset: str, registry: Registry, seeds: Sequence[int]) -> PlannedNeed:
    """The runs of a need on a dataset. Raises InputError for anything that cannot work there."""
    runs: dict[tuple[str, int], list[PlannedRun]] = {}
    for row in need.rows:
        planned = plan(
            registry,
            methods=[row.method],
            datasets=[dataset],
            bits=need.bits,
            seeds=seeds,
            parameters={row.method: row.parameters},
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
        shared = set.intersection(*(set(by_seed) for by_seed in rows.values()))
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
