"""AutoSSVH with the weights of the golden files."""

import json
from typing import Any

from bench.methods.autossvh import AutoSsvh, AutoSsvhParameters
from bench.methods.autossvh.checkpoint import AUTHORS
from bench.methods.autossvh.prototypes import Prototypes
from bench.methods.shared.autoencoder import MaskedAutoencoder
from torch import Tensor

from tests.methods.masked import golden

SAMPLER_LAYERS = {
    "mlp.0": "importance_score.importance_score.0",
    "mlp.2": "importance_score.importance_score.2",
    "norm": "importance_score.norm",
    "grade": "importance_score.transf.0",
}
"""The authors' names of the sampler's layers, by ours."""


def settings(**others: Any) -> dict[str, Any]:
    """Our names of the settings of the forward file."""
    theirs = json.loads(str(golden("autossvh_forward")["settings"]))
    return {
        "hidden": theirs["hidden"],
        "depth": theirs["depth"],
        "decoder_hidden": theirs["decoder_hidden"],
        "decoder_depth": theirs["decoder_depth"],
        "mask_ratio": theirs["mask"],
        "tau_plus": theirs["tau"],
        "contrastive_weight": theirs["a"],
        "prototype_weight": theirs["b"],
        "clusters": theirs["clusters"],
        **others,
    }


def network(truth: dict[str, Tensor], **others: Any) -> MaskedAutoencoder:
    """The network with the forward file's weights."""
    found = AutoSsvh(16, AutoSsvhParameters.model_validate(settings(**others))).network(*truth["x"].shape[-2:])
    found.load_state_dict(weights(found, truth))
    return found


def weights(found: MaskedAutoencoder, truth: dict[str, Tensor]) -> dict[str, Tensor]:
    """The authors' weights under our names."""
    names = dict(AUTHORS.names) | {
        f"sampler.{ours}.{part}": f"encoder.sample_net.{theirs}.{part}"
        for ours, theirs in SAMPLER_LAYERS.items()
        for part in ("weight", "bias")
    }
    return {ours: truth[f"weight/{names[ours]}"] for ours in found.state_dict()}


def prototypes(truth: dict[str, Tensor]) -> list[Prototypes]:
    """Those of a golden file, of each granularity."""
    return [
        Prototypes(truth[f"prototypes{number}"], truth[f"density{number}"], truth[f"assignments{number}"].numpy())
        for number in range(3)
    ]
