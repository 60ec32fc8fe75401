"""The command line: verbs that read options, call the library, and print; nothing heavy is imported before its use."""

import os
import sys
from collections.abc import Sequence

import typer

from bench.cli.compare import compare
from bench.cli.convert import convert
from bench.cli.data import check, fake
from bench.cli.encoders import encode, profile
from bench.cli.listing import show
from bench.cli.methods import check_method
from bench.cli.reproduce import reproduce
from bench.cli.results import results_app
from bench.cli.runs import evaluate, render, run
from bench.errors import InputError

app = typer.Typer(
    help="vhbench: compare unsupervised video hashing methods, in quality and in cost. --debug shows tracebacks.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(run)
app.command("report")(render)
app.command()(compare)
app.command()(evaluate)
app.command()(profile)
app.command("list")(show)
app.command()(reproduce)
app.command()(encode)
app.command("check-method")(check_method)
data_app = typer.Typer(help="Look after datasets.", no_args_is_help=True, rich_markup_mode=None)
data_app.command()(check)
data_app.command()(fake)
data_app.command()(convert)
app.add_typer(data_app, name="data")
app.add_typer(results_app, name="results")

LONGEST_LINE = 2000


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
    except OSError as error:
        # What the system refuses is named with the path that was given: no right to it, too long, no disk.
        if debug or error.filename is None:
            raise
        from bench.input_files import REASONS  # noqa: PLC0415  slower to import than `bench --help` should be

        reason = REASONS.get(error.errno or 0, "name another")
        return _wrong(f"{error.filename}: {error.strerror}; {reason}")
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
    from bench.text import one_line  # noqa: PLC0415  slower to import than `bench --help` should be

    line = one_line(message)
    # A name of thousands of characters would hide what is wrong with it.
    shown = line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} … {line[-LONGEST_LINE // 2 :]}"
    print(f"bench: {shown}", file=sys.stderr)
    return 2
