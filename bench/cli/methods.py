"""The verb that checks methods of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from bench.errors import InputError

# Importing anything of the library here would cost `bench --help` its speed: torch alone takes seconds.
# ruff: noqa: PLC0415


def check_method(
    file: Annotated[Path, typer.Argument(help="Python file or folder with methods of your own.")],
) -> int:
    """Check that methods of your own do what every method must, on a small made-up dataset."""
    from bench.contract import CHECKS, ContractError, Subject, small_dataset
    from bench.plugin_files import line_of, plugin_of
    from bench.registry import load_registry
    from bench.text import one_line

    methods = [method for method in load_registry([file]).methods.values() if plugin_of(method)]
    if not methods:
        raise InputError(f"{file}: defines no method; derive one from bench.method.Method")
    data, failed = small_dataset(), False
    for method in methods:
        subject = Subject(method, data)
        for check in CHECKS:
            try:
                check(subject)
            except Exception as error:  # a method may fail in any way
                failed = True
                kind = "" if isinstance(error, ContractError) else f"{type(error).__name__}: "
                reason = one_line(f"{kind}{error}") + line_of(error, str(plugin_of(method)))
                print(f"FAILS  {method.name} {check.__doc__}: {reason}")
            else:
                print(f"fine   {method.name} {check.__doc__}")
    return 1 if failed else 0
