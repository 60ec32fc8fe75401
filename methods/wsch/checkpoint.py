"""The authors' names of WSCH's weights (anon271/WSCH)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bench.method import AuthorsWeights

PARTS = ("weight", "bias")
LAYERS = {
    "encoder.norm": "En.Norm",
    "encoder.leave": "En.out_proj",
    "encoder.attention_norm": "En.norm1",
    "encoder.attention.output": "En.att1.linear_output",
    "encoder.hash.linear": "hash.linear",
    "encoder.hash.norm": "hash.ln",
    "decoder.norm": "De.norm",
    "decoder.attention.output": "De.att.linear_output",
    "decoder.leave": "De.out_proj",
}
WEIGHTS = {
    "encoder.enter": "En.in_proj",
    "encoder.rms_norm": "En.Norm1",
    "encoder.expand": "En.expand_proj",
    "encoder.convolution": "En.conv",
    "encoder.state_space.project": "En.ssm.x_proj",
    "decoder.embed": "De.encoder_to_decoder",
    **{f"encoder.attention.{name}": f"En.att1.linear_{name[0]}" for name in ("query", "key", "value")},
    **{f"decoder.attention.{name}": f"De.att.linear_{name[0]}" for name in ("query", "key", "value")},
}
"""Layers without a bias."""
NAMES = {
    **{f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in LAYERS.items() for part in PARTS},
    **{f"{ours}.weight": f"{theirs}.weight" for ours, theirs in WEIGHTS.items()},
    "encoder.state_space.mixing.log_rates": "En.ssm.A_log",
    "encoder.state_space.mixing.step_bias": "En.ssm.dt_bias",
    "encoder.state_space.mixing.skip": "En.ssm.D",
    "decoder.mask_token": "De.mask_token",
    "centres": "cluster_centers",
}
"""The authors' name of every weight, by ours."""
ROWS = {"hidden": "En.in_proj.weight", "decoder_hidden": "De.encoder_to_decoder.weight", "clusters": "cluster_centers"}
"""By the parameter: the weight with as many rows."""


def shown(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes of the network; those whose weights are missing are left out, and their defaults hold."""
    return {ours: len(weights[theirs]) for ours, theirs in ROWS.items() if theirs in weights and weights[theirs].ndim}


AUTHORS = AuthorsWeights(names=NAMES, input_weight="En.in_proj.weight", code_weight="hash.linear.weight", shown=shown)
