"""Costs without training: they depend on shapes, not on what was learned."""

from collections.abc import Sequence

import numpy as np
import torch
from tabulate import tabulate

from bench.data.features import ArrayFeatures
from bench.encoder import Encoder, EncoderDescription
from bench.profile.costs import LARGE_BATCH, measure_costs
from bench.sweep import PlannedRun
from bench.training import DeepMethod


def profile_table(planned: Sequence[PlannedRun], device: torch.device) -> str:
    """A text table of parameters, FLOPs and encoding times of untrained encoders, on random features."""
    rows = []
    for run in planned:
        method, summary = run.instantiate(), run.summary
        if method.uses_labels:
            continue
        trained = module = method.build(summary.frames, summary.dimensions)
        if isinstance(method, DeepMethod):
            trained = method.network(summary.frames, summary.dimensions)
        description = EncoderDescription(
            method=method.name,
            bits=method.bits,
            frames=summary.frames,
            dimensions=summary.dimensions,
            parameters=run.spec.parameters,
        )
        noise = np.random.default_rng(0).standard_normal((LARGE_BATCH, summary.frames, summary.dimensions))
        encoder = Encoder(description, module.eval().to(device))
        costs = measure_costs(encoder, trained, ArrayFeatures(noise.astype(np.float32)))
        rows.append(
            {
                "dataset": summary.name,
                "method": method.name,
                "bits": method.bits,
                "parameters": f"{costs.parameters_encode:,}",
                "trained": f"{costs.parameters_trained:,}",
                "multiply-adds": f"{costs.flops:,}",
                "ms/video, batch 1": f"{costs.single.median_ms:.3f}",
                f"ms/video, batch {costs.batched.batch}": f"{costs.batched.median_ms:.4f}",
            }
        )
    place = "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)
    note = f"untrained encoders on random features, {place}, {torch.get_num_threads()} threads; medians"
    return f"{tabulate(rows, headers='keys', disable_numparse=True, stralign='right')}\n\n{note}"
