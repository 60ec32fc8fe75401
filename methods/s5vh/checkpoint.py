"""The authors' names of S5VH's weights (gimpong/AAAI25-S5VH)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bench.method import AuthorsWeights, count_blocks

from ..conmh.checkpoint import DEEPEST, LAYERS

PARTS = ("weight", "bias")
MAMBA = {
    "in_proj.weight": "in_proj.weight",
    "convolution.weight": "conv1d.weight",
    "convolution.bias": "conv1d.bias",
    "x_proj.weight": "x_proj.weight",
    "dt_proj.weight": "dt_proj.weight",
    "dt_proj.bias": "dt_proj.bias",
    "scan.log_rates": "A_log",
    "scan.skip": "D",
    "out_proj.weight": "out_proj.weight",
}
BLOCK = {
    **{f"norms.{way}.{part}": f"norm{way + 1}.{part}" for way in (0, 1) for part in PARTS},
    **{f"mambas.{way}.{ours}": f"mamba{way + 1}.{theirs}" for way in (0, 1) for ours, theirs in MAMBA.items()},
}
NAMES = {
    **{f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in LAYERS.items() for part in PARTS},
    **{
        f"{half}.blocks.{number}.{ours}": f"{half}.blocks.{number}.{theirs}"
        for half in ("encoder", "decoder")
        for number in range(DEEPEST)
        for ours, theirs in BLOCK.items()
    },
    "decoder.embed.weight": "encoder_to_decoder.weight",
    "decoder.mask_token": "mask_token",
    "classifier.weight": "classifier.weight",
}
"""The authors' name of every weight, by ours."""
UNUSED = frozenset(
    {f"get_token_probs.{layer}.{part}" for layer in (0, 2) for part in PARTS}
    | {f"get_token_probs.1.{theirs}" for theirs in MAMBA.values()}
)
"""A sampler of tokens that they instantiate and never call."""
ROWS = {
    "hidden": "encoder.patch_embed.weight",
    "decoder_hidden": "encoder_to_decoder.weight",
    "clusters": "classifier.weight",
}
"""By the parameter: the weight with as many rows."""


def shown(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The parameters that weights show, of which tied Mambas are given once."""
    return {
        **{ours: len(weights[theirs]) for ours, theirs in ROWS.items() if theirs in weights and weights[theirs].ndim},
        "layers": count_blocks(weights, "encoder.blocks."),
        "decoder_layers": count_blocks(weights, "decoder.blocks."),
        "tied": not any(".mamba2." in name for name in weights),
    }


AUTHORS = AuthorsWeights(
    names=NAMES,
    input_weight="encoder.patch_embed.weight",
    code_weight="binary.weight",
    shown=shown,
    unused=UNUSED,
    # Both directions have the same weights, stored twice.
    repeated={".mamba2.": ".mamba1."},
)
