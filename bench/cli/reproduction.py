"""Reproduction of artefacts: plan the runs, do those that are not stored, render."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from bench.base.errors import InputError
from bench.base.text import slug
from bench.data.dataset import DatasetSource, Summary
from bench.registry import Registry
from bench.report.document import Document
from bench.report.escape import markdown, shorten
from bench.report.folder import require_writable, write_document
from bench.report.recipe import Need, Recipe, Results, choose
from bench.report.runs import ReportRun, name_runs
from bench.report.tables import Cell, Table
from bench.running.plan import PlannedRun, plan, require_among
from bench.running.runner import Runner
from bench.store.store import Store
from bench.store.stored_run import StoredRun

SEEDS = (0, 1, 2)
"""The default: the fewest that show how much results vary."""
FILE = "paper.md"
MARKER = "<!-- rendered by vhbench from stored results; `bench reproduce` writes it anew -->"
REASON = 200
"""The length in characters to which a failed run's reason is shortened."""


@dataclass(frozen=True)
class PlannedNeed:
    """A need with its planned runs, one per dataset and seed, by row label and code length."""

    need: Need
    runs: Mapping[tuple[str, int], Sequence[PlannedRun]]

    def collect(self, stored: Iterable[StoredRun]) -> Results:
        """The stored runs among them."""
        wanted = {run.spec.identity for group in self.runs.values() for run in group}
        named = name_runs(run for run in stored if run.record.spec.identity in wanted)
        found = {run.record.spec.identity: run for run in named}
        runs = {
            key: [found[run.spec.identity] for run in group if run.spec.identity in found]
            for key, group in self.runs.items()
        }
        return Results(self.need, runs)


class Reproduction(NamedTuple):
    """The path of `paper.md`, and the runs behind it, failed ones included."""

    path: Path
    runs: list[StoredRun]


@dataclass(frozen=True)
class Prepared:
    """Artefacts of one paper for one document, checked: only the runs themselves can still fail."""

    recipe: Recipe
    planned: Sequence[PlannedNeed]
    sources: Sequence[DatasetSource]
    registry: Registry
    report_folder: Path

    def announcement(self, store: Store) -> str:
        """The number of runs to do, and options that make them fewer or shorter."""
        runs = distinct(self.planned)
        ahead = [run for run in runs if store.find(run.spec) is None]
        seeds = len({run.spec.seed for run in runs})
        titles = ", ".join(source.summary().title for source in self.sources)
        text = f"{titles}: {len(runs)} runs, {len(runs) // seeds} for each of {seeds} seeds"
        if not ahead:
            return f"{text}; all stored"
        ways = ["--seeds 0 (shows no variation)"] if seeds > 1 else []
        trained = [run.spec.method for run in ahead if "epochs" in run.spec.parameters]
        ways += [f"--set {name}.epochs=1" for name in dict.fromkeys(trained[:1])] + ["--methods"]
        return f"{text}; {len(ahead)} not stored yet; to shorten it: {', '.join(ways)}"

    def make(self, runner: Runner) -> Reproduction:
        """Do the runs that the runner's policy demands, and write the document.

        Raises:
            InputError: nothing is stored, and the policy is `only-cached`.
        """
        stored = runner.run(distinct(self.planned))
        if not stored:
            raise InputError(f"{runner.store.root}: none of these runs is stored; run without --existing only-cached")
        results = {need.need.name: need.collect(stored) for need in self.planned}
        return Reproduction(write_document(lambda: self._document(results), self.report_folder, FILE), stored)

    def _document(self, results: Mapping[str, Results]) -> Document:
        document = Document()
        measured = [_dataset_sentence(source.summary()) for source in self.sources]
        document.add(MARKER, f"# {self.recipe.title}", *measured)
        self.recipe.compose(document, results, self.sources, self.registry)
        document.add("## Runs")
        document.add_table(_runs_table(results.values()))
        return document


def prepare(
    names: Sequence[str],
    datasets: Sequence[str],
    *,
    registry: Registry,
    report_folder: Path,
    seeds: Sequence[int] = SEEDS,
    methods: Sequence[str] = (),
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Prepared]:
    """Plan the artefacts of the registry's report recipes on every dataset.

    Args:
        names: such as `table1`, or `mcmsh:table1` where several recipes have one.
        report_folder: for the document; several documents get a folder each, by dataset and recipe.
        methods: those to show; default: all of an artefact.
        parameters: by method; they override those that the dataset recommends.

    Raises:
        InputError: an artefact, a method, a parameter or a dataset is unknown, a method cannot work on a dataset, a
            dataset has no labels, or a report folder cannot be written.
    """
    chosen = choose(names, registry)
    if not datasets:
        raise InputError("--datasets: none given; name at least one")
    sources = {name: registry.dataset(name) for name in dict.fromkeys(datasets)}
    keys = [slug(source.summary().name) for source in sources.values()]
    prepared = []
    places: dict[str, str] = {}
    for (name, source), key in zip(sources.items(), keys, strict=True):
        if not source.summary().classes:
            raise InputError(f"{name}: has no labels, which a paper's artefacts need; choose another dataset")
        places[name] = f"{key}-{source.summary().fingerprint[:8]}" if keys.count(key) > 1 else key
    for recipe, artefacts in chosen:
        needs = [need for artefact in artefacts for need in recipe.needs(artefact, registry, methods)]
        for group in [list(sources)] if recipe.all_datasets else [[name] for name in sources]:
            of_one = [places[name] for name in group] if len(group) < len(sources) else []
            place = report_folder.joinpath(*[recipe.name] * (len(chosen) > 1), *of_one)
            require_writable(place, FILE)
            planned = plan_needs(needs, group, registry, seeds, methods, parameters or {})
            prepared.append(Prepared(recipe, planned, [sources[name] for name in group], registry, place))
    return prepared


