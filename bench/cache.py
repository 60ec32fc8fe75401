"""Where made things are kept between calls: generated datasets, fingerprints of feature files."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """The folder for everything that can be made again: `$VHBENCH_CACHE`, else the user's cache folder."""
    named = os.environ.get("VHBENCH_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vhbench"
