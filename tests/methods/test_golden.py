"""MCMSH and BTH against outputs of the authors' code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.bth.network import BthNetwork
from bench.methods.mcmsh import McmshParameters, total_loss
from bench.methods.mcmsh.losses import quadruplet_loss, quantisation_loss
from bench.methods.mcmsh.mixer import McMlp
from fvcore.nn import FlopCountAnalysis
from numpy.typing import NDArray
from torch import Tensor

import bench
from bench.learning.layers import cluster_loss, similarity_loss
from bench.profile.counts import flops, parameter_count

GOLDEN = Path(__file__).parents[1] / "golden"
PRECISION: Any = {"rtol": 1e-5, "atol": 1e-5}


def golden(name: str) -> dict[str, NDArray[np.float32]]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def checkpoint(name: str, folder: Path) -> Path:
    """The authors' weights as they save them."""
    weights = {key[7:]: torch.from_numpy(value) for key, value in golden(name).items() if key.startswith("weight/")}
    path = folder / f"{name}.pth"
    torch.save(weights, path)
    return path


def test_mcmsh_forward_pass(tmp_path: Path) -> None:
    truth = golden("mcmsh_forward")
    path = checkpoint("mcmsh_forward", tmp_path)
    encoder = bench.load_checkpoint("mcmsh", path, bits=16, alpha=float(truth["alpha"]))
    videos = torch.from_numpy(truth["x"])
    with torch.inference_mode():
        module: Any = encoder.module
        np.testing.assert_allclose(module.frames(videos), truth["frames"], **PRECISION)
        np.testing.assert_allclose(module(videos), truth["relaxed"], **PRECISION)
    np.testing.assert_array_equal(encoder.encode(truth["x"]), truth["codes"])


def test_bth_forward_pass(tmp_path: Path) -> None:
    truth = golden("bth_forward")
    with pytest.warns(UserWarning, match=r"never uses them: .*bert\.embedding\.token\.weight"):
        encoder = bench.load_checkpoint("bth", checkpoint("bth_forward", tmp_path), bits=16)
    videos = torch.from_numpy(truth["x"])
    with torch.inference_mode():
        module: Any = encoder.module
        hidden = module.hidden(videos)
        frame_codes = module.frame_codes(hidden)
    np.testing.assert_allclose(hidden, truth["hidden"], **PRECISION)
    np.testing.assert_array_equal(frame_codes, truth["frame_codes"])
    np.testing.assert_array_equal(encoder.encode(truth["x"]), truth["codes"])


def test_bth_reconstruction() -> None:
    truth = golden("bth_forward")
    network = BthNetwork(25, 48, 16, 256)
    network.restore.load_state_dict(
        {part: torch.from_numpy(truth[f"weight/restore.{part}"]) for part in ("weight", "bias")}
    )
    restored = network.restore(torch.from_numpy(truth["frame_codes"]))
    np.testing.assert_allclose(restored.detach(), truth["reconstruction"], **PRECISION)


def test_mcmsh_losses() -> None:
    truth = {name: torch.from_numpy(np.asarray(value)) for name, value in golden("mcmsh_losses").items()}
    parts: dict[str, Tensor] = {
        "cluster": cluster_loss(truth["e1"], truth["e2"], truth["center1"], truth["center2"]),
        "similarity": similarity_loss(truth["h1"], truth["h2"], truth["is_similar"]),
        "quantisation": quantisation_loss(truth["h1"], truth["h2"]),
        "quadruplet": quadruplet_loss(truth["h1"], truth["similar"], truth["dissimilar1"], truth["dissimilar2"]),
    }
    for name, value in parts.items():
        expected = truth["quantization" if name == "quantisation" else name]
        np.testing.assert_allclose(value, expected, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(total_loss(parts, McmshParameters()), truth["total"], rtol=1e-5)


@pytest.mark.parametrize(("bits", "expected"), [(16, 1_749_061), (32, 1_753_173), (64, 1_761_397)])
def test_mcmsh_parameters_at_the_papers_size(bits: int, expected: int) -> None:
    assert parameter_count(McMlp(25, 4096, bits, 256, ("long", "middle", "short"))) == expected


def test_mcmsh_flops_at_the_papers_size() -> None:
    count, uncounted = flops(McMlp(25, 4096, 64, 256, ("long", "middle", "short")).eval(), 25, 4096)
    assert count == pytest.approx(46_051_156, rel=0.01)
    assert uncounted["sigmoid"] == 9


def test_bth_parameters_and_flops_at_the_papers_size() -> None:
    network = BthNetwork(25, 4096, 64, 256).eval()
    assert parameter_count(network) == 2_121_280
    assert parameter_count(network.encoder) == 1_855_040
    assert flops(network.encoder, 25, 4096)[0] == pytest.approx(46_604_800, rel=0.01)
    with_decoder = FlopCountAnalysis(network, torch.zeros(1, 25, 4096)).unsupported_ops_warnings(False)
    assert with_decoder.total() == pytest.approx(53_158_400, rel=0.01)
