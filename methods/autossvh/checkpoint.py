"""The authors' names of AutoSSVH's weights (EliSpectre/CVPR25-AutoSSVH)."""

from bench.method import AuthorsWeights

from ..conmh.checkpoint import NAMES

SAMPLER = "encoder.sample_net"
SAMPLER_LAYERS = ("importance_score.importance_score.0", "importance_score.importance_score.2",
                  "importance_score.norm", "importance_score.transf.0")  # fmt: skip

AUTHORS = AuthorsWeights(
    names=NAMES | {"decoder.positions": "pos_embed"},
    input_weight="encoder.patch_embed.weight",
    code_weight="binary.weight",
    # The released loss does not train the sampler, and encoding does not use it.
    unused=frozenset(
        {f"{SAMPLER}.temperature"}
        | {f"{SAMPLER}.{layer}.{part}" for layer in SAMPLER_LAYERS for part in ("weight", "bias")}
    ),
)
