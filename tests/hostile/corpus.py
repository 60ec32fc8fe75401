"""All malformed inputs, in a fixed order; every second one is tried, with `VHBENCH_CORPUS=all` every one."""

import os

from . import checkpoints, command_lines, encoders, features, labels, mutations, notes, plugins, stored, sweeps
from .case import Case

SOURCES = (features, labels, notes, sweeps, stored, checkpoints, encoders, plugins, command_lines, mutations)


def cases() -> list[Case]:
    built = [case for source in SOURCES for case in source.cases()]
    return built if os.environ.get("VHBENCH_CORPUS") == "all" else built[::2]
