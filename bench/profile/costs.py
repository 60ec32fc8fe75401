"""All costs of one encoder, as a record keeps them."""

import io

import torch
from safetensors.torch import save
from torch import nn

from bench.data.features import Features
from bench.encoder import Encoder
from bench.profile.complexity import flops, parameter_count
from bench.profile.timing import time_encoding
from bench.record import Costs

LARGE_BATCH = 256


def measure_costs(encoder: Encoder, trained: nn.Module, videos: Features) -> Costs:
    """Costs of encoding, measured on real videos (at most 256) that are in memory before the clock starts.

    `trained` is the module as it is trained: with what encoding does not need, such as a decoder.
    """
    description, module = encoder.description, encoder.module
    sample = torch.from_numpy(videos[: min(LARGE_BATCH, len(videos))]).to(encoder.device)
    multiply_adds, uncounted = flops(module, description.frames, description.dimensions)
    device = encoder.device
    return Costs(
        parameters_trained=parameter_count(trained),
        parameters_encode=parameter_count(module),
        flops=multiply_adds,
        uncounted_operators=uncounted,
        encoder_bytes=encoder_bytes(module),
        code_bytes=-(-description.bits // 8),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        threads=torch.get_num_threads(),
        single=time_encoding(module, sample[:1]),
        batched=time_encoding(module, sample),
    )


def encoder_bytes(module: nn.Module) -> int:
    """Size of the encoder's weights on disk."""
    return len(io.BytesIO(save({name: tensor.contiguous() for name, tensor in module.state_dict().items()})).getvalue())