def plan_needs(
    needs: Sequence[Need],
    datasets: Sequence[str],
    registry: Registry,
    seeds: Sequence[int],
    methods: Sequence[str],
    parameters: Mapping[str, Mapping[str, Any]],
) -> list[PlannedNeed]:
    """The runs of needs on datasets. `methods` are the user's; `parameters` override the datasets'.

    Raises:
        InputError: a method is unknown, unused by all needs, or cannot work on a dataset.
    """
    used = list(dict.fromkeys(row.method for need in needs for row in need.rows))
    for method in methods:
        registry.method(method)
        if method not in used:
            raise InputError(f"--methods {method}: none of these artefacts shows it; they show {', '.join(used)}")
    require_among(used, parameters, "--set ")
    return [plan_need(need, datasets, registry, seeds, parameters) for need in needs]


def plan_need(
    need: Need,
    datasets: Sequence[str],
    registry: Registry,
    seeds: Sequence[int],
    parameters: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> PlannedNeed:
    """The runs of a need on datasets. Raises InputError if they cannot work there."""
    runs: dict[tuple[str, int], list[PlannedRun]] = {}
    for row in need.rows:
        chosen = parameters.get(row.method, {})
        varied = sorted(chosen.keys() & row.parameters.keys())
        if varied:
            raise InputError(f"--set {row.method}.{varied[0]}: {need.name} sets it in each row; remove this option")
        planned = plan(
            registry,
            methods=[row.method],
            datasets=datasets,
            bits=need.bits,
            seeds=seeds,
            parameters={row.method: {**chosen, **row.parameters}},
        )
        for run in planned:
            runs.setdefault((row.label, run.spec.bits), []).append(run)
    return PlannedNeed(need, runs)


def distinct(planned: Iterable[PlannedNeed]) -> list[PlannedRun]:
    """All planned runs, each once: tables and figures share many."""
    runs = [run for need in planned for group in need.runs.values() for run in group]
    return list({run.spec.identity: run for run in runs}.values())


def _dataset_sentence(data: Summary) -> str:
    search = "searched among themselves" if data.self_search else f"against a gallery of {data.gallery_videos:,}"
    return (
        f"Measured on **{markdown(data.title)}** (`{data.name}`): {data.train_videos:,} training videos, "
        f"{data.query_videos:,} queries {search}; {data.frames} frames × {data.dimensions:,} dimensions; "
        f"{data.classes:,} classes; data fingerprint `{data.fingerprint[:12]}`."
    )


def _runs_table(results: Iterable[Results]) -> Table:
    """A row for each run, with the tables and figures that use it, its status and its folder."""
    used: dict[str, tuple[ReportRun, dict[str, None]]] = {}
    for group in results:
        for (label, _), runs in group.runs.items():
            for run in runs:
                _, users = used.setdefault(run.record.spec.identity, (run, {}))
                named = label == run.record.spec.method
                users[group.need.name if named else f"{group.need.name}: {label}"] = None
    frame = pd.DataFrame(
        [
            {
                "dataset": run.dataset,
                "method": run.record.spec.method,
                "bits": run.bits,
                "seed": run.record.spec.seed,
                "used in": "; ".join(users),
                "status": run.record.status,
                "reason": shorten(run.record.reason or "", REASON),
                "folder": run.record.spec.folder,
            }
            for run, users in used.values()
        ],
        columns=["dataset", "method", "bits", "seed", "used in", "status", "reason", "folder"],
    )
    unsaid = {"dataset": frame["dataset"].nunique() < 2, "reason": not frame["reason"].any()}
    shown = frame.drop(columns=[name for name, empty in unsaid.items() if empty])
    return Table(
        name="runs",
        caption="The runs behind the tables and figures.",
        header=list(shown.columns),
        rows=[[Cell(str(value)) for value in row] for row in shown.itertuples(index=False)],
        frame=frame,
        words=frozenset({"method", "used in", "status", "reason", "folder"}),
        notes=("Folders lie in the results folder; record.json there holds all parameters and the environment.",),
    )
