"""ConMH's network against outputs of the authors' code, its sizes and its initial weights."""

import ast
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.conmh import Conmh, ConmhParameters
from bench.methods.conmh.checkpoint import NAMES, shown
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.profile.counts import flops, parameter_count
from tests.methods.masked import assert_near, frame_numbers, golden, recipe, tensors

SMALL = {"hidden": 64, "depth": 3, "decoder_hidden": 48}
"""The sizes of the golden files."""


def network(truth: dict[str, Tensor]) -> Any:
    """The network with the forward file's weights."""
    found = Conmh(16, ConmhParameters.model_validate(SMALL)).network(*truth["x"].shape[1:])
    found.load_state_dict({ours: truth[f"weight/{NAMES[ours]}"] for ours in found.state_dict()})
    return found.eval()


def test_every_stage_of_encoding() -> None:
    truth = tensors("conmh_forward")
    encoder = network(truth).encoder
    with torch.no_grad():
        assert_near(encoder.project(truth["x"]), truth["projected"], "projected")
        tokens = encoder.tokens(truth["x"])
        assert_near(tokens, truth["tokens"], "tokens")
        assert_near(encoder.blocks[0](tokens), truth["block1"], "block1")
        assert_near(encoder.norm(encoder.blocks(tokens)), truth["normed"], "normed")
        encoded = encoder.encoded(tokens)
        assert_near(encoded, truth["encoded"], "encoded")
        assert_near(encoder.hash.linear(encoded), truth["hash_linear"], "hash_linear")
        assert_near(encoder.hash.logits(encoded), truth["hash_logits"], "hash_logits")
        assert torch.equal(encoder.hash(encoded), truth["frame_codes"])
        assert_near(encoder(truth["x"]), truth["mean_codes"], "mean_codes")
        assert torch.equal(encoder(truth["x"]).sign(), truth["codes"])


@pytest.mark.parametrize("view", [0, 1])
def test_every_stage_of_a_view(view: int) -> None:
    truth = tensors("conmh_forward")
    model = network(truth)
    visible, hidden = frame_numbers(truth["mask"][:, view])

    def expected(name: str) -> Tensor:
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
        # And both views at once.
        mean_codes, restored, targets = model(truth["x"], *frame_numbers(truth["mask"]))
    assert_near(mean_codes[view::2], expected("mean_codes"), "mean_codes")
    assert_near(restored[view::2], expected("reconstruction"), "reconstruction")
    assert torch.equal(targets[view::2], torch.take_along_dim(truth["x"], hidden[:, :, None], dim=1))


def test_faint_inputs_of_the_norms() -> None:
    """The ε of every norm shows where its input is as small as these."""
    truth = tensors("conmh_forward")
    model = network(truth)
    norms: dict[str, nn.Module] = {
        "encoder.blocks.0.norm1": model.encoder.blocks[0].attention_norm,
        "encoder.blocks.0.norm2": model.encoder.blocks[0].feed_forward_norm,
        "encoder.norm": model.encoder.norm,
        "decoder.blocks.0.norm1": model.decoder.blocks[0].attention_norm,
        "decoder.norm": model.decoder.norm,
        "ln": model.encoder.hash.norm,
    }
    assert set(norms) == {name[6:] for name in truth if name.startswith("faint/") and "input" not in name}
    for name, norm in norms.items():
        expected = truth[f"faint/{name}"]
        assert_near(norm(truth[f"faint/input{expected.shape[1]}"]), expected, name)


