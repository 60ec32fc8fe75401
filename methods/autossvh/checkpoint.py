"""The authors' names of AutoSSVH's weights (EliSpectre/CVPR25-AutoSSVH): ConMH's, decoder positions and a sampler."""

from dataclasses import replace

from ..conmh.checkpoint import AUTHORS as CONMH

SAMPLER = "encoder.sample_net"
SAMPLER_LAYERS = ("importance_score.importance_score.0", "importance_score.importance_score.2",
                  "importance_score.norm", "importance_score.transf.0")  # fmt: skip

AUTHORS = replace(
    CONMH,
    names={**CONMH.names, "decoder.positions": "pos_embed"},
    frames=lambda weights: (weights["pos_embed"].shape[1],),
    # The released loss does not train the sampler, and encoding does not use it.
    unused=frozenset(
        {f"{SAMPLER}.temperature"}
        | {f"{SAMPLER}.{layer}.{part}" for layer in SAMPLER_LAYERS for part in ("weight", "bias")}
    ),
)
