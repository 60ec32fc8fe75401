"""The authors' names of BTH's weights (Lily1994/BTH), and of the encoder in the repositories that began as copies."""

from collections.abc import Mapping

from bench.method import AuthorsWeights

BLOCK = "bert.transformer_blocks.0"
INPUT = "bert.embedding.frame_map"
ENCODER = {
    "encoder.frame_map": INPUT,
    "encoder.attention.query": f"{BLOCK}.attention.linear_layers.0",
    "encoder.attention.key": f"{BLOCK}.attention.linear_layers.1",
    "encoder.attention.value": f"{BLOCK}.attention.linear_layers.2",
    "encoder.attention.output": f"{BLOCK}.attention.output_linear",
    "encoder.feed_forward.0": f"{BLOCK}.feed_forward.w_1",
    "encoder.feed_forward.3": f"{BLOCK}.feed_forward.w_2",
}
NORMS = {
    "encoder.attention_norm": f"{BLOCK}.input_sublayer.norm",
    "encoder.feed_forward_norm": f"{BLOCK}.output_sublayer.norm",
}
UNUSED = frozenset({"bert.embedding.token.weight", "bert.embedding.segment.weight", "bert.embedding.position.pe"})
"""Instantiated and never called, or fixed."""


def names(layers: Mapping[str, str]) -> dict[str, str]:
    """Their name of every weight of the encoder's block and of these linear layers, by ours."""
    linear = {**ENCODER, **layers}
    return (
        {f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in linear.items() for part in ("weight", "bias")}
        | {f"{ours}.gain": f"{theirs}.a_2" for ours, theirs in NORMS.items()}
        | {f"{ours}.shift": f"{theirs}.b_2" for ours, theirs in NORMS.items()}
    )


AUTHORS = AuthorsWeights(
    names=names({"encoder.binary": "binary", "restore": "restore"}),
    input_weight=f"{INPUT}.weight",
    code_weight="binary.weight",
    unused=UNUSED,
)
