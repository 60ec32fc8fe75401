"""The module that encodes: a network's own faster form of itself, where it has one."""

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class HasInferenceModule(Protocol):
    """A network that knows a faster form of itself."""

    def inference_module(self) -> nn.Module:
        """The same function (n, T, D) → (n, K) in evaluation mode, equal but for rounding, with weights of its own.

        It holds plain layers and buffers only, has no branches that depend on values, takes any n, works in bfloat16
        after `.to(torch.bfloat16)` and gives float32, so that it can be compiled and exported.
        """


def inference_module(module: nn.Module) -> nn.Module:
    """The faster form of `module` in evaluation mode, or `module` itself if it has none."""
    return module.inference_module().eval() if isinstance(module, HasInferenceModule) else module.eval()
