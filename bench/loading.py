"""A dataset by name or folder."""

from pathlib import Path

from bench.data.dataset import Dataset
from bench.registry import load_registry


def load_dataset(name: str | Path) -> Dataset:
    """A dataset by its name, or a folder with feature files. Raises InputError if there is none or it is malformed."""
    return load_registry().dataset(str(name)).load()
