"""S5VH's network against outputs of the authors' code, its sizes and its first weights."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.s5vh import S5vh, S5vhParameters
from bench.methods.s5vh.checkpoint import NAMES
from bench.methods.s5vh.mamba import BidirectionalBlock, CausalConvolution, DropPath, Mamba
from bench.methods.s5vh.network import S5vhNetwork
from bench.methods.shared.binarise import binarise
from torch import Tensor, nn

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.profile.counts import counted_by_hand, flops, parameter_count
from tests.conftest import GOLDEN
from tests.methods.masked import assert_near, frame_numbers, tensors
from tests.methods.s5vh import SETTINGS, network, parameters

TOLERANCE = 3e-6


@contextmanager
def watched(*parts: tuple[nn.Module, list[Any]]) -> Iterator[None]:
    """What modules are given and give, one entry a call, in the list beside each."""
    hooks = [
        module.register_forward_hook(lambda _, given, output, seen=seen: seen.append((*given, output)))
        for module, seen in parts
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def test_every_stage_of_encoding() -> None:
    truth = tensors("s5vh_forward")
    model = network(truth)
    encoder: Any = model.encoder
    with torch.no_grad():
        tokens = encoder.tokens(truth["x"])
        first = encoder.blocks[0](tokens)
        encoded = encoder.encoded(tokens)
        found = {
            "positions": encoder.positions[None],
            "decoder_positions": model.decoder.positions,
            "tokens": tokens,
            "block0": first,
            "block1": encoder.blocks[1](first),
            "encoder_norm": encoder.norm(encoder.blocks(tokens)),
            "hidden": encoded,
            "logits": encoder.hash.linear(encoded),
            "logits_normalised": encoder.hash.logits(encoded),
            "label_logits": model.classifier(binarise(encoder.hash.linear(encoded)).mean(dim=1)),
        }
        codes = encoder.hash(encoded)
        relaxed = encoder(truth["x"])
    for name, value in found.items():
        assert_near(value, truth[name], name, TOLERANCE)
    assert torch.equal(codes, truth["frame_codes"])
    assert torch.equal(relaxed.sign(), truth["codes"])


def test_every_stage_of_a_block() -> None:
    truth = tensors("s5vh_forward")
    block: Any = network(truth).encoder.blocks[0]
    mamba = block.mambas[0]
    norms, scans, projections, mixed = (list[Any]() for _ in range(4))
    parts = (block.norms[0], norms), (block.norms[1], norms), (mamba.scan, scans), (mamba.in_proj, projections)
    with torch.no_grad(), watched(*parts, (mamba, mixed)):
        block(truth["tokens"])
    ((onward_input, onward), (back_input, back)) = norms
    assert torch.equal(onward_input, back_input.flip(1))
    ((u, steps, enter, leave, scanned),) = scans
    ((_, projected),) = projections
    ((_, both),) = mixed
    videos = len(onward)
    # Both directions pass as one; the arrays inside are those of the forward one.
    found = {
        "block0_norm_forward": onward,
        "block0_norm_backward_input_reversed": back,
        "block0_conv": u[:videos],
        "block0_gate": projected[:videos].chunk(2, dim=-1)[1],
        "block0_delta": steps[:videos],
        "block0_B": enter[:videos],
        "block0_C": leave[:videos],
        "block0_scan": scanned[:videos],
        "block0_mamba_forward": both[:videos],
        "block0_mamba_backward": both[videos:].flip(1),
    }
    for name, value in found.items():
        assert_near(value, truth[name], name, TOLERANCE)


def test_every_stage_of_the_views() -> None:
    truth = tensors("s5vh_forward")
    model: Any = network(truth)
    visible, hidden = frame_numbers(torch.stack([truth["mask1"], truth["mask2"]], dim=1))
    encoded, hashed, decoder_blocks = (list[Any]() for _ in range(3))
    encoder, decoder = model.encoder, model.decoder
    with torch.no_grad(), watched((encoder.head, encoded), (encoder.hash, hashed), (decoder.blocks, decoder_blocks)):
        seen = model(encoder.tokens(truth["x"]), visible, hidden)
    for view in (0, 1):
        prefix = f"view{view + 1}_"
        assert torch.equal(hashed[0][1][view::2], truth[f"{prefix}frame_codes"])
        assert_near(seen.codes[view::2], truth[f"{prefix}frame_codes"].mean(dim=1), "codes")
        found = {
            "hidden": encoded[0][1],
            "cluster_logits": seen.clusters,
            "decoder_input": decoder_blocks[0][0],
            "decoder_block": decoder_blocks[0][1],
            "reconstruction": seen.restored,
        }
        for name, value in found.items():
            assert_near(value[view::2], truth[f"{prefix}{name}"], name, TOLERANCE)


@pytest.mark.parametrize(
    ("dimensions", "bits", "encode"),
    [(4096, 16, 3_751_984), (4096, 32, 3_756_128), (4096, 64, 3_764_416), (2048, 64, 3_240_128)],
)
def test_parameters_at_the_papers_sizes(dimensions: int, bits: int, encode: int) -> None:
    model = S5vh(bits, S5vhParameters(clusters=450)).network(25, dimensions)
    assert parameter_count(model.encoder) == encode
    decoder = 1_043_200 + (dimensions - 4096) * 193 + 192 * bits + 192
    assert parameter_count(model) == encode + decoder + 450 * bits
    if (dimensions, bits) == (4096, 64):
        assert parameter_count(model) == 4_848_896
        assert parameter_count(model.encoder.blocks[0]) == 438_784
        assert parameter_count(S5vh(64, S5vhParameters(clusters=100)).network(25, 4096)) == 4_848_896 - 22_400
        assert parameter_count(S5vh(64, S5vhParameters(clusters=450, tied=False)).network(25, 4096)) == 7_726_976


def wide() -> S5vhNetwork:
    """A network wide enough that its weights show how they were drawn."""
    torch.manual_seed(0)
    return S5vh(64, S5vhParameters(layers=2, clusters=300)).network(25, 512)


def test_first_weights() -> None:
    drawn_by_torch = {"encoder.hash.linear": 256**-0.5, "decoder.embed": 64**-0.5, "classifier": 64**-0.5}
    model = wide()
    for name, layer in model.named_modules():
        if isinstance(layer, nn.LayerNorm):
            assert (layer.weight == 1).all(), name
            assert (layer.bias == 0).all(), name
        if isinstance(layer, nn.Linear):
            limit = drawn_by_torch.get(name, math.sqrt(6 / (layer.in_features + layer.out_features)))
            weight = layer.weight.detach()
            assert 0.99 * limit < float(weight.abs().max()) <= 1.0001 * limit, name
            assert float(weight.std()) == pytest.approx(limit / math.sqrt(3), rel=0.03), name
            if name not in drawn_by_torch and layer.bias is not None:
                assert (layer.bias == 0).all(), name
        if isinstance(layer, CausalConvolution):
            for value in (layer.weight.detach(), layer.bias.detach()):
                assert 0.48 < float(value.abs().max()) <= 0.5, name
                assert float(value.mean()) == pytest.approx(0, abs=0.06), name
        if isinstance(layer, Mamba):
            rates = torch.tensor([math.log(n) for n in range(1, 17)]).expand(len(layer.scan.skip), 16)
            torch.testing.assert_close(layer.scan.log_rates.detach(), rates)
            assert (layer.scan.skip == 1).all(), name
    token = model.decoder.mask_token.detach()
    # A normal distribution cut off at one deviation has 0.54 of it.
    assert float(token.abs().max()) <= 0.02
    assert float(token.std()) == pytest.approx(0.0108, rel=0.1)
    shares = [module.p for module in S5vh(8, S5vhParameters()).network(4, 8).modules() if isinstance(module, DropPath)]
    assert shares == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0])


@pytest.mark.parametrize(("dimensions", "frames", "expected"), [(4096, 25, 166_963_200), (2048, 30, 184_627_200)])
def test_multiply_adds_at_the_papers_sizes(dimensions: int, frames: int, expected: int) -> None:
    encoder = S5vh(64, S5vhParameters()).network(frames, dimensions).encoder.eval()
    # fvcore counts 5 a number that a LayerNorm reads: 13 of the width, one of the bits.
    norms = 5 * frames * (13 * 256 + 64)
    assert flops(encoder, frames, dimensions)[0] == expected + norms
    assert frames != 25 or norms == 424_000
    # By hand: 12 passes of 34,304 a token.
    assert sum(counted_by_hand(encoder, frames, dimensions).values()) == 12 * frames * 34_304


@pytest.mark.filterwarnings("ignore:.*never uses them")
@pytest.mark.filterwarnings("ignore:.*taken to be frames=25")
def test_the_authors_checkpoint() -> None:
    truth = tensors("s5vh_forward")
    encoder = bench.load_checkpoint("s5vh", GOLDEN / "s5vh_checkpoint.pth", bits=16)
    shown = {name: encoder.description.parameters[name] for name in (*SETTINGS, "tied") if name != "pca"}
    assert shown == {name: value for name, value in SETTINGS.items() if name != "pca"} | {"tied": True}
    np.testing.assert_array_equal(encoder.encode(truth["x"].numpy()), truth["codes"].numpy())


@pytest.mark.filterwarnings("ignore:.*taken to be frames=25")
def test_a_checkpoint_of_two_mambas_a_block(tmp_path: Path) -> None:
    own = S5vh(16, parameters(tied=False)).network(25, 48)
    with torch.no_grad():
        for weight in own.parameters():
            # No two alike, as after training.
            weight.add_(torch.randn_like(weight) / 100)
    torch.save({NAMES[name]: value for name, value in own.state_dict().items()}, tmp_path / "untied.pth")
    encoder = bench.load_checkpoint("s5vh", tmp_path / "untied.pth", bits=16)
    assert not encoder.description.parameters["tied"]
    x = torch.randn(3, 25, 48)
    with torch.no_grad():
        torch.testing.assert_close(encoder.module(x), own.eval().encoder(x))
    weights = {NAMES[name]: value for name, value in own.state_dict().items()}
    weights.pop("classifier.weight")
    torch.save(weights, tmp_path / "without.pth")
    with pytest.raises(InputError, match=r"missing weights: classifier\.weight"):
        bench.load_checkpoint("s5vh", tmp_path / "without.pth", bits=16)


def test_mambas_own_steps() -> None:
    torch.manual_seed(0)
    model = S5vh(8, S5vhParameters(delta_bias="mamba")).network(4, 8)
    for module in model.modules():
        if isinstance(module, Mamba):
            steps = nn.functional.softplus(module.dt_proj.bias.detach().double()).log10()
            assert -3.001 < float(steps.min()) < -2.95
            assert -1.05 < float(steps.max()) < -0.999
            assert float(steps.mean()) == pytest.approx(-2, abs=0.15)


def test_drop_path_leaves_videos_as_they_are_and_scales_the_others() -> None:
    torch.manual_seed(0)
    block = BidirectionalBlock(8, tied=True, drop_path=0.4)
    x = torch.randn(2000, 3, 8)
    with torch.no_grad():
        whole = block.eval()(x) - x
        change = block.train()(x) - x
    dropped = (change == 0).all(dim=2).all(dim=1)
    torch.testing.assert_close(change[~dropped], whole[~dropped] / 0.6, rtol=1e-4, atol=1e-5)
    # Five standard deviations of 2,000 draws.
    assert float(dropped.float().mean()) == pytest.approx(0.4, abs=0.055)


def test_a_block_that_all_videos_skip_has_gradients_of_zero() -> None:
    block = BidirectionalBlock(8, tied=True, drop_path=0.5).train()
    torch.manual_seed(1)
    while True:
        x = torch.randn(2, 3, 8)
        out: Tensor = block(x)
        if torch.equal(out, x):
            break
    out.sum().backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and (weight.grad == 0).all() for weight in block.parameters())


@pytest.mark.parametrize("tied", [True, False])
def test_directions_are_each_others_mirror(tied: bool) -> None:
    """With equal weights a reversed video gives reversed outputs."""
    torch.manual_seed(0)
    block: Any = BidirectionalBlock(8, tied=tied).eval()
    if not tied:
        x = torch.randn(2, 5, 8)
        assert not torch.allclose(block(x.flip(1)).flip(1), block(x), atol=1e-3)
        block.mambas[1].load_state_dict(block.mambas[0].state_dict())
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(block(x.flip(1)).flip(1), block(x))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask_ratio": 0.03}, r"mask_ratio: 0\.03 of 25 frames is less than one; set it to 0\.04 or more$"),
        ({"clusters": 41}, r"clusters: 41 of 40 training videos; set 40 or fewer$"),
        ({"pca": 33}, r"pca: 33 components of 40 training videos with 32 features; set 32 or fewer$"),
        ({"centres": "fixed"}, r"centres: fixed ones need a power of two as the number of bits, not 12; set centres="),
    ],
)
def test_mistakes_end_in_one_line(given: dict[str, Any], message: str, tiny: Dataset) -> None:
    with pytest.raises(InputError, match=message) as caught:
        bench.fit("s5vh", tiny, bits=12, device="cpu", **given)
    assert "\n" not in str(caught.value)


def test_videos_of_one_frame_are_refused() -> None:
    with pytest.raises(InputError, match="it needs videos of 2 frames or more"):
        S5vh(8, S5vhParameters()).check((1000, 1, 600))


def test_defaults_suit_small_sets() -> None:
    assert S5vh.defaults((45_585, 25, 4096)) == {"clusters": 450, "pca": 512}
    assert S5vh.defaults((9537, 25, 2048)) == {"clusters": 100, "pca": 512}
    assert S5vh.defaults((1258, 25, 2048)) == {"clusters": 62, "pca": 512}
    assert S5vh.defaults((30, 25, 20)) == {"clusters": 2, "pca": 20}
    assert np.isclose(S5vhParameters().rate(0), 5e-4)
