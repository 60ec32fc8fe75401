"""WSCH with the weights of a golden file, whatever its sizes."""

from typing import Any

from bench.methods.wsch import Wsch, WschParameters
from bench.methods.wsch.checkpoint import NAMES, shown
from bench.methods.wsch.network import WschNetwork
from torch import Tensor

WEIGHT = "weight/"


def parameters(truth: dict[str, Tensor], **others: Any) -> WschParameters:
    """The sizes that a forward file's weights show."""
    weights = {name.removeprefix(WEIGHT): value for name, value in truth.items() if name.startswith(WEIGHT)}
    return WschParameters.model_validate(shown(weights) | others)


def network(truth: dict[str, Tensor], **others: Any) -> WschNetwork:
    """The network with a forward file's weights, in evaluation mode."""
    found = Wsch(truth["codes"].shape[1], parameters(truth, **others)).network(*truth["x"].shape[1:])
    found.load_state_dict({ours: truth[f"{WEIGHT}{NAMES[ours]}"] for ours in found.state_dict()})
    return found.eval()
