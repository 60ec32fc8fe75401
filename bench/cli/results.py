"""`bench results` (verify, merge, prune), `bench list` and `bench compare`."""

from pathlib import Path
from typing import Annotated

import typer

from bench.base.paths import named_path
from bench.cli.options import RESULTS, DataRoot, Plugins, Results, names_of, numbers_of

# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415
results_app = typer.Typer(help="Verify, merge and clean up results folders.", rich_markup_mode=None)


@results_app.command()
def verify(
    results: Results = RESULTS,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Recompute every metric from the codes and the datasets' labels.")
    ] = False,
    reencode: Annotated[
        int, typer.Option(min=0, help="Encode this many videos of every run again; implies --recompute.")
    ] = 0,
    datasets: Annotated[
        str | None, typer.Option(help="Folders of feature files that runs used; others are found by name.")
    ] = None,
    data_root: DataRoot = None,
    plugin: Plugins = None,
) -> int:
    """Check the files of stored runs and their consistency; changes nothing. Exit status 1 if anything is wrong."""
    from bench.base.text import one_line, text_table
    from bench.store.store import Store
    from bench.store.verify import FIXES
    from bench.store.verify import verify as look

    store, proof = Store(results), None
    store.require_runs()
    if recompute or reencode:
        from bench.registry import load_registry
        from bench.store.recompute import recomputation

        proof = recomputation(load_registry(plugin or [], data_root), names_of(datasets), reencode)
    verified = look(store, proof)
    rows = [
        (one_line(finding.path.relative_to(store.root).as_posix()), finding.state, one_line(finding.what))
        for finding in verified.findings
    ]
    if rows:
        print(text_table(rows, headers=("path", "state", "what")), end="\n\n")
    for state in dict.fromkeys(finding.state for finding in verified.findings if finding.state in FIXES):
        print(f"{state}: {FIXES[state]}")
    checked = f"{verified.runs:,} runs, {verified.files:,} files"
    if proof is None:
        proven = "all sound (undamaged and consistent; --recompute also computes every metric again)"
    else:
        proven = "all sound (undamaged and consistent, and every metric follows from the codes)"
    print(f"{checked}: {proven if verified.sound else 'errors are listed above'}")
    return 0 if verified.sound else 1


@results_app.command()
def merge(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Results folders, or files of `bench submit`, to copy runs from; they are not changed.",
            parser=named_path,
            metavar="SOURCES...",
        ),
    ],
    results: Results = RESULTS,
) -> int:
    """Copy runs of other machines into one results folder; both runs of a conflict are kept."""
    from collections import Counter
    from contextlib import ExitStack

    from bench.base.text import one_line, say
    from bench.store.merge import merge as merged
    from bench.store.store import Store
    from bench.store.submission import results_folder

    counts: Counter[str] = Counter()
    with ExitStack() as unpacked:
        names = {unpacked.enter_context(results_folder(source)): source for source in sources}
        for entry in merged(list(names), Store(results)):
            kind = entry.outcome.partition(":")[0]
            counts[kind] += 1
            if kind != entry.outcome:
                folder = next(folder for folder in names if entry.run.is_relative_to(folder))
                say(one_line(f"{names[folder] / entry.run.relative_to(folder)}: {entry.outcome}"))
    print(f"{results}: {', '.join(f'{kind} {number}' for kind, number in sorted(counts.items()))}")
    return 1 if counts["not copied"] else 0


@results_app.command()
def prune(
    results: Results = RESULTS,
    yes: Annotated[bool, typer.Option("--yes", help="Remove everything listed.")] = False,
) -> int:
    """List files that no run needs: damaged runs set aside, leftovers, states of finished runs; --yes removes them."""
    from bench.base.text import one_line, text_table
    from bench.store.prune import superfluous
    from bench.store.store import Store

    store = Store(results)
    found = superfluous(store)
    if not found:
        print(f"{results}: nothing to remove")
        return 0
    rows = [
        (one_line(entry.path.relative_to(store.root).as_posix()), entry.why, f"{entry.size / 1e6:,.2f} MB")
        for entry in found
    ]
    print(text_table(rows, headers=("path", "reason", "size")), end="\n\n")
    if yes:
        for entry in found:
            entry.remove()
    total = f"{sum(entry.size for entry in found) / 1e6:,.2f} MB"
    print(f"{total} removed" if yes else f"{total} can be removed: `bench results prune --yes` does it")
    return 0


def compare(
    first: Annotated[
        Path, typer.Argument(metavar="A", help="A results folder, such as results/runs.", parser=named_path)
    ],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one.", parser=named_path)],
) -> int:
    """Compare two sets of stored runs in quality and in cost; * marks differences beyond noise."""
    from bench.report.comparison import compare_folders

    print(compare_folders(first, second))
    return 0


def show(
    what: Annotated[
        str, typer.Argument(help="methods, datasets, runs or published; several separated by commas.")
    ] = "methods,datasets",
    methods: Annotated[str | None, typer.Option("--method", help="Only published numbers of these methods.")] = None,
    datasets: Annotated[str | None, typer.Option("--dataset", help="Only published numbers on these datasets.")] = None,
    bits: Annotated[str | None, typer.Option(help="Only published numbers at these code lengths.")] = None,
    results: Results = RESULTS,
    plugin: Plugins = None,
) -> int:
    """List methods, datasets, stored runs or published numbers."""
    from bench.report.listing import Selection, listing

    selection = Selection(names_of(methods), names_of(datasets), numbers_of("--bits", bits))
    print(listing(names_of(what), results, plugin or [], selection))
    return 0
