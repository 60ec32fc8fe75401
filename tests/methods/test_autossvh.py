"""AutoSSVH against outputs of the authors' code, sizes, and the limits of its parameters."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.autossvh import AutoSsvh, AutoSsvhParameters
from bench.methods.autossvh.checkpoint import AUTHORS
from torch import nn

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.profile.counts import flops, parameter_count
from tests.methods.autossvh import network
from tests.methods.masked import assert_near, frame_numbers, golden, recipe, tensors

TEMPERATURE = 1
"""A number in the authors' sampler that nothing reads; ours has none."""


def test_encoding_agrees_at_every_stage() -> None:
    truth = tensors("autossvh_forward")
    module: Any = network(truth).eval().encoder
    with torch.no_grad():
        tokens = module.tokens(truth["x"])
        assert_near(module.project(truth["x"]), truth["projected"], "projected")
        assert_near(tokens, truth["tokens"], "tokens")
        assert_near(module.blocks[0](tokens), truth["block1"], "block1")
        assert_near(module.norm(module.blocks(tokens)), truth["normed"], "normed")
        encoded = module.encoded(tokens)
        assert_near(encoded, truth["encoded"], "encoded")
        assert_near(module.hash.linear(encoded), truth["hash_linear"], "hash_linear")
        assert_near(module.hash.logits(encoded), truth["hash_logits"], "hash_logits")
        assert torch.equal(module.hash(encoded), truth["frame_codes"])
        assert_near(module(truth["x"]), truth["mean_codes"], "mean_codes")


