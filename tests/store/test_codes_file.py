"""What is written is read again, however it lies in memory."""

from pathlib import Path

import numpy as np

from bench.store.codes_file import StoredCodes, read_codes, write_codes


def test_labels_that_lie_column_by_column(tmp_path: Path) -> None:
    """MATLAB's do; runs with nine classes or more were then called inconsistent."""
    random = np.random.default_rng(0)
    codes = random.choice(np.array([-1, 1], np.int8), (20, 32))
    labels = np.asfortranarray(random.integers(0, 2, (20, 12)).astype(np.uint8))
    write_codes(tmp_path / "codes.npz", StoredCodes(codes, labels, None, None))
    found = read_codes(tmp_path / "codes.npz")
    assert isinstance(found, StoredCodes)
    np.testing.assert_array_equal(found.query_codes, codes)
    np.testing.assert_array_equal(found.query_labels, labels)
