"""BerVAE against outputs of the authors' code, and its gradient estimates against sums over all codes."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from bench.methods.bervae import AUTHORS, Bervae, BervaeObjective, BervaeParameters
from bench.methods.bervae.estimate import Estimator, gradient_estimate, reconstruction_errors
from fvcore.nn import FlopCountAnalysis
from torch import Tensor

import bench
from bench.base.errors import InputError
from bench.encoding.modules import inference_module
from bench.learning.items import Batch
from bench.profile.counts import flops, split_parameters
from tests.conftest import GOLDEN
from tests.methods.frame_encoder import assert_gradients, assert_hidden, loaded, sizes, stage
from tests.methods.masked import assert_near, tensors


def test_every_stage_of_the_network() -> None:
    truth = tensors("bervae_forward")
    hidden, dimensions = sizes(truth)
    bits, frames = truth["codes"].shape[1], truth["x"].shape[1]
    model = loaded(Bervae(bits, BervaeParameters(hidden=hidden)).network(frames, dimensions), AUTHORS, truth)
    with torch.no_grad():
        assert_hidden(model.encoder, truth)
        assert_near(model.encoder(truth["x"]), truth["mean_logits"])
        assert_near(inference_module(model.encoder)(truth["x"]), truth["mean_logits"])
        assert_near(model.decode(truth["sampled_codes"]), truth["reconstruction"])
        for straight_through in (True, False):
            logits, restored = model(truth["x"], truth["uniform"], straight_through)
            assert_near(logits.sigmoid(), truth["probability"])
            assert_near(restored, truth["reconstruction"])


def test_the_parts_of_the_loss() -> None:
    truth = tensors("bervae_losses")

    def network(*_: object) -> tuple[Tensor, Tensor]:
        return truth["probability"].logit(), truth["restored"]

    objective = BervaeObjective(cast(Any, network), BervaeParameters(), 16, 25)
    video = {"video": truth["target"]}
    losses = objective.loss(Batch(video, video, {"uniform": truth["probability"]}), 0)
    assert_near(losses["reconstruction"], truth["reconstruction"])
    assert_near(losses["kl"], truth["kl"])
    assert_near(losses["loss"], truth["reconstruction"] + truth["weighted_kl"])


@pytest.mark.parametrize("estimator", ["u2g", "arm"])
def test_an_estimate(estimator: Estimator) -> None:
    truth = tensors("bervae_u2g")
    bits, (frames, dimensions) = truth["logits"].shape[1], truth["video"].shape[1:]
    model = Bervae(bits, BervaeParameters(hidden=2)).network(frames, dimensions)
    weights = {name.removeprefix("weight/"): value for name, value in truth.items() if name.startswith("weight/")}
    model.load_state_dict(model.state_dict() | weights)
    objective = BervaeObjective(model, BervaeParameters(estimator=estimator), bits, frames)
    found = objective.estimate(truth["logits"], truth["video"], truth["uniform"].transpose(0, 1))
    assert_near(found, truth[estimator])


@pytest.mark.parametrize("estimator", ["u2g", "arm"])
def test_estimates_are_unbiased(estimator: Estimator) -> None:
    """The expectation over the uniforms is the gradient of the sum over all 16 codes."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 4)
    values = torch.randn(16, generator=generator, dtype=torch.float64)
    logits = torch.tensor([1.3, -0.4, 0.0, -2.1], dtype=torch.float64, requires_grad=True)
    chances = ((codes + 1) / 2 * logits.sigmoid() + (1 - codes) / 2 * (1 - logits.sigmoid())).prod(dim=1)
    (expected,) = torch.autograd.grad((chances * values).sum(), logits)

    def errors(asked: Tensor) -> Tensor:
        return values[(asked[..., None, :] == codes).all(dim=-1).long().argmax(dim=-1)]

    # Both codes, and so U2G, change where u passes σ(φ) or 1 − σ(φ) only; ARM is linear in between: its mean there is
    # its value in the middle.
    p = logits.detach().sigmoid()
    edges = torch.stack([torch.zeros(4), torch.minimum(p, 1 - p), torch.maximum(p, 1 - p), torch.ones(4)]).double()
    middles, widths = (edges[1:] + edges[:-1]) / 2, edges.diff(dim=0)
    places = torch.cartesian_prod(*[torch.arange(3)] * 4)
    uniforms = middles.gather(0, places)
    weights = widths.gather(0, places).prod(dim=1)
    assert weights.sum().item() == pytest.approx(1)
    found = gradient_estimate(logits.detach().expand(81, 4), uniforms[:, None], errors, estimator)
    torch.testing.assert_close(weights @ found, expected)


def test_errors_of_codes_differ_as_those_of_restored_frames() -> None:
    torch.manual_seed(0)
    model = Bervae(6, BervaeParameters(hidden=2)).network(5, 7)
    videos, codes = torch.randn(3, 5, 7), torch.randn(3, 2, 6).sign()
    with torch.no_grad():
        restore = model.restore
        found = reconstruction_errors(videos, model.sequence_restore.weight[:, 0], restore.weight, restore.bias)(codes)
        expected = torch.stack([(model.decode(codes[:, n]) - videos).square().sum(dim=(1, 2)) for n in (0, 1)], dim=1)
    torch.testing.assert_close(found.diff(dim=1), expected.diff(dim=1))


