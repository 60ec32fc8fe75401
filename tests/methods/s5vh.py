"""S5VH with the weights of the golden files."""

from typing import Any

from bench.methods.s5vh import S5vh, S5vhParameters
from bench.methods.s5vh.checkpoint import NAMES
from bench.methods.s5vh.network import S5vhNetwork
from torch import Tensor

BITS = 16
SETTINGS = {"hidden": 64, "layers": 2, "decoder_hidden": 48, "decoder_layers": 1, "clusters": 12, "pca": 8}
"""Of the golden files."""


def parameters(**others: Any) -> S5vhParameters:
    return S5vhParameters.model_validate(SETTINGS | others)


def network(truth: dict[str, Tensor], **others: Any) -> S5vhNetwork:
    """The network with the forward file's weights, in evaluation mode."""
    found = S5vh(BITS, parameters(**others)).network(*truth["x"].shape[1:])
    found.load_state_dict({ours: truth[f"weight/{NAMES[ours]}"] for ours in found.state_dict()})
    return found.eval()
