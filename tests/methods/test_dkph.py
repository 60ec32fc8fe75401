"""DKPH against outputs of the authors' code, and what it takes from BTH."""

import dataclasses
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from bench.methods.dkph import AUTHORS, Dkph, DkphObjective, DkphParameters
from bench.methods.shared.binarise import binarise
from torch import Tensor, nn

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.encoding.modules import inference_module
from bench.learning.items import Batch
from bench.profile.counts import flops, split_parameters
from tests.conftest import GOLDEN
from tests.methods.frame_encoder import assert_gradients, assert_hidden, loaded, sizes, stage
from tests.methods.masked import assert_near, tensors

LOSSES = {"loss": "total", "reconstruction": "reconstruction", "similarity": "bsim", "anchor": "anchor",
          "triplet": "triplet"}  # fmt: skip
"""The file's names of the losses, by ours."""


def batch(corrupted: tuple[Tensor, ...], clean: tuple[Tensor, ...], truth: dict[str, Tensor]) -> Batch:
    names = ("first", "second")
    values = {"sign": truth["is_similar"], "anchor_first": truth["anchor1"], "anchor_second": truth["anchor2"]}
    return Batch(dict(zip(names, clean, strict=True)), dict(zip(names, corrupted, strict=True)), values)


def test_every_stage_of_the_network() -> None:
    truth = tensors("dkph_forward")
    hidden, dimensions = sizes(truth)
    bits, frames = truth["codes"].shape[1], truth["x"].shape[1]
    model = loaded(Dkph(bits, DkphParameters(hidden=hidden)).network(frames, dimensions), AUTHORS, truth)
    with torch.no_grad():
        assert_hidden(model.encoder, truth)
        assert_near(model.encoder(truth["x"]), truth["before_binarisation"])
        assert_near(inference_module(model.encoder)(truth["x"]), truth["before_binarisation"])
        assert_near(model.temporal(truth["hidden"]), truth["temporal"])
        states, codes, restored = model(truth["x"])
    assert_near(states, truth["hidden"])
    assert torch.equal(codes, truth["codes"])
    assert_near(restored, truth["reconstruction"])


def test_the_step_of_the_hash_layer() -> None:
    truth = tensors("dkph_hash_layer")
    logits = truth["input"].requires_grad_()
    codes = binarise(logits)
    assert torch.equal(codes, truth["output"])
    codes.backward(truth["upstream"])
    # At the corners the derivative may be 0 or 1.
    smooth = logits.detach().abs() != 1
    assert torch.equal(cast(Tensor, logits.grad)[smooth], truth["gradient"][smooth])


def test_the_parts_of_the_loss() -> None:
    truth = tensors("dkph_losses")
    clean = truth["target"].chunk(2, dim=1)

    def network(_videos: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.cat([truth[f"{name}1"], truth[f"{name}2"]]) for name in ("hidden", "codes", "restored"))

    objective = DkphObjective(cast(Any, network), DkphParameters(), cast(Any, None), np.zeros((0, 0), np.float32), 25)
    losses = objective.loss(batch(clean, clean, truth), 0)
    assert set(losses) == set(LOSSES)
    for ours, theirs in LOSSES.items():
        assert_near(losses[ours], truth[theirs], ours)
    assert_near(losses["anchor"] + 0.1 * losses["triplet"], truth["tsim"])


def test_a_step_of_training() -> None:
    truth = tensors("dkph_step")
    frames, bits = truth["input1"].shape[1], len(truth["weight/hid_b.bias"])
    trained = stage("dkph", "dkph_step", frames, bits)
    corrupted, clean = (truth["input1"], truth["input2"]), (truth["target1"], truth["target2"])
    losses = trained.objective.loss(batch(corrupted, clean, truth), 0)
    for ours, theirs in LOSSES.items():
        assert_near(losses[ours], truth[theirs], ours)
    assert_gradients(trained, losses["loss"], truth)
    # As the authors' loader leaves it, the target is the corrupted input.
    theirs_too = stage("dkph", "dkph_step", frames, bits, reconstruct_corrupted=True)
    found = theirs_too.objective.loss(batch(corrupted, clean, truth), 0)["reconstruction"]
    assert torch.equal(found, trained.objective.loss(batch(corrupted, corrupted, truth), 0)["reconstruction"])


def test_anchors_and_neighbours_are_those_of_bth(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    objectives: list[Any] = []

    def second_stage(_network: nn.Module, objective: object, *_: object) -> None:
        objectives.append(objective)

    monkeypatch.setattr("bench.learning.deep_method.train", second_stage)
    for method in ("bth", "dkph"):
        bench.fit(method, tiny, bits=8, device="cpu", epochs=1, reconstruction_epochs=2, hidden=32, anchors=6)
    bth, dkph = objectives
    np.testing.assert_array_equal(dkph.anchors, bth.anchors)
    for field in dataclasses.fields(bth.graph):
        np.testing.assert_array_equal(getattr(dkph.graph, field.name), getattr(bth.graph, field.name))


def test_each_stage_has_its_own_number_of_epochs() -> None:
    parameters = DkphParameters()
    # BTH's 56 for what is BTH's.
    assert (parameters.reconstruction_epochs, parameters.epochs) == (56, 49)


def test_costs_at_the_papers_size() -> None:
    model = Dkph(64, DkphParameters()).network(25, 4096).eval()
    assert split_parameters(model, model.encoder, 25, 4096) == (2_530_944, 2_530_944, 2_248_256)
    assert flops(model, 25, 4096)[0] == 53_568_000
    assert flops(model.encoder, 25, 4096)[0] == 46_604_800


@pytest.mark.filterwarnings("ignore:.*never uses them")
def test_the_authors_file_encodes_as_theirs() -> None:
    truth = tensors("dkph_forward")
    frames, bits = truth["x"].shape[1], truth["codes"].shape[1]
    encoder = bench.load_checkpoint("dkph", GOLDEN / "dkph_checkpoint.pth", bits=bits)
    np.testing.assert_array_equal(encoder.encode(truth["x"].numpy()), truth["codes"])
    assert encoder.description.frames == frames
    assert encoder.description.parameters["hidden"] == sizes(truth)[0]
    with pytest.raises(InputError, match=rf"holds an encoder of {frames} frames, not 7; leave frames= out"):
        bench.load_checkpoint("dkph", GOLDEN / "dkph_checkpoint.pth", bits=bits, frames=7)


@pytest.mark.parametrize("columns", [3, 7 * 32 + 1])
def test_a_hash_matrix_of_no_number_of_frames_is_refused(columns: int, tmp_path: Path) -> None:
    own = Dkph(8, DkphParameters(hidden=32)).network(7, 12).state_dict()
    weights = {AUTHORS.names[ours]: value for ours, value in own.items()}
    torch.save(weights, tmp_path / "a.pth")
    assert bench.load_checkpoint("dkph", tmp_path / "a.pth", bits=8).description.frames == 7
    torch.save(weights | {"hid_b.weight": torch.zeros(8, columns)}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=rf"weights of another shape: hid_b.weight \(8, {columns}\) instead of"):
        bench.load_checkpoint("dkph", tmp_path / "a.pth", bits=8)
