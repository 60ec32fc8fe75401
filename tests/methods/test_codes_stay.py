"""Codes of the built-in methods, as versions before the reorganisation of the package learned them, bit for bit."""

import hashlib
import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import bench

STORED = Path(__file__).parent / "codes_before.npz"
SETTINGS: dict[str, dict[str, int]] = {
    "mcmsh": {"epochs": 3, "batch_size": 32, "hidden": 32, "anchors": 12},
    "bth": {"epochs": 3, "batch_size": 32, "hidden": 32, "anchors": 12},
    "itq": {},
    "lsh": {},
}
# Another processor, or another version of PyTorch, rounds sums differently, and a bit within rounding of 0 may flip.
ROUNDING = 0.02


def videos() -> NDArray[np.float32]:
    """96 videos, 25 frames x 40, in six groups that differ in their means."""
    random = np.random.Generator(np.random.Philox(key=2026))
    means = random.standard_normal((6, 1, 40))
    return (means[np.arange(96) % 6] + 0.7 * random.standard_normal((96, 25, 40))).astype(np.float32)


def learned(method: str) -> NDArray[np.uint8]:
    """The codes (96, 2), 16 bits packed, of a method that is fitted and encodes with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        codes = bench.fit(method, videos(), bits=16, seed=0, device="cpu", **SETTINGS[method]).encode(videos())
    finally:
        torch.set_num_threads(threads)
    return np.packbits(codes > 0, axis=1)


def machine() -> str:
    """What decides how sums are rounded."""
    about = Path("/proc/cpuinfo")
    told = about.read_text().split("\n\n")[0].splitlines() if about.is_file() else [platform.processor()]
    model = [line for line in told if line.startswith(("cpu family", "model", "flags"))]
    digest = hashlib.sha256("\n".join(model).encode()).hexdigest()[:12]
    return f"processor {digest}; torch {torch.__version__}; numpy {np.__version__}"


@pytest.mark.parametrize("method", SETTINGS)
def test_codes_are_those_of_before(method: str) -> None:
    with np.load(STORED, allow_pickle=False) as stored:
        before, where = stored[method], str(stored["machine"])
    differing = np.unpackbits(learned(method) ^ before).mean()
    assert differing <= (0 if where == machine() else ROUNDING)


if __name__ == "__main__":
    codes = {method: learned(method) for method in SETTINGS}
    np.savez_compressed(STORED, allow_pickle=False, machine=np.array(machine()), **codes)
