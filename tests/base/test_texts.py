"""Words that users read: hints for names, and unknown keys."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

import bench
from bench.base.text import closest, validation_message
from bench.data.description import Description
from bench.running.plan import SweepFile
from bench.store.record import RunSpec

METHODS = ["bth", "itq", "lsh", "mcmsh", "oracle", "pcah", "random"]


@pytest.mark.parametrize(
    ("given", "hint"),
    [("mcmhs", "mcmsh"), ("bht", "bth"), ("itk", "itq"), ("pca", "pcah"), ("ranom", "random"), ("orcle", "oracle")],
)
def test_slips_of_the_finger_are_recognised(given: str, hint: str) -> None:
    assert closest(given, METHODS) == f"did you mean {hint}?"


@pytest.mark.parametrize("given", ["noname", "nofit", "mine", "x"])
def test_other_names_are_not(given: str) -> None:
    assert closest(given, METHODS) == f"known: {', '.join(METHODS)}"


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (SweepFile, {"sedes": [1]}, "sedes: unknown key; did you mean seeds?"),
        (
            Description,
            {"files": {"train": {"feature": "x"}}},
            "files.train.feature: unknown key; did you mean features or features_key?",
        ),
        (Description, {"files": {"trian": {}}}, "files.trian: unknown key; did you mean train?"),
    ],
)
def test_unknown_keys(model: type[SweepFile | Description], values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(values)
    assert validation_message(refused.value, model) == message
    assert validation_message(refused.value) == message.partition(";")[0]


def test_a_revision_is_a_number_or_goes_with_a_digest() -> None:
    said: dict[str, Any] = {
        "method": "lsh",
        "dataset": "toy",
        "bits": 8,
        "seed": 0,
        "parameters": {},
        "dataset_fingerprint": "f",
    }
    for good in (1, "1-0123456789ab"):
        assert RunSpec(**said, method_revision=good).method_revision == good
    for bad in ("1-0123", "../1-0123456789ab", "one"):
        with pytest.raises(ValidationError):
            RunSpec(**said, method_revision=bad)


def test_the_package_shows_its_public_names_without_loading_them() -> None:
    names = {"load_dataset", "load_encoder", "load_checkpoint", "fit", "evaluate", "Encoder", "Dataset", "Scores"}
    assert names | {"InputError"} == set(dir(bench))
    code = "import sys, bench; dir(bench); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
