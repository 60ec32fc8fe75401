"""Device, precision and processes of training, through Lightning Fabric."""

import logging
import os
import warnings

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from bench.training.items import Batch, Objective
from bench.training.processes import process_count
from bench.training.schedule import Precision


def start_fabric(device: torch.device, precision: Precision) -> Fabric:
    """Fabric on this device and, where `torchrun` started several processes, on all of them."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    processes = process_count()
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    with warnings.catch_warnings():
        # What it warns of, such as a GPU that is left unused, was asked for.
        warnings.simplefilter("ignore")
        fabric = Fabric(
            accelerator="cuda" if device.type == "cuda" else "cpu",
            devices=local if processes > 1 or device.index is None else [device.index],
            num_nodes=max(1, processes // local),
            strategy="ddp" if processes > 1 else "auto",
            precision="bf16-mixed" if precision == "bfloat16" else "32-true",
        )
        fabric.launch()
    return fabric


def emulates_bfloat16(device: torch.device) -> bool:
    """Whether matrix products in bfloat16 are known to be slower on this device than those in float32."""
    known = getattr(torch.cpu, "get_capabilities", None)
    if device.type != "cpu" or known is None:
        return False
    return not any(has for name, has in known().items() if "bf16" in name)


class TrainingStep(nn.Module):
    """The network with its loss as one module: what several processes synchronise is what this computes."""

    def __init__(self, network: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self._objective = objective

    def forward(self, batch: Batch, epoch: int) -> dict[str, Tensor]:
        return self._objective.loss(batch, epoch)
