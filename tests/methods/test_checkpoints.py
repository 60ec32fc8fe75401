"""Files that are not the authors' weights end in one clear line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench
from bench.errors import InputError

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def weights() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / "mcmsh_forward.npz") as arrays:
        return {key[7:]: torch.from_numpy(arrays[key]) for key in arrays if key.startswith("weight/")}


def test_bits_of_the_file_are_named(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"a\.pth: holds an encoder of 16 bits, not 32"):
        bench.load_checkpoint("mcmsh", tmp_path / "a.pth", bits=32, alpha=1.0)


def test_missing_extra_and_misshapen_weights_are_named(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "a.pth"
    missing = {name: value for name, value in weights.items() if name != "mc_mlp.lrd.bn1.bias"}
    torch.save(missing, path)
    with pytest.raises(InputError, match=r"missing weights: mc_mlp\.lrd\.bn1\.bias;"):
        bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0)
    torch.save(weights | {"mc_mlp.more": torch.zeros(3)}, path)
    with pytest.raises(InputError, match=r"unknown weights: mc_mlp\.more;"):
        bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0)
    torch.save(weights | {"binary.bias": torch.zeros(17)}, path)
    with pytest.raises(InputError, match=r"another shape: binary\.bias \(17,\) instead of \(16,\)"):
        bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0)


def test_another_methods_file_and_no_weights_at_all(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "a.pth"
    torch.save(weights, path)
    with pytest.raises(InputError, match="is this a checkpoint of bth"):
        bench.load_checkpoint("bth", path, bits=16)
    with pytest.raises(InputError, match="lsh: does not know how its authors store weights"):
        bench.load_checkpoint("lsh", path, bits=16)
    path.write_bytes(b"not a checkpoint" * 100)
    with pytest.raises(InputError, match="no weights that can be read safely"):
        bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0)
    with pytest.raises(InputError, match=r"none\.pth: no such file; name a checkpoint file$"):
        bench.load_checkpoint("mcmsh", tmp_path / "none.pth", bits=16, alpha=1.0)
    (tmp_path / "empty.pth").touch()
    with pytest.raises(InputError, match=r"empty\.pth: the file is empty"):
        bench.load_checkpoint("bth", tmp_path / "empty.pth", bits=16)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", weight=np.zeros((500, 500)))
        with pytest.raises(InputError, match=r"a\.npz: an archive, but none that torch\.save wrote"):
            bench.load_checkpoint("bth", tmp_path / "a.npz", bits=16)


def test_a_file_with_code_is_refused(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (marker,)  # type: ignore[return-value]

    torch.save({"binary.weight": Malicious()}, tmp_path / "a.pth")
    with pytest.raises(InputError, match="no weights that can be read safely"):
        bench.load_checkpoint("mcmsh", tmp_path / "a.pth", bits=16, alpha=1.0)
    assert not marker.exists()


def test_alpha_is_asked_for(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"need alpha=…: the steepness of the tanh"):
        bench.load_checkpoint("mcmsh", tmp_path / "a.pth", bits=16)


@pytest.mark.parametrize(
    "alpha", ["x", "1", None, True, 0, -1.0, float("nan"), float("inf"), 10**400, 1e-50, np.ones(2)]
)
def test_alpha_is_a_number_above_0(tmp_path: Path, weights: dict[str, torch.Tensor], alpha: Any) -> None:
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"mcmsh: alpha=.* is no number above 0: the steepness") as caught:
        bench.load_checkpoint("mcmsh", tmp_path / "a.pth", bits=16, alpha=alpha)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("alpha", [1, np.float32(0.5), np.int64(2)])
def test_alpha_of_every_kind_of_number(tmp_path: Path, weights: dict[str, torch.Tensor], alpha: Any) -> None:
    torch.save(weights, tmp_path / "a.pth")
    encoder = bench.load_checkpoint("mcmsh", tmp_path / "a.pth", bits=16, alpha=alpha)
    assert float(encoder.module.state_dict()["alpha"]) == float(alpha)