def saved(truth: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights as the authors save them."""
    return {name.removeprefix("weight/"): value for name, value in truth.items() if name.startswith("weight/")}


def test_the_authors_file_encodes_as_theirs(tmp_path: Path) -> None:
    truth = tensors("autossvh_forward")
    torch.save({"model_state_dict": saved(truth)}, tmp_path / "a.pth")
    with pytest.warns(UserWarning, match=r"encoding never uses them: encoder\.sample_net\.importance_score"):
        encoder = bench.load_checkpoint("autossvh", tmp_path / "a.pth", bits=16, heads=6)
    np.testing.assert_array_equal(encoder.encode(truth["x"].numpy()), truth["codes"])
    parameters = encoder.description.parameters
    assert {name: parameters[name] for name in ("hidden", "depth", "decoder_hidden", "decoder_depth")} == {
        "hidden": 64, "depth": 3, "decoder_hidden": 48, "decoder_depth": 2,
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*left out")
def test_the_authors_file_shows_its_frames(tmp_path: Path) -> None:
    weights = saved(tensors("autossvh_forward"))
    weights["pos_embed"] = torch.zeros(1, 30, 48)
    torch.save(weights, tmp_path / "a.pth")
    with pytest.warns(UserWarning, match="taken to be heads=6, which no weight shows"):
        assert bench.load_checkpoint("autossvh", tmp_path / "a.pth", bits=16).description.frames == 30
    with pytest.raises(InputError, match="holds an encoder of 30 frames, not 25; leave frames= out"):
        bench.load_checkpoint("autossvh", tmp_path / "a.pth", bits=16, frames=25)


@pytest.mark.parametrize("view", [0, 1])
def test_a_view_agrees_at_every_stage(view: int) -> None:
    truth = tensors("autossvh_forward")
    model = network(truth).eval()
    visible, hidden = (places[:, view] for places in frame_numbers(truth["mask"]))

    def expected(name: str) -> torch.Tensor:
        return truth[f"view{view + 1}/{name}"]

    with torch.no_grad():
        seen = torch.take_along_dim(truth["x"], visible[:, :, None], dim=1)
        encoded = model.encoder.encoded(model.encoder.tokens(seen, visible))
        codes = model.encoder.hash(encoded)
        assert_near(encoded, expected("encoded"), "encoded")
        assert_near(model.encoder.hash.logits(encoded), expected("hash_logits"), "hash_logits")
        assert torch.equal(codes, expected("frame_codes"))
        assert_near(model.decoder.tokens(codes, visible, hidden), expected("decoder_input"), "decoder_input")
        assert_near(model.decoder(codes, visible, hidden), expected("reconstruction"), "reconstruction")
        # And both at once.
        mean_codes, restored, targets = model(truth["x"], *frame_numbers(truth["mask"]))
    assert_near(mean_codes[view::2], expected("mean_codes"), "mean_codes")
    assert_near(restored[view::2], expected("reconstruction"), "reconstruction")
    assert torch.equal(targets[view::2], torch.take_along_dim(truth["x"], hidden[:, :, None], dim=1))


def test_faint_inputs_of_the_norms() -> None:
    """Where the ε of every norm shows."""
    truth = tensors("autossvh_forward")
    model = network(truth, sampler="grade")
    norms: dict[str, Any] = {
        "encoder.blocks.0.norm1": model.encoder.blocks[0].attention_norm,
        "encoder.blocks.0.norm2": model.encoder.blocks[0].feed_forward_norm,
        "encoder.norm": model.encoder.norm,
        "encoder.sample_net.importance_score.norm": model.sampler.norm,
        "decoder.blocks.0.norm1": model.decoder.blocks[0].attention_norm,
        "decoder.norm": model.decoder.norm,
        "ln": model.encoder.hash.norm,
    }
    assert {f"faint/{name}" for name in norms} == {
        name for name in truth if name.startswith("faint/") and "input" not in name
    }
    for name, norm in norms.items():
        expected = truth[f"faint/{name}"]
        assert_near(norm(truth[f"faint/input{expected.shape[1]}"]), expected, name)


def test_the_default_network_is_the_authors_at_full_size() -> None:
    truth = golden("autossvh_full")
    model = AutoSsvh(64, AutoSsvhParameters()).network(25, 4096)
    theirs = {our: their for our, their in AUTHORS.names.items() if our in model.state_dict()}
    shapes = dict(zip(truth["names"].tolist(), map(ast.literal_eval, truth["shapes"].tolist()), strict=True))
    sums = dict(zip(truth["names"].tolist(), truth["sums"].tolist(), strict=True))
    assert set(theirs.values()) | AUTHORS.unused == set(shapes)
    made = {our: recipe(their, tuple(shapes[their]), int(truth["seed"])) for our, their in theirs.items()}
    for our, value in made.items():
        assert value.sum(dtype=np.float64) == pytest.approx(sums[theirs[our]], rel=1e-6, abs=1e-3), our
    model.load_state_dict({our: torch.from_numpy(value) for our, value in made.items()})
    videos = torch.from_numpy(truth["x"].astype(np.float32))
    mask = torch.from_numpy(truth["mask"])[:, None]
    visible, hidden = (places[:, 0] for places in frame_numbers(mask))
    encoder = model.eval().encoder
    with torch.no_grad():
        tokens = encoder.tokens(videos)
        encoded = encoder.encoded(tokens)
        assert_near(tokens, torch.from_numpy(truth["tokens"]), "tokens")
        assert_near(encoded, torch.from_numpy(truth["encoded"]), "encoded")
        assert_near(encoder.hash.logits(encoded), torch.from_numpy(truth["hash_logits"]), "hash_logits")
        np.testing.assert_array_equal(encoder.hash(encoded), truth["frame_codes"])
        np.testing.assert_array_equal(encoder(videos).sign(), truth["codes"])
        codes = encoder.hash(
            encoder.encoded(encoder.tokens(torch.take_along_dim(videos, visible[:, :, None], dim=1), visible))
        )
        np.testing.assert_array_equal(codes, truth["view_frame_codes"])
        restored = model.decoder(codes, visible, hidden)
    assert_near(restored[..., :64], torch.from_numpy(truth["reconstruction_64"]), "reconstruction")


@pytest.mark.parametrize(
    ("frames", "dimensions", "bits", "trained", "graded", "encode"),
    [
        (25, 4096, 16, None, 12_364_754, None),
        (25, 4096, 32, None, 12_371_970, None),
        (25, 4096, 64, 12_254_048, 12_386_402, 10_556_512),
        (30, 2048, 16, None, 11_446_162, None),
        (30, 2048, 32, None, 11_453_378, None),
        (30, 2048, 64, 11_335_456, 11_467_810, 10_032_224),
    ],
)
def test_parameters_at_the_papers_sizes(
    frames: int, dimensions: int, bits: int, trained: int | None, graded: int, encode: int | None
) -> None:
    def built(**parameters: Any) -> Any:
        return AutoSsvh(bits, AutoSsvhParameters(**parameters)).network(frames, dimensions)

    assert parameter_count(built(sampler="grade")) == graded - TEMPERATURE
    if trained is not None:
        assert parameter_count(built()) == trained
        assert parameter_count(built().encoder) == encode


@pytest.mark.parametrize(("frames", "dimensions", "expected"), [(25, 4096, 267_551_200), (30, 2048, 306_240_000)])
def test_multiply_adds_at_the_papers_sizes(frames: int, dimensions: int, expected: int) -> None:
    encoder = AutoSsvh(64, AutoSsvhParameters()).network(frames, dimensions).encoder.eval()
    assert flops(encoder, frames, dimensions)[0] == expected


def test_initial_weights() -> None:
    """Xavier inside, torch's own in the hash layer and the decoder's first matrix; positions and biases 0."""
    torch.manual_seed(0)
    model: Any = AutoSsvh(64, AutoSsvhParameters(sampler="grade")).network(25, 512)
    limits = {
        model.encoder.project: (6 / (512 + 256)) ** 0.5,
        model.encoder.blocks[3].attention.query_key_value: (6 / (256 + 756)) ** 0.5,
        model.sampler.mlp[0]: (6 / 512) ** 0.5,
        model.sampler.grade: (6 / 257) ** 0.5,
        model.decoder.head: (6 / (192 + 512)) ** 0.5,
        model.encoder.hash.linear: 256**-0.5,
        model.decoder.embed: 64**-0.5,
    }
    for layer, limit in limits.items():
        assert 0.95 * limit < float(layer.weight.detach().abs().max()) <= limit
    # A parameter, which Xavier must not reach.
    assert isinstance(model.decoder.positions, nn.Parameter)
    for zero in (model.decoder.positions, model.sampler.grade.bias, model.encoder.project.bias):
        assert not zero.any()


def test_input_dropout_drops_features_in_training_alone() -> None:
    truth = tensors("autossvh_forward")
    model = network(truth, input_dropout=0.5).eval()
    places = frame_numbers(truth["mask"])
    with torch.no_grad():
        expected = model(truth["x"], *places)
        assert all(map(torch.equal, expected, network(truth).eval()(truth["x"], *places)))
        codes, _, targets = model.train()(truth["x"], *places)
    assert not torch.equal(codes, expected[0])
    # What is to be restored is not dropped.
    assert torch.equal(targets, expected[2])


@pytest.mark.parametrize(
    ("videos", "clusters"),
    [
        (45_585, (250, 400, 600)),
        # HMDB51 keeps the authors' numbers.
        (3570, (250, 400, 600)),
        (1258, (89, 157, 251)),
        (40, (2, 5, 8)),
        (3, (2, 2, 2)),
    ],
)
def test_small_training_sets_have_fewer_clusters(videos: int, clusters: tuple[int, ...]) -> None:
    assert AutoSsvh.defaults((videos, 25, 4096))["clusters"] == clusters


@pytest.mark.parametrize(
    ("given", "warm_up"), [({}, 100), ({"epochs": 350}, 50), ({"epochs": 6}, 0), ({"warm_up_epochs": 200}, 200)]
)
def test_the_warm_up_is_a_seventh_of_the_epochs(given: dict[str, int], warm_up: int) -> None:
    assert AutoSsvhParameters(**given).warm_up == warm_up


def test_more_clusters_than_videos(tiny: Dataset) -> None:
    with pytest.raises(InputError, match="clusters: 41 are asked for, but there are only 40 training videos; set few"):
        bench.fit("autossvh", tiny, bits=8, device="cpu", clusters=[2, 41])
