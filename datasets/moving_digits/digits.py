"""The handwritten digits that the videos show, and which of them each split may show."""

import importlib.util
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.base.errors import InputError

SplitName = Literal["train", "query", "gallery"]
SPLITS: tuple[SplitName, ...] = ("train", "query", "gallery")

IMAGE_RANGES: dict[SplitName, tuple[int, int]] = {"train": (0, 776), "query": (776, 1157), "gallery": (1157, 1797)}
"""First image of each split, and one past its last.

The file holds 14 filled-in forms one after the other: nearly the same sequence of digits starts again at images 0, 130,
256, 386, 516, 646, 776 and so on. The splits part at borders of forms, so that they share neither an image nor a form:
six forms are for training, three for the queries, five for the gallery.
"""


def load_digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The 1,797 digits of scikit-learn's `load_digits`.

    Returns the images, (1797, 8, 8) with values 0 to 16, and their classes, (1797,) with values 0 to 9.

    Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits" (its test set), UCI Machine Learning
    Repository, 1998.
    """
    # Importing sklearn.datasets takes seconds, as it pulls in most of scikit-learn and SciPy, for one small text file.
    # Finding the package does not import it. A test compares with the real load_digits.
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise InputError("moving-digits reads its digits from scikit-learn, which is missing: pip install scikit-learn")
    path = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    if not path.is_file():
        raise InputError(f"moving-digits: scikit-learn's file of digits, {path}, is missing: reinstall scikit-learn")
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
