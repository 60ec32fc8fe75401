"""WSCH's network against outputs of the authors' code, its sizes and its first weights."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.wsch import Wsch, WschParameters
from bench.methods.wsch.network import Attention, WschDecoder
from bench.methods.wsch.state_space import Mixing, decays
from torch import Tensor, nn

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.profile.counts import counted_by_hand, flops, parameter_count
from tests.conftest import GOLDEN
from tests.methods.masked import assert_near, frame_numbers, tensors
from tests.methods.test_s5vh import watched
from tests.methods.wsch import network

TOLERANCE = 3e-6


def test_every_stage_of_encoding() -> None:
    truth = tensors("wsch_forward")
    model: Any = network(truth)
    encoder = model.encoder
    layers = (encoder.norm, encoder.enter, encoder.rms_norm, encoder.convolution, encoder.state_space.mixing,
              encoder.attention_norm, encoder.attention, encoder.hash.norm, encoder.hash)  # fmt: skip
    seen: list[list[Any]] = [[] for _ in layers]
    with torch.no_grad(), watched(*zip(layers, seen, strict=True)):
        embedding = encoder(truth["x"])
    norm, enter, rms, convolution, mixing, attention_norm, attention, hash_norm, hashed = (calls[0] for calls in seen)
    _, seed, enters, leaves, gate = mixing[:-1]
    own = encoder.state_space.mixing.requires_grad_(False)
    rates = -own.log_rates.exp() * nn.functional.softplus(seed + own.step_bias)
    leaving = nn.functional.silu(truth["gate"])
    skipped = own.skip[:, None] * truth["conv"].reshape(*truth["conv"].shape[:2], -1, 128)
    found = {
        "normalised_input": norm[-1],
        "projected": enter[-1],
        "rms": rms[-1],
        "conv": convolution[-1],
        "gate": gate,
        "ssm_decay": rates,
        "ssm_B": enters,
        "ssm_C": leaves,
        "after_ssm": attention_norm[0],
        "attention": attention[-1],
        "hidden": hashed[0],
        "logits": hash_norm[0],
        "logits_normalised": hash_norm[-1],
        "embedding": embedding,
    }
    for name, value in found.items():
        assert_near(value, truth[name], name, TOLERANCE)
    assert_near(mixing[-1], truth["ssm"] * leaving, "ssm", TOLERANCE)
    assert_near(mixing[-1], (truth["ssm_state_output"] + skipped).flatten(2) * leaving, "ssm_state_output", TOLERANCE)
    assert torch.equal(hashed[-1], truth["frame_codes"])
    assert torch.equal(embedding.sign(), truth["codes"])


@pytest.mark.parametrize("ratio", [90, 60])
def test_every_stage_of_the_views(ratio: int) -> None:
    truth = tensors("wsch_forward")
    model: Any = network(truth)
    masks = torch.stack([truth[f"mask{ratio}_view{view}"] for view in (1, 2)], dim=1)
    visible, hidden = frame_numbers(masks)
    hashed, embedded = list[Any](), list[Any]()
    with torch.no_grad(), watched((model.encoder.hash, hashed), (model.decoder.embed, embedded)):
        seen = model(truth["x"], visible, hidden)
        assert torch.equal(model.embeddings(truth["x"], visible).flatten(0, 1), seen.embeddings)
    for view in (0, 1):
        prefix = f"mask{ratio}_view{view + 1}_"
        assert torch.equal(hashed[0][1][view::2], truth[f"{prefix}frame_codes"])
        assert_near(seen.embeddings[view::2], truth[f"{prefix}embedding"], "embedding", TOLERANCE)
        # One of the hidden frames stands for all.
        tokens, restored = embedded[0][1][view::2], seen.restored[view::2]
        first = visible.shape[2] + 1
        assert_near(tokens, truth[f"{prefix}decoder_tokens"][:, :first], "tokens", TOLERANCE)
        expected = truth[f"{prefix}reconstruction"]
        assert_near(restored.expand_as(expected), expected, "reconstruction", TOLERANCE)
        places = hidden[:, view, :, None].expand(-1, -1, truth["x"].shape[2])
        assert torch.equal(seen.hidden[view::2], truth["x"].gather(1, places))


def test_one_hidden_frame_stands_for_all() -> None:
    """The decoder's result and gradients are those of one with a token for every hidden frame."""
    torch.manual_seed(0)
    visible, hidden = 3, 7
    decoder = WschDecoder(dimensions=6, bits=5, width=8)
    nn.init.normal_(decoder.mask_token)

    def plain(codes: Tensor) -> Tensor:
        tokens = decoder.embed(torch.cat([codes, decoder.mask_token.expand(len(codes), hidden, -1)], dim=1))
        normalised = decoder.norm(tokens)
        restored: Tensor = decoder.leave(tokens + decoder.attention(normalised, normalised))[:, visible:]
        return restored

    found = []
    for forward in (lambda codes: decoder(codes, hidden).expand(-1, hidden, -1), plain):
        codes = torch.randn(4, visible, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
        restored = forward(codes)
        weights = [codes, *decoder.parameters()]
        gradients = torch.autograd.grad((restored * torch.arange(6)).square().sum(), weights)
        found.append([restored.detach(), *gradients])
    for one, other in zip(*found, strict=True):
        assert_near(one, other)


def test_the_state_space_is_the_recurrence() -> None:
    torch.manual_seed(0)
    frames, heads = 11, 3
    mixing = Mixing(heads)
    for weight in mixing.requires_grad_(False).parameters():
        nn.init.normal_(weight)
    shapes = (128 * heads, heads, 64, 64, 128 * heads)
    x, seed, enter, leave, gate = (torch.randn(2, frames, width) for width in shapes)
    steps = nn.functional.softplus(seed + mixing.step_bias)
    state = torch.zeros(2, heads, 128, 64)
    outputs = []
    for t in range(frames):
        decay = (-mixing.log_rates.exp() * steps[:, t]).exp()
        inputs = x[:, t].view(2, heads, 128)
        state = decay[..., None, None] * state + (steps[:, t, :, None] * inputs)[..., None] * enter[:, t, None, None]
        outputs.append((state @ leave[:, t, None, :, None]).squeeze(3) + mixing.skip[:, None] * inputs)
    expected = torch.stack(outputs, dim=1).flatten(2) * nn.functional.silu(gate)
    assert_near(mixing(x, seed, enter, leave, gate), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(mixing(x, seed, enter, leave, gate), mixing(x, seed, enter, leave, gate).float())
        assert_near(mixing(x, seed, enter, leave, gate), expected)


def test_decays_that_vanish_are_0_and_have_gradients() -> None:
    rates = torch.full((1, 30), -300.0, requires_grad=True)
    found = decays(rates)
    assert torch.equal(found, torch.eye(30)[None])
    found.sum().backward()
    assert rates.grad is not None
    assert torch.isfinite(rates.grad).all()


@pytest.mark.parametrize(
    ("dimensions", "bits", "encode", "whole"),
    [
        (4096, 64, 15_070_448, 23_531_824),
        (4096, 32, 15_037_584, None),
        (4096, 128, 15_136_176, None),
        (2048, 64, 12_969_200, 19_331_376),
    ],
)
def test_parameters_at_the_papers_sizes(dimensions: int, bits: int, encode: int, whole: int | None) -> None:
    with torch.device("meta"):
        model = Wsch(bits, WschParameters()).network(25, dimensions)
    assert parameter_count(model.encoder) == encode
    assert whole in (None, parameter_count(model))
    if (dimensions, bits) == (4096, 64):
        assert parameter_count(model.encoder.state_space) == 294_960
        assert parameter_count(model.encoder.attention) == 4_195_328
        assert parameter_count(model.decoder) == 8_461_376


def test_multiply_adds_at_the_papers_sizes() -> None:
    frames, width, heads = 25, 2048, 16
    encoder = Wsch(64, WschParameters()).network(frames, 4096).encoder.eval()
    # fvcore counts 5 a number that a LayerNorm reads.
    assert flops(encoder, frames, 4096)[0] == 379_186_000 + 5 * frames * (4096 + 1024 + 64)
    by_hand = frames**2 * (64 + heads + width) + 3 * frames * width
    assert counted_by_hand(encoder, frames, 4096) == {"state_space.mixing": by_hand}
    assert by_hand == 1_330_000 + 153_600


def test_first_weights() -> None:
    torch.manual_seed(0)
    model = Wsch(64, WschParameters(hidden=256, decoder_hidden=256, clusters=9)).network(25, 300)
    for name, layer in model.named_modules():
        if isinstance(layer, nn.LayerNorm):
            assert (layer.weight == 1).all(), name
            assert (layer.bias == 0).all(), name
        if isinstance(layer, nn.Linear | nn.Conv1d):
            inputs = layer.in_features if isinstance(layer, nn.Linear) else 8
            for value in (layer.weight.detach(), layer.bias if layer.bias is None else layer.bias.detach()):
                if value is not None:
                    assert float(value.abs().max()) <= inputs**-0.5, name
                    assert float(value.std()) == pytest.approx((3 * inputs) ** -0.5, rel=0.15), name
    own = model.encoder.state_space.mixing
    rates = own.log_rates.detach().exp()
    assert 1 <= float(rates.min()) < float(rates.max()) <= 16
    assert (own.skip == 1).all()
    assert (own.step_bias == 0).all()
    assert (model.encoder.rms_norm.weight == 1).all()
    assert (model.decoder.mask_token == 0).all()
    assert (model.centres == 0).all()
    # Log of uniform numbers, not uniform logs.
    assert float(torch.cat([Mixing(8).log_rates.detach() for _ in range(100)]).exp().mean()) == pytest.approx(
        8.5, abs=0.6
    )


def test_attention_is_torchs() -> None:
    torch.manual_seed(0)
    attention, theirs = Attention(16), nn.MultiheadAttention(16, 4, bias=False, batch_first=True)
    theirs.in_proj_weight.data = torch.cat([attention.query.weight, attention.key.weight, attention.value.weight])
    theirs.out_proj.weight.data = attention.output.weight.data
    x, y, raised = torch.randn(2, 3, 16), torch.randn(2, 5, 16), torch.randn(5)
    expected, _ = theirs(x, y, y, attn_mask=raised.expand(3, 5))
    assert_near(attention(x, y, raised) - attention.output.bias, expected)


@pytest.mark.filterwarnings("ignore:.*taken to be frames=25")
def test_the_authors_checkpoint() -> None:
    truth = tensors("wsch_forward")
    encoder = bench.load_checkpoint("wsch", GOLDEN / "wsch_checkpoint.pth", bits=truth["codes"].shape[1])
    sizes = {name: encoder.description.parameters[name] for name in ("hidden", "decoder_hidden", "clusters")}
    assert sizes == {"hidden": 128, "decoder_hidden": 128, "clusters": 10}
    np.testing.assert_array_equal(encoder.encode(truth["x"].numpy()), truth["codes"].numpy())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask_ratio": 0.03}, r"mask_ratio: 0\.03 of 25 frames is less than one; set it to 0\.04 or more$"),
        ({"pretraining_mask_ratio": 0.03}, r"^pretraining_mask_ratio: 0\.03 of 25 frames is less than one; set it to"),
        ({"clusters": 41}, r"clusters: 41 of 40 training videos; set 40 or fewer$"),
        ({"hidden": 96}, r"wsch\.hidden: .*multiple of 64"),
    ],
)
def test_mistakes_end_in_one_line(given: dict[str, Any], message: str, tiny: Dataset) -> None:
    with pytest.raises(InputError, match=message) as caught:
        bench.fit("wsch", tiny, bits=12, device="cpu", **given)
    assert "\n" not in str(caught.value)


def test_defaults() -> None:
    assert Wsch.defaults((45_585, 25, 4096)) == {"clusters": 800}
    assert Wsch.defaults((2000, 25, 256)) == {"clusters": 400}
    assert Wsch.defaults((4, 25, 256)) == {"clusters": 2}
    assert WschParameters().first_stage.epochs == 100
    assert WschParameters(epochs=2).first_stage.epochs == 1
    assert WschParameters(pretraining_epochs=7).first_stage.epochs == 7
    assert math.isclose(WschParameters().rate(299), 1e-4)
