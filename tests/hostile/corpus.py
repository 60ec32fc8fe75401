"""All malformed inputs, in a fixed order."""

from . import (
    checkpoints,
    command_lines,
    encoders,
    features,
    labels,
    mutations,
    notes,
    plugins,
    stored,
    submissions,
    sweeps,
)
from .case import Case

SOURCES = (
    features,
    labels,
    notes,
    sweeps,
    stored,
    submissions,
    checkpoints,
    encoders,
    plugins,
    command_lines,
    mutations,
)


def cases() -> list[Case]:
    """Built by hand, and by mutation."""
    return [case for source in SOURCES for case in source.cases()]
