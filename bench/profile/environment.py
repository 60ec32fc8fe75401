"""Hardware and software of the machine that produced a result."""

import os
import platform
import re
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

LIBRARIES = ("vhbench", "torch", "numpy", "numba", "faiss-cpu", "fvcore", "scikit-learn", "scipy")
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
DRIVER = Path("/proc/driver/nvidia/version")


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, processor, threads, device and source revision, for the record of a run."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "frequency_governor": _first_line(GOVERNOR),
        "blas": {"torch": torch_blas(), "numpy": numpy_blas()},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "driver": _first_line(DRIVER) if device.type == "cuda" else None,
        "libraries": {name: _version(name) for name in LIBRARIES},
        "git_revision": git_revision(),
    }


@cache
def processor() -> str:
    """The processor's model, if the system provides it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def torch_blas() -> str | None:
    """The BLAS library with which torch was built."""
    found = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return found[1] if found else None


@cache
def numpy_blas() -> str | None:
    """The BLAS library, with its version, with which numpy was built."""
    built: Any = np.show_config(mode="dicts")
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return f"{blas['name']} {blas.get('version', '')}".strip() if "name" in blas else None


@cache
def git_revision() -> str | None:
    """The commit of the checkout from which this package runs, with `-dirty` if files differ; None if installed."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def _first_line(path: Path) -> str | None:
    """The first line of a system file; None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[0].strip()
    except (OSError, IndexError):
        return None


@cache  # reading a package's metadata takes milliseconds
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
