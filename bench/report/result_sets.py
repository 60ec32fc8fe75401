"""Several sets of results under one roof: named alike, each row with what is known of it and where it comes from."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.base.text import one_line
from bench.metrics.statistics import evidence
from bench.report.runs import ReportRun, headline_ks, name_runs, protocols_of
from bench.report.significance import ALPHA, of_seeds
from bench.store.recompute import Recomputation
from bench.store.store import Store
from bench.store.tiers import REPORTED, RETRAINED, TIERS, Judged, judged

Key = tuple[str, str, int]
"""A row of a leaderboard: dataset, label, code length. The label says which set, where several have the row."""


@dataclass(frozen=True)
class Standing:
    """Where a row's runs come from, and what is known of all of them."""

    source: str
    tiers: tuple[str, ...]

    @property
    def shown(self) -> str:
        return ", ".join(tier for tier in TIERS if tier in self.tiers) or REPORTED


@dataclass(frozen=True)
class Collection:
    """The runs of all sets, with the labels of their rows, and the standing of every row."""

    runs: list[ReportRun]
    standing: dict[Key, Standing]
    sources: list[str]

    def of(self, run: ReportRun) -> Standing:
        """The standing of a run's row."""
        return self.standing[run.dataset, run.method, run.bits]


def collect(folders: Sequence[Path], proof: Recomputation, say: Callable[[str], None]) -> Collection:
    """The runs of results folders, each checked. Raises InputError for a folder without runs."""
    stores = [Store(folder) for folder in folders]
    for store in stores:
        store.require_runs()
    sets: dict[str, list[Judged]] = {}
    for name, store in zip(_names(folders), stores, strict=True):
        say(f"{store.root}: computing the metrics again")
        sets[name] = list(judged(store.runs(), proof))
    named = {run.record.spec.identity: run for run in name_runs(found.run for runs in sets.values() for found in runs)}
    rows: dict[Key, dict[str, list[tuple[ReportRun, Judged]]]] = defaultdict(lambda: defaultdict(list))
    for source, runs in sets.items():
        for found in runs:
            alike = named.get(found.run.record.spec.identity)
            if alike is not None:  # of several seeds of an unseeded method one is shown
                run = replace(alike, stored=found.run)
                rows[run.dataset, run.method, run.bits][source].append((run, found))
    return _collected(rows, list(sets))


def _collected(
    rows: Mapping[Key, Mapping[str, list[tuple[ReportRun, Judged]]]], sources: list[str]
) -> Collection:  # fmt: skip
    shared = {(dataset, label) for (dataset, label, _), by_source in rows.items() if len(by_source) > 1}
    runs, standing = [], {}
    for (dataset, label, bits), by_source in rows.items():
        mine = {source: [run for run, _ in found] for source, found in by_source.items()}
        for source, found in by_source.items():
            shown = f"{label} ({source})" if (dataset, label) in shared else label
            known = set.intersection(*(set(judgement.tiers) for _, judgement in found))
            if any(_confirmed(mine[source], others) for name, others in mine.items() if name != source):
                known.add(RETRAINED)
            standing[dataset, shown, bits] = Standing(source, tuple(known))
            runs += [replace(run, method=shown) for run in mine[source]]
    order = sorted(runs, key=lambda run: (run.dataset, *run.row_order, run.bits, run.record.spec.seed))
    return Collection(order, standing, sources)


def _confirmed(runs: Sequence[ReportRun], others: Sequence[ReportRun]) -> bool:
    """Whether other runs of the same seeds, done at another time, give the same mAP@k within noise.

    At the first headline k of every protocol: p ≥ 0.05, not adjusted, since here a difference must not be overlooked.
    """
    seeds = [sorted(run.record.spec.seed for run in side) for side in (runs, others)]
    started = [{run.record.started for run in side} for side in (runs, others)]
    protocols = protocols_of(runs)
    if (
        seeds[0] != seeds[1]
        or started[0] & started[1]
        or not protocols
        or not all(run.done for run in (*runs, *others))
    ):
        return False
    for protocol in protocols:
        known = [set(run.scores(protocol)) for run in (*runs, *others)]
        ks = set.intersection(*known)
        sides = [of_seeds(side, protocol, headline_ks(sorted(ks))[0]) for side in (runs, others)] if ks else [None]
        first, second = sides[0], sides[-1]
        if first is None or second is None or first.shape != second.shape:
            return False
        if not np.array_equal(first, second) and evidence([(first, second)])[0].p < ALPHA:
            return False
    return True


def _names(folders: Sequence[Path]) -> list[str]:
    """The folders' names; whole paths where two have one name."""
    names = [one_line(folder.resolve().name) for folder in folders]
    return names if len(set(names)) == len(names) else [one_line(str(folder)) for folder in folders]
