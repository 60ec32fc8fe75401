"""FLOPs, parameters and memory of small modules counted by hand, and of MCMSH and BTH as their specifications say."""

import math

import pytest
import torch
from bench.methods.bth.network import BthNetwork
from bench.methods.mcmsh.mixer import McMlp
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from bench.learning.method import LinearHash
from bench.profile.costs import encoder_bytes
from bench.profile.counts import counted_by_hand, flops, flops_by_module, other_operations, split_parameters
from bench.profile.machine import peak_bytes

T, D, H, K = 5, 12, 8, 4


class Small(nn.Module):
    """A layer, softmax, gate and mean: every operator's work is known."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(D, H)
        self.head = nn.Sequential(nn.Linear(H, 2 * H), nn.ReLU(), nn.Linear(2 * H, K))
        self.unused = nn.Linear(3, 3)

    def forward(self, videos: Tensor) -> Tensor:
        x = self.project(videos)
        x = x.softmax(dim=-1) * torch.sigmoid(x)
        return self.head(x).mean(dim=1)


class Pool(nn.Module):
    def __init__(self, pooled: int) -> None:
        super().__init__()
        self.pooled = pooled

    def forward(self, videos: Tensor) -> Tensor:
        return functional.adaptive_avg_pool1d(videos, self.pooled).flatten(1)


class Attend(nn.Module):
    def forward(self, videos: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(videos, videos, videos).mean(dim=1)


def test_a_small_module_by_hand() -> None:
    total, uncounted = flops(Small().eval(), T, D)
    assert total == T * (D * H + H * 2 * H + 2 * H * K)
    assert uncounted == {"mean": 1, "mul": 1, "sigmoid": 1, "softmax": 1}
    assert other_operations(Small().eval(), T, D) == {
        "mean": T * K,
        "mul": T * H,
        "relu": T * 2 * H,
        "sigmoid": T * H,
        "softmax": 5 * T * H,
    }
    by_module = flops_by_module(Small().eval(), T, D)
    assert by_module == {
        "head": T * (H * 2 * H + 2 * H * K),
        "head.0": T * H * 2 * H,
        "head.2": T * 2 * H * K,
        "project": T * D * H,
    }


@given(st.integers(1, 40), st.integers(1, 40))
def test_adaptive_pooling_counts_what_lies_under_its_windows(size: int, pooled: int) -> None:
    windows = [range(i * size // pooled, math.ceil((i + 1) * size / pooled)) for i in range(pooled)]
    assert other_operations(Pool(pooled), T, size) == {"adaptive_avg_pool1d": T * sum(map(len, windows))}


class Decay(nn.Module):
    """h ← h/2 + x over the frames, which fvcore does not see; within it a product that it does see."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(H, H, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.zeros_like(x[:, 0])
        for t in range(x.shape[1]):
            state = torch.addcmul(self.inner(x[:, t]), state, torch.full_like(state, 0.5))
        return state

    def multiply_adds(self, x: Tensor) -> int:
        return x.shape[1] * x.shape[2] * (H + 7)


