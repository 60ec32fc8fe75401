"""Where features live, how they are stored and who reads them changes the time of a training, never its codes."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import bench
from bench.data.dataset import Dataset, Split
from bench.data.features import ArrayFeatures, ConcatenatedFeatures, Features
from bench.data.folder import open_features
from bench.encoding.fitting import fit_method, resolve_parameters
from bench.learning import residency
from bench.learning.context import FitContext
from bench.learning.residency import Residents, choose_residency
from bench.registry import load_registry
from tests.learning.stages import quick

METHODS = ("mcmsh", "bth", "conmh", "autossvh")


def codes(method: str, data: Dataset, features: Features, **parameters: object) -> tuple[NDArray[np.int8], list[str]]:
    """Codes of the gallery after training on these features, and what was said."""
    said: list[str] = []
    found = load_registry().method(method)
    resolved = resolve_parameters(found, data.summary, {}, quick(method, **parameters))
    given = Dataset(data.summary, Split(features), data.query, data.gallery, data.class_names)
    encoder = fit_method(found(16, resolved), given, FitContext(0, say=said.append))
    return encoder.encode(data.gallery.features), said


@pytest.fixture
def halves(tiny: Dataset) -> NDArray[np.float16]:
    return tiny.train.features[:].astype(np.float16)


def write(path: Path, array: NDArray[np.float16], **options: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("feats", data=array, **options)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_every_place_and_layout_gives_the_same_codes(
    method: str, tiny: Dataset, halves: NDArray[np.float16], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float32 in memory is the truth; the others hold the same values, which float16 represents exactly."""
    expected, said = codes(method, tiny, ArrayFeatures(halves.astype(np.float32)))
    assert any("float32, kept in memory" in line for line in said)
    chunked = write(tmp_path / "chunked.h5", halves, chunks=(3, 7, 32), compression="gzip")
    contiguous = write(tmp_path / "contiguous.h5", halves)
    parts = [open_features(write(tmp_path / f"part{number}.h5", halves[start : start + 17]))
             for number, start in enumerate(range(0, 40, 17))]  # fmt: skip
    np.save(tmp_path / "features.npy", halves)
    stored = {
        "chunked": open_features(chunked),
        "contiguous": open_features(contiguous),
        "parts": ConcatenatedFeatures(parts),
        "npy": open_features(tmp_path / "features.npy"),
    }
    kept, said = codes(method, tiny, stored["parts"])
    assert any("float16, kept in memory" in line for line in said), said
    np.testing.assert_array_equal(kept, expected)
    monkeypatch.setattr(residency, "free_memory", lambda: 0)
    for readers, (name, features) in enumerate(stored.items(), start=1):
        monkeypatch.setattr("bench.learning.loader.READERS", readers)
        read, said = codes(method, tiny, ConcatenatedFeatures([features]))
        assert any("read from their file" in line for line in said), said
        np.testing.assert_array_equal(read, expected, err_msg=f"{name} from its file, {readers} readers")


def test_the_choice_goes_by_what_is_free(tiny: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    features, cpu, cuda = tiny.train.features, torch.device("cpu"), torch.device("cuda")
    size = 40 * 25 * 32 * 4
    memory, device = size * 2, int(size / 0.7) + 1
    monkeypatch.setattr(residency, "free_memory", lambda: memory)
    monkeypatch.setattr(residency, "free_on_device", lambda found: device)
    assert choose_residency(features, cuda, "float32").place == "device"
    assert choose_residency(features, cpu, "float32").place == "memory"
    device = int(size / 0.7) - 1
    assert choose_residency(features, cuda, "float32").place == "memory"
    memory = size * 2 - 1
    assert choose_residency(features, cuda, "float32").place == "file"
    # Two bytes a value: half of it fits again.
    assert choose_residency(features, cuda, "bfloat16").place == "device"
    assert choose_residency(features, cuda, "bfloat16").dtype == torch.bfloat16


def test_free_memory_is_positive() -> None:
    assert 0 < residency.free_memory() < 2**50


def test_features_are_loaded_once_for_the_runs_of_a_sweep(tiny: Dataset) -> None:
    class Counting(ArrayFeatures):
        reads = 0

        def read_slice(self, start: int, stop: int) -> NDArray[np.float32]:
            self.reads += 1
            return super().read_slice(start, stop)

    residents, said = Residents(), list[str]()
    features = Counting(tiny.train.features[:])
    reads = []
    for _ in range(3):
        _, tensor = residents.choose(features, torch.device("cpu"), "float32", said.append)
        assert tensor is not None
        np.testing.assert_array_equal(tensor.numpy(), tiny.train.features[:])
        reads.append(features.reads)
    assert reads[0] == reads[1] == reads[2] > 0
    assert len(said) == 1
    residents.choose(tiny.query.features, torch.device("cpu"), "float32", said.append)
    residents.choose(features, torch.device("cpu"), "bfloat16", said.append)
    assert features.reads == 2 * reads[0]
    assert len(said) == 3


@pytest.mark.parametrize("method", METHODS)
def test_bfloat16_is_a_parameter_and_close_to_float32(
    method: str, tiny: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = quick(method, precision="bfloat16")
    rough = bench.fit(method, tiny, bits=16, device="cpu", **settings)
    exact = bench.fit(method, tiny, bits=16, device="cpu", **quick(method))
    assert rough.description.parameters["precision"] == "bfloat16"
    assert all(value.dtype == torch.float32 for value in rough.module.parameters())
    assert rough.history[0]["loss"] == pytest.approx(exact.history[0]["loss"], rel=0.02)
    assert rough.history[0]["loss"] != exact.history[0]["loss"]
    # The same rounding wherever the features live.
    monkeypatch.setattr(residency, "free_memory", lambda: 0)
    streamed = Dataset(
        tiny.summary, Split(ConcatenatedFeatures([tiny.train.features])), tiny.query, tiny.gallery, tiny.class_names
    )
    again = bench.fit(method, streamed, bits=16, device="cpu", **settings)
    np.testing.assert_array_equal(again.encode(tiny.gallery.features), rough.encode(tiny.gallery.features))


@pytest.mark.parametrize(("capabilities", "emulated"), [({"avx512_f": True, "avx512_bf16": False}, True),
                                                        ({"avx512_bf16": False, "amx_bf16": True}, False)])  # fmt: skip
def test_a_processor_without_bfloat16_is_named(
    capabilities: dict[str, bool], emulated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.learning.loop import emulates_bfloat16

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert emulates_bfloat16(torch.device("cpu")) is emulated
    assert not emulates_bfloat16(torch.device("cuda"))
