"""Networks as training leaves them: statistics and weights far from their initial values."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.mcmsh.mixer import McMlp
from torch import nn

import bench
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription
from bench.registry import load_registry

GOLDEN = Path(__file__).parents[1] / "golden"
MERGED = ("mcmsh", "mlp-mixer", "mixer-lrd", "mixer-mrd", "mixer-srd", "bth", "dkph", "bervae")
"""Deep methods with a form for inference."""
DEEP = (*MERGED, "conmh", "autossvh", "wsch")


def stirred(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights, biases and statistics drawn anew, so that no part of the network is near 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith(("running_var", "gain")):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        elif value.is_floating_point() and value.ndim:
            value.copy_(torch.randn(value.shape, generator=generator) / max(1.0, value[0].numel() ** 0.5))
    if isinstance(network, McMlp):
        state["alpha"].fill_(7.5)
    network.load_state_dict(state)
    return network.eval()


def deep_encoder(
    name: str, frames: int = 25, dimensions: int = 40, bits: int = 24, hidden: int | None = None
) -> Encoder:
    """An encoder of a built-in deep method with random weights."""
    method = load_registry().method(name)
    width = hidden or {"wsch": 64}.get(name, 48)
    parameters = method.Parameters.model_validate({"hidden": width})
    module = stirred(method(bits, parameters).build(frames, dimensions))
    description = EncoderDescription(
        method=name,
        bits=bits,
        frames=frames,
        dimensions=dimensions,
        parameters=parameters.model_dump(mode="json"),
    )
    return Encoder(description, module)


def golden_encoder(name: str, folder: Path) -> tuple[Encoder, dict[str, np.ndarray]]:
    """The authors' weights as an encoder, and their outputs."""
    with np.load(GOLDEN / f"{name}_forward.npz") as arrays:
        truth = dict(arrays)
    weights = {key[7:]: torch.from_numpy(value) for key, value in truth.items() if key.startswith("weight/")}
    torch.save(weights, folder / "authors.pth")
    settings: dict[str, Any] = {"alpha": float(truth["alpha"])} if name == "mcmsh" else {}
    return bench.load_checkpoint(name, folder / "authors.pth", bits=16, **settings), truth


def random_videos(count: int, frames: int = 25, dimensions: int = 40, seed: int = 1) -> np.ndarray:
    """Features (count, T, D) float32, sparse and skewed as those behind a ReLU."""
    drawn = np.random.default_rng(seed).normal(size=(count, frames, dimensions))
    return np.maximum(drawn, 0).astype(np.float32)


def plain(module: nn.Module, videos: np.ndarray) -> np.ndarray:
    """Relaxed outputs by the module's own, plain definition."""
    with torch.inference_mode():
        outputs: np.ndarray = module(torch.from_numpy(videos)).numpy()
    return outputs


@pytest.fixture(params=DEEP)
def deep(request: pytest.FixtureRequest) -> Encoder:
    """Each of the deep methods."""
    return deep_encoder(str(request.param))


@pytest.fixture(params=MERGED)
def merged(request: pytest.FixtureRequest) -> Encoder:
    """Each of those with a form for inference."""
    return deep_encoder(str(request.param))
