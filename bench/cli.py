"""The command line: verbs that read options, call the library, and print; nothing heavy is imported before its use."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bench.errors import InputError

# Importing anything of the library here would cost `bench --help` its speed: torch alone takes seconds.
# ruff: noqa: PLC0415

app = typer.Typer(
    help="vhbench: compare unsupervised video hashing methods, in quality and in cost. --debug shows tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look after datasets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")

DEFAULT_DATASET = "moving-digits"
Results = Annotated[Path, typer.Option("--results", help="Folder of stored runs.")]
Report = Annotated[Path, typer.Option("--report", help="Folder for the report.")]
Plugins = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Python file or folder with plug-ins; repeatable.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")]
Existing = Annotated[str, typer.Option(help="Runs that are stored: reuse, rerun, retry-failed or only-cached.")]
RESULTS, REPORT, PAPER = Path("results/runs"), Path("reports/latest"), Path("reports/paper")


@app.command()
def run(
    sweep: Annotated[Path | None, typer.Argument(help="A sweep file (TOML); options given here go before its.")] = None,
    methods: Annotated[str | None, typer.Option(help="Methods, such as mcmsh,bth.")] = None,
    bits: Annotated[str | None, typer.Option(help="Code lengths, such as 16,32,64.")] = None,
    datasets: Annotated[str | None, typer.Option(help="Datasets, or folders with feature files.")] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, such as 0,1,2.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A parameter, such as mcmsh.epochs=5; repeatable.")
    ] = None,
    results: Results = RESULTS,
    report: Report = REPORT,
    existing: Existing = "reuse",
    device: Device = "auto",
    plugin: Plugins = None,
) -> int:
    """Train, encode, evaluate and measure methods, and write a report."""
    from bench.fitting import choose_device
    from bench.progress import progress, say
    from bench.registry import load_registry
    from bench.report import require_replaceable, summary, write_report
    from bench.runner import Runner, check_existing
    from bench.store import Store
    from bench.sweep import SweepFile, parse_settings, plan, read_sweep_file

    file = read_sweep_file(sweep) if sweep else SweepFile()
    chosen = {name: dict(values) for name, values in file.parameters.items()}
    for name, values in parse_settings(settings or []).items():
        chosen.setdefault(name, {}).update(values)
    policy, target = check_existing(existing), choose_device(device)
    store = Store(results)
    store.require_writable()
    require_replaceable(report)
    planned = plan(
        load_registry(plugin or []),
        methods=_names(methods) or file.methods or [],
        datasets=_names(datasets) or file.datasets or [DEFAULT_DATASET],
        bits=_numbers("--bits", bits) or file.bits or [16, 32, 64],
        seeds=_numbers("--seeds", seeds) or file.seeds or [0],
        parameters=chosen,
    )
    runs = Runner(store, target, policy, progress(), say).run(planned)
    if not runs:
        raise InputError(f"{results}: none of these runs is stored; run without --existing only-cached")
    print(summary(runs))
    path = write_report(runs, report)
    say(f"report: {path}")
    failed = [stored for stored in runs if stored.record.status != "done"]
    if failed:
        say(f"{len(failed)} of {len(runs)} runs did not finish; try them again with --existing retry-failed")
    return 1 if failed else 0


@app.command("report")
def render(results: Results = RESULTS, report: Report = REPORT) -> int:
    """Render the report again from stored results; trains nothing."""
    from bench.progress import say
    from bench.report import summary, write_report
    from bench.store import Store

    runs = list(Store(results).runs())
    if not runs:
        raise InputError(f"{results}: no stored runs; name another folder with --results, or start with `bench run`")
    print(summary(runs))
    say(f"report: {write_report(runs, report)}")
    return 0


@app.command()
def evaluate(
    protocol: Annotated[str, typer.Option(help="Protocols: paper, strict.")] = "paper,strict",
    results: Results = RESULTS,
) -> int:
    """Compute the metrics of stored runs again from their codes; trains nothing."""
    from bench.evaluation import evaluate_again
    from bench.metrics.protocols import choose_protocol
    from bench.report import summary
    from bench.store import Store

    names = _names(protocol)
    if not names:
        raise InputError("--protocol: none given; name paper, strict or both")
    for name in names:
        choose_protocol(name)
    runs = evaluate_again(Store(results), names)
    if not runs:
        raise InputError(f"{results}: no stored runs; name another folder with --results, or start with `bench run`")
    print(summary(runs, names))
    return 0


@app.command()
def profile(
    methods: Annotated[str, typer.Option(help="Methods, such as mcmsh,bth.")],
    bits: Annotated[str, typer.Option(help="Code lengths, such as 16,32,64.")] = "64",
    datasets: Annotated[str, typer.Option(help="Datasets whose frames and dimensions to take.")] = DEFAULT_DATASET,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A parameter, such as mcmsh.hidden=128.")] = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> int:
    """Measure parameters, FLOPs and encoding time, without training."""
    from bench.fitting import choose_device
    from bench.profile.untrained import profile_table
    from bench.registry import load_registry
    from bench.sweep import parse_settings, plan

    planned = plan(
        load_registry(plugin or []),
        methods=_names(methods),
        datasets=_names(datasets),
        bits=_numbers("--bits", bits),
        seeds=[0],
        parameters=parse_settings(settings or []),
    )
    print(profile_table(planned, choose_device(device)))
    return 0


@app.command("list")
def show(
    what: Annotated[
        str, typer.Argument(help="methods, datasets, runs, published; several with commas.")
    ] = "methods,datasets",
    methods: Annotated[str | None, typer.Option("--method", help="Published numbers of these methods only.")] = None,
    datasets: Annotated[str | None, typer.Option("--dataset", help="Published numbers on these datasets only.")] = None,
    bits: Annotated[str | None, typer.Option(help="Published numbers at these code lengths only.")] = None,
    results: Results = RESULTS,
    plugin: Plugins = None,
) -> int:
    """List what there is."""
    from bench.listing import Selection, listing

    selection = Selection(_names(methods), _names(datasets), _numbers("--bits", bits))
    print(listing(_names(what), results, plugin or [], selection))
    return 0


@app.command()
def reproduce(
    artefacts: Annotated[str, typer.Argument(help="table1, table2, table3, figures; several with commas.")],
    dataset: Annotated[str, typer.Option(help="A dataset's name, or a folder with feature files.")] = DEFAULT_DATASET,
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0,1,2.")] = "0",
    results: Results = RESULTS,
    report: Report = PAPER,
    existing: Existing = "reuse",
    device: Device = "auto",
    plugin: Plugins = None,
) -> int:
    """Regenerate the MCMSH paper's tables and figures, measured beside published."""
    from bench.fitting import choose_device
    from bench.paper import reproduce as make
    from bench.progress import progress, say
    from bench.registry import load_registry
    from bench.runner import Runner, check_existing
    from bench.store import Store

    store = Store(results)
    store.require_writable()
    runner = Runner(store, choose_device(device), check_existing(existing), progress(), say)
    registry = load_registry(plugin or [])
    numbers = _numbers("--seeds", seeds)
    made = make(_names(artefacts), dataset, runner=runner, registry=registry, report_folder=report, seeds=numbers)
    say(f"paper: {made.path}")
    return 1 if any(run.record.status != "done" for run in made.runs) else 0


