"""Which modules are alike in everything that their costs depend on."""

from typing import Any

from torch import Tensor, nn


def signature(module: nn.Module) -> str:
    """Equal for modules of the same classes with the same settings and the same shapes, whatever their weights are.

    Settings are the modules' own attributes. One that prints its address in memory makes a module alike to none.
    """
    return repr([(name, _own(part)) for name, part in module.named_modules()])


def _own(module: nn.Module) -> list[Any]:
    tensors = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    shapes = [(name, tuple(tensor.shape), str(tensor.dtype)) for name, tensor in tensors]
    settings = [
        (name, repr(value))
        for name, value in sorted(vars(module).items())
        if name != "training" and not (name.startswith("_") and name in vars(nn.Module()))
        if not isinstance(value, Tensor | nn.Module)
    ]
    kind = type(module)
    return [f"{kind.__module__}.{kind.__qualname__}", shapes, settings]
