"""The names of SSTH's weights in its authors' code (hanwangzhang/BLSTM). They released none."""

from collections.abc import Mapping

from torch import Tensor

from bench.method import AuthorsWeights, count_blocks

from ..shared.recurrent import GATES, PEEPHOLES

MOST_STEPS = 256
"""Steps that names are made for; those that a network lacks play no part."""
STATISTICS = {
    "gamma": "gamma",
    "beta": "beta",
    "running_mean": "running_mean",
    "running_deviation": "running_std",
}


def stack_names(ours: str, theirs: str) -> dict[str, str]:
    """Their name of every weight and statistic of a recurrence, by ours."""
    return {
        **{f"{ours}.enter.{gate}": f"{theirs}.W_in_to_{gate}" for gate in GATES},
        **{f"{ours}.recur.{gate}": f"{theirs}.W_hid_to_{gate}" for gate in GATES},
        **{f"{ours}.bias.{gate}": f"{theirs}.b_{gate}" for gate in GATES},
        **{f"{ours}.peephole.{gate}": f"{theirs}.W_cell_to_{gate}" for gate in PEEPHOLES},
        **{
            f"{ours}.norms.{step}.{own}": f"{theirs}.bn.{step}.{name}"
            for step in range(MOST_STEPS)
            for own, name in STATISTICS.items()
        },
    }


def read_out_names(ours: str, theirs: str) -> dict[str, str]:
    """Their names of the weights of a read-out, by ours."""
    return {f"{ours}.weight": f"{theirs}.W_output", f"{ours}.bias": f"{theirs}.b_output"}


def steps(weights: Mapping[str, Tensor]) -> int:
    """The steps of the encoder that reads the frames."""
    return count_blocks(weights, "net_lu.bn.")


DECODERS = {"backward_decoder": "net_ru", "forward_decoder": "net_rv", "mean_decoder": "net_rm"}

AUTHORS = AuthorsWeights(
    names=stack_names("encoder.cells", "net_lu")
    | {
        name: theirs
        for ours, stack in DECODERS.items()
        for name, theirs in (stack_names(f"{ours}.cells", stack) | read_out_names(f"{ours}.read", stack)).items()
    },
    input_weight="net_lu.W_in_to_ingate",
    code_weight="net_lu.W_hid_to_ingate",
    inputs_first=True,
    frames=lambda weights: (steps(weights),),
    shown=lambda weights: {},
)
