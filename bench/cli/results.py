"""Verbs that look after results folders: verify, merge, prune."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import RESULTS, DataRoot, Plugins, Results, names_of
from bench.paths import named_path

# Importing anything of the library here would cost `bench --help` its speed: torch alone takes seconds.
# ruff: noqa: PLC0415

results_app = typer.Typer(help="Look after results folders.", rich_markup_mode=None)


@results_app.command()
def verify(
    results: Results = RESULTS,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Compute every metric again from the codes, with labels from elsewhere.")
    ] = False,
    reencode: Annotated[
        int, typer.Option(min=0, help="Encode so many videos of every run again with its encoder. Recomputes.")
    ] = 0,
    datasets: Annotated[
        str | None, typer.Option(help="Folders with feature files that runs used; datasets known by name are found.")
    ] = None,
    data_root: DataRoot = None,
    plugin: Plugins = None,
) -> int:
    """Compare stored runs with their checksums, themselves and each other; changes nothing. 1 if any is not sound."""
    from bench.integrity_verify import verify as look
    from bench.store import Store
    from bench.text import one_line
    from bench.text_table import text_table

    store, proof = Store(results), None
    store.require_runs()
    if recompute or reencode:
        from bench.integrity_recompute import Recomputation
        from bench.registry import load_registry

        registry = load_registry(plugin or [], data_root)
        given = [registry.dataset(name) for name in names_of(datasets)]
        proof = Recomputation(registry, {source.summary().fingerprint: source for source in given}, reencode)
    verified = look(store, proof)
    rows = [
        (one_line(finding.path.relative_to(store.root).as_posix()), finding.state, one_line(finding.what))
        for finding in verified.findings
    ]
    if rows:
        print(text_table(rows, headers=("path", "state", "what")), end="\n\n")
    wrong = "what is wrong is listed above; `bench run` does damaged and inconsistent runs again and keeps the old ones"
    print(f"{verified.runs:,} runs, {verified.files:,} files: {'all sound' if verified.sound else wrong}")
    return 0 if verified.sound else 1


@results_app.command()
def merge(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Results folders to copy runs from; they are not changed.", parser=named_path, metavar="SOURCES..."
        ),
    ],
    results: Results = RESULTS,
) -> int:
    """Copy runs of other machines into one results folder; of runs in conflict both are kept."""
    from collections import Counter

    from bench.integrity_merge import merge as merged
    from bench.news import say
    from bench.store import Store
    from bench.text import one_line

    counts: Counter[str] = Counter()
    for entry in merged(sources, Store(results)):
        kind = entry.outcome.partition(":")[0]
        counts[kind] += 1
        if kind != entry.outcome:
            say(one_line(f"{entry.run}: {entry.outcome}"))
    print(f"{results}: {', '.join(f'{kind} {number}' for kind, number in sorted(counts.items()))}")
    return 1 if counts["not copied"] else 0


@results_app.command()
def prune(
    results: Results = RESULTS,
    yes: Annotated[bool, typer.Option("--yes", help="Remove what is listed.")] = False,
) -> int:
    """List what no run needs: damaged files set aside, leftovers, states of finished runs; --yes removes it."""
    from bench.integrity_prune import superfluous
    from bench.store import Store
    from bench.text import one_line
    from bench.text_table import text_table

    store = Store(results)
    found = superfluous(store)
    if not found:
        print(f"{results}: nothing to remove")
        return 0
    rows = [
        (one_line(entry.path.relative_to(store.root).as_posix()), entry.why, f"{entry.size / 1e6:,.2f} MB")
        for entry in found
    ]
    print(text_table(rows, headers=("path", "why", "size")), end="\n\n")
    if yes:
        for entry in found:
            entry.remove()
    total = f"{sum(entry.size for entry in found) / 1e6:,.2f} MB"
    print(f"{total} removed" if yes else f"{total} can be removed: `bench results prune --yes` does it")
    return 0
