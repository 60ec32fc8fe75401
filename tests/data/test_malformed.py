"""Feature and label files that are not what they should be: one line each, at once, without reading what they claim."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file
from scipy.io import savemat
from scipy.sparse import csc_matrix

from bench.base.errors import InputError
from bench.data.folder import open_features
from bench.data.label_files import read_labels

GOOD = np.ones((6, 4, 3), np.float32)
HUGE = (10**8, 25, 4096)
Make = Callable[[Path], object]


def hdf5(array: Any = GOOD, key: str = "feats", **options: Any) -> Make:
    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset(key, data=array, **options)

    return make


def declared(shape: tuple[int, ...], **options: Any) -> Make:
    """A dataset of which only the first video, if any, was ever written."""

    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            dataset = file.create_dataset("feats", shape=shape, dtype="f4", **options)
            if options:
                dataset[0] = 1

    return make


def group(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_group("feats")


def external_link(path: Path) -> None:
    hdf5()(path.with_name("other.h5"))
    with h5py.File(path, "w") as file:
        file["feats"] = h5py.ExternalLink("other.h5", "/feats")


def link_to_a_link(path: Path) -> None:
    external_link(path)
    with h5py.File(path, "r+") as file:
        file["elsewhere"] = file.get("feats", getlink=True)
        del file["feats"]
        file["feats"] = h5py.SoftLink("/elsewhere")


def external_storage(path: Path) -> None:
    path.with_name("values.bin").write_bytes(GOOD.tobytes())
    with h5py.File(path, "w") as file:
        file.create_dataset("feats", GOOD.shape, "f4", external=[("values.bin", 0, GOOD.nbytes)])


def virtual(path: Path) -> None:
    hdf5()(path.with_name("other.h5"))
    layout = h5py.VirtualLayout(GOOD.shape, "f4")
    layout[:] = h5py.VirtualSource(str(path.with_name("other.h5")), "feats", GOOD.shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("feats", layout)


def npy(array: NDArray[Any]) -> Make:
    def make(path: Path) -> None:
        np.save(path, array, allow_pickle=True)

    return make


def archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, feats=GOOD)


def npy_header(shape: tuple[int, ...], version: tuple[int, int] = (1, 0), descr: str = "<f4") -> Make:
    def make(path: Path) -> None:
        with path.open("wb") as file:
            content = {"descr": descr, "fortran_order": False, "shape": shape}
            (np.lib.format.write_array_header_1_0 if version == (1, 0) else np.lib.format.write_array_header_2_0)(
                file, content
            )
            file.write(bytes(288))

    return make


def safetensors(entry: Any, length: int | None = None) -> Make:
    def make(path: Path) -> None:
        header = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
        path.write_bytes((len(header) if length is None else length).to_bytes(8, "little") + header + bytes(288))

    return make


def tensor(**changed: Any) -> Make:
    return safetensors({"feats": {"dtype": "F32", "shape": [6, 4, 3], "data_offsets": [0, 288], **changed}})


def cut(make: Make, share: float = 0.9) -> Make:
    def made(path: Path) -> None:
        make(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return made


DEFECTS: list[tuple[str, Make, str]] = [
    ("a.h5", hdf5(key="features"), r"no dataset 'feats'; it holds features"),
    ("a.h5", group, r"'feats' is an empty group; expected a dataset"),
    ("a.h5", cut(hdf5(np.ones((60, 25, 32), np.float32))), r"truncated"),
    ("a.h5", lambda path: path.write_bytes(b"no features " * 50), r"not an HDF5 file"),
    ("a.h5", lambda path: path.write_bytes(b""), r"the file is empty"),
    ("a.h5", lambda path: None, r"no such file"),
    ("a.h5", hdf5(np.ones((6, 4, 3), complex)), r"'feats' holds complex128; expected floats, integers"),
    ("a.h5", hdf5(np.ones(6, np.float32)), r"'feats' has shape \(6,\); expected \(videos, frames, dim"),
    ("a.h5", hdf5(h5py.Empty("f4")), r"'feats' has shape \(\); expected"),
    ("a.h5", hdf5(np.ones((0, 4, 3), np.float32)), r"'feats' is empty \(shape \(0, 4, 3\)\)"),
    ("a.h5", declared(HUGE), r"'feats': was not written completely for its shape \(100000000"),
    ("a.h5", declared(HUGE, chunks=(1, 25, 4096)), r"'feats': was not written completely"),
    ("a.h5", external_link, r"'feats' is a link into other\.h5"),
    ("a.h5", link_to_a_link, r"'feats' are in another file"),
    ("a.h5", external_storage, r"'feats' are in another file"),
    ("a.h5", virtual, r"'feats' are in another file"),
    ("a.npy", cut(npy(GOOD)), r"truncated or damaged: float32 of shape \(6, 4, 3\) would end at byte 416, the file"),
    ("a.npy", cut(npy(GOOD), 0.1), r"not a readable \.npy array"),
    ("a.npy", npy_header(HUGE), r"truncated or damaged: float32 of shape \(100000000, 25, 4096\)"),
    ("a.npy", npy_header((-1, 25, 4096)), r"truncated or damaged"),
    ("a.npy", npy_header(GOOD.shape, (2, 0)), r"version 2\.0; save a plain array"),
    ("a.npy", npy_header(GOOD.shape, descr="<U1"), r"holds <U1; expected floats, integers"),
    ("a.npy", archive, r"is an archive \(\.npz\); save the array by itself"),
    ("a.npy", npy(np.array([[["a", None]]], dtype=object)), r"holds Python objects, which are never loaded"),
    ("a.npy", npy(np.asfortranarray(GOOD)), r"stored column by column \(Fortran order\)"),
    ("a.npy", npy(np.ones((6, 4, 3), complex)), r"holds complex128; expected floats, integers"),
    ("a.npy", npy(GOOD[0, 0]), r"has shape \(3,\); expected \(videos, frames, dimensions\)"),
    ("a.npy", npy(GOOD[:0]), r"is empty \(shape \(0, 4, 3\)\)"),
    (
        "a.safetensors",
        lambda path: save_file({"x": GOOD}, path),
        r"no tensor 'feats'; it holds x; rename one, or name .* \(features_key\)",
    ),
    ("a.safetensors", tensor(dtype="C64"), r"'feats' holds C64; expected floats"),
    ("a.safetensors", lambda path: save_file({"feats": GOOD[0, 0]}, path), r"'feats' has shape \(3,\); expected"),
    ("a.safetensors", cut(tensor()), r"truncated or damaged: features \(6, 4, 3\) of float32"),
    ("a.safetensors", tensor(data_offsets=[0, 280]), r"'feats' has a damaged header"),
    ("a.safetensors", tensor(data_offsets=[8, 296]), r"truncated or damaged"),
    ("a.safetensors", tensor(data_offsets=[288, 0]), r"'feats' has a damaged header"),
    ("a.safetensors", tensor(data_offsets=[-8, 280]), r"'feats' has a damaged header"),
    ("a.safetensors", tensor(data_offsets=None), r"'feats' has a damaged header"),
    ("a.safetensors", tensor(shape=[6, 4, "3"]), r"'feats' has a damaged header"),
    ("a.safetensors", tensor(shape=list(HUGE)), r"'feats' has a damaged header"),
    (
        "a.safetensors",
        tensor(shape=list(HUGE), data_offsets=[0, 4 * 25 * 4096 * 10**8]),
        r"truncated or damaged: features \(100000000, 25, 4096\)",
    ),
    ("a.safetensors", safetensors({"feats": 3}), r"no tensor 'feats'"),
    ("a.safetensors", safetensors([]), r"its header is not a table"),
    ("a.safetensors", safetensors(b"{no"), r"its header is not JSON"),
    ("a.safetensors", safetensors({}, length=2**60), r"not a safetensors file, or truncated"),
    ("a.safetensors", lambda path: path.write_bytes(b"abc"), r"not a safetensors file, or truncated"),
]


@pytest.mark.parametrize(("name", "make", "message"), DEFECTS)
def test_features(tmp_path: Path, name: str, make: Make, message: str) -> None:
    _refused(open_features, tmp_path / name, make, message)


def declared_labels(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("labels", shape=(239, 10**9), dtype="f8", chunks=(239, 100))


def sparse_labels(path: Path) -> None:
    savemat(path, {"labels": csc_matrix((10**8, 40))})


def linked_labels(path: Path) -> None:
    external_link(path)
    with h5py.File(path, "r+") as file:
        file.move("feats", "labels")


LABEL_DEFECTS: list[tuple[str, Make, str]] = [
    (
        "a.mat",
        hdf5(np.eye(3)),
        r"no dataset 'labels'; it holds feats; rename one, or name the right one in dataset\.toml \(labels_key\)",
    ),
    ("a.mat", declared_labels, r"'labels' has shape \(239, 1000000000\) in a file of \d+ bytes: damaged"),
    ("a.mat", sparse_labels, r"'labels' has shape \(100000000, 40\) in a file of \d+ bytes: damaged"),
    ("a.mat", lambda path: savemat(path, {"l": np.eye(3)}), r"no array 'labels'; it holds l; name the right one"),
    ("a.mat", cut(lambda path: savemat(path, {"labels": np.eye(30)}), 0.5), r"not a readable MATLAB file"),
    ("a.mat", linked_labels, r"'labels' is a link into other\.h5"),
    ("a.npy", npy(np.array(["a", None], dtype=object)), r"holds Python objects"),
    ("a.npy", npy_header((10**9, 239)), r"truncated or damaged"),
]


@pytest.mark.parametrize(("name", "make", "message"), LABEL_DEFECTS)
def test_labels(tmp_path: Path, name: str, make: Make, message: str) -> None:
    _refused(read_labels, tmp_path / name, make, message)


def _refused(read: Callable[[Path], object], path: Path, make: Make, message: str) -> None:
    """Reading raises one line that names the file, and never reserves what the file claims to hold."""
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_float64_is_read_as_float32(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(6, 4, 3))
    hdf5(array)(tmp_path / "a.h5")
    features = open_features(tmp_path / "a.h5")
    assert features.dtype == "float64"
    np.testing.assert_array_equal(features[:], array.astype(np.float32))


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GOOD)
    features = open_features(tmp_path / "a.npy")
    cut(npy(GOOD), 0.8)(tmp_path / "a.npy")
    with pytest.raises(InputError, match=r"a\.npy: was changed or replaced after it was opened"):
        features[:]
