"""Features behind one interface: every kind of file gives the numbers of the array."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import save_file

from bench.base.errors import InputError
from bench.data import features as features_module
from bench.data.features import ArrayFeatures, ConcatenatedFeatures, Features, concatenated, mean_pool
from bench.data.folder import open_features
from bench.data.hdf5 import Hdf5Features
from bench.data.precision import Precision, as_float32, as_stored
from bench.data.raw import RawFeatures

ARRAY = np.random.default_rng(0).normal(size=(11, 4, 3)).astype(np.float32)


def in_memory(array: NDArray[np.float32], folder: Path) -> Features:
    return ArrayFeatures(array)


def in_compressed_hdf5(array: NDArray[np.float32], folder: Path) -> Features:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("feats", data=array, chunks=(1, 4, 3), compression="gzip")
    return of_kind(Hdf5Features, open_features(folder / "a.h5"))


def in_chunks_of_several_videos(array: NDArray[np.float32], folder: Path) -> Features:
    with h5py.File(folder / "b.h5", "w") as file:
        file.create_dataset("feats", data=array, chunks=(4, 3, 2))
    return of_kind(Hdf5Features, open_features(folder / "b.h5"))


def in_big_endian_hdf5(array: NDArray[np.float32], folder: Path) -> Features:
    with h5py.File(folder / "c.h5", "w") as file:
        file["feats"] = array.astype(">f4")
    return of_kind(Hdf5Features, open_features(folder / "c.h5"))


def in_contiguous_hdf5(array: NDArray[np.float32], folder: Path) -> Features:
    # A user block moves everything in the file.
    with h5py.File(folder / "d.h5", "w", userblock_size=1024) as file:
        file["other"] = np.arange(7)
        file["group/feats"] = array
    return of_kind(RawFeatures, open_features(folder / "d.h5", "group/feats"))


def in_npy(array: NDArray[np.float32], folder: Path) -> Features:
    np.save(folder / "a.npy", array)
    return of_kind(RawFeatures, open_features(folder / "a.npy"))


def in_safetensors(array: NDArray[np.float32], folder: Path) -> Features:
    save_file({"before": torch.arange(5), "feats": torch.from_numpy(array)}, folder / "a.safetensors")
    return of_kind(RawFeatures, open_features(folder / "a.safetensors"))


def in_parts(array: NDArray[np.float32], folder: Path) -> Features:
    return ConcatenatedFeatures(
        [ArrayFeatures(array[:4]), in_compressed_hdf5(array[4:5], folder), in_npy(array[5:], folder)]
    )


def of_kind(kind: type[Features], features: Features) -> Features:
    assert type(features) is kind
    return features


KINDS = [
    in_memory,
    in_compressed_hdf5,
    in_chunks_of_several_videos,
    in_big_endian_hdf5,
    in_contiguous_hdf5,
    in_npy,
    in_safetensors,
    in_parts,
]


@pytest.fixture(params=KINDS)
def features(request: pytest.FixtureRequest, tmp_path: Path) -> Features:
    make: Callable[[NDArray[np.float32], Path], Features] = request.param
    return make(ARRAY, tmp_path)


def test_shape_and_indexing(features: Features) -> None:
    assert features.shape == ARRAY.shape
    assert features.dtype == "float32"
    assert len(features) == 11
    for index in (slice(None), slice(2, 7), slice(9, 3), slice(0, 11, 3), slice(-2, None), [3, 0, 3, 10], [-1], []):
        got = features[index]
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, ARRAY[index] if not isinstance(index, list) else ARRAY[np.array(index, int)])
    chosen = np.arange(11) % 2 == 0
    np.testing.assert_array_equal(features[chosen], ARRAY[chosen])
    with pytest.raises(IndexError, match="there are 11 videos"):
        features[[11]]


def test_single_frames(features: Features) -> None:
    random = np.random.default_rng(1)
    rows, numbers = random.integers(0, 11, 30), random.integers(0, 4, 30)
    expected = np.stack([ARRAY[row, number] for row, number in zip(rows, numbers, strict=True)])
    np.testing.assert_array_equal(features.read_frames(rows, numbers), expected)
    assert features.read_frames(rows[:0], numbers[:0]).shape == (0, 3)


def test_blocks_and_pooling(features: Features) -> None:
    blocks = dict(features.blocks(block_bytes=4 * 4 * 3 * 2))
    assert list(blocks) == [0, 2, 4, 6, 8, 10]
    np.testing.assert_array_equal(np.concatenate(list(blocks.values())), ARRAY)
    np.testing.assert_allclose(mean_pool(features), ARRAY.mean(axis=1), rtol=1e-6, atol=1e-7)


def test_writing_to_what_was_read_leaves_the_features_alone(features: Features) -> None:
    features[0:2][:] = 99
    features[[0, 1]][:] = 99
    np.testing.assert_array_equal(features[0:2], ARRAY[0:2])


def test_many_threads_at_once(features: Features) -> None:
    def read(seed: int) -> bool:
        rows = np.random.default_rng(seed).integers(0, 11, 9)
        start = int(rows[0])
        return (
            np.array_equal(features.read(rows), ARRAY[rows])
            and np.array_equal(features.read_slice(start, 11), ARRAY[start:])
            and np.array_equal(features.read_frames(rows, rows % 4), ARRAY[rows, rows % 4])
        )

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(200)))


@given(rows=st.lists(st.integers(0, 2_999), max_size=60))
def test_any_rows_of_a_contiguous_file(rows: list[int], long_file: Path) -> None:
    chosen = np.array(rows, dtype=np.int64)
    # Video n of this file holds n, n + 1 and so on.
    expected = chosen[:, None, None] + np.arange(4).reshape(1, 2, 2)
    np.testing.assert_array_equal(open_features(long_file).read(chosen), expected)


def test_more_neighbours_than_one_call_can_fill(long_file: Path) -> None:
    rows = np.random.default_rng(0).permutation(3000)
    expected = rows[:, None, None] + np.arange(4).reshape(1, 2, 2)
    np.testing.assert_array_equal(open_features(long_file).read(rows), expected)


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "long.npy"
    np.save(path, (np.arange(3000)[:, None, None] + np.arange(4).reshape(1, 2, 2)).astype(np.float32))
    return path


TORCH: dict[Precision, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}


@pytest.mark.parametrize("precision", TORCH)
def test_every_precision_reads_as_float32(tmp_path: Path, precision: Precision) -> None:
    stored = torch.from_numpy(ARRAY).to(TORCH[precision])
    save_file({"feats": stored}, tmp_path / "a.safetensors")
    features = open_features(tmp_path / "a.safetensors")
    assert features.dtype == precision
    expected = stored.float().numpy()
    np.testing.assert_array_equal(features[:], expected)
    np.testing.assert_array_equal(features[[3, 1, 3]], expected[[3, 1, 3]])
    np.testing.assert_array_equal(features.read_frames(np.array([5, 2]), np.array([3, 0])), expected[[5, 2], [3, 0]])
    assert features[:].dtype == np.float32


@pytest.mark.parametrize("chunks", [None, (2, 4, 3)])
def test_half_precision_in_hdf5(tmp_path: Path, chunks: tuple[int, ...] | None) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("feats", data=ARRAY.astype(np.float16), chunks=chunks)
    features = open_features(tmp_path / "a.h5")
    assert features.dtype == "float16"
    np.testing.assert_array_equal(features[:], ARRAY.astype(np.float16).astype(np.float32))


def test_every_half_precision_number_by_its_bits() -> None:
    bits = np.arange(2**16).astype(np.uint16)
    halves = bits.view(np.float16)
    np.testing.assert_array_equal(as_float32(halves, "float16"), halves.astype(np.float32))
    ordinary = np.isfinite(halves)
    np.testing.assert_array_equal(as_stored(as_float32(halves, "float16"), "float16")[ordinary], halves[ordinary])
    # The upper half of float32.
    got = as_float32(bits.view(np.int16), "bfloat16")
    np.testing.assert_array_equal(got.view(np.uint32), bits.astype(np.uint32) << 16)
    ordinary = np.isfinite(got)
    np.testing.assert_array_equal(as_stored(got[ordinary], "bfloat16").view(np.uint16), bits[ordinary])


def test_rounding_to_the_nearest_even() -> None:
    # bfloat16 holds 8 bits: between 1 and 2 in steps of 1/128, and 1 + 1/256 lies in the middle of two.
    values = np.array([1 + 1 / 256, 1 + 3 / 256, 1 + 1.01 / 256, 3.4e38], dtype=np.float32)
    rounded = as_float32(as_stored(values, "bfloat16"), "bfloat16")
    assert rounded.tolist() == [1, 1 + 4 / 256, 1 + 2 / 256, np.inf]
    halves = as_stored(np.array([1 + 1 / 2048, 1 + 3 / 2048, 65504, 70000], dtype=np.float32), "float16")
    assert halves.tolist() == [1, 1 + 4 / 2048, 65504, np.inf]


def test_parts_of_several_precisions_need_the_widest() -> None:
    def part(name: str) -> Features:
        return ArrayFeatures(ARRAY.astype(name))

    assert ConcatenatedFeatures([part("float16"), part("float16")]).dtype == "float16"
    assert ConcatenatedFeatures([part("float16"), part("float32")]).dtype == "float32"
    assert ConcatenatedFeatures([part("float64"), part("float32")]).dtype == "float64"


def test_means_too_large_for_memory_lie_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features_module, "MEANS_IN_MEMORY", 10)
    pooled = mean_pool(ArrayFeatures(ARRAY))
    assert isinstance(pooled, np.memmap)
    np.testing.assert_allclose(pooled, ARRAY.mean(axis=1), rtol=1e-6, atol=1e-7)
    monkeypatch.setattr("bench.base.files.free_space", lambda folder: 5)
    with pytest.raises(InputError, match=r"takes 0\.0 MB, the disk has 0\.0 MB free; name another folder in TMPDIR"):
        mean_pool(ArrayFeatures(ARRAY))


@pytest.mark.parametrize(
    ("cut", "fix"),
    [(np.s_[:, :2], "sample as many frames of every video"), (np.s_[:, :, :2], "all parts must agree")],
)
def test_parts_must_agree(cut: Any, fix: str) -> None:
    first, other = ArrayFeatures(ARRAY), ArrayFeatures(ARRAY[cut])
    with pytest.raises(InputError, match=rf"^c has \(frames, dimensions\) = .*but the first, a, has .*; {fix}"):
        concatenated([first, first, other], ["a", "b", "c"])
