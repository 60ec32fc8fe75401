"""Fits from threads, after forks and under other people's settings of PyTorch: the codes of one after the other."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import bench
from bench.base.process_state import DETERMINISM, deterministic
from bench.registry import load_registry

FIRST, SECOND = np.random.default_rng(0).normal(size=(2, 60, 4, 16)).astype(np.float32)
QUICK: dict[str, Any] = {"epochs": 2, "hidden": 16, "anchors": 4, "batch_size": 16}


def codes(method: str, features: NDArray[np.float32]) -> NDArray[np.int8]:
    parameters: dict[str, Any] = QUICK if method in {"bth", "mcmsh", "mlp-mixer"} else {}
    return bench.fit(method, features, bits=8, device="cpu", **parameters).encode(features)


def test_threads_give_the_codes_of_one_after_the_other(tmp_path: Path) -> None:
    jobs = [(method, features) for method in ("bth", "mlp-mixer", "itq") for features in (FIRST, SECOND)]
    expected = [codes(*job) for job in jobs]
    kept = bench.fit("mlp-mixer", FIRST, bits=8, **QUICK)
    kept.save(tmp_path / "kept")

    def load_and_encode(_: int) -> NDArray[np.int8]:
        return bench.load_encoder(tmp_path / "kept").encode(FIRST)

    with ThreadPoolExecutor(4) as pool:
        # Loading builds networks, which draws from the stream that fits draw from.
        loaded = pool.map(load_and_encode, range(12))
        for (method, _), wanted, found in zip(jobs, expected, pool.map(lambda job: codes(*job), jobs), strict=True):
            np.testing.assert_array_equal(found, wanted, err_msg=method)
        for found in loaded:
            np.testing.assert_array_equal(found, kept.encode(FIRST))


@pytest.mark.parametrize("backend", ["eager", "onnx"])
def test_one_encoder_in_several_threads(backend: str) -> None:
    encoder = bench.fit("mlp-mixer", FIRST, bits=8, **QUICK)
    expected = encoder.encode(FIRST)
    labels = np.arange(60) % 3
    score = bench.evaluate(expected, labels).map

    def encoded(_: int) -> bool:
        found = encoder.encode(FIRST, backend=backend)
        return bool((found == expected).all()) and bench.evaluate(found, labels).map == score

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(encoded, range(8)))


def test_a_forked_process_fits_and_encodes() -> None:
    script = Path(__file__).with_name("forked.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "[True, True, True]\n", done.stderr


@contextmanager
def default_dtype() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SETTINGS: dict[str, Callable[[], Any]] = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default device": lambda: torch.device("meta"),
    "default type": default_dtype,
    "numpy's errors": lambda: np.errstate(all="raise"),
}


def test_settings_of_others_change_no_codes() -> None:
    expected = {method: codes(method, FIRST) for method in ("mlp-mixer", "lsh")}
    for name, setting in SETTINGS.items():
        for method, wanted in expected.items():
            with setting():
                np.testing.assert_array_equal(codes(method, FIRST), wanted, err_msg=f"{method}, {name}")


def test_autocast_of_others_keeps_no_old_weights() -> None:
    def losses() -> list[dict[str, float]]:
        return bench.fit("mlp-mixer", FIRST, bits=8, precision="bfloat16", **QUICK).history

    usual = losses()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert losses() == usual


def test_a_fit_leaves_everything_as_it_was() -> None:
    with ExitStack() as stack:
        stack.callback(torch.set_deterministic_debug_mode, torch.get_deterministic_debug_mode())
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.manual_seed(7)
        before = torch.get_rng_state()
        codes("mlp-mixer", FIRST)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.get_default_dtype() == torch.float32
        assert DETERMINISM.fill_uninitialized_memory


def test_new_tensors_are_not_filled_first() -> None:
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
        assert not DETERMINISM.fill_uninitialized_memory
    assert DETERMINISM.fill_uninitialized_memory


def test_data_that_were_changed_in_place_are_read_again() -> None:
    changing = FIRST.copy()
    codes("mlp-mixer", changing)
    changing[:] = SECOND
    np.testing.assert_array_equal(codes("mlp-mixer", changing), codes("mlp-mixer", SECOND))


def test_a_file_is_imported_whole_before_another_thread_has_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import time\nfrom bench.method import ShallowMethod\ntime.sleep(0.2)\n\n\nclass Mine(ShallowMethod):\n"
        "    name, title = 'mine', 'Mine'\n    def directions(self, centred, random): ...\n"
    )
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_registry([file]).method("mine"), range(4)))
    assert len(set(found)) == 1
