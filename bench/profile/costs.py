"""Costs of encoders; equal encoders are measured once."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from bench.encoding.modules import inference_module
from bench.profile.cost_types import Costs
from bench.profile.counts import counted_by_hand, flops, flops_by_module, other_operations, split_parameters
from bench.profile.encoding import Job, random_videos, time_encoders
from bench.profile.environment import processor
from bench.profile.machine import peak_bytes

MEMORY_BATCHES = (1, 64)
"""Batch sizes at which peak memory is measured."""


@dataclass(frozen=True)
class Subject:
    """An encoder to measure, on the CPU; its costs depend on its shape and settings, not on its weights."""

    name: str
    module: nn.Module
    """Features (n, T, D) to relaxed codes (n, K)."""
    network: nn.Module
    """The module as trained, including parts that encoding does not need, such as a decoder."""
    bits: int
    frames: int
    dimensions: int

    def __post_init__(self) -> None:
        self.module.eval()
        self.network.eval()

    @property
    def kind(self) -> Hashable:
        """Equal for subjects whose costs are the same."""
        return self.frames, self.dimensions, self.bits, signature(self.module), signature(self.network)


def measure_costs(subjects: Sequence[Subject], device: torch.device) -> list[Costs | Exception]:
    """The costs of every subject, or the error it raised; subjects of one kind are measured once.

    Times are those of the module that encodes, in its faster form if it has one; operations are counted in its
    definition. `Costs.search` and `Costs.loading` stay empty.
    """
    kinds = [subject.kind for subject in subjects]
    first: dict[Hashable, Subject] = {}
    for kind, subject in zip(kinds, subjects, strict=True):
        first.setdefault(kind, subject)
    shapes = {(subject.frames, subject.dimensions) for subject in subjects}
    videos = {shape: random_videos(*shape) for shape in shapes}
    counted: dict[Hashable, dict[str, Any]] = {}
    jobs: dict[Hashable, Job] = {}
    found: dict[Hashable, Costs | Exception] = {}
    for kind, subject in first.items():
        job = Job(inference_module(subject.module), videos[subject.frames, subject.dimensions])
        try:
            counted[kind] = _count(subject, job)
            jobs[kind] = job
        except Exception as error:  # a method's code may fail in any way; the others are still measured
            found[kind] = error
    for kind, times in zip(jobs, time_encoders(list(jobs.values()), device), strict=True):
        found[kind] = times if isinstance(times, Exception) else Costs(**counted[kind], encoding=times)
    return [found[kind] for kind in kinds]


def encoder_bytes(module: nn.Module) -> int:
    """Size of the encoder's weights on disk."""
    return len(save({name: tensor.contiguous() for name, tensor in module.state_dict().items()}))


def signature(module: nn.Module) -> str:
    """A text that is equal for modules of the same classes, settings and shapes, whatever their weights.

    Settings are the modules' attributes. If one prints its memory address, the module equals no other.
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


def _by_class(module: nn.Module, counts: Mapping[str, int]) -> dict[str, int]:
    """Counts of submodules, summed over those of one class."""
    sums: Counter[str] = Counter()
    for name, count in counts.items():
        sums[type(module.get_submodule(name)).__name__] += count
    return dict(sums)


def _count(subject: Subject, job: Job) -> dict[str, Any]:
    """The fields of `Costs` that need no clock."""
    module, frames, dimensions = subject.module, subject.frames, subject.dimensions
    split = split_parameters(subject.network, module, frames, dimensions)
    multiply_adds, uncounted = flops(module, frames, dimensions)
    return {
        "parameters_instantiated": split.instantiated,
        "parameters_trained": split.trained,
        "parameters_encode": split.encode,
        "flops": multiply_adds,
        "flops_by_module": flops_by_module(module, frames, dimensions),
        "counted_by_hand": _by_class(module, counted_by_hand(module, frames, dimensions)),
        "uncounted_operators": uncounted,
        "other_operations": other_operations(module, frames, dimensions),
        "encoder_bytes": encoder_bytes(module),
        "code_bytes": -(-subject.bits // 8),
        "peak_bytes": {batch: peak_bytes(job.network, job.videos[:batch].clone()) for batch in MEMORY_BATCHES},
        "processor": processor(),
        "measured_on": subject.name,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
