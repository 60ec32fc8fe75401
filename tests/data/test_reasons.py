"""Why a file cannot be read, in true words: whatever kind of file it is, and whatever stands in its way."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from h5py import h5d, h5p, h5s, h5t, h5z
from safetensors.numpy import save_file
from scipy.io import savemat

import bench
from bench.base.errors import InputError
from bench.data.folder import open_features
from bench.data.label_files import read_labels
from bench.encoding.encoder import load_encoder
from bench.encoding.modules import EncoderDescription
from bench.registry import load_registry
from bench.store.codes_file import read_codes

FEATURES = np.random.default_rng(0).normal(size=(6, 4, 3)).astype(np.float32)
LABELS = np.eye(3, dtype=np.uint8)[[0, 1, 2, 0, 1, 2]]


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["feats"] = FEATURES
        file["labels"] = LABELS.T


def encoder(path: Path) -> None:
    method = load_registry().method("lsh")
    module = method(8, method.Parameters()).build(4, 3)
    description = EncoderDescription(method="lsh", bits=8, frames=4, dimensions=3, parameters={})
    bench.Encoder(description, module).save(path.parent)


Read = Callable[[Path], object]
KINDS: dict[str, tuple[Callable[[Path], object], Read]] = {
    "a.h5": (hdf5, lambda path: open_features(path)[:]),
    "a.npy": (lambda path: np.save(path, FEATURES), lambda path: open_features(path)[:]),
    "a.safetensors": (lambda path: save_file({"feats": FEATURES}, path), lambda path: open_features(path)[:]),
    "old.mat": (lambda path: savemat(path, {"labels": LABELS}), read_labels),
    "new.mat": (hdf5, read_labels),
    "labels.npy": (lambda path: np.save(path, LABELS), read_labels),
    "a.pth": (
        lambda path: torch.save({"mc_mlp.preproj.weight": torch.zeros(2, 2)}, path),
        lambda path: bench.load_checkpoint("mcmsh", path, 8, alpha=1.0),
    ),
    "encoder.json": (encoder, lambda path: load_encoder(path.parent)),
    "encoder.safetensors": (encoder, lambda path: load_encoder(path.parent)),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Read]:
    path: Path = tmp_path / request.param
    make, read = KINDS[request.param]
    make(path)
    return path, read


def refused(path: Path, read: Read) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


CONTENTS = {
    "git lfs pull": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 18677760128\n",
    "git annex get": b"/annex/objects/SHA256E-s1867--4d7a2146.h5\n",
    "its download failed": b"\n <!doctype HTML><html><body>Log in</body></html>\n",
    "packed with gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + bytes(20),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_what_lies_there_instead(kind: tuple[Path, Read], what: str) -> None:
    path, read = kind
    path.write_bytes(CONTENTS[what])
    assert what in refused(path, read)


def test_a_link_that_leads_nowhere(kind: tuple[Path, Read]) -> None:
    path, read = kind
    path.unlink()
    path.symlink_to("gone/a")
    assert refused(path, read).startswith("is a link to gone/a, which is not there; ")
    path.unlink()
    path.symlink_to("../.git/annex/objects/xX/yY/SHA256E-s9/SHA256E-s9")
    assert refused(path, read).endswith("; fetch it with `git annex get`")


def test_a_folder_and_an_empty_file(kind: tuple[Path, Read]) -> None:
    path, read = kind
    path.write_bytes(b"")
    assert refused(path, read).startswith("the file is empty; ")
    path.unlink()
    path.mkdir()
    assert refused(path, read).startswith("is a folder, not a file; ")


@contextmanager
def failing(path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every opening of the file by Python fails as the system would have it."""
    real_open, real_io = os.open, Path.open

    def fail(*arguments: Any) -> bool:
        if os.fspath(arguments[0]) == os.fspath(path):
            raise OSError(number, os.strerror(number), os.fspath(path))
        return False

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *a, **k: fail(*a) or real_open(*a, **k))
        patch.setattr(Path, "open", lambda *a, **k: fail(*a) or real_io(*a, **k))
        yield


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, "you lack the permission"),
        (errno.EMFILE, "this process has too many files open"),
        (errno.ENFILE, "the system has too many files open"),
        (errno.EIO, "the disk or the network failed"),
        (errno.ESTALE, "the network file system lost it"),
    ],
)
def test_what_the_system_says(kind: tuple[Path, Read], number: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = kind
    with failing(path, number, monkeypatch):
        assert refused(path, read).startswith(f"cannot be read ({os.strerror(number)}): {says}")


def test_codes_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "codes.npz").mkdir()
    assert refused(tmp_path / "codes.npz", read_codes) == "cannot be read (Is a directory)"


@pytest.mark.parametrize("name", ["a.h5", "new.mat"])
def test_a_file_that_another_program_writes(tmp_path: Path, name: str) -> None:
    path, (make, read) = tmp_path / name, KINDS[name]
    make(path)
    script = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdin
        assert writer.stdout
        assert writer.stdout.readline() == b"open\n"
        said = refused(path, read)
        writer.stdin.close()
    assert "another program has it open for writing; wait until it is closed" in said
    read(path)


def test_a_file_whose_writer_was_killed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w", libver="latest") as file:
        file["feats"] = FEATURES
        file.swmr_mode = True
        file.flush()
        (tmp_path / "copy.h5").write_bytes((tmp_path / "a.h5").read_bytes())
    said = refused(tmp_path / "copy.h5", open_features)
    assert said.startswith("is marked as open for writing by another program (")
    assert said.endswith("; wait until it is closed; if that program was killed, run `h5clear -s` on the file")


def test_a_file_that_is_shorter_than_it_says(tmp_path: Path) -> None:
    hdf5(tmp_path / "a.h5")
    os.truncate(tmp_path / "a.h5", (tmp_path / "a.h5").stat().st_size - 9)
    assert refused(tmp_path / "a.h5", open_features).startswith("truncated, or still being written (")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (32001, "32001 (Blosc), which is not installed; pip install hdf5plugin, or write it with gzip"),
        (32015, "32015 (Zstandard), which is not installed; pip install hdf5plugin, or write it with gzip"),
        (40000, "40000 (of unknown name), which is not installed; write it with gzip"),
    ],
)
def test_a_filter_that_is_not_installed(tmp_path: Path, code: int, says: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plan = h5p.create(h5p.DATASET_CREATE)
        plan.set_chunk((3, 4, 3))
        plan.set_filter(code, h5z.FLAG_OPTIONAL, ())
        feats = h5d.create(file.id, b"feats", h5t.IEEE_F32LE, h5s.create_simple(FEATURES.shape), plan)
        for first in (0, 3):
            feats.write_direct_chunk((first, 0, 0), bytes(90), 0)
    assert refused(tmp_path / "a.h5", open_features) == f"'feats' is compressed by filter {says}"


def test_filters_that_are_installed_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("feats", data=FEATURES, chunks=(3, 4, 3), compression="gzip", shuffle=True, fletcher32=True)
    np.testing.assert_array_equal(open_features(tmp_path / "a.h5")[:], FEATURES)
