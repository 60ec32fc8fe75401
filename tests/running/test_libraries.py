"""What a process imports once is on no run's clock."""

import json
import subprocess
import sys
from pathlib import Path

CODE = """
import json, sys
import bench
from bench.registry import load_registry
from bench.running.one_run import _import_training_libraries

data = bench.load_dataset(sys.argv[1])
new = {}
for name, parameters in (("lsh", {}), ("mlp-mixer", {"epochs": 1, "hidden": 16, "anchors": 5})):
    _import_training_libraries(load_registry().method(name))
    before = set(sys.modules)
    bench.fit(name, data, bits=8, device="cpu", **parameters)
    found = [module.split(".")[0] for module in set(sys.modules) - before]
    new[name] = sum(module in {"torch", "sympy", "lightning", "faiss"} for module in found)
print(json.dumps(new))
"""


def test_fitting_finds_its_libraries_loaded(feature_folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(feature_folder)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    # Else hundreds of each; what numba needs to compile for the first time is not counted.
    assert max(json.loads(done.stdout.splitlines()[-1]).values()) < 5, done.stdout
