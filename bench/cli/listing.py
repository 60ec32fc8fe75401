"""The verb that lists what there is."""

from typing import Annotated

import typer

from bench.cli.options import RESULTS, Plugins, Results, names_of, numbers_of

# Importing anything of the library here would cost `bench --help` its speed: torch alone takes seconds.
# ruff: noqa: PLC0415


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

    selection = Selection(names_of(methods), names_of(datasets), numbers_of("--bits", bits))
    print(listing(names_of(what), results, plugin or [], selection))
    return 0
