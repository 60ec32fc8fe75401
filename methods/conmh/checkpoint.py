"""The authors' names of ConMH's weights (huangmozhi9527/ConMH)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from bench.method import AuthorsWeights, count_blocks

DEEPEST = 64
"""Blocks of an encoder or decoder that names are made for; those that a network lacks play no part."""
BLOCK = {
    "attention_norm.weight": "norm1.weight",
    "attention_norm.bias": "norm1.bias",
    "attention.query_key_value.weight": "attn.qkv.weight",
    "attention.query_bias": "attn.q_bias",
    "attention.value_bias": "attn.v_bias",
    "attention.output.weight": "attn.proj.weight",
    "attention.output.bias": "attn.proj.bias",
    "feed_forward_norm.weight": "norm2.weight",
    "feed_forward_norm.bias": "norm2.bias",
    "feed_forward.0.weight": "mlp.fc1.weight",
    "feed_forward.0.bias": "mlp.fc1.bias",
    "feed_forward.2.weight": "mlp.fc2.weight",
    "feed_forward.2.bias": "mlp.fc2.bias",
}
LAYERS = {
    "encoder.project": "encoder.patch_embed",
    "encoder.norm": "encoder.norm",
    "encoder.head": "encoder.head",
    "encoder.hash.linear": "binary",
    "encoder.hash.norm": "ln",
    "decoder.norm": "decoder.norm",
    "decoder.head": "decoder.head",
}

NAMES = (
    {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in LAYERS.items() for part in ("weight", "bias")}
    | {
        f"{half}.blocks.{number}.{ours}": f"{half}.blocks.{number}.{theirs}"
        for half in ("encoder", "decoder")
        for number in range(DEEPEST)
        for ours, theirs in BLOCK.items()
    }
    | {"decoder.embed.weight": "encoder_to_decoder.weight", "decoder.mask_token": "mask_token"}
)
"""The authors' name of every weight, by ours."""

INPUT = "encoder.patch_embed.weight"
DECODER_QUERIES = "decoder.blocks.0.attn.q_bias"
HEADS = {
    "heads": "heads of the encoder's attention; the authors' networks have 6, except those that they never use",
    "decoder_heads": "heads of the decoder's attention, which encoding never uses; the authors' networks have 3",
}


def shown(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The sizes of the network; those whose weights are missing are left out, and their defaults hold."""
    widths = {"hidden": INPUT, "decoder_hidden": "encoder_to_decoder.weight"}
    sizes = {name: len(weights[theirs]) for name, theirs in widths.items() if theirs in weights} | {
        "depth": count_blocks(weights, "encoder.blocks."),
        "decoder_depth": count_blocks(weights, "decoder.blocks."),
    }
    if DECODER_QUERIES in weights and "decoder_hidden" in sizes:
        width, inner = sizes["decoder_hidden"], weights[DECODER_QUERIES].numel()
        # Several counts may give the inner width; encoding does not use the decoder, so any of them will do.
        fitting = [heads for heads in (3, *range(1, width + 1)) if width // heads * heads == inner]
        sizes |= {"decoder_heads": fitting[0]} if fitting else {}
    return sizes


AUTHORS = AuthorsWeights(
    names=NAMES, input_weight=INPUT, code_weight="binary.weight", shown=shown, hidden_settings=HEADS
)