def test_the_default_network_is_the_authors_at_full_size() -> None:
    stored, truth = golden("conmh_full"), tensors("conmh_full")
    model: Any = Conmh(64, ConmhParameters()).network(25, 4096).eval()
    names = {ours: NAMES[ours] for ours in model.state_dict()}
    shapes = dict(zip(stored["names"].tolist(), map(ast.literal_eval, stored["shapes"].tolist()), strict=True))
    sums = dict(zip(stored["names"].tolist(), stored["sums"].tolist(), strict=True))
    assert sorted(names.values()) == sorted(shapes)
    made = {ours: recipe(theirs, tuple(shapes[theirs]), int(stored["seed"])) for ours, theirs in names.items()}
    for ours, value in made.items():
        assert value.sum(dtype=np.float64) == pytest.approx(sums[names[ours]], abs=1e-3), ours
    model.load_state_dict({ours: torch.from_numpy(value) for ours, value in made.items()})
    videos = truth["x"].float()
    visible, hidden = frame_numbers(truth["mask"])
    with torch.no_grad():
        tokens = model.encoder.tokens(videos)
        encoded = model.encoder.encoded(tokens)
        assert_near(tokens, truth["tokens"], "tokens")
        assert_near(encoded, truth["encoded"], "encoded")
        assert_near(model.encoder.hash.logits(encoded), truth["hash_logits"], "hash_logits")
        assert torch.equal(model.encoder.hash(encoded), truth["frame_codes"])
        assert torch.equal(model.encoder(videos).sign(), truth["codes"])
        seen = torch.take_along_dim(videos, visible[:, :, None], dim=1)
        codes = model.encoder.hash(model.encoder.encoded(model.encoder.tokens(seen, visible)))
        assert torch.equal(codes, truth["view_frame_codes"])
        assert_near(model.decoder(codes, visible, hidden)[..., :64], truth["reconstruction_64"], "reconstruction")


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapper", [None, "model_state_dict", "state_dict"])
def test_the_authors_file_encodes_as_theirs(prefix: str, wrapper: str | None, tmp_path: Path) -> None:
    truth = tensors("conmh_forward")
    saved = {f"{prefix}{name[7:]}": value for name, value in truth.items() if name.startswith("weight/")}
    torch.save({wrapper: saved} if wrapper else saved, tmp_path / "a.pth")
    with pytest.warns(UserWarning, match="taken to be frames=25, heads=6, which no weight shows"):
        encoder = bench.load_checkpoint("conmh", tmp_path / "a.pth", bits=16)
    np.testing.assert_array_equal(encoder.encode(truth["x"].numpy()), truth["codes"])
    parameters = encoder.description.parameters
    assert {name: parameters[name] for name in SMALL} == SMALL
    assert (parameters["decoder_depth"], parameters["decoder_heads"]) == (2, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = bench.load_checkpoint("conmh", tmp_path / "a.pth", bits=16, frames=25, heads=12, decoder_heads=3)
    assert other.description.parameters["heads"] == 12
    # As many weights, and another network.
    assert (other.module(truth["x"]) != encoder.module(truth["x"])).any()


@pytest.mark.parametrize(("inner", "heads"), [(48, 3), (49, 1), (45, 5)])
def test_heads_of_a_decoder_follow_from_its_inner_width(inner: int, heads: int) -> None:
    weights = {"encoder_to_decoder.weight": torch.zeros(49, 8), "decoder.blocks.0.attn.q_bias": torch.zeros(inner)}
    assert shown(weights)["decoder_heads"] == heads


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder_to_decoder.weight": None}, "missing weights: encoder_to_decoder.weight;"),
        ({"encoder.blocks.1.attn.q_bias": None}, "missing weights: encoder.blocks.1.attn.q_bias;"),
        ({"encoder.blocks.64.norm1.bias": torch.zeros(64)}, "unknown weights: encoder.blocks.64.norm1.bias;|missing"),
        ({"mask_token": torch.zeros(48)}, r"another shape: mask_token \(48,\) instead of \(1, 1, 48\)"),
    ],
)
def test_a_file_that_is_not_theirs(change: dict[str, Tensor | None], message: str, tmp_path: Path) -> None:
    weights = {name[7:]: value for name, value in tensors("conmh_forward").items() if name.startswith("weight/")}
    torch.save({name: value for name, value in (weights | change).items() if value is not None}, tmp_path / "a.pth")
    with pytest.raises(InputError, match=message):
        bench.load_checkpoint("conmh", tmp_path / "a.pth", bits=16)


@pytest.mark.parametrize(
    ("frames", "dimensions", "bits", "parameters", "encode", "multiply_adds"),
    [
        (25, 4096, 16, 12_227_600, 10_544_080, 267_238_000),
        (25, 4096, 32, 12_234_816, 10_548_224, 267_342_400),
        (25, 4096, 64, 12_249_248, 10_556_512, 267_551_200),
        (30, 2048, 16, 11_308_048, 10_019_792, 305_864_160),
        (30, 2048, 32, 11_315_264, 10_023_936, 305_989_440),
        (30, 2048, 64, 11_329_696, 10_032_224, 306_240_000),
    ],
)
def test_costs_at_the_papers_sizes(
    frames: int, dimensions: int, bits: int, parameters: int, encode: int, multiply_adds: int
) -> None:
    model = Conmh(bits, ConmhParameters()).network(frames, dimensions)
    assert parameter_count(model) == parameters
    assert parameter_count(model.encoder) == encode
    assert flops(model.encoder.eval(), frames, dimensions)[0] == multiply_adds


