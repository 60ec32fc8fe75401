"""`bench reproduce`: a paper's tables and figures from new runs, beside the published numbers."""

from typing import Annotated

import typer

from bench.cli.options import (
    DEFAULT_DATASET,
    PAPER,
    RESULTS,
    THREADS,
    DataRoot,
    Device,
    Existing,
    Plugins,
    Report,
    Results,
    Settings,
    Threads,
    names_of,
    numbers_of,
)


# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415
def reproduce(
    artefacts: Annotated[str, typer.Argument(help="Artefacts, such as table1,table2,table3,figures.")],
    datasets: Annotated[
        str, typer.Option("--datasets", "--dataset", help="Datasets, or folders with feature files.")
    ] = DEFAULT_DATASET,
    methods: Annotated[str | None, typer.Option(help="Only these methods, such as mcmsh,bth.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds; several show how much results vary.")] = "0,1,2",
    settings: Settings = None,
    data_root: DataRoot = None,
    results: Results = RESULTS,
    report: Report = PAPER,
    existing: Existing = "reuse",
    device: Device = "auto",
    plugin: Plugins = None,
    threads: Threads = None,
) -> int:
    """Regenerate a paper's tables and figures, with measured beside published numbers."""
    from bench.base.processes import use_threads

    if threads:
        use_threads(threads)  # before libraries that start threads are loaded

    from bench.base.text import say
    from bench.cli.reproduction import prepare
    from bench.encoding.fitting import choose_device
    from bench.registry import DATASETS, METHODS, load_registry
    from bench.report.recipe import RECIPES
    from bench.running.display import sweep_display
    from bench.running.isolation import Isolation
    from bench.running.jobs import AsManyAsFit
    from bench.running.plan import check_existing, parse_settings
    from bench.running.runner import Runner
    from bench.store.store import Store

    store = Store(results)
    isolation = AsManyAsFit(Isolation(tuple(plugin or ()), data_root, threads=threads or THREADS))
    display, policy = sweep_display(say), check_existing(existing)
    runner = Runner(store, choose_device(device), policy, display, say, isolation, threads or THREADS)
    # Check all datasets before any work: an error in the last must not appear after the runs of the first.
    prepared = prepare(
        names_of(artefacts),
        names_of(datasets),
        registry=load_registry(plugin or [], data_root, (METHODS, DATASETS, RECIPES)),
        report_folder=report,
        seeds=numbers_of("--seeds", seeds),
        methods=names_of(methods),
        parameters=parse_settings(settings or []),
    )
    failed = False
    for reproduction in prepared:
        say(reproduction.announcement(store))
        made = reproduction.make(runner)
        say(f"paper: {made.path}")
        failed |= any(run.record.status != "done" for run in made.runs)
    return int(failed)
