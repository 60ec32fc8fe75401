"""The authors' names of MCMSH's weights (haoyanbin918/MCMSH)."""

from bench.method import AuthorsWeights

PLACES = {"output_branches": "", "token_branches": "token_mixer.", "channel_branches": "channel_mixer."}
GATES = {"long": "lrd", "middle": "mrd", "short": "srd"}
LAYERS = {"reduce": "conv", "expand": "deconv"}
NORMS = {"reduce_norm": "bn1", "expand_norm": "bn2"}
MIXES = {"mix": "fc1", "remix": "fc2"}
MLP = {"0": "fc1", "3": "fc2"}
LINEAR = ("weight", "bias")
NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def _names() -> dict[str, str]:
    names = {f"binary.{part}": f"binary.{part}" for part in LINEAR}
    names |= {f"project.{part}": f"mc_mlp.preproj.{part}" for part in LINEAR}
    for mixer in ("token", "channel"):
        for ours, theirs in MLP.items():
            names |= {f"{mixer}_mlp.{ours}.{part}": f"mc_mlp.{mixer}_mixer.mlp.{theirs}.{part}" for part in LINEAR}
    for branches, place in PLACES.items():
        for branch, gate in GATES.items():
            prefix = f"mc_mlp.{place}{gate}"
            for ours, theirs in MIXES.items():
                names |= {f"{branches}.{ours}.{branch}.{part}": f"{prefix}.{theirs}.{part}" for part in LINEAR}
            for ours, theirs in LAYERS.items():
                names[f"{branches}.gates.{branch}.{ours}.weight"] = f"{prefix}.{theirs}.weight"
            for ours, theirs in NORMS.items():
                names |= {f"{branches}.gates.{branch}.{ours}.{part}": f"{prefix}.{theirs}.{part}" for part in NORM}
    return names


AUTHORS = AuthorsWeights(
    names=_names(),
    input_weight="mc_mlp.preproj.weight",
    code_weight="binary.weight",
    frames=lambda weights: (weights["mc_mlp.token_mixer.mlp.fc1.weight"].shape[1],),
    settings={"alpha": "the steepness of the tanh; the authors' eval script uses 1, their run script √(epoch + 1)"},
)
