"""Spectral and spherical hashing against their papers' formulas, computed elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench.methods.sh import Sh, SpectralHash, smoothest_waves
from bench.methods.sph import Sph, SphericalHash, SphericalParameters, are_independent, find_spheres
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.data.features import ArrayFeatures
from bench.learning.context import FitContext
from bench.learning.method import Parameters
from bench.profile.counts import flops, parameter_count
from bench.profile.operators import may_hold_products
from tests.methods.masked import golden


def assert_close(found: Any, expected: NDArray[Any], name: str = "") -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name)


def test_spectral_hashing() -> None:
    truth = golden("sh")
    bits = len(truth["axis"])
    encoder = bench.fit("sh", truth["train"], bits=bits)
    module: Any = encoder.module
    for name in ("mean", "components", "low", "high"):
        assert_close(getattr(module, name), truth[name], name)
    for name in ("axis", "order"):
        np.testing.assert_array_equal(getattr(module, name), truth[name], name)
    for split in ("train", "query"):
        videos = truth[split][:, None]
        np.testing.assert_array_equal(encoder.encode(videos), truth[f"codes_{split}"])
        relaxed = module(torch.from_numpy(videos)).numpy()
        np.testing.assert_allclose(relaxed, truth[f"values_{split}"], atol=1e-5)


def test_waves_by_hand() -> None:
    """Of lengths 4, 2 and 1, k/ℓ is 1/4, 1/2, 3/4, 1 on the first, 1/2 and 1 on the second, 1 on the third."""
    axis, order = smoothest_waves(np.array([4.0, 2.0, 1.0]), 7)
    assert axis.tolist() == [0, 0, 1, 0, 0, 1, 2]
    assert order.tolist() == [1, 2, 1, 3, 4, 2, 1]


def test_spectral_hashing_leaves_out_directions_without_variance() -> None:
    random = np.random.default_rng(0)
    flat = (random.normal(size=(30, 2)) @ random.normal(size=(2, 6))).astype(np.float32)
    encoder = bench.fit("sh", flat, bits=9)
    module: Any = encoder.module
    assert module.components.shape == (6, 6)
    assert (module.components[:, 2:] == 0).all()
    assert set(module.axis.tolist()) == {0, 1}
    z = (flat - flat.mean(axis=0)) @ module.components.numpy()
    share = (z - z.min(axis=0))[:, module.axis] / np.ptp(z[:, :2], axis=0)[module.axis]
    np.testing.assert_allclose(
        encoder.forward()(flat[:, None]), np.cos(module.order.numpy() * np.pi * share), atol=1e-4
    )
    with pytest.raises(InputError, match="sh: all training videos have the same mean feature; there is nothing"):
        bench.fit("sh", np.ones((4, 3, 5)), bits=4)


def test_a_bit_of_a_direction_that_there_is_not(tiny: Dataset, tmp_path: Path) -> None:
    bench.fit("sh", tiny, bits=8).save(tmp_path)
    weights = load_file(tmp_path / "encoder.safetensors")
    for number in (8, -1):
        weights["axis"][3] = number
        save_file(weights, tmp_path / "encoder.safetensors")
        with pytest.raises(InputError, match="'axis' holds numbers outside 0 to 7; fit or copy the encoder again"):
            bench.load_encoder(tmp_path)


def test_spheres() -> None:
    truth = golden("sph")
    points = truth["train"].astype(np.float64)
    mean = points.mean(axis=0)
    assert_close(points[truth["draws"]].mean(axis=1), truth["pivots_start"])
    for updates, suffix in ((0, "_start"), (1, "_after_1"), (1000, "")):
        found = find_spheres(points - mean, truth["pivots_start"] - mean, updates)
        assert_close(found.pivots + mean, truth[f"pivots{suffix}"], suffix)
        assert found.updates == min(updates, int(truth["updates"]))
        assert found.independent == (not suffix)
        if suffix != "_after_1":
            assert_close(found.radii, truth[f"radii{suffix}"])
    module = SphericalHash(torch.from_numpy(found.pivots + mean).float(), torch.from_numpy(found.radii).float())
    bits = torch.from_numpy(truth["query"][:, None])
    np.testing.assert_array_equal(np.where(module(bits) >= 0, 1, -1), truth["codes_query"])


def test_the_criterion_by_hand() -> None:
    """The ten pairs of five spheres: 0.1 too much in each is allowed, 0.9 in one is not, with a smaller mean."""
    alike, uneven = np.full((5, 5), 0.1), np.zeros((5, 5))
    uneven[1, 3] = uneven[3, 1] = 0.9
    assert are_independent(alike)
    assert not are_independent(1.01 * alike)
    assert not are_independent(uneven)
    assert are_independent(uneven / 2)


def draws(monkeypatch: pytest.MonkeyPatch, rows: NDArray[np.int64]) -> None:
    """Let pivots start in these videos."""

    class Drawn:
        def __init__(self) -> None:
            self._rows = iter(rows)

        def choice(self, videos: int, count: int, replace: bool) -> NDArray[np.int64]:
            assert (count, replace) == (rows.shape[1], False)
            return next(self._rows)

    monkeypatch.setattr(FitContext, "random", lambda self, *stream: Drawn())


def test_spherical_hashing(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = golden("sph")
    draws(monkeypatch, truth["draws"])
    encoder = bench.fit("sph", truth["train"], bits=len(truth["draws"]))
    module: Any = encoder.module
    assert_close(module.pivots, truth["pivots"])
    assert_close(module.radii, truth["radii"])
    for split in ("train", "query"):
        # The videos that define the radii included.
        np.testing.assert_array_equal(encoder.encode(truth[split][:, None]), truth[f"codes_{split}"])
    assert (encoder.encode(truth["train"][:, None]) == 1).sum(axis=0).tolist() == [100] * 16


def fitted(bits: int, videos: NDArray[np.float32], **parameters: Any) -> tuple[SphericalHash, str, list[str]]:
    said: list[str] = []
    context = FitContext(0, say=said.append)
    module = Sph(bits, SphericalParameters(**parameters)).fit(ArrayFeatures(videos), context)
    return module, context.checkpoint, said


def test_what_is_said_of_the_search() -> None:
    videos = np.random.default_rng(0).normal(size=(400, 1, 24)).astype(np.float32) + 100
    module, checkpoint, said = fitted(8, videos)
    assert checkpoint.startswith("spheres after ")
    assert checkpoint.endswith(" updates")
    assert not said
    # Far from the origin digits of distances are easily lost.
    distances = np.linalg.norm(videos - module.pivots.numpy().astype(np.float64), axis=2)
    np.testing.assert_allclose(module(torch.from_numpy(videos)), module.radii.numpy() - distances, atol=1e-4)
    _, checkpoint, said = fitted(8, videos, updates=0)
    assert checkpoint == "spheres after 0 updates, not independent by the paper's criterion"
    assert said == [f"sph: {checkpoint}"]
    # One sphere has no other.
    assert fitted(1, videos)[1] == "spheres after 0 updates"
    # Equal videos cannot be told apart: all lie on every sphere.
    assert (fitted(4, videos[:1].repeat(6, axis=0), updates=3)[0](torch.from_numpy(videos[:1])) >= -1e-3).all()


@pytest.mark.parametrize("name", ["sh", "sph"])
def test_one_video_is_too_few(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} needs 2 training videos or more"):
        bench.fit(name, np.zeros((1, 4, 6)), bits=4)


def test_costs_at_the_papers_sizes() -> None:
    spectral, spherical = Sh(64, Parameters()).build(25, 4096), Sph(64, SphericalParameters()).build(25, 4096)
    assert isinstance(spectral, SpectralHash)
    assert parameter_count(spectral) == 4096 * 64 + 4096 + 2 * 64
    assert parameter_count(spherical) == 4096 * 64 + 64
    for module in (spectral, spherical):
        counted, uncounted = flops(module, 25, 4096)
        assert counted == 4096 * 64
        assert not may_hold_products(uncounted)