class Decaying(nn.Module):
    """Twice the same decay, beside a product."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(D, H)
        self.parts = nn.ModuleDict({"decay": Decay()})

    def forward(self, videos: Tensor) -> Tensor:
        x = self.project(videos)
        return torch.cat([self.parts["decay"](x), self.parts["decay"](x)], dim=1)


def test_a_part_that_counts_itself_is_counted_by_its_own_formula_and_named() -> None:
    module = Decaying().eval()
    by_hand = 2 * T * H * (H + 7)
    total, uncounted = flops(module, T, D)
    assert total == T * D * H + by_hand
    assert not {name for name in uncounted if name.startswith("addcmul")}
    assert counted_by_hand(module, T, D) == {"parts.decay": by_hand}
    by_module = flops_by_module(module, T, D)
    assert (by_module["parts.decay"], by_module["parts"], by_module["project"]) == (by_hand, by_hand, T * D * H)
    assert counted_by_hand(Small(), T, D) == {}


def test_attention_in_one_operator_is_two_products_and_a_softmax() -> None:
    found = other_operations(Attend(), T, D)
    assert found == {"scaled_dot_product_attention": 2 * T * T * D + 5 * T * T, "mean": T * D}


def test_what_fvcore_counts_is_left_to_fvcore() -> None:
    norm = nn.Sequential(nn.LayerNorm(D), nn.Linear(D, H), nn.BatchNorm1d(T)).eval()
    assert flops(norm, T, D)[0] > T * D * H
    assert other_operations(norm, T, D) == {}


def test_mcmsh_and_bth_at_the_papers_size_as_fvcore_counts_them() -> None:
    mcmsh = McMlp(25, 4096, 64, 256, ("long", "middle", "short")).eval()
    bth = BthNetwork(25, 4096, 64, 256).eval()
    assert flops(mcmsh, 25, 4096)[0] == 46_051_156
    assert flops(bth.encoder, 25, 4096)[0] == 46_604_800
    # Four layers, and the products of queries with keys and of weights with values.
    assert flops_by_module(bth.encoder, 25, 4096)["attention"] == 4 * 25 * 256 * 256 + 2 * 25 * 25 * 256
    assert flops_by_module(mcmsh, 25, 4096)["project"] == 25 * 4096 * 256
    # softmax over 25 × 25 scores, 5 operations each; the gate's tanh and the clamp over 25 × 64 codes.
    assert other_operations(bth.encoder, 25, 4096)["softmax"] == 5 * 25 * 25
    assert other_operations(bth.encoder, 25, 4096)["clamp"] == 25 * 64
    assert other_operations(mcmsh, 25, 4096)["tanh"] == 25 * 64
    assert split_parameters(mcmsh, mcmsh, 25, 4096) == (1_761_397, 1_761_397, 1_761_397)
    assert split_parameters(bth, bth.encoder, 25, 4096) == (2_121_280, 2_121_280, 1_855_040)


def test_tables_that_are_instantiated_and_never_used() -> None:
    network = BthNetwork(25, 4096, 64, 256).eval()
    # The token and segment tables of the authors' embedding.
    network.add_module("token", nn.Embedding(4096, 256))
    network.add_module("segment", nn.Embedding(3, 256))
    assert split_parameters(network, network.encoder, 25, 4096) == (3_170_624, 2_121_280, 1_855_040)


def test_parameters_of_small_modules() -> None:
    linear = LinearHash(torch.zeros(D), torch.zeros(D, K))
    assert split_parameters(linear, linear, T, D) == (D + D * K,) * 3
    small = Small().eval()
    assert split_parameters(small, small, T, D)[:2] == (
        sum(parameter.numel() for parameter in small.parameters()),
        sum(parameter.numel() for parameter in small.parameters()) - 12,
    )

    class Pair(nn.Module):
        """A network whose pass takes two videos: all of it counts as trained."""

        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.critic = Small(), nn.Linear(K, 1)

        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            return self.critic(self.encoder(first) - self.encoder(second))

    pair = Pair().eval()
    whole = sum(parameter.numel() for parameter in pair.parameters())
    assert split_parameters(pair, pair.encoder, T, D) == (whole, whole, whole - 12 - (K + 1))


@pytest.mark.parametrize("batch", [1, 7])
def test_peak_memory_by_hand(batch: int) -> None:
    class Chain(nn.Module):
        """Each step lets go of what it was made from."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(D, H))

        def forward(self, videos: Tensor) -> Tensor:
            x = videos @ self.weight  # (n, T, H)
            x = torch.cat([x, x, x], dim=-1)  # (n, T, 3 H), beside x
            return x.sum(dim=(1, 2))  # (n,), beside x

    always = 4 * (D * H + batch * T * D)
    assert peak_bytes(Chain().eval(), torch.zeros(batch, T, D)) == always + 4 * batch * T * (H + 3 * H)


def test_size_on_disk_is_that_of_the_file() -> None:
    size = encoder_bytes(LinearHash(torch.zeros(D), torch.zeros(D, K)))
    assert 4 * (D + D * K) < size < 4 * (D + D * K) + 256  # a header besides the numbers
