"""`bench run`, `bench report` and `bench evaluate`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.base.errors import InputError
from bench.base.paths import named_path
from bench.cli.options import (
    DEFAULT_DATASET,
    REPORT,
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
    parse_memory,
    parse_time,
    shard_of,
)

PAGE = "report.html"
"""The report's page, beside `report.md`."""

if TYPE_CHECKING:
    from bench.running.plan import SweepFile
    from bench.store.stored_run import StoredRun


# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415
def run(
    sweep: Annotated[
        Path | None,
        typer.Argument(
            help="A sweep file (TOML); options given here override it.", parser=named_path, metavar="[SWEEP]"
        ),
    ] = None,
    methods: Annotated[str | None, typer.Option(help="Methods, such as mcmsh,bth.")] = None,
    bits: Annotated[str | None, typer.Option(help="Code lengths, such as 16,32,64.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Datasets, or folders with feature files.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0,1,2.")] = None,
    settings: Settings = None,
    data_root: DataRoot = None,
    results: Results = RESULTS,
    report: Report = REPORT,
    existing: Existing = "reuse",
    device: Device = "auto",
    plugin: Plugins = None,
    isolate: Annotated[bool, typer.Option("--isolate", help="Isolate each run in its own process.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Runs at a time, isolated if more than one; default: as many trainings as cores and memory allow.",
        ),
    ] = None,
    threads: Threads = None,
    time_limit: Annotated[
        str | None, typer.Option(help="Limit of a run's time: 45s, 90m, 2h; implies --isolate.")
    ] = None,
    memory_limit: Annotated[
        str | None, typer.Option(help="Limit of a run's memory, such as 8GB; implies --isolate.")
    ] = None,
    executor: Annotated[str, typer.Option(help="Where to do runs: local, or ray (a cluster).")] = "local",
    address: Annotated[
        str | None, typer.Option(help="The Ray cluster: host:port or auto; default: only this machine.")
    ] = None,
    shard: Annotated[str | None, typer.Option(help="Do a share of the runs, such as 3/16, without a report.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="relaxed: also score the real numbers whose signs are the codes, to see what signs cost."),
    ] = None,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Show the runs to do and the estimated time, and do nothing.")
    ] = False,
) -> int:
    """Train, encode, evaluate and measure methods, and write a report."""
    from bench.base.processes import use_threads
    from bench.running.forking import import_early

    if reference not in {None, "relaxed"}:
        raise InputError(f"unknown --reference '{reference}': known: relaxed (float, pq and others go to --methods)")
    limits, on_ray = _limits(time_limit, memory_limit), _on_ray(executor, address)
    isolate = isolate or (jobs or 1) > 1 or any(limit is not None for limit in limits)
    if threads and not (isolate or on_ray):
        use_threads(threads)  # before libraries that start threads are loaded
    several = sweep or bits is None or any("," in (text or "") for text in (methods, bits, datasets, seeds))
    if (isolate or (several and jobs is None)) and not (on_ray or dry):
        import_early(threads or THREADS)

    from bench.base.text import say
    from bench.encoding.fitting import choose_device
    from bench.registry import load_registry
    from bench.report.folder import require_writable
    from bench.running.display import sweep_display
    from bench.running.estimate import dry_run
    from bench.running.isolation import Isolation
    from bench.running.jobs import AsManyAsFit
    from bench.running.plan import SweepFile, check_existing, plan, read_sweep_file
    from bench.running.ray.on_ray import OnRay
    from bench.running.runner import Runner
    from bench.store.store import Store

    file = read_sweep_file(sweep) if sweep else SweepFile()
    wanted = names_of(methods) or file.methods or []
    chosen = _parameters(sweep, file, settings or [], wanted)
    policy, target = check_existing(existing), choose_device(device)
    store = Store(results)
    if not (dry or shard):
        require_writable(report)
    planned = plan(
        load_registry(plugin or [], data_root),
        methods=wanted,
        datasets=names_of(datasets) or file.datasets or [DEFAULT_DATASET],
        bits=numbers_of("--bits", bits) or file.bits or [16, 32, 64],
        seeds=numbers_of("--seeds", seeds) or file.seeds or [0],
        parameters=chosen,
    )
    if shard:
        planned = shard_of(planned, shard)
    if dry:
        print(dry_run(planned, store, policy, target, jobs))
        return 0
    rules = Isolation(tuple(plugin or ()), data_root, jobs or 1, threads if on_ray else threads or THREADS, *limits)
    by_default = AsManyAsFit(rules, always=isolate) if jobs is None else rules if isolate else None
    isolation = OnRay(rules, address, jobs, device) if on_ray else by_default
    display, relaxed = sweep_display(say), reference == "relaxed"
    runs = Runner(store, target, policy, display, say, isolation, threads or THREADS, relaxed=relaxed).run(planned)
    if not runs and planned:
        raise InputError(f"{results}: none of these runs is stored; run without --existing only-cached")
    _show(runs, None if shard else report)
    if shard:
        say(f"a shard writes no report; when all are done: bench report --results {results}")
    failed = [stored for stored in runs if stored.record.status != "done"]
    if failed:
        say(f"{len(failed)} of {len(runs)} runs did not finish; try them again with --existing retry-failed")
    return 1 if failed else 0


