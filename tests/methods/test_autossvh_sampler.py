"""AutoSSVH's sampler: the authors' outputs and gradients, and what `sampler="grade"` makes of it."""

from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.autossvh.sampler import GradeNet, choose_frames, sampling_noise
from torch import Tensor

from tests.methods.autossvh import SAMPLER_LAYERS, network
from tests.methods.masked import assert_near, tensors

NOISE = 10.0


def sampler(truth: dict[str, Tensor]) -> GradeNet:
    found = GradeNet(truth["input"].shape[2])
    found.load_state_dict(
        {
            f"{ours}.{part}": truth[f"weight/{theirs}.{part}"]
            for ours, theirs in SAMPLER_LAYERS.items()
            for part in ("weight", "bias")
        }
    )
    return found


def noise(truth: dict[str, Tensor]) -> Tensor:
    return torch.from_numpy(sampling_noise(truth["uniform"].numpy(), truth["normal"].numpy(), NOISE))


@pytest.mark.parametrize(("mode", "sign"), [("train", 1), ("adverse", -1)])
def test_choice_and_reversed_gradients_of_the_authors(mode: str, sign: int) -> None:
    truth = tensors("autossvh_sampler")
    found = sampler(truth)
    tokens = truth["input"].clone().requires_grad_()
    choice = choose_frames(tokens, sign * found(tokens), noise(truth), int(truth["kept"]))
    assert torch.equal(choice.visible, truth[f"{mode}/indices"])
    assert_near(choice.tokens, truth[f"{mode}/tokens"], "tokens")
    assert torch.equal(torch.cat([choice.visible, choice.hidden], dim=1).sort(dim=1).values[0], torch.arange(25))
    (choice.tokens * truth["upstream"]).sum().backward()
    assert tokens.grad is not None
    assert_near(tokens.grad, truth[f"{mode}/grad_tokens"], "gradient of the tokens", 5e-5)
    gradients = {name: parameter.grad for name, parameter in found.named_parameters()}
    for ours, theirs in SAMPLER_LAYERS.items():
        for part in ("weight", "bias"):
            gradient = gradients[f"{ours}.{part}"]
            assert gradient is not None
            assert_near(gradient, truth[f"{mode}/grad/{theirs}.{part}"], f"gradient of {ours}.{part}", 5e-5)


def test_grades_of_the_authors() -> None:
    truth = tensors("autossvh_sampler")
    with torch.no_grad():
        grades = sampler(truth)(truth["input"])
    assert_near(grades, truth["scores"].squeeze(2))
    # In evaluation theirs keeps the best grades.
    best = grades.topk(int(truth["kept"]), dim=1).indices.sort(dim=1).values
    assert torch.equal(best, truth["eval/indices"].sort(dim=1).values)


def test_the_whole_network_of_the_authors() -> None:
    """Theirs numbers the decoder's positions by slots, visible ones first; in ours they are those of the frames."""
    truth = tensors("autossvh_sampler")
    model: Any = network(tensors("autossvh_forward"), sampler="grade").eval()
    kept = int(truth["kept"])
    slots = torch.arange(25).expand(6, -1)
    with torch.no_grad():
        tokens = model.encoder.tokens(truth["network/x"])
        choice = choose_frames(tokens, model.sampler(tokens), noise(truth), kept)
        assert torch.equal(choice.visible, truth["network/indices"])
        codes = model.encoder.hash(model.encoder.encoded(choice.tokens))
        assert torch.equal(codes, truth["network/frame_codes"])
        decoder = model.decoder
        decoded = decoder.blocks(decoder.tokens(codes, slots[:, :kept], slots[:, kept:]))
        assert_near(decoder.head(decoder.norm(decoded)), truth["network/reconstruction"])


def test_both_views_choose_for_themselves_and_restore_all_frames_in_order() -> None:
    truth = tensors("autossvh_sampler")
    videos = truth["network/x"]
    model: Any = network(tensors("autossvh_forward"), sampler="grade").eval()
    both = torch.stack([noise(truth), noise(truth).flip(1)], dim=1)
    with torch.no_grad():
        codes, restored = model.forward_graded(videos, both, 7)
        tokens = model.encoder.tokens(videos)
        for view in (0, 1):
            choice = choose_frames(tokens, model.sampler(tokens), both[:, view], 7)
            frame_codes = model.encoder.hash(model.encoder.encoded(choice.tokens))
            assert_near(codes[view::2], frame_codes.mean(dim=1))
            hidden = choice.hidden.sort(dim=1).values
            expected = model.decoder(frame_codes, choice.visible, hidden)
            assert_near(torch.take_along_dim(restored[view::2], hidden[:, :, None], dim=1), expected)
    assert restored.shape == (12, 25, 48)
    assert not torch.equal(codes[0::2], codes[1::2])


@pytest.mark.parametrize(("deviation", "best", "worst"), [(10.0, 0.243, 0.226), (0.0, 0.353, 0.154)])
def test_how_much_a_grade_matters(deviation: float, best: float, worst: float) -> None:
    """The figures of the specification: 6 of 25 frames kept, grades spread evenly over (0, 1)."""
    videos = 4096
    random = np.random.default_rng(0)
    shape = (videos, 25)
    drawn = sampling_noise(random.random(shape, np.float32), random.standard_normal(shape, np.float32), deviation)
    grades = torch.linspace(0, 1, 25).expand(shape)
    choice = choose_frames(torch.zeros(videos, 25, 1), grades, torch.from_numpy(drawn), 6)
    kept = torch.bincount(choice.visible.flatten(), minlength=25) / videos
    # The standard error of a difference is 0.01.
    assert float(kept[-1]) == pytest.approx(best, abs=0.03)
    assert float(kept[0]) == pytest.approx(worst, abs=0.03)
