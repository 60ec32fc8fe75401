"""Several processes on one training: who this one is among those that `torchrun` started."""

import os
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed

from bench.errors import InputError

Choice = TypeVar("Choice")
_talk: list[Any] = []


def process_count() -> int:
    """How many processes `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_rank() -> int:
    """The number of this process, from 0; process 0 encodes, evaluates, stores and speaks."""
    return int(os.environ.get("RANK", "0"))


def process_device(device: torch.device) -> torch.device:
    """The device of this process: where there are several, each has the GPU of its local number."""
    if device.type == "cuda" and process_count() > 1:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device


def require_processes(method: str, processes: int) -> None:
    """InputError unless as many processes run as a method's training is to be shared by."""
    running = process_count()
    if processes > 1 and running == 1:
        raise InputError(f"{method}.processes={processes}: start them with "
                         f"torchrun --nproc-per-node {processes} --no-python bench run …")  # fmt: skip
    if processes != running:
        raise InputError(f"{method}.processes={processes}, but torchrun started {running}; set "
                         f"--set {method}.processes={running}, which changes batch statistics")  # fmt: skip


def join_processes(device: torch.device) -> None:
    """Meet the other processes that `torchrun` started; nothing to do where there is one."""
    if process_count() > 1 and not distributed.is_initialized():
        from bench.training.fabric import start_fabric  # noqa: PLC0415  seconds that only several processes need spend

        start_fabric(device, "float32")
        # Process 0 encodes and evaluates while the others wait for its next choice.
        _talk.append(distributed.new_group(backend="gloo", timeout=timedelta(days=7)))


def agreed(choice: Choice) -> Choice:
    """What process 0 chose; every process must ask at the same point."""
    if process_count() == 1:
        return choice
    answers = [choice]
    distributed.broadcast_object_list(answers, src=0, group=_talk[0])
    return answers[0]
