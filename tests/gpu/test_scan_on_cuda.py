"""The selective scan on a CUDA device: what the processor computes, forward and backward, the same every time."""

import torch
from bench.methods.s5vh import S5vh
from bench.methods.s5vh.scan import STATES, SelectiveScan
from torch import Tensor

from bench.encoding.modules import inference_module
from tests.gpu.conftest import CUDA
from tests.methods.s5vh import parameters
from tests.methods.test_s5vh_scan import inputs


def scanned(device: torch.device) -> list[Tensor]:
    """Output and gradients of a scan of more sequences than are worked on at a time."""
    given = [x.detach().to(device).requires_grad_() for x in inputs(70, 25, 48, STATES, torch.float32)]
    found: Tensor = SelectiveScan.apply(*given)
    upstream = torch.randn(found.shape, generator=torch.Generator().manual_seed(0)).to(device)
    return [found.detach(), *torch.autograd.grad(found, given, upstream)]


def test_the_device_scans_as_the_processor_does() -> None:
    for there, here in zip(scanned(CUDA), scanned(torch.device("cpu")), strict=True):
        assert (there.cpu() - here).abs().max() <= 5e-6 * here.abs().max()


def test_the_same_every_time() -> None:
    for first, second in zip(scanned(CUDA), scanned(CUDA), strict=True):
        assert torch.equal(first, second)


def test_gradcheck() -> None:
    assert torch.autograd.gradcheck(SelectiveScan.apply, [x.to(CUDA) for x in inputs(3, 4, 3, 2)])


def test_the_inference_form_by_operators() -> None:
    torch.manual_seed(0)
    encoder = S5vh(16, parameters()).network(25, 48).encoder.eval()
    videos = torch.randn(5, 25, 48)
    with torch.inference_mode():
        here = inference_module(encoder).logits(videos)  # type: ignore[operator]
        there = inference_module(encoder.to(CUDA)).logits(videos.to(CUDA))  # type: ignore[operator]
    torch.testing.assert_close(there.cpu(), here, rtol=1e-4, atol=1e-4)
