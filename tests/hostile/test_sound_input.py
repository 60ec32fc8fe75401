"""What the malformed inputs are made from is read: the checks refuse nothing that is as it should be."""

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from scipy.io import savemat
from scipy.sparse import csc_matrix

import bench
from bench.cli import main
from bench.data.label_files import read_labels
from bench.running.plan import parse_settings, read_sweep_file

from . import material, sweeps

LABELS = material.labels_of("test")


@pytest.mark.parametrize(
    "write",
    [
        material.mat,
        material.compressed_mat,
        material.new_mat,
        lambda path: savemat(path, {"labels": csc_matrix(LABELS.astype(float))}, do_compression=True),
        lambda path: savemat(path, {"other": np.zeros((500, 500)), "labels": LABELS}, do_compression=True),
        lambda path: savemat(path, {"labels": LABELS.astype(float)}, format="4"),
    ],
)
def test_labels(tmp_path: Path, write: Callable[[Path], object]) -> None:
    write(tmp_path / "a.mat")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.mat"), LABELS)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.h5", material.hdf5), ("a.npy", material.npy), ("a.safetensors", material.safetensors)],
)
def test_features_and_encoders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[[Path], object]
) -> None:
    monkeypatch.chdir(tmp_path)
    material.deep_encoder(tmp_path)
    write(tmp_path / name)
    assert main(["encode", "--encoder", "encoder", "--features", name, "--out", "codes.npy"]) == 0
    assert np.load("codes.npy").shape == (12, material.BITS)


def test_a_described_folder(tmp_path: Path) -> None:
    material.feature_folder(tmp_path)
    (tmp_path / "data" / "dataset.toml").write_text(
        'title = "Größe – 类别"\nclass_names = ["a b", "ü", "犬"]\n[files.test]\nfeatures = "test_feats.h5"\n'
    )
    assert bench.load_dataset(tmp_path / "data").class_names == ("a b", "ü", "犬")


def test_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(sweeps.GOOD)
    assert read_sweep_file(tmp_path / "sweep.toml").bits == [4]
    assert parse_settings(["itq.iterations=3", "mcmsh.branches=['long']", "a.b=text"]) == {
        "itq": {"iterations": 3},
        "mcmsh": {"branches": ["long"]},
        "a": {"b": "text"},
    }


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (dict, {}),
        (OrderedDict, {}),
        (dict, {"_use_new_zipfile_serialization": False}),
        (lambda weights: {name: torch.nn.Parameter(v, v.is_floating_point()) for name, v in weights.items()}, {}),
    ],
)
def test_checkpoints(tmp_path: Path, change: Callable[[Any], Any], options: dict[str, Any]) -> None:
    stored = {name: value for name, value in material.weights().items() if value.is_floating_point() or value.ndim == 0}
    torch.save(change(stored), tmp_path / "a.pth", **options)
    encoder = bench.load_checkpoint("mcmsh", tmp_path / "a.pth", bits=16, alpha=1.0)
    with np.load(material.GOLDEN / "mcmsh_forward.npz") as arrays:
        dimensions = arrays["weight/mc_mlp.preproj.weight"].shape[1]
    assert encoder.description.dimensions == dimensions


def test_chunks_of_ordinary_size(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("feats", data=material.FEATURES, chunks=(3, 4, 8), compression="gzip")
    from bench.data.folder import open_features

    np.testing.assert_array_equal(open_features(tmp_path / "a.h5")[:], material.FEATURES)
