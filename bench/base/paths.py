"""Paths that users name, and the cache folder; imports nothing slow, for the command line."""

import os
from pathlib import Path


def named_path(name: str | os.PathLike[str]) -> Path:
    """The path that a user named, with the home folder for a leading `~`, which no shell puts into files or `--x=~/y`.

    A name such as `~old` stays as it is where there is no user `old`.
    """
    path = Path(name)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def cache_folder() -> Path | None:
    """The folder for everything that can be regenerated: `$VHBENCH_CACHE`, else the user's cache folder.

    None where neither is known: in containers and services users may have no home.
    """
    named = os.environ.get("VHBENCH_CACHE")
    if named:
        return named_path(named)
    try:
        return named_path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vhbench"
    except RuntimeError:
        return None
