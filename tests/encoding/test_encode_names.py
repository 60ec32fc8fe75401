"""What `bench encode` reads, and what it may write over: codes of its own, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file

from bench.cli import main
from bench.data.raw import RawFeatures
from bench.encoding.code_file import read_code_file
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription
from bench.registry import load_registry

BITS = 8
VIDEOS = np.random.default_rng(0).normal(size=(9, 4, 3)).astype(np.float32)


@pytest.fixture
def codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.int8]:
    """The working folder holds `encoder/` and `x.npy`; the codes of these features."""
    method = load_registry().method("mlp-mixer")
    parameters = method.Parameters.model_validate({"hidden": 16})
    described = parameters.model_dump(mode="json")
    description = EncoderDescription(method="mlp-mixer", bits=BITS, frames=4, dimensions=3, parameters=described)
    encoder = Encoder(description, method(BITS, parameters).build(4, 3).eval())
    encoder.save(tmp_path / "encoder")
    np.save(tmp_path / "x.npy", VIDEOS)
    monkeypatch.chdir(tmp_path)
    return encoder.encode(VIDEOS)


def encode(features: str = "x.npy", out: str = "codes.npy", *more: str) -> int:
    return main(["encode", "--encoder", "encoder", "--features", features, "--out", out, *more])


def contents() -> dict[str, bytes]:
    files = (Path(folder, name) for folder, _, names in os.walk(".") for name in names)
    return {str(path): path.read_bytes() for path in files if path.is_file()}


def link_to(target: str) -> Callable[[Path], object]:
    return lambda path: path.symlink_to(target)


def array(values: Any) -> Callable[[Path], object]:
    return lambda path: np.save(path, values)


OWN_INPUT: dict[str, tuple[str, Callable[[Path], object]]] = {
    "the same name": ("x.npy", lambda path: None),
    "another spelling": ("encoder/../x.npy", lambda path: None),
    "a link": ("link.npy", link_to("x.npy")),
    "a link to a link": ("link.npy", lambda path: (link_to("x.npy")(Path("y.npy")), link_to("y.npy")(path))),
    "a hard link": ("hard.npy", lambda path: path.hardlink_to("x.npy")),
    "a folder that is a link": ("here/x.npy", lambda path: path.parent.symlink_to(".")),
}


def link_to_text(path: Path) -> None:
    Path("mine").write_text("mine")
    path.symlink_to("mine")


OTHERS: dict[str, Callable[[Path], object]] = {
    "a part of the same features": array(VIDEOS + 1),
    "pooled features": array(VIDEOS[:, 0]),
    "features as int8": array(np.arange(72, dtype=np.int8).reshape(9, BITS)),
    "labels": array(np.eye(BITS, dtype=np.uint8)),
    "labels as int8": array(np.eye(BITS, dtype=np.int8)),
    "class numbers": array(np.arange(9)),
    "codes of other bits": array(np.ones((9, BITS + 1), np.int8)),
    "text": lambda path: path.write_text("mine"),
    "a pipe": os.mkfifo,
    "a link to what is not codes": link_to_text,
}


@pytest.mark.parametrize("case", OWN_INPUT)
def test_its_own_input_is_kept(codes: NDArray[np.int8], case: str, capsys: pytest.CaptureFixture[str]) -> None:
    out, make = OWN_INPUT[case]
    make(Path(out))
    before = contents()
    assert encode(out=out) == 2
    said = f"bench: --out {out}: is the file of the features, which would be lost; name another file\n"
    assert capsys.readouterr().err == said
    assert contents() == before


@pytest.mark.parametrize("case", OTHERS)
def test_what_holds_no_codes_is_kept(codes: NDArray[np.int8], case: str, capsys: pytest.CaptureFixture[str]) -> None:
    OTHERS[case](Path("out.npy"))
    before = contents()
    assert encode(out="out.npy") == 2
    assert "bench: --out out.npy: holds no codes of 8 bits, and would be overwritten" in capsys.readouterr().err
    assert contents() == before


@pytest.mark.parametrize("out", ["encoder/codes.npy", "encoder/deeper/codes.npy", "link/codes.npy"])
def test_the_encoder_s_folder_is_kept(codes: NDArray[np.int8], out: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("encoder/deeper").mkdir()
    Path("link").symlink_to("encoder")
    assert encode(out=out) == 2
    assert "lies in the encoder's folder" in capsys.readouterr().err
    assert sorted(path.name for path in Path("encoder").iterdir()) == ["deeper", "encoder.json", "encoder.safetensors"]


def test_earlier_codes_are_replaced_where_a_link_leads(codes: NDArray[np.int8], tmp_path: Path) -> None:
    Path("disk").mkdir()
    np.save("disk/codes.npy", np.ones((3, BITS), np.int8))
    Path("codes.npy").symlink_to("disk/codes.npy")
    Path("disk/.codes.npy.mine.part").write_text("mine")
    assert encode() == 0
    assert Path("codes.npy").is_symlink()
    np.testing.assert_array_equal(np.load("disk/codes.npy"), codes)
    assert sorted(path.name for path in Path("disk").iterdir()) == [
        ".codes.npy.mine.part", "codes.npy", "codes.npy.json"
    ]  # fmt: skip
    assert read_code_file(Path("codes.npy")).description


def test_an_empty_file_has_nothing_to_lose(codes: NDArray[np.int8]) -> None:
    """As `mktemp` makes it."""
    Path("codes.npy").touch()
    assert encode() == 0
    np.testing.assert_array_equal(np.load("codes.npy"), codes)


def test_a_disk_that_fails_costs_no_codes(
    codes: NDArray[np.int8], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    many = np.concatenate([VIDEOS] * 40)
    np.save("x.npy", many)
    monkeypatch.setattr("bench.encoding.backends.BLOCK_BYTES", 1)
    real, reads = RawFeatures._fill, []

    def failing(self: RawFeatures, *arguments: Any) -> None:
        reads.append(1)
        if len(reads) == 4:
            raise OSError(5, "Input/output error")
        real(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RawFeatures, "_fill", failing)
        assert encode() == 2
    assert "x.npy: cannot be read (Input/output error): the disk" in (said := capsys.readouterr().err)
    assert said.endswith("; the same command goes on from there\n")
    assert encode() == 0
    assert "continued after 192 videos" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load("codes.npy"), np.concatenate([codes] * 40))


def hdf5(**arrays: NDArray[Any]) -> str:
    with h5py.File("y.h5", "w") as file:
        for name, values in arrays.items():
            file[name.replace("__", "/")] = values
    return "y.h5"


def safetensors(**arrays: NDArray[Any]) -> str:
    save_file(arrays, "y.safetensors")
    return "y.safetensors"


@pytest.mark.parametrize("write", [hdf5, safetensors])
def test_the_only_array_that_can_be_features(
    codes: NDArray[np.int8], write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(features=VIDEOS, labels=np.eye(9), ids=np.arange(9))
    assert encode(file) == 0
    assert f"{file}: no array 'feats'; used 'features', the only array that can be features" in capsys.readouterr().err
    np.testing.assert_array_equal(np.load("codes.npy"), codes)


def test_an_array_in_a_group(codes: NDArray[np.int8]) -> None:
    assert encode(hdf5(model__layer=VIDEOS, ids=np.arange(9))) == 0
    np.testing.assert_array_equal(np.load("codes.npy"), codes)


@pytest.mark.parametrize("write", [hdf5, safetensors])
def test_the_array_that_is_named(
    codes: NDArray[np.int8], write: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(first=VIDEOS + 1, second=VIDEOS)
    assert encode(file) == 2
    assert "no " in (said := capsys.readouterr().err)
    assert "'feats'; it holds first, second; name the right one with --key" in said
    assert encode(file, "codes.npy", "--key", "third") == 2
    assert "'third'; it holds first, second; name the right one with --key" in capsys.readouterr().err
    assert encode(file, "codes.npy", "--key", "second") == 0
    np.testing.assert_array_equal(np.load("codes.npy"), codes)


def test_an_array_called_feats_is_never_passed_over(
    codes: NDArray[np.int8], capsys: pytest.CaptureFixture[str]
) -> None:
    assert encode(hdf5(feats=VIDEOS, other=VIDEOS + 1)) == 0
    np.testing.assert_array_equal(np.load("codes.npy"), codes)
    assert "took" not in capsys.readouterr().err


def test_other_features_are_not_gone_on_with(codes: NDArray[np.int8], monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed in place, under the old size and date."""
    monkeypatch.setattr("bench.encoding.backends.BLOCK_BYTES", 1)
    np.save("x.npy", np.concatenate([VIDEOS] * 40))
    os.utime("x.npy", (1_600_000_000, 1_600_000_000))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert encode() == 130
    np.save("y.npy", np.concatenate([VIDEOS[::-1]] * 40))
    Path("x.npy").write_bytes(Path("y.npy").read_bytes())
    os.utime("x.npy", (1_600_000_000, 1_600_000_000))
    assert encode() == 0
    np.testing.assert_array_equal(np.load("codes.npy"), np.concatenate([codes[::-1]] * 40))
