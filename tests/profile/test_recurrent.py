"""Multiply-adds of recurrent layers, by hand: a weight once a step; and what is said of those that nothing counts."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from bench.profile.counts import flops, flops_by_module
from bench.profile.operators import may_hold_products

T, D, H, K = 5, 12, 8, 4


class Recurrent(nn.Module):
    def __init__(self, layer: nn.Module, width: int = H) -> None:
        super().__init__()
        self.layer = layer
        self.project = nn.Linear(width, K)

    def forward(self, videos: Tensor) -> Tensor:
        return self.project(self.layer(videos)[0].mean(dim=1))


class Steps(nn.Module):
    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, videos: Tensor) -> Tensor:
        state = None
        for step in range(videos.shape[1]):
            state = self.cell(videos[:, step], state)
        last: Any = state[0] if isinstance(state, tuple) else state
        assert isinstance(last, Tensor)
        return last


@pytest.mark.parametrize(
    ("layer", "width", "by_hand"),
    [
        (nn.GRU(D, H, batch_first=True), H, 3 * H * (D + H)),
        (nn.LSTM(D, H, batch_first=True), H, 4 * H * (D + H)),
        (nn.RNN(D, H, batch_first=True), H, H * (D + H)),
        (nn.RNN(D, H, batch_first=True, nonlinearity="relu"), H, H * (D + H)),
        (nn.GRU(D, H, batch_first=True, bias=False), H, 3 * H * (D + H)),
        (nn.GRU(D, H), H, 3 * H * (D + H)),
        (nn.GRU(D, H, batch_first=True, bidirectional=True), 2 * H, 2 * 3 * H * (D + H)),
        (nn.LSTM(D, H, num_layers=2, batch_first=True), H, 4 * H * (D + H) + 4 * H * (H + H)),
        # The second layer reads both directions of the first.
        (
            nn.GRU(D, H, num_layers=2, batch_first=True, bidirectional=True),
            2 * H,
            2 * 3 * H * (D + H) + 2 * 3 * H * (2 * H + H),
        ),
        # States are projected to 3 numbers, which the next step and layer read.
        (
            nn.LSTM(D, H, num_layers=2, proj_size=3, batch_first=True),
            3,
            4 * H * (D + 3) + 3 * H + 4 * H * (3 + 3) + 3 * H,
        ),
    ],
)
def test_layers(layer: nn.Module, width: int, by_hand: int) -> None:
    module = Recurrent(layer, width).eval()
    total, uncounted = flops(module, T, D)
    # What runs over the first axis takes the one video for one step of T sequences: as many products.
    assert flops_by_module(module, T, D)["layer"] == T * by_hand
    assert total == T * by_hand + width * K
    assert uncounted == {"mean": 1}


@pytest.mark.parametrize(("cell", "gates"), [(nn.GRUCell, 3), (nn.LSTMCell, 4), (nn.RNNCell, 1)])
def test_cells(cell: Callable[[int, int], nn.Module], gates: int) -> None:
    total, uncounted = flops(Steps(cell(D, H)).eval(), T, D)
    assert total == T * gates * H * (D + H)
    assert may_hold_products(uncounted) == []


def test_packed_sequences_count_their_steps() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.GRU(D, H, batch_first=True)

        def forward(self, videos: Tensor) -> Tensor:
            packed = pack_padded_sequence(videos, torch.tensor([T]), batch_first=True)
            return self.layer(packed)[1][0]

    assert flops(Packed().eval(), T, D)[0] == T * 3 * H * (D + H)


def test_a_large_gru_beside_a_small_layer() -> None:
    """The case that was reported: 0.22 M of a method whose GRU alone needs 2.46 M."""
    module = Recurrent(nn.GRU(64, 128, batch_first=True), 128).eval()
    total, _ = flops(module, 25, 64)
    assert total == 25 * 3 * 128 * (64 + 128) + 128 * K


def test_only_what_can_hold_products_makes_a_lower_bound() -> None:
    harmless = ["add_", "__xor__", "softmax", "unsafe_chunk", "lift_fresh", "sigmoid_", "topk", "mean"]
    assert may_hold_products(harmless) == []
    assert may_hold_products([*harmless, "scaled_dot_product_attention", "gru", "baddbmm"]) == [
        "baddbmm", "gru", "scaled_dot_product_attention",
    ]  # fmt: skip
