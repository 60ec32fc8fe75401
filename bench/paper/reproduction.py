"""From the names of artefacts to a folder with them: plan, run what is not stored, render."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.errors import InputError
from bench.paper.artefacts import check_artefacts, collect, distinct, needs, plan_need
from bench.paper.document import FILE, Paper
from bench.registry import Registry
from bench.report import folder
from bench.runner import Runner
from bench.store import StoredRun


class Reproduction(NamedTuple):
    """The path of `paper.md`, and the runs behind it, failed ones among them."""

    path: Path
    runs: list[StoredRun]


def reproduce(
    names: Sequence[str],
    dataset: str,
    *,
    runner: Runner,
    registry: Registry,
    report_folder: Path,
    seeds: Sequence[int] = (0,),
) -> Reproduction:
    """Make artefacts of the MCMSH paper on a dataset: `table1`, `table2`, `table3`, `figures`.

    Runs that are stored are taken as the runner's policy says. Equal results give equal bytes.

    Raises:
        InputError: an artefact or the dataset is unknown, a method cannot work on the dataset, the report folder
            cannot be written, or the runner's policy is `only-cached` and nothing is stored.
    """
    chosen = check_artefacts(names)
    folder.require_writable(report_folder, FILE)
    planned = [plan_need(need, dataset, registry, seeds) for name in chosen for need in needs(name, registry)]
    stored = runner.run(distinct(planned))
    if not stored:
        raise InputError(f"{runner.store.root}: none of these runs is stored; run without --existing only-cached")
    results = {need.need.name: collect(need, stored) for need in planned}
    source = registry.dataset(dataset)
    path = folder.write_document(Paper(results, source, registry).compose, report_folder, FILE)
    return Reproduction(path, stored)
