"""What is counted and what is timed: each figure in its own column, times of what encodes, as it encodes."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from bench.profile import encoding
from bench.profile.cost_types import Costs, Rates
from bench.profile.costs import Subject, measure_costs
from bench.profile.timing import FEWEST


class Noted(nn.Module):
    """A linear layer over the mean frame that notes how it was called."""

    def __init__(self, weights: nn.Linear) -> None:
        super().__init__()
        self.project = weights
        self.seen: list[tuple[bool, bool, tuple[int, ...]]] = []

    def forward(self, videos: Tensor) -> Tensor:
        self.seen.append((self.training, torch.is_inference_mode_enabled(), tuple(videos.shape[1:])))
        projected: Tensor = self.project(videos.mean(dim=1))
        return projected


class WithFastForm(Noted):
    """The same with a faster form of itself."""

    def __init__(self, weights: nn.Linear) -> None:
        super().__init__(weights)
        self.fast = [Noted(weights)]

    def inference_module(self) -> nn.Module:
        return self.fast[0].train()


class Network(nn.Module):
    """As it is trained: an encoder, a decoder, and a table that nothing reads."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.restore, self.table = encoder, nn.Linear(12, 8), nn.Linear(8, 8)

    def forward(self, videos: Tensor) -> Tensor:
        restored: Tensor = self.restore(self.encoder(videos))
        return restored


def costs_of(encoder: nn.Module, monkeypatch: pytest.MonkeyPatch) -> Costs:
    monkeypatch.setattr(encoding, "BATCHES", (1, 4))
    # Of the machine, not of an encoder, and slow.
    monkeypatch.setattr(encoding, "measure_rates", lambda *_: Rates(float32=1e9, bfloat16=1e9, copy_bytes=1e9))
    monkeypatch.setattr("bench.profile.costs.time_encoders", partial(encoding.time_encoders, seconds=0.01))
    (found,) = measure_costs([Subject("here", encoder, Network(encoder), 12, 3, 8)], torch.device("cpu"))
    assert isinstance(found, Costs)
    return found


def test_every_count_stands_in_its_own_column(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = costs_of(Noted(nn.Linear(8, 12)), monkeypatch)
    encode, restore, table = 8 * 12 + 12, 12 * 8 + 8, 8 * 8 + 8
    assert costs.parameters_encode == encode
    assert costs.parameters_trained == encode + restore
    assert costs.parameters_instantiated == encode + restore + table
    assert (costs.flops, costs.uncounted_operators) == (8 * 12, {"mean": 1})
    assert costs.code_bytes == 2


@pytest.mark.parametrize("fast", [False, True])
def test_times_are_of_what_encodes_as_it_encodes(monkeypatch: pytest.MonkeyPatch, *, fast: bool) -> None:
    definition = (WithFastForm if fast else Noted)(nn.Linear(8, 12))
    costs_of(definition, monkeypatch)
    timed = definition.fast[0] if isinstance(definition, WithFastForm) else definition
    # Counting calls the definition outside of inference mode, a few times.
    calls = [call for call in timed.seen if call[1]]
    assert len(calls) >= len(encoding.BATCHES) * FEWEST
    assert set(calls) == {(False, True, (3, 8))}
    if fast:
        assert calls == timed.seen
        assert not any(inference for _, inference, _ in definition.seen)
