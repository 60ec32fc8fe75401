"""The command line as a user meets it: exit statuses, output that can be piped."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.cli.conftest import Run


def test_run_report_evaluate_encode(call: Run, feature_folder: Path) -> None:
    arguments = ["run", "--methods", "lsh,itq,random", "--bits", "8,16", "--datasets", feature_folder, "--seeds", "0,1"]
    status, output, error = call(*arguments)
    assert status == 0
    assert "ITQ" in output
    assert "[12/12]" in error
    assert Path("reports/latest/report.md").is_file()
    records = sorted(Path("results/runs").glob("*/*/*/record.json"))
    assert len(records) == 12
    before = {path: path.read_bytes() for path in records}
    status, again, error = call(*arguments)
    assert (status, again) == (0, output)
    assert error.count("stored") == 12
    assert {path: path.read_bytes() for path in records} == before
    rendered = {path: path.read_bytes() for path in Path("reports/latest").rglob("*") if path.is_file()}
    status, again, _ = call("report")
    assert (status, again) == (0, output)
    assert {path: path.read_bytes() for path in Path("reports/latest").rglob("*") if path.is_file()} == rendered
    status, again, _ = call("evaluate", "--protocol", "paper")
    assert (status, again) == (0, output)
    status, strict, _ = call("evaluate", "--protocol", "strict")
    assert status == 0
    assert "mAP under protocol strict" in strict
    assert "mAP under protocol paper" not in strict
    assert {path: json.loads(path.read_text()) for path in records} == {
        path: json.loads(content) for path, content in before.items()
    }
    run = next(path.parent for path in records if "/itq/16" in path.as_posix())
    np.save("features.npy", h5py.File(feature_folder / "test_feats.h5")["feats"][:])
    status, output, _ = call("encode", "--encoder", run / "encoder", "--features", "features.npy", "--out", "codes.npy")
    assert (status, output) == (0, "")
    with np.load(run / "codes.npz") as stored:
        expected = np.unpackbits(stored["query_codes"], axis=1, count=16).astype(int) * 2 - 1
    np.testing.assert_array_equal(np.load("codes.npy"), expected)
    status, output, _ = call("list", "runs")
    assert status == 0
    assert output.count("done") == 12


def test_a_failed_run_is_a_row_with_its_reason(call: Run, feature_folder: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "failing.py"
    plugin.write_text(
        "import pathlib\n"
        "from bench.learning.method import ShallowMethod\n"
        "class Failing(ShallowMethod):\n"
        '    """Fails."""\n'
        '    name, title = "failing", "Failing"\n'
        "    def directions(self, centred, random):\n"
        f"        if not pathlib.Path({str(tmp_path / 'mended')!r}).exists():\n"
        '            raise RuntimeError("the\\nmethod gave up")\n'
        "        return random.normal(size=(32, 8))\n"
    )
    arguments = ["run", "--methods", "failing,lsh", "--bits", 8, "--datasets", feature_folder, "--plugin", plugin]
    status, output, error = call(*arguments)
    assert status == 1
    assert "the method gave up" in output
    assert "1 of 2 runs did not finish" in error
    (folder,) = Path("results/runs/my-features/failing").iterdir()
    record = json.loads((folder / "record.json").read_text())
    assert record["status"] == "failed"
    assert record["reason"] == "RuntimeError: the method gave up"
    trace = (folder / "traceback.txt").read_text()
    assert "in directions" in trace
    again = shlex.split(trace.splitlines()[-1])
    assert again[-4:] == ["--plugin", str(plugin), "--device", "cpu" if not torch.cuda.is_available() else "cuda"]
    assert "the method gave up" in Path("reports/latest/report.md").read_text()
    (tmp_path / "mended").touch()
    status, _, _ = call(*arguments, "--existing", "only-cached")
    assert status == 1
    assert call(*again[1:])[0] == 0
    status, _, error = call(*arguments, "--existing", "retry-failed")
    assert status == 0
    assert "failing 8 bits seed 0: done, stored" in error
    assert "lsh 8 bits seed 0: done, stored" in error


def test_a_dataset_below_a_root_is_tried_again(call: Run, feature_folder: Path) -> None:
    Path("own.py").write_text(
        "from bench.data.feature_files import FeatureFiles\n"
        "from bench.data.description import Description\n"
        "from bench.learning.method import ShallowMethod\n"
        "class Own(FeatureFiles):\n"
        '    name, title, origin, description = "own", "Own", "nowhere", Description()\n'
        "class Failing(ShallowMethod):\n"
        '    name, title = "failing", "Failing"\n'
        "    def directions(self, centred, random):\n"
        '        raise RuntimeError("never works")\n'
    )
    feature_folder.rename(root := feature_folder.with_name("my features"))
    arguments = ["run", "--methods", "failing", "--bits", 8, "--datasets", "own", "--plugin", "own.py"]
    assert call(*arguments, "--data-root", root)[0] == 1
    (trace,) = Path("results/runs/own/failing").glob("*/traceback.txt")
    again = shlex.split(trace.read_text().splitlines()[-1])
    assert again[again.index("--data-root") + 1] == str(root)
    status, _, error = call(*again[1:])
    assert status == 1
    assert "failing 8 bits seed 0: failed in" in error


OWN = """from bench.learning.method import ShallowMethod
class Mine(ShallowMethod):
    name, title = "mine", "Mine"
    def directions(self, centred, random):
        return random.normal(size=(32, 8)) + SHIFT
