"""Files that are not the authors' weights end in one clear line."""

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import bench
from bench.base.errors import InputError
from bench.learning.deep_method import DeepMethod
from bench.registry import load_registry

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


def golden_codes(encoder: bench.Encoder) -> bool:
    """Does an encoder give what the authors' code gives?"""
    with np.load(GOLDEN / "mcmsh_forward.npz") as arrays:
        return bool((encoder.encode(arrays["x"]) == arrays["codes"]).all())


OPTIMISER = {
    "state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(4, 3), "exp_avg_sq": torch.zeros(4, 3)}},
    "param_groups": [{"lr": 0.001, "betas": (0.9, 0.999), "weight_decay": 0, "fused": None, "params": [0]}],
}
"""As `Adam.state_dict()` returns it."""
BESIDE = {
    "epoch": 3,
    "best": 0.5,
    "optimizer_state_dict": OPTIMISER,
    "milestones": Counter([20, 40]),
    "none": None,
}
WRAPPED: dict[str, Callable[[dict[str, torch.Tensor]], Any]] = {
    "model_state_dict": lambda weights: BESIDE | {"model_state_dict": weights},
    "another key": lambda weights: BESIDE | {"my hashing net": weights},
    "within another": lambda weights: BESIDE | {"checkpoint": {"ema": None, "net": weights}},
    "beside numbers": lambda weights: BESIDE | weights,
    "DataParallel": lambda weights: {f"module.{name}": value for name, value in weights.items()},
    "compile": lambda weights: {f"_orig_mod.{name}": value for name, value in weights.items()},
    "several prefixes": lambda weights: {"model": {f"module.model.{name}": value for name, value in weights.items()}},
    "DataParallel of a part": lambda weights: {n.replace("mc_mlp.", "mc_mlp.module."): v for n, v in weights.items()},
    "float64": lambda weights: {name: value.double() for name, value in weights.items()},
    "parameters": lambda weights: {n: torch.nn.Parameter(v, v.is_floating_point()) for n, v in weights.items()},
    "without counters": lambda weights: {n: v for n, v in weights.items() if not n.endswith("num_batches_tracked")},
    "more counters": lambda weights: weights | {"mc_mlp.bn.num_batches_tracked": torch.tensor(5)},
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_that_are_wrapped(tmp_path: Path, weights: dict[str, torch.Tensor], form: str, zipped: bool) -> None:
    torch.save(WRAPPED[form](weights), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    alpha: Any = torch.tensor(1.0)
    assert golden_codes(bench.load_checkpoint("mcmsh", tmp_path / "a.pth", bits=np.int64(16), alpha=alpha))


def test_safetensors(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    save_file(weights, tmp_path / "a.safetensors")
    assert golden_codes(bench.load_checkpoint("mcmsh", tmp_path / "a.safetensors", bits=16, alpha=1.0))
    (tmp_path / "b.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-100])
    with pytest.raises(InputError, match=r"b\.safetensors: no weights that can be read safely"):
        bench.load_checkpoint("mcmsh", tmp_path / "b.safetensors", bits=16, alpha=1.0)


def test_weights_in_half_precision_are_rounded_and_no_more(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    halves = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
    torch.save(halves, tmp_path / "a.pth")
    torch.save({name: value.float() for name, value in halves.items()}, tmp_path / "b.pth")
    first, second = (bench.load_checkpoint("mcmsh", tmp_path / f"{name}.pth", bits=16, alpha=1.0) for name in "ab")
    for name, value in first.module.state_dict().items():
        assert torch.equal(value, second.module.state_dict()[name])


def test_several_that_fit_are_named(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "a.pth"
    torch.save({"model": weights, "ema": dict(weights)}, path)
    with pytest.raises(InputError, match=r"weights of mcmsh are at \['model'\] and at \['ema'\]; save the ones"):
        bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0)
    torch.save({f"{part}.{name}": value for part in ("student", "teacher") for name, value in weights.items()}, path)
    with pytest.raises(InputError, match=r"are at the top, student\.… and at the top, teacher\.…; save the ones"):
        bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0)
    torch.save({f"model.{n}": v for n, v in weights.items()} | {"binary.bias": torch.zeros(16)}, path)
    with pytest.raises(InputError, match=r"unknown weights: binary\.bias \(without 'model\.'\);"):
        bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0)


def test_only_the_weights_that_are_taken_must_be_sound(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    torch.save({"model": weights, "losses": {"train": torch.tensor([1.0, float("nan")])}}, tmp_path / "a.pth")
    assert golden_codes(bench.load_checkpoint("mcmsh", tmp_path / "a.pth", bits=16, alpha=1.0))


@pytest.mark.filterwarnings("ignore:.*left out")
def test_frames_are_those_of_the_file(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "a.pth"
    mcmsh = load_registry().method("mcmsh")
    assert issubclass(mcmsh, DeepMethod)
    assert mcmsh.authors
    own = mcmsh(16, mcmsh.Parameters.model_validate({"hidden": 32})).network(30, 8).state_dict()
    torch.save({theirs: own[ours] for ours, theirs in mcmsh.authors.names.items()}, path)
    encoder = bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0)
    assert (encoder.description.frames, encoder.description.dimensions) == (30, 8)
    assert encoder.encode(np.zeros((2, 30, 8))).shape == (2, 16)
    assert bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0, frames=np.int64(30)).description.frames == 30
    with pytest.raises(InputError, match=r"a\.pth: holds an encoder of 30 frames, not 25; leave frames= out"):
        bench.load_checkpoint("mcmsh", path, bits=16, alpha=1.0, frames=25)
    # BTH's positions are computed: its weights fit any number of frames.
    with np.load(GOLDEN / "bth_forward.npz") as arrays:
        torch.save({key[7:]: torch.from_numpy(arrays[key]) for key in arrays if key.startswith("weight/")}, path)
    with pytest.warns(UserWarning, match=r"a\.pth: taken to be frames=25, which no weight shows; name what is"):
        assert bench.load_checkpoint("bth", path, bits=16).description.frames == 25
    with warnings.catch_warnings():
        warnings.filterwarnings("error", ".*taken to be")
        assert bench.load_checkpoint("bth", path, bits=16, frames=30).description.frames == 30


def test_a_whole_model_is_refused_with_what_to_save(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(3, 4), tmp_path / "a.pth")
    with pytest.raises(
        InputError, match=r"which dense weights do not need\); save .*torch\.save\(model\.state_dict\(\), "
    ):
        bench.load_checkpoint("bth", tmp_path / "a.pth", bits=16)