def _parameters(
    sweep: Path | None, file: "SweepFile", settings: list[str], methods: list[str]
) -> dict[str, dict[str, Any]]:
    """Parameters by method: those of the sweep file, overridden by --set."""
    from bench.running.plan import parse_settings, require_among

    if methods:
        require_among(methods, file.parameters, f"{sweep}: parameters.")
    chosen = {name: dict(values) for name, values in file.parameters.items()}
    for name, values in parse_settings(settings).items():
        chosen.setdefault(name, {}).update(values)
    return chosen


def _on_ray(executor: str, address: str | None) -> bool:
    """Whether runs are done on Ray. Raises InputError for executors other than local and ray."""
    if executor not in {"local", "ray"}:
        raise InputError(f"unknown executor '{executor}': known: local, ray")
    if address is not None and executor != "ray":
        raise InputError(f"--address {address}: is for Ray clusters; add --executor ray")
    return executor == "ray"


def _limits(time_limit: str | None, memory_limit: str | None) -> tuple[float | None, int | None]:
    return (
        parse_time("--time-limit", time_limit) if time_limit is not None else None,
        parse_memory("--memory-limit", memory_limit) if memory_limit is not None else None,
    )


def render(
    methods: Annotated[str | None, typer.Option(help="Only stored runs of these methods.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Only stored runs on these datasets.")] = None,
    bits: Annotated[str | None, typer.Option(help="Only stored runs at these code lengths.")] = None,
    ks: Annotated[str | None, typer.Option("--k", help="Only scores at these cut-offs, such as 20,100.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Beside mAP@k only these, such as ndcg,precision_recall.")] = None,
    results: Results = RESULTS,
    report: Report = REPORT,
    show: Annotated[bool, typer.Option("--open", help="Open the report's page in a browser.")] = False,
) -> int:
    """Write the report from stored results, without training."""
    import webbrowser

    from bench.report.selection import narrow_runs, select_runs
    from bench.store.store import Store

    store = Store(results)
    store.require_runs()
    runs = list(store.runs())
    if not runs:
        raise InputError(f"{results}: none of the runs can be read; `bench results verify` shows the reasons")
    selected = select_runs(runs, names_of(methods), names_of(datasets), numbers_of("--bits", bits))
    _show(narrow_runs(selected, numbers_of("--k", ks), names_of(metrics)), report)
    if show:
        webbrowser.open((report / PAGE).resolve().as_uri())
    return 0


def _show(runs: Sequence["StoredRun"], report: Path | None = None) -> None:
    """Write the report, if a folder is given, and print the summary, even if the report fails."""
    from bench.base.text import say
    from bench.report.terminal import summary
    from bench.report.write import write_report

    try:
        # First, so that an error of standard output cannot prevent the report.
        written = write_report(runs, report) if report else None
    finally:
        print(summary(runs))
    if written:
        say(f"report: {written.with_name(PAGE)}, {written.name}")


def evaluate(
    protocol: Annotated[str, typer.Option(help="Protocols: paper, strict.")] = "paper,strict",
    results: Results = RESULTS,
) -> int:
    """Recompute the metrics of stored runs from their codes, without training, and show every number that changes."""
    from bench.metrics.protocols import choose_protocol
    from bench.report.terminal import summary
    from bench.store.evaluation import evaluate_again
    from bench.store.store import Store

    names = names_of(protocol)
    if not names:
        raise InputError("--protocol: none given; choose paper, strict or both")
    for name in names:
        choose_protocol(name)
    store = Store(results)
    store.require_runs()
    runs = evaluate_again(store, names)
    print(summary(runs, names))
    return 1 if any(run.record.status == "unsound" for run in runs) else 0