# The last epoch that pretrains, and the first one after.
@pytest.mark.parametrize(("file", "epoch"), [("bervae_step_pretrain", 4), ("bervae_step", 5)])
def test_a_step_of_training(file: str, epoch: int) -> None:
    truth = tensors(file)
    trained = stage("bervae", file, truth["masked"].shape[1], len(truth["weight/binary.bias"]))
    values = {"uniform": truth["uniform"], "uniform_estimate": truth["uniform_u2g"].transpose(0, 1)}
    batch = Batch({"video": truth["target"]}, {"video": truth["masked"]}, values)
    losses = trained.objective.loss(batch, epoch)
    assert_near(losses["reconstruction"], truth["reconstruction"])
    assert_near(losses["kl"], truth["kl"])
    assert_near(losses["loss"], truth["reconstruction"] + truth["weighted_kl"])
    assert_gradients(trained, losses["loss"], truth)


@pytest.mark.parametrize("epoch", [0, 5])
def test_the_corrupted_frames_are_restored_where_asked(epoch: int) -> None:
    """As the authors' loader leaves it, the target of reconstruction and of the estimate is the corrupted input."""
    truth = tensors("bervae_step")
    frames, bits = truth["masked"].shape[1], len(truth["weight/binary.bias"])
    values = {"uniform": truth["uniform"], "uniform_estimate": truth["uniform_u2g"].transpose(0, 1)}
    corrupted, clean = {"video": truth["masked"]}, {"video": truth["target"]}
    found, expected = (
        stage("bervae", "bervae_step", frames, bits, reconstruct_corrupted=asked) for asked in (True, False)
    )
    found.objective.loss(Batch(clean, corrupted, values), epoch)["loss"].backward()  # type: ignore[no-untyped-call]
    expected.objective.loss(Batch(corrupted, corrupted, values), epoch)["loss"].backward()  # type: ignore[no-untyped-call]
    for one, other in zip(found.network.parameters(), expected.network.parameters(), strict=True):
        assert torch.equal(cast(Tensor, one.grad), cast(Tensor, other.grad))


def test_a_draw_has_the_uniforms_of_its_items() -> None:
    objective = BervaeObjective(cast(Any, None), BervaeParameters(draws=3), 16, 25)
    videos = np.arange(4000) % 50
    drawn = objective.draw(videos, np.arange(50), np.random.default_rng(0))
    np.testing.assert_array_equal(drawn.videos["video"], videos)
    assert drawn.corruption["video"].kept.shape == (4000, 25)
    uniforms = drawn.values["uniform"], drawn.values["uniform_estimate"]
    assert [values.shape for values in uniforms] == [(4000, 16), (4000, 3, 16)]
    for values in uniforms:
        assert values.dtype == np.float32
        assert 0 <= values.min() < 0.001
        assert 0.999 < values.max() < 1
        # Uniform and independent: within five standard deviations.
        assert abs(values.mean() - 0.5) < 5 * (12 * values.size) ** -0.5
        assert abs(np.corrcoef(values[..., 0].ravel(), values[..., 1].ravel())[0, 1]) < 5 * 4000**-0.5
    first, second = uniforms[1][:, 0, 0], uniforms[1][:, 1, 0]
    assert abs(np.corrcoef([uniforms[0][:, 0], first, second]) - np.eye(3)).max() < 5 * 4000**-0.5


def test_costs_at_the_papers_size() -> None:
    model = Bervae(64, BervaeParameters()).network(25, 4096).eval()
    assert split_parameters(model, model.encoder, 25, 4096) == (2_121_305, 2_121_305, 1_855_040)
    assert flops(model.encoder, 25, 4096)[0] == 46_604_800
    decoding = FlopCountAnalysis(model, (torch.zeros(1, 25, 4096), torch.zeros(1, 64), torch.tensor(False)))
    assert decoding.unsupported_ops_warnings(False).total() == 53_160_000


def test_the_authors_values() -> None:
    found = BervaeParameters()
    assert (found.epochs, found.batch_size, found.learning_rate) == (201, 256, 3e-4)
    assert (found.kl_weight, found.pretrain_epochs, found.estimator, found.draws) == (0.1, 5, "u2g", 2)
    assert found.rate(200) == pytest.approx(3e-4 * 0.9**10)


@pytest.mark.filterwarnings("ignore:.*never uses them")
def test_the_authors_file_encodes_as_theirs() -> None:
    truth = tensors("bervae_forward")
    frames, bits = truth["x"].shape[1], truth["codes"].shape[1]
    encoder = bench.load_checkpoint("bervae", GOLDEN / "bervae_checkpoint.pth", bits=bits)
    np.testing.assert_array_equal(encoder.encode(truth["x"].numpy()), truth["codes"])
    assert encoder.description.frames == frames
    with pytest.raises(InputError, match=rf"holds an encoder of {frames} frames, not 7; leave frames= out"):
        bench.load_checkpoint("bervae", GOLDEN / "bervae_checkpoint.pth", bits=bits, frames=7)


def test_files_of_bth_and_bervae_are_not_confused(tmp_path: Path) -> None:
    own = Bervae(8, BervaeParameters(hidden=32)).network(7, 12).state_dict()
    weights = {AUTHORS.names[ours]: value for ours, value in own.items()}
    torch.save(weights, tmp_path / "a.pth")
    assert bench.load_checkpoint("bervae", tmp_path / "a.pth", bits=8).description.frames == 7
    with pytest.raises(InputError, match=r"unknown weights: sequence_restore\.weight;"):
        bench.load_checkpoint("bth", tmp_path / "a.pth", bits=8)
    del weights["sequence_restore.weight"]
    torch.save(weights, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"missing weights: sequence_restore\.weight;"):
        bench.load_checkpoint("bervae", tmp_path / "a.pth", bits=8)
