"""From the names of artefacts to a folder with them: plan, run what is not stored, render."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bench.data.dataset import DatasetSource
from bench.errors import InputError
from bench.paper.artefacts import PlannedNeed, check_artefacts, collect, distinct, plan_artefacts
from bench.paper.document import FILE, Paper
from bench.registry import Registry
from bench.report.document import require_writable, write_document
from bench.runner import Runner
from bench.store import Store, StoredRun
from bench.text import slug

SEEDS = (0, 1, 2)
"""Enough to say something of other seeds."""


class Reproduction(NamedTuple):
    """The path of `paper.md`, and the runs behind it, failed ones among them."""

    path: Path
    runs: list[StoredRun]


@dataclass(frozen=True)
class Prepared:
    """Artefacts on one dataset, checked: nothing but the runs themselves can go wrong any more."""

    planned: Sequence[PlannedNeed]
    source: DatasetSource
    registry: Registry
    report_folder: Path

    def announcement(self, store: Store) -> str:
        """How many runs are ahead, and how to have fewer or shorter ones."""
        runs = distinct(self.planned)
        ahead = [run for run in runs if store.find(run.spec) is None]
        seeds = len({run.spec.seed for run in runs})
        text = f"{self.source.summary().title}: {len(runs)} runs, {len(runs) // seeds} for each of {seeds} seeds"
        if not ahead:
            return f"{text}; all stored"
        ways = ["--seeds 0 (for these weights only)"] if seeds > 1 else []
        trained = [run.spec.method for run in ahead if "epochs" in run.spec.parameters]
        ways += [f"--set {name}.epochs=1" for name in dict.fromkeys(trained[:1])] + ["--methods"]
        return f"{text}; {len(ahead)} not stored yet; to shorten it: {', '.join(ways)}"

    def make(self, runner: Runner) -> Reproduction:
        """Do what is not stored, as the runner's policy says, and write the document.

        Raises:
            InputError: nothing is stored, and the policy is `only-cached`.
        """
        stored = runner.run(distinct(self.planned))
        if not stored:
            raise InputError(f"{runner.store.root}: none of these runs is stored; run without --existing only-cached")
        results = {need.need.name: collect(need, stored) for need in self.planned}
        paper = Paper(results, self.source, self.registry)
        return Reproduction(write_document(paper.compose, self.report_folder, FILE), stored)


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
    """Artefacts of the MCMSH paper (`table1`, `table2`, `table3`, `figures`) on every dataset, before any work.

    Args:
        report_folder: for the document; with several datasets for a folder of each, by its name.
        methods: those to show; none named: all that an artefact has.
        parameters: by method, in place of what the dataset recommends.

    Raises:
        InputError: an artefact, a method, a parameter or a dataset is unknown, a method cannot work on a dataset, a
            dataset has no labels, or a report folder cannot be written.
    """
    chosen = check_artefacts(names)
    if not datasets:
        raise InputError("--datasets: none given; name at least one")
    sources = {name: registry.dataset(name) for name in dict.fromkeys(datasets)}
    keys = [slug(source.summary().name) for source in sources.values()]
    prepared = []
    for (name, source), key in zip(sources.items(), keys, strict=True):
        if not source.summary().classes:
            raise InputError(f"{name}: has no labels, which all that the paper shows needs; name another dataset")
        ending = f"-{source.summary().fingerprint[:8]}" if keys.count(key) > 1 else ""
        place = report_folder / f"{key}{ending}" if len(sources) > 1 else report_folder
        require_writable(place, FILE)
        planned = plan_artefacts(chosen, name, registry, seeds, methods, parameters or {})
        prepared.append(Prepared(planned, source, registry, place))
    return prepared


def reproduce(
    names: Sequence[str],
    dataset: str,
    *,
    runner: Runner,
    registry: Registry,
    report_folder: Path,
    seeds: Sequence[int] = SEEDS,
) -> Reproduction:
    """Make artefacts on one dataset; errors as of `prepare` and `Prepared.make`. Equal results give equal bytes."""
    (prepared,) = prepare(names, [dataset], registry=registry, report_folder=report_folder, seeds=seeds)
    return prepared.make(runner)