@data_app.command()
def check(
    dataset: Annotated[str, typer.Argument(help="A dataset's name, or a folder with feature files.")],
    plugin: Plugins = None,
) -> int:
    """Read a dataset whole and say whether it is complete and well-formed."""
    from bench.listing import dataset_table
    from bench.registry import load_registry

    source = load_registry(plugin or []).dataset(dataset)
    print(dataset_table(source.load()))
    return 0


@app.command()
def encode(
    encoder: Annotated[Path, typer.Option(help="Folder of a saved encoder.")],
    features: Annotated[Path, typer.Option(help="Features (N, T, D): .h5 with dataset `feats`, or .npy.")],
    out: Annotated[Path, typer.Option(help="File for the codes, .npy: (N, bits) int8 in -1, +1.")],
    plugin: Plugins = None,
) -> int:
    """Encode anybody's features with a saved encoder."""
    from bench.encoding import encode_file
    from bench.progress import say
    from bench.registry import load_registry

    shape = encode_file(encoder, features, out, load_registry(plugin or []))
    say(f"{out}: codes {shape[0]} × {shape[1]}")
    return 0


def _names(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _numbers(option: str, text: str | None) -> list[int]:
    try:
        return [int(part) for part in _names(text)]
    except ValueError:
        raise InputError(f"{option} {text}: expected whole numbers with commas, such as 16,32,64") from None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 runs failed, 2 wrong input, 130 interrupted."""
    # Threads that spin long while they wait starve each other wherever the machine is shared: tenfold, as seen on two
    # busy cores. To be set before OpenMP is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    given = [argument for argument in given if argument != "--debug"]
    try:
        status = app(given, prog_name="bench", standalone_mode=False)
    except InputError as error:
        if debug:
            raise
        return _wrong(str(error))
    except KeyboardInterrupt:
        return _interrupted()
    except Exception as error:
        # The parser's own errors; the class moved between typer's versions, its interface did not.
        message = getattr(error, "format_message", None)
        if message is None:
            if type(error).__name__ == "Abort":
                return _interrupted()
            raise
        if debug:
            raise
        return _wrong(message() or "no command given; see bench --help")
    # The parser turns an interrupt into this status.
    return _interrupted() if status == 130 else int(status or 0)


def _interrupted() -> int:
    print("bench: interrupted; finished runs are stored, the same command goes on from there", file=sys.stderr)
    return 130


def _wrong(message: str) -> int:
    print(f"bench: {' '.join(message.split())}", file=sys.stderr)
    return 2
