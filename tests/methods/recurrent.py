"""SSTH and SSVH with the weights of the golden files, whatever their sizes."""

from typing import Any

import numpy as np
import torch
from bench.methods.ssvh.neighbours import Neighbourhood
from scipy.sparse import csr_array
from torch import Tensor

from bench.learning.deep_method import AuthorsWeights, DeepMethod
from bench.registry import load_registry

METHODS = ("ssth", "ssvh")


def built(method: str, bits: int = 8, **parameters: Any) -> DeepMethod:
    found = load_registry().method(method)
    assert issubclass(found, DeepMethod)
    return found(bits, found.Parameters.model_validate(parameters))


def names(method: str) -> AuthorsWeights:
    """The authors' names of a method's weights, by ours."""
    authors = built(method).authors
    assert authors
    return authors


def network(method: str, truth: dict[str, Tensor], **parameters: Any) -> Any:
    """The network of a golden file, in evaluation mode."""
    given = {"crossed_forward": True} if method == "ssvh" else {}
    bits = truth["weight/net_lu.b_cell"].numel()
    found = built(method, bits, **given | parameters).network(*truth["x"].shape[1:])
    theirs = names(method).names
    found.load_state_dict({ours: truth[f"weight/{theirs[ours]}"] for ours in found.state_dict()})
    return found.eval()


def weights(truth: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a golden file as its authors' code would save them."""
    return {name.removeprefix("weight/"): value for name, value in truth.items() if name.startswith("weight/")}


def similar_of(matrix: Tensor) -> Neighbourhood:
    """The neighbourhood of a matrix (N, N) of booleans."""
    rows = csr_array(matrix.numpy().astype(np.int32))
    return Neighbourhood(rows.indptr, rows.indices)


def stirred(module: Any, seed: int = 0) -> Any:
    """All weights and statistics drawn anew, as training may leave them, in evaluation mode."""
    random = torch.Generator().manual_seed(seed)
    state = module.state_dict()
    for name, value in state.items():
        drawn = torch.randn(value.shape, generator=random)
        value.copy_(drawn.abs() / 4 + 0.25 if "deviation" in name else drawn / max(1.0, len(value)) ** 0.5)
    module.load_state_dict(state)
    return module.eval()
