"""The names of SSVH's weights in its authors' code (lixiangpengcs/Self-Supervised-Video-Hashing).

They released none.
"""

from bench.method import AuthorsWeights

from ..ssth.checkpoint import read_out_names, stack_names, steps

STACKS = {
    "encoder.low": "net_lu",
    "encoder.high": "net_en_hiera",
    "high_backward": "net_ru_high",
    "low_backward.cells": "net_ru",
    "high_forward": "net_rv_high",
    "low_forward.cells": "net_rv",
    "high_mean": "net_rm_high",
    "low_mean.cells": "net_rm",
}
"""The authors' name of every recurrence, by ours."""
READ = {"low_backward.read": "net_ru", "low_forward.read": "net_rv", "low_mean.read": "net_rm"}
"""Of those that a read-out belongs to."""

AUTHORS = AuthorsWeights(
    names={
        name: theirs
        for rows in (
            *(stack_names(ours, stack) for ours, stack in STACKS.items()),
            *(read_out_names(ours, stack) for ours, stack in READ.items()),
        )
        for name, theirs in rows.items()
    },
    input_weight="net_lu.W_in_to_ingate",
    code_weight="net_en_hiera.W_hid_to_ingate",
    inputs_first=True,
    # The last of an odd number of frames is left out.
    frames=lambda weights: (steps(weights), steps(weights) + 1),
    shown=lambda weights: {},
    unused=frozenset(
        f"{stack}.{name}" for stack in {*STACKS.values()} - {*READ.values()} for name in ("W_output", "b_output")
    ),
)
