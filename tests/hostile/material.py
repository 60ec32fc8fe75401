"""Sound inputs of every kind, made once: what is malformed is made from them."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.numpy import save_file
from scipy.io import savemat

FRAMES, DIMENSIONS, BITS = 4, 8, 8
VIDEOS = {"train": 12, "test": 6}
FEATURES = np.random.default_rng(0).normal(size=(12, FRAMES, DIMENSIONS)).astype(np.float32)
LABELS = np.eye(3, dtype=np.uint8)[np.arange(12) % 3]
GOLDEN = Path(__file__).parents[1] / "golden"


def features_of(split: str) -> np.ndarray:
    return FEATURES[: VIDEOS[split]]


def labels_of(split: str) -> np.ndarray:
    return LABELS[: VIDEOS[split]]


def hdf5(path: Path, array: np.ndarray = FEATURES, key: str = "feats") -> None:
    with h5py.File(path, "w") as file:
        file[key] = array


def npy(path: Path) -> None:
    np.save(path, FEATURES)


def safetensors(path: Path) -> None:
    save_file({"feats": FEATURES}, path)


def mat(path: Path) -> None:
    savemat(path, {"labels": labels_of("test")})


def compressed_mat(path: Path) -> None:
    savemat(path, {"labels": labels_of("test")}, do_compression=True)


def new_mat(path: Path) -> None:
    """A MATLAB file of version 7.3."""
    hdf5(path, labels_of("test").T, "labels")
    with h5py.File(path, "r+") as file:
        file["labels"].attrs["MATLAB_class"] = np.bytes_("uint8")


def label_npy(path: Path) -> None:
    np.save(path, labels_of("test"))


def feature_folder(folder: Path) -> None:
    """`data/`: a feature folder."""
    shutil.copytree(_made() / "data", folder / "data")


def encoder(folder: Path) -> None:
    """`encoder/`: a saved encoder of a linear method; `features.npy`: features for it."""
    shutil.copytree(_made() / "encoder", folder / "encoder")
    npy(folder / "features.npy")


def deep_encoder(folder: Path) -> None:
    """`encoder/`: a saved encoder of a network; `features.npy`: features for it."""
    shutil.copytree(_made() / "deep", folder / "encoder")
    npy(folder / "features.npy")


def results(folder: Path) -> None:
    """`results/`: a results folder with two runs."""
    shutil.copytree(_made() / "results", folder / "results")


def runs(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "results").glob("*/*/*/record.json"))


def weights() -> dict[str, torch.Tensor]:
    """The names and shapes that MCMSH's authors store."""
    with np.load(GOLDEN / "mcmsh_forward.npz") as arrays:
        return {key[7:]: torch.from_numpy(arrays[key]) for key in arrays if key.startswith("weight/")}


def checkpoint(path: Path) -> None:
    torch.save(weights(), path)


@cache
def _made() -> Path:
    """A folder with everything that takes a while to make."""
    from bench.cli import main
    from bench.encoding.encoder import Encoder
    from bench.encoding.modules import EncoderDescription
    from bench.registry import load_registry

    folder = Path(tempfile.mkdtemp(prefix="vhbench-hostile-"))
    (folder / "data").mkdir()
    for split in VIDEOS:
        hdf5(folder / "data" / f"{split}_feats.h5", features_of(split))
        savemat(folder / "data" / f"{split}_labels.mat", {"labels": labels_of(split)})
    for name, method in (("encoder", "lsh"), ("deep", "mlp-mixer")):
        found = load_registry().method(method)
        values = found.Parameters.model_validate({"hidden": 16} if method == "mlp-mixer" else {})
        description = EncoderDescription(
            method=method,
            bits=BITS,
            frames=FRAMES,
            dimensions=DIMENSIONS,
            parameters=values.model_dump(mode="json"),
        )
        Encoder(description, found(BITS, values).build(FRAMES, DIMENSIONS)).save(folder / name)
    call = ["run", "--methods", "lsh,pcah", "--bits", "4", "--datasets", str(folder / "data")]
    assert main([*call, "--results", str(folder / "results"), "--report", str(folder / "report")]) == 0
    return folder
