"""The authors' names of BTH's weights (Lily1994/BTH)."""

from bench.method import AuthorsWeights

BLOCK = "bert.transformer_blocks.0"
LINEAR = {
    "encoder.frame_map": "bert.embedding.frame_map",
    "encoder.attention.query": f"{BLOCK}.attention.linear_layers.0",
    "encoder.attention.key": f"{BLOCK}.attention.linear_layers.1",
    "encoder.attention.value": f"{BLOCK}.attention.linear_layers.2",
    "encoder.attention.output": f"{BLOCK}.attention.output_linear",
    "encoder.feed_forward.0": f"{BLOCK}.feed_forward.w_1",
    "encoder.feed_forward.3": f"{BLOCK}.feed_forward.w_2",
    "encoder.binary": "binary",
    "restore": "restore",
}
NORMS = {
    "encoder.attention_norm": f"{BLOCK}.input_sublayer.norm",
    "encoder.feed_forward_norm": f"{BLOCK}.output_sublayer.norm",
}

AUTHORS = AuthorsWeights(
    names={f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in LINEAR.items() for part in ("weight", "bias")}
    | {f"{ours}.gain": f"{theirs}.a_2" for ours, theirs in NORMS.items()}
    | {f"{ours}.shift": f"{theirs}.b_2" for ours, theirs in NORMS.items()},
    input_weight="bert.embedding.frame_map.weight",
    code_weight="binary.weight",
    # Instantiated and never called, or fixed.
    unused=frozenset({"bert.embedding.token.weight", "bert.embedding.segment.weight", "bert.embedding.position.pe"}),
)
