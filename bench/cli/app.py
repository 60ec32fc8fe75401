"""The command line's verbs, assembled."""

from typing import Annotated

import typer

from bench.cli.choose import choose
from bench.cli.data import check, convert, fake
from bench.cli.encoders import check_method, encode, profile
from bench.cli.reproduce import reproduce
from bench.cli.results import compare, results_app, show
from bench.cli.runs import evaluate, render, run
from bench.cli.search import export, index, search
from bench.cli.sharing import site, submit
from bench.cli.videos import extract

app = typer.Typer(
    help="vhbench: compare unsupervised video hashing methods, in quality and in cost. --debug shows tracebacks.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.command()(run)
app.command("report")(render)
app.command()(choose)
app.command()(compare)
app.command()(evaluate)
app.command()(profile)
app.command("list")(show)
app.command()(reproduce)
app.command()(encode)
app.command()(extract)
app.command()(index)
app.command()(search)
app.command()(export)
app.command()(submit)
app.command()(site)
app.command("check-method")(check_method)

data_app = typer.Typer(help="Check, imitate and convert datasets.", rich_markup_mode=None)
data_app.command()(check)
data_app.command()(fake)
data_app.command()(convert)
app.add_typer(data_app, name="data")
app.add_typer(results_app, name="results")

GROUPS: tuple[list[str], ...] = ([], ["data"], ["results"])
"""Command lines without a verb: they show the help."""


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415  slower to import than `bench --help` should be

        print(f"vhbench {version('vhbench')}")
        raise typer.Exit


@app.callback()
def _whole(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options without a verb."""


command = typer.main.get_command(app)
"""The whole command line, built once: that takes as long as a short verb does."""
