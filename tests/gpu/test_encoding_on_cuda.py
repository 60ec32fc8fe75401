"""Encoding and measuring on a CUDA device: the processor's codes but for bits within rounding, and all times."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bench
from bench.data.dataset import Dataset
from bench.encoding.backends import CHUNK
from bench.encoding.encoder import Encoder
from bench.encoding.modules import inference_module
from bench.encoding.replayed import COMPUTED, Replayed
from bench.profile import encoding
from bench.profile.cost_types import Costs
from bench.profile.costs import Subject, measure_costs
from tests.encoding.conftest import DEEP, MERGED, deep_encoder, golden_encoder, plain, random_videos
from tests.gpu.conftest import CUDA


@pytest.fixture(params=DEEP)
def pair(request: pytest.FixtureRequest) -> tuple[Encoder, Encoder]:
    """The same encoder on the processor and on the device."""
    here, there = deep_encoder(str(request.param)), deep_encoder(str(request.param))
    there.module.to(CUDA)
    return here, there


@pytest.mark.parametrize("backend", ["eager", "compiled"])
def test_outputs_are_the_processors(pair: tuple[Encoder, Encoder], backend: str) -> None:
    here, there = pair
    videos = random_videos(CHUNK)
    relaxed = plain(here.module, videos)
    given = there.forward(backend)(videos)
    # Frame codes of BTH are rounded: one that lies within rounding of a half moves its mean by 2/25.
    far = np.abs(given - relaxed) > 1e-4
    assert far.mean() < 0.001, np.abs(given - relaxed).max()
    assert (there.encode(videos, backend=backend) != here.encode(videos)).mean() < 0.001


@pytest.mark.parametrize("pair", MERGED, indirect=True)
def test_bfloat16_flips_few_bits(pair: tuple[Encoder, Encoder]) -> None:
    here, there = pair
    videos = random_videos(CHUNK)
    assert (there.encode(videos, precision="bfloat16") != here.encode(videos)).mean() < 0.03


@pytest.mark.parametrize("name", ["mcmsh", "bth"])
@pytest.mark.filterwarnings("ignore:.*never uses them")
def test_the_authors_codes(name: str, tmp_path: Path) -> None:
    encoder, truth = golden_encoder(name, tmp_path)
    encoder.module.to(CUDA)
    np.testing.assert_array_equal(encoder.encode(truth["x"]), truth["codes"])


def test_an_encoder_of_the_device_goes_to_disk_and_elsewhere(tiny: Dataset, tmp_path: Path) -> None:
    encoder = bench.fit("mcmsh", tiny, bits=16, device="cuda", epochs=1, batch_size=16, anchors=6, hidden=32)
    videos = tiny.gallery.features
    codes = encoder.encode(videos)
    encoder.save(tmp_path / "encoder")
    loaded = bench.load_encoder(tmp_path / "encoder")
    assert loaded.device.type == "cpu"
    assert (loaded.encode(videos) != codes).mean() < 0.01
    loaded.module.to(CUDA)
    np.testing.assert_array_equal(loaded.encode(videos), codes)
    encoder.export(tmp_path / "encoder.onnx")
    np.testing.assert_array_equal(encoder.encode(videos, backend="onnx"), loaded.encode(videos, backend="onnx"))


def test_a_new_process_encodes_before_it_trains() -> None:
    """Training demands what PyTorch looks for at the first matrix product."""
    program = (
        "import bench; from tests.encoding.conftest import deep_encoder, random_videos\n"
        "encoder, videos = deep_encoder('mcmsh'), random_videos(20)\n"
        "encoder.module.to('cuda'); encoder.encode(videos)\n"
        "bench.fit('mcmsh', videos, bits=8, device='cuda', epochs=1, batch_size=8, anchors=6, hidden=32)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], env=environment, check=True)


def test_costs_have_a_row_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "SECONDS", 0.1)
    subjects = []
    for name in ("mcmsh", "bth"):
        encoder = deep_encoder(name)
        subjects.append(Subject(name, encoder.module, encoder.module, 24, 25, 40))
    for costs in measure_costs(subjects, CUDA):
        assert isinstance(costs, Costs), costs
        *processor, device = costs.encoding
        assert {place.device for place in processor} == {"cpu"}
        assert device.device == torch.cuda.get_device_name(CUDA)
        assert [timing.batch for timing in device.sweep] == list(encoding.BATCHES)
        by_batch: dict[int, Any] = {timing.batch: timing for timing in device.with_transfer}
        assert set(by_batch) == set(encoding.BATCHES)
        assert all(timing.median_ms > 0 for timing in (*device.sweep, *device.with_transfer))
        assert set(device.modules) >= {"project", "rest"}
        # A GPU multiplies faster than the processor beside it, and faster in bfloat16 than in float32.
        assert device.rates.float32 > processor[-1].rates.float32
        assert device.rates.bfloat16 > device.rates.float32
        assert device.rates.copy_bytes > processor[-1].rates.copy_bytes


@pytest.mark.parametrize(
    ("name", "precision"), [*((name, "float32") for name in DEEP), *((name, "bfloat16") for name in MERGED)]
)
def test_replayed_outputs_are_those_that_are_computed(
    name: str, precision: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the bit, and every method is captured."""
    network = inference_module(deep_encoder(name).module).to(CUDA, getattr(torch, precision))
    outputs = Replayed(network, CUDA)
    with torch.inference_mode():
        for batch in (1, CHUNK):
            for given in torch.randn(COMPUTED + 2, batch, 25, 40, device=CUDA).to(getattr(torch, precision)):
                assert torch.equal(outputs(given), network(given))
    assert capsys.readouterr().err == ""
