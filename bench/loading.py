"""A dataset by name or folder."""

from pathlib import Path

from bench.data.dataset import Dataset
from bench.registry import load_registry
from bench.values import as_path


def load_dataset(name: str | Path, root: str | Path | None = None) -> Dataset:
    """A dataset by its name, or a folder with feature files.

    `root` says where the files of a dataset that is known by name lie: in `<root>/<name>/` or `<root>`; none given, the
    environment variable VHBENCH_DATA does. Raises InputError if there is no such dataset or it is malformed.
    """
    place = None if root is None else as_path(root, "root")
    return load_registry(data_root=place).dataset(str(as_path(name, "name"))).load()
