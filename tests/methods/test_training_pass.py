"""The fast training pass of MC-MLP is the plain definition: values, gradients and batch statistics."""

import copy

import pytest
import torch
from torch import nn

from bench.dropout import Dropout
from bench.methods.mcmsh.mixer import Branch, McMlp
from bench.methods.mcmsh.training_pass import embed


@pytest.mark.parametrize("branches", [("long", "middle", "short"), ("middle",), ("long",), ("short",), ()])
def test_equals_the_plain_pass(branches: tuple[Branch, ...]) -> None:
    torch.manual_seed(0)
    plain = McMlp(25, 24, 16, 64, branches).train()
    for module in plain.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
        if isinstance(module, nn.BatchNorm1d):
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    fast = copy.deepcopy(plain)
    videos = torch.randn(9, 25, 24)
    expected_frames, expected = plain.frames(videos), plain(videos)
    frames, relaxed = embed(fast, videos)
    # `plain` ran twice above; only its statistics notice, so they are compared after one more pass of `fast`.
    embed(fast, videos)
    torch.testing.assert_close(frames, expected_frames, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(relaxed, expected, rtol=1e-5, atol=1e-5)
    direction = torch.randn_like(expected)
    (expected * direction).sum().backward()
    (relaxed * direction).sum().backward()
    for (name, weight), other in zip(plain.named_parameters(), fast.parameters(), strict=True):
        assert weight.grad is not None, name
        assert other.grad is not None, name
        torch.testing.assert_close(other.grad, weight.grad, rtol=1e-4, atol=1e-5, msg=name)
    for (name, buffer), other_buffer in zip(plain.named_buffers(), fast.named_buffers(), strict=True):
        torch.testing.assert_close(other_buffer[1], buffer, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_scales(p: float) -> None:
    torch.manual_seed(0)
    layer = Dropout(p).train()
    ones = torch.ones(1000, 333)
    dropped = layer(ones)
    values = dropped.unique()
    torch.testing.assert_close(values, torch.tensor([0.0, 1 / (1 - p)]))
    # 333,000 draws: the standard error of the share is under 0.0009.
    assert float((dropped == 0).float().mean()) == pytest.approx(p, abs=0.004)
    assert torch.equal(layer.eval()(ones), ones)