@pytest.mark.parametrize(
    ("frames", "dimensions", "masked", "expected"), [(25, 4096, 18, 129_980_128), (30, 2048, 22, 128_252_544)]
)
def test_multiply_adds_of_a_view(frames: int, dimensions: int, masked: int, expected: int) -> None:
    model = Conmh(64, ConmhParameters()).network(frames, dimensions)
    masks = torch.arange(frames).expand(1, 2, -1) < masked
    count = FlopCountAnalysis(model, (torch.zeros(1, frames, dimensions), *frame_numbers(masks)))
    # The authors project hidden frames too.
    assert count.unsupported_ops_warnings(False).total() / 2 == expected - masked * dimensions * 256


def test_initial_weights() -> None:
    """Xavier inside encoder and decoder; torch's own in the hash layer and in the decoder's first matrix."""
    torch.manual_seed(0)
    model = Conmh(64, ConmhParameters(decoder_hidden=1200, decoder_depth=1)).network(25, 512)
    drawn_by_torch = {"encoder.hash.linear": 256**-0.5, "decoder.embed": 64**-0.5}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.LayerNorm):
            assert (layer.weight == 1).all(), name
            assert (layer.bias == 0).all(), name
        if isinstance(layer, nn.Linear):
            limit = drawn_by_torch.get(name, (6 / (layer.in_features + layer.out_features)) ** 0.5)
            weight = layer.weight.detach()
            assert 0.99 * limit < float(weight.abs().max()) <= 1.0001 * limit, name
            assert float(weight.std()) == pytest.approx(limit / 3**0.5, rel=0.03), name
            if name == "encoder.hash.linear":
                assert 0.9 * limit < float(layer.bias.detach().abs().max()) <= limit
            elif layer.bias is not None:
                assert (layer.bias == 0).all(), name
    for name, value in model.named_parameters():
        if name.endswith(("query_bias", "value_bias")):
            assert (value == 0).all(), name
    token = model.decoder.mask_token.detach()
    # A normal distribution cut off at one deviation has 0.54 of it.
    assert float(token.abs().max()) <= 0.02
    assert float(token.std()) == pytest.approx(0.0108, rel=0.05)


def test_a_tied_bit_is_positive() -> None:
    """Over an even number of frames the mean of a bit may be 0; the authors' codes have a 0 there."""
    videos = np.random.default_rng(0).normal(size=(40, 2, 6)).astype(np.float32)
    encoder = bench.fit("conmh", videos, bits=16, device="cpu", epochs=1, mask_ratio=0.5, **SMALL)
    with torch.no_grad():
        means = encoder.module(torch.from_numpy(videos)).numpy()
    assert (means == 0).any()
    np.testing.assert_array_equal(encoder.encode(videos), np.where(means >= 0, 1, -1))


def test_a_view_must_hide_a_frame(tiny: Dataset) -> None:
    with pytest.raises(InputError, match=r"mask_ratio: 0.03 of 25 frames is less than one; set it to 0.04 or more$"):
        bench.fit("conmh", tiny, bits=8, device="cpu", mask_ratio=0.03)
    with pytest.raises(InputError, match="it needs videos of 2 frames or more"):
        Conmh(8, ConmhParameters()).check((10, 1, 4))
    # What it says is enough.
    for frames in range(2, 200):
        with pytest.raises(InputError) as caught:
            Conmh(8, ConmhParameters(mask_ratio=1e-9)).check((10, frames, 4))
        told = float(str(caught.value).split("set it to ")[1].split()[0])
        Conmh(8, ConmhParameters(mask_ratio=told)).check((10, frames, 4))


@pytest.mark.parametrize("given", [{"heads": 33, "hidden": 32}, {"decoder_heads": 17, "decoder_hidden": 16}])
def test_a_head_has_a_channel(given: dict[str, int], tiny: Dataset) -> None:
    with pytest.raises(InputError, match=r"(decoder_)?heads=\d+ is more than (decoder_)?hidden=\d+; each"):
        bench.fit("conmh", tiny, bits=8, device="cpu", **given)
