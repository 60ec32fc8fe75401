"""One clear line for every mistake, before any work."""

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.cli.conftest import Run


def mistakes(folder: Path) -> list[tuple[list[object], str]]:
    shallow = ["run", "--datasets", folder, "--bits", 8, "--methods"]
    return [
        ([*shallow, "mcmhs"], "unknown method 'mcmhs': did you mean mcmsh"),
        ([*shallow, "nofit"], "unknown method 'nofit': known: autossvh, bervae, bth, conmh, dkph, float, itq"),
        ([*shallow, "mine"], "(a method in a file of your own: --plugin FILE)"),
        (
            ["run", "--methods", "lsh", "--datasets", "moving-digit"],
            "unknown dataset 'moving-digit': did you mean moving",
        ),
        (["run", "--methods", "lsh", "--datasets", "./nowhere"], "nowhere: no such folder"),
        ([*shallow, "lsh", "--frobnicate"], "No such option: --frobnicate"),
        (["frobnicate"], "No such command 'frobnicate'"),
        ([*shallow, "itq", "--set", "itq.iteration=5"], "itq has no parameter 'iteration': did you mean iterations"),
        ([*shallow, "itq", "--set", "itq.iterations=-1"], "itq.iterations: input should be greater than or equal to 0"),
        ([*shallow, "itq", "--set", "itq.iterations=many"], "itq.iterations: input should be a valid integer"),
        ([*shallow, "itq", "--set", "iterations=5"], "--set iterations=5: expected method.parameter=value"),
        ([*shallow, "itq", "--set", "bth.epochs=5"], "bth is not among the methods of this run"),
        (["run", "--datasets", folder, "--methods", "lsh", "--bits", "0"], "bits: 0 is not between 1 and 1024"),
        (["run", "--datasets", folder, "--methods", "lsh", "--bits", "-1"], "bits: -1 is not between 1 and 1024"),
        (
            ["run", "--datasets", folder, "--methods", "lsh", "--bits", "7.5"],
            "--bits 7.5: expected comma-separated integers",
        ),
        (
            ["run", "--datasets", folder, "--methods", "lsh", "--seeds", "-1"],
            "seed: input should be greater than or equal",
        ),
        (["run", "--datasets", folder, "--methods", "pcah", "--bits", "64"], f"{folder}: bits: pcah gives at most 32"),
        ([*shallow, "mcmsh", "--set", "mcmsh.anchors=41"], "anchors: 41 are asked for, but there are only 40"),
        ([*shallow, "bth", "--set", "bth.anchors=41"], "anchors: 41 are asked for, but there are only 40"),
        ([*shallow, "lsh", "--existing", "maybe"], "unknown policy 'maybe' for --existing"),
        ([*shallow, "lsh", "--device", "tpu"], "unknown device 'tpu'"),
        ([*shallow, "lsh", "--plugin", "nowhere.py"], "--plugin nowhere.py: no such Python file or folder"),
        (["run", "--datasets", folder], "methods: none given"),
        (["run", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["report", "--results", "nowhere"], "nowhere: no such folder"),
        (["evaluate", "--results", "nowhere"], "nowhere: no such folder"),
        (["evaluate", "--protocol", "papre"], "unknown protocol 'papre'"),
        (["evaluate", "--protocol", ""], "--protocol: none given"),
        (
            [*shallow, "mcmsh", "--set", "mcmsh.cluster_weight=inf"],
            "mcmsh.cluster_weight: input should be a finite number",
        ),
        ([*shallow, "lsh", "--report", "/proc/report"], "the report cannot be written there"),
        (["list", "published", "--method", "nonsense"], "nonsense"),
        (["reproduce", "tabel1"], "did you mean table1"),
        (["list", "mehtods"], "cannot list 'mehtods': did you mean methods"),
        (["data", "check", "./nowhere"], "nowhere: no such folder"),
        (["encode", "--encoder", "nowhere", "--features", "x.npy", "--out", "y.npy"], "nowhere: holds no encoder"),
        (["encode", "--encoder", "nowhere", "--features", "x.npy", "--out", "y.txt"], "codes are written as .npy"),
    ]


@pytest.mark.parametrize("number", range(len(mistakes(Path()))))
def test_a_mistake_is_one_clear_line_and_status_2(call: Run, feature_folder: Path, number: int) -> None:
    arguments, message = mistakes(feature_folder)[number]
    status, output, error = call(*arguments)
    assert status == 2
    assert output == ""
    assert error.startswith("bench: ")
    assert error.count("\n") == 1
    assert message in error
    # Nothing was stored before the mistake was found.
    assert not list(Path("results").rglob("record.json"))


def test_a_folder_that_cannot_be_written(call: Run, feature_folder: Path) -> None:
    Path("file").write_text("in the way")
    status, _, error = call("run", "--methods", "lsh", "--datasets", feature_folder, "--results", "file/results")
    assert status == 2
    assert re.match(r"bench: .*/file/results: results cannot be written there \(.*\); choose another folder", error)


def test_a_report_of_somebody_is_refused_before_any_work(call: Run, feature_folder: Path) -> None:
    Path("mine").mkdir()
    Path("mine/report.md").write_text("years of work")
    status, _, error = call("run", "--methods", "lsh", "--datasets", feature_folder, "--report", "mine")
    assert status == 2
    assert "mine/report.md: was not written by vhbench" in error
    assert not Path("results/runs/my-features").exists()
    assert Path("mine/report.md").read_text() == "years of work"


def test_bad_features_end_before_training(call: Run, feature_folder: Path) -> None:
    with h5py.File(feature_folder / "train_feats.h5", "r+") as file:
        file["feats"][0, 0, 0] = np.nan
    status, _, error = call("run", "--methods", "lsh", "--datasets", feature_folder, "--bits", 8)
    assert status == 2
    assert "train_feats.h5: video 0 has NaN or infinite features" in error.splitlines()[-1]


def test_every_dataset_is_checked_before_the_first_training(call: Run, feature_folder: Path) -> None:
    other = feature_folder.with_name("other")
    shutil.copytree(feature_folder, other)
    with h5py.File(other / "test_feats.h5", "r+") as file:
        file["feats"][1, 0, 0] = np.inf
    status, _, error = call("run", "--methods", "lsh", "--bits", 8, "--datasets", f"{feature_folder},{other}")
    assert status == 2
    assert "test_feats.h5: video 1 has NaN or infinite features" in error
    assert not list(Path("results").rglob("record.json"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [-1]", "sweep.toml: seeds.0: input should be greater than or equal to 0 (got -1)"),
        ("seeds = [true]", "sweep.toml: seeds.0: input should be a valid integer"),
        ("[parameters.itq]\niterations = 3", "sweep.toml: parameters.itq: itq is not among the methods of this run"),
    ],
)
def test_a_mistake_in_a_sweep_file_names_it(call: Run, feature_folder: Path, text: str, message: str) -> None:
    Path("sweep.toml").write_text(f'methods = ["lsh"]\ndatasets = ["{feature_folder}"]\n{text}\n')
    status, _, error = call("run", "sweep.toml")
    assert status == 2
    assert message in error
