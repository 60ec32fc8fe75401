"""Features behind one interface: every kind gives the numbers of the array."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.features import ArrayFeatures, ConcatenatedFeatures, Features, Hdf5Features, mean_pool
from bench.errors import InputError

ARRAY = np.random.default_rng(0).normal(size=(11, 4, 3)).astype(np.float32)


def in_memory(array: NDArray[np.float32], folder: Path) -> Features:
    return ArrayFeatures(array)


def in_hdf5(array: NDArray[np.float32], folder: Path) -> Features:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("feats", data=array, chunks=(1, 4, 3), compression="gzip")
    return Hdf5Features(folder / "a.h5")


def in_a_memory_map(array: NDArray[np.float32], folder: Path) -> Features:
    np.save(folder / "a.npy", array)
    return ArrayFeatures(np.load(folder / "a.npy", mmap_mode="r"))


def in_parts(array: NDArray[np.float32], folder: Path) -> Features:
    return ConcatenatedFeatures([ArrayFeatures(array[:4]), in_hdf5(array[4:5], folder), ArrayFeatures(array[5:])])


@pytest.fixture(params=[in_memory, in_hdf5, in_a_memory_map, in_parts])
def features(request: pytest.FixtureRequest, tmp_path: Path) -> Features:
    make: Callable[[NDArray[np.float32], Path], Features] = request.param
    return make(ARRAY, tmp_path)


def test_shape_and_indexing(features: Features) -> None:
    assert features.shape == ARRAY.shape
    assert len(features) == 11
    for index in (slice(None), slice(2, 7), slice(9, 3), slice(0, 11, 3), slice(-2, None), [3, 0, 3, 10], [-1], []):
        got = features[index]
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, ARRAY[index] if not isinstance(index, list) else ARRAY[np.array(index, int)])
    chosen = np.arange(11) % 2 == 0
    np.testing.assert_array_equal(features[chosen], ARRAY[chosen])
    with pytest.raises(IndexError, match="there are 11 videos"):
        features[[11]]


def test_blocks_and_pooling(features: Features) -> None:
    blocks = dict(features.blocks(block_bytes=4 * 4 * 3 * 2))
    assert list(blocks) == [0, 2, 4, 6, 8, 10]
    np.testing.assert_array_equal(np.concatenate(list(blocks.values())), ARRAY)
    np.testing.assert_allclose(mean_pool(features), ARRAY.mean(axis=1), rtol=1e-6, atol=1e-7)


def test_writing_to_what_was_read_leaves_the_features_alone(features: Features) -> None:
    features[0:2][:] = 99
    np.testing.assert_array_equal(features[0:2], ARRAY[0:2])


def test_half_precision_reads_as_float32(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["feats"] = ARRAY.astype(np.float16)
    assert Hdf5Features(tmp_path / "a.h5")[:].dtype == np.float32


def test_parts_must_agree() -> None:
    with pytest.raises(InputError, match="part files differ"):
        ConcatenatedFeatures([ArrayFeatures(ARRAY), ArrayFeatures(ARRAY[:, :2])])
