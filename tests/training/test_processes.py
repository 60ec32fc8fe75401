"""Several processes on one training: they share each batch, and process 0 stores the run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from bench.corruption import draw_corruption
from bench.errors import InputError
from bench.training.items import Draw
from bench.training.loop import own_items
from bench.training.processes import require_processes

# Without dropout and batch statistics, processes must compute what one alone does.
PLUGIN = '''
from bench.training import DeepMethod, Draw, Schedule
from torch import nn

class Objective:
    def __init__(self, network):
        self.network = network
    def draw(self, videos, random):
        return Draw({"first": videos, "second": random.permutation(videos)})
    def loss(self, batch, epoch):
        first, second = (self.network(batch.videos[name]) for name in ("first", "second"))
        return {"loss": (first * second).square().mean() + first.square().mean()}

class Pooled(nn.Module):
    def __init__(self, dimensions, bits):
        super().__init__()
        self.layer = nn.Linear(dimensions, bits)
    def forward(self, videos):
        return self.layer(videos).tanh().mean(dim=1)

class Plain(DeepMethod):
    """No dropout, no batch statistics."""
    name, title, Parameters = "plain", "Plain", Schedule
    def network(self, frames, dimensions):
        return Pooled(dimensions, self.bits)
    def objective(self, network, features, context):
        return Objective(network)
'''


def bench_run(folder: Path, results: Path, *more: str, processes: int = 1) -> subprocess.CompletedProcess[str]:
    call = ["--methods", "plain", "--plugin", str(folder.parent / "plain.py"), "--bits", "8", "--datasets", str(folder),
            "--results", str(results), "--report", str(results.parent / f"{results.name}-report"), "--device", "cpu",
            "--set", "plain.epochs=3", "--set", "plain.batch_size=7", *more]  # fmt: skip
    code = "import sys; from bench.cli import main; sys.exit(main(sys.argv[1:]))"
    start = [sys.executable, "-c", code, "run"]
    if processes > 1:
        script = folder.parent / "bench_main.py"
        script.write_text(code)
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
                 str(script), "run"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*start, *call], capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_two_processes_train_as_one(feature_folder: Path, tmp_path: Path) -> None:
    (feature_folder.parent / "plain.py").write_text(PLUGIN)
    alone = bench_run(feature_folder, tmp_path / "alone")
    assert alone.returncode == 0, alone.stderr
    quick = [part for method in ("plain", "mcmsh", "bth") for part in ("--set", f"{method}.processes=2")]
    quick += ["--set", "mcmsh.epochs=1", "--set", "mcmsh.hidden=32", "--set", "bth.epochs=1", "--set", "bth.hidden=32"]
    shared = bench_run(feature_folder, tmp_path / "shared", *quick, "--methods", "plain,mcmsh,bth", processes=2)
    assert shared.returncode == 0, shared.stderr
    # One process speaks.
    assert shared.stderr.count("features:") == 1
    records = {}
    for results in ("alone", "shared"):
        for path in (tmp_path / results).glob("*/*/*/record.json"):
            record = json.loads(path.read_text())
            assert record["status"] == "done"
            records[results, record["spec"]["method"]] = record, load_file(path.parent / "encoder/encoder.safetensors")
    assert len(records) == 4
    (one, weights), (two, others) = records["alone", "plain"], records["shared", "plain"]
    assert [record["spec"]["parameters"]["processes"] for record in (one, two)] == [1, 2]
    for name, value in weights.items():
        np.testing.assert_allclose(others[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    for row, other in zip(one["history"], two["history"], strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=1e-4)


def test_processes_must_be_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"mine\.processes=2: start them with torchrun --nproc-per-node 2"):
        require_processes("mine", 2)
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(InputError, match=r"mine\.processes=1, but torchrun started 4"):
        require_processes("mine", 1)
    require_processes("mine", 4)


def test_the_parts_of_a_batch_make_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    plan = draw_corruption(random, 11, 5, 100, 0.9)
    rows = random.integers(0, 100, 11)
    draw = Draw({"first": rows}, {"sign": rows.astype(np.float32)}, {"first": plan})
    monkeypatch.setenv("WORLD_SIZE", "3")
    parts = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        parts.append(draw.part(own_items(11)))
    assert {len(part.videos["first"]) for part in parts} == {3, 4}
    np.testing.assert_array_equal(np.concatenate([part.videos["first"] for part in parts]), rows)
    np.testing.assert_array_equal(np.concatenate([part.values["sign"] for part in parts]), rows)
    np.testing.assert_array_equal(np.concatenate([part.corruption["first"].kept for part in parts]), plan.kept)
    starts = np.cumsum([0, *(len(part.videos["first"]) for part in parts)])
    items = [part.corruption["first"].item + start for part, start in zip(parts, starts, strict=False)]
    np.testing.assert_array_equal(np.concatenate(items), plan.item)
    np.testing.assert_array_equal(
        np.concatenate([part.corruption["first"].source_video for part in parts]), plan.source_video
    )