"""


def test_an_edited_method_of_a_file_runs_anew(call: Run, feature_folder: Path) -> None:
    arguments = ["run", "--plugin", "mine.py", "--methods", "mine,lsh", "--bits", 8, "--datasets", feature_folder]
    for source, stored in ((OWN, 0), (OWN, 2), (OWN.replace("SHIFT", "10.5"), 1), (OWN, 2)):
        Path("mine.py").write_text(source.replace("SHIFT", "0"))
        status, _, error = call(*arguments)
        assert status == 0
        assert error.count("done, stored") == stored
    first, second = sorted(Path("results/runs/my-features/mine").glob("*/record.json"))
    values = [json.loads(path.read_text()) for path in (first, second)]
    assert (
        values[0]["checksums"]["encoder/encoder.safetensors"] != values[1]["checksums"]["encoder/encoder.safetensors"]
    )
    assert all(re.fullmatch("1-[0-9a-f]{12}", record["spec"]["method_revision"]) for record in values)


def test_what_is_no_network_is_a_reason(call: Run, feature_folder: Path) -> None:
    Path("mine.py").write_text(OWN + "    def fit(self, features, context):\n        pass\n")
    status, _, error = call(
        "run", "--plugin", "mine.py", "--methods", "mine", "--bits", 8, "--datasets", feature_folder
    )  # fmt: skip
    assert status == 1
    assert "fit of mine returned NoneType; expected an nn.Module" in error


def test_runs_are_listed_in_an_order_for_people(call: Run, feature_folder: Path) -> None:
    wanted = [("lsh", bits, seed) for bits in (4, 8, 16) for seed in (0, 1, 2)]
    for method, bits, seed in reversed(wanted):
        one = ("--methods", method, "--bits", bits, "--seeds", seed, "--shard", "1/1")
        assert call("run", *one, "--datasets", feature_folder)[0] == 0
    rows = [line.split() for line in call("list", "runs")[1].splitlines()[2:]]
    assert [(method, int(bits), int(seed)) for _, _, method, bits, seed, *_ in rows] == wanted


def test_an_encoder_within_the_named_folder(call: Run, feature_folder: Path) -> None:
    assert call("run", "--methods", "lsh", "--bits", 8, "--datasets", feature_folder)[0] == 0
    (record,) = Path("results/runs").glob("*/*/*/record.json")
    status, _, error = call("encode", "--encoder", record.parent, "--features", "x.npy", "--out", "y.npy")
    assert status == 2
    assert f"holds no encoder (no file encoder.json); name {record.parent / 'encoder'}" in error


def test_an_encoder_of_a_method_that_is_not_known(call: Run, feature_folder: Path) -> None:
    Path("mine.py").write_text(OWN.replace("SHIFT", "0"))
    plugin = ("--plugin", "mine.py")
    assert call("run", *plugin, "--methods", "mine", "--bits", 8, "--datasets", feature_folder)[0] == 0
    (record,) = Path("results/runs").glob("*/*/*/record.json")
    np.save("features.npy", h5py.File(feature_folder / "test_feats.h5")["feats"][:])
    arguments = ["encode", "--encoder", record.parent / "encoder", "--features", "features.npy", "--out", "codes.npy"]
    status, _, error = call(*arguments)
    assert status == 2
    assert "(a method in a file of your own: --plugin FILE," in error
    assert call(*arguments, *plugin)[0] == 0


def test_sweep_file_and_options(call: Run, feature_folder: Path) -> None:
    Path("sweep.toml").write_text(
        f'methods = ["itq"]\nbits = [8]\ndatasets = ["{feature_folder}"]\n[parameters.itq]\niterations = 3\n'
    )
    assert call("run", "sweep.toml", "--bits", "4")[0] == 0
    (path,) = Path("results/runs").glob("*/*/*/record.json")
    spec = json.loads(path.read_text())["spec"]
    assert (spec["bits"], spec["parameters"]) == (4, {"iterations": 3})
    Path("sweep.toml").write_text('method = ["itq"]\n')
    status, _, error = call("run", "sweep.toml")
    assert status == 2
    assert "sweep.toml: method: unknown key; did you mean methods?" in error


def test_data_check(call: Run, feature_folder: Path) -> None:
    status, output, _ = call("data", "check", feature_folder)
    assert status == 0
    assert "complete and well-formed" in output
    assert "25 × 32" in output


def test_profile_trains_nothing(call: Run, feature_folder: Path) -> None:
    status, output, _ = call("profile", "--methods", "mlp-mixer,lsh", "--bits", "16", "--datasets", feature_folder)
    assert status == 0
    assert "MLP-Mixer" in output
    assert not Path("results").exists()


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bench.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'h5py', 'numba', 'scipy', 'pydantic', 'rich'}\n"
        "heavy |= {'importlib.metadata'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"
    assert "Train, encode, evaluate and measure" in done.stdout


def test_a_report_does_not_import_pytorch(call: Run, feature_folder: Path) -> None:
    assert call("run", "--methods", "lsh", "--bits", 8, "--datasets", feature_folder, "--shard", "1/1")[0] == 0
    code = "import sys; from bench.cli import main; print(main(['report']), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "0 False"


def test_interrupt_ends_with_130(call: Run, feature_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bench.running.runner.Runner.run", interrupt)
    status, _, error = call("run", "--methods", "lsh", "--datasets", feature_folder)
    assert status == 130
    assert "interrupted" in error
