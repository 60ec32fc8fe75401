"""The authors' names of S5VH's weights (gimpong/AAAI25-S5VH)."""

from collections.abc import Iterator

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
OUTER = {
    "encoder.project": "encoder.patch_embed",
    "encoder.norm": "encoder.norm",
    "encoder.head": "encoder.head",
    "encoder.hash.linear": "binary",
    "encoder.hash.norm": "ln",
    "decoder.norm": "decoder.norm",
    "decoder.head": "decoder.head",
}


def names(layers: int, decoder_layers: int, tied: bool) -> dict[str, str]:
    """Their name of every weight, by ours. A Mamba that both directions share is stored twice: here under mamba1."""
    blocks = [f"encoder.blocks.{number}" for number in range(layers)]
    blocks += [f"decoder.blocks.{number}" for number in range(decoder_layers)]
    return {
        **{f"{ours}.{part}": f"{theirs}.{part}" for ours, theirs in OUTER.items() for part in PARTS},
        "decoder.embed.weight": "encoder_to_decoder.weight",
        "decoder.mask_token": "mask_token",
        "classifier.weight": "classifier.weight",
        **dict(name for block in blocks for name in _block(block, tied)),
    }


def _block(block: str, tied: bool) -> Iterator[tuple[str, str]]:
    for direction in range(2):
        for part in PARTS:
            yield f"{block}.norms.{direction}.{part}", f"{block}.norm{direction + 1}.{part}"
        if direction == 0 or not tied:
            for ours, theirs in MAMBA.items():
                yield f"{block}.mambas.{direction}.{ours}", f"{block}.mamba{direction + 1}.{theirs}"
