"""References and relaxed outputs from features to a report, and back again by verification."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import bench
from bench.store.codes_file import StoredCodes, StoredVectors, read_codes, write_codes
from tests.cli.conftest import Run
from tests.store import forger

FIT = ("--methods", "lsh,float,pq", "--bits", "8,16", "--datasets", "my-features", "--results", "runs")


def record_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "record.json").read_bytes())
    return found


def run_of(root: Path, method: str, bits: int) -> Path:
    return next((root / "runs/my-features" / method).glob(f"{bits}-*"))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_from_features_to_a_report_and_back(call: Run, feature_folder: Path, tmp_path: Path) -> None:
    assert call("run", *FIT, "--shard", "1/1")[0] == 0
    runs = {(method, bits): run_of(tmp_path, method, bits) for method in ("lsh", "float", "pq") for bits in (8, 16)}
    before = {key: record_of(folder) for key, folder in runs.items()}
    assert call("run", *FIT, "--report", "report", "--reference", "relaxed")[0] == 0
    records = {key: record_of(folder) for key, folder in runs.items()}
    # Stored runs are completed without training, and nothing else of them changes.
    for key, record in records.items():
        assert {name: value for name, value in record.items() if name not in {"relaxed", "checksum"}} == {
            name: value for name, value in before[key].items() if name != "checksum"
        }
    for (method, bits), record in records.items():
        is_hash = method == "lsh"
        assert record.get("reference", False) == record["bound"] == (not is_hash)
        assert record["costs"]["code_bytes"] == (4 * 32 if method == "float" else bits // 8)
        strict = record["metrics"]["strict"]
        for found in (record["diagnostics"], record.get("relaxed"), record["costs"]["search"], strict["bits"],
                      strict["precision_recall"], strict["precision_radius2"]):  # fmt: skip
            assert (found is not None) == is_hash
    # The length changes nothing of float, which is shown at each and is no copy of itself.
    assert records["float", 8]["metrics"] == records["float", 16]["metrics"]
    data = bench.load_dataset(feature_folder)
    features = data.query.features[:], data.gallery.features[:]
    stored = read_codes(runs["float", 8] / "codes.npz")
    assert isinstance(stored, StoredVectors)
    np.testing.assert_allclose(stored.query_vectors, unit(features[0].mean(axis=1)), atol=1e-6)
    # By hand: the cosine of the products whose signs are the codes.
    forward = bench.load_encoder(runs["lsh", 16] / "encoder").forward()
    queries, gallery = (unit(forward(part)) for part in features)
    order = np.argsort(-(queries @ gallery.T), axis=1)[:, :5]
    hits = (np.arange(40) % 3)[order] == (np.arange(12) % 3)[:, None]
    precision = (hits * np.cumsum(hits, axis=1) / np.arange(1, 6)).sum(axis=1) / 5
    assert records["lsh", 16]["relaxed"]["strict"]["5"] == pytest.approx(precision.mean(), abs=1e-9)

    text = (tmp_path / "report/report.md").read_text(encoding="utf-8")
    assert "1 method and 2 references on 1 dataset" in text
    assert "Methods: LSH. References: PQ, float32 cosine." in text
    assert "Bold: best (references do not compete)." in text
    assert "## Equal codes" not in text
    rows = [line for line in text.splitlines() if "no hash |" in line]
    assert rows
    assert not any("**" in row or "†" in row for row in rows)
    table = text[text.index("What taking signs costs") :].split("</details>")[0]
    assert table.count("\n| LSH ") == 2
    assert "no hash" not in table

    assert call("results", "verify", "--results", "runs", "--reencode", "24")[0] == 1  # the folder has to be named
    verified = call("results", "verify", "--results", "runs", "--reencode", "24", "--datasets", "my-features")
    assert verified[0] == 0, verified[1]
    assert call("evaluate", "--results", "runs")[0] == 0
    assert {key: record_of(folder)["metrics"] for key, folder in runs.items()} == {
        key: record["metrics"] for key, record in records.items()
    }
    assert call("results", "merge", "runs", "--results", "others")[1] == "others: copied 6\n"
    assert "float is no hash" in call(
        "encode", "--encoder", runs["float", 8] / "encoder", "--features", feature_folder / "test_feats.h5",
        "--out", "codes.npy",
    )[2]  # fmt: skip
    with pytest.raises(bench.InputError, match="pq is no hash"):
        bench.load_encoder(runs["pq", 8] / "encoder").export("pq.onnx")

    _forgeries_are_found(call, runs)


def _forgeries_are_found(call: Run, runs: dict[tuple[str, int], Path]) -> None:
    def verify() -> str:
        return call("results", "verify", "--results", "runs", "--reencode", "24", "--datasets", "my-features")[1]

    # Better vectors than PQ's own, evaluated and sealed as a run would be.
    exact = read_codes(runs["float", 16] / "codes.npz")
    shutil.copytree(runs["pq", 16], "kept")
    values = forger.values_of(runs["pq", 16])
    assert isinstance(exact, StoredVectors)
    write_codes(runs["pq", 16] / "codes.npz", replace(exact, bits=16))
    shutil.copy(runs["float", 16] / forger.PER_QUERY, runs["pq", 16])
    forger.seal(runs["pq", 16], values | {"metrics": forger.values_of(runs["float", 16])["metrics"]})
    assert "copied codes" in verify()
    # Codes in place of vectors.
    write_codes(runs["pq", 16] / "codes.npz", StoredCodes(np.ones((12, 16), np.int8), exact.query_labels, None, None))
    forger.seal(runs["pq", 16], values)
    assert "vectors in codes.npz is stored as False" in verify()
    shutil.rmtree(runs["pq", 16])
    shutil.copytree("kept", runs["pq", 16])
    # Other relaxed scores than the encoder's; diagnostics of codes that are none.
    forger.edit(runs["lsh", 16], lambda values: values["relaxed"]["paper"].update({"20": 0.5}))
    forger.edit(
        runs["float", 8], lambda values: values.update(diagnostics=forger.values_of(runs["lsh", 8])["diagnostics"])
    )
    found = verify()
    assert "relaxed paper@20: stored 0.5" in found
    assert "since there are diagnostics" in found


def test_without_labels_float_finds_all_its_neighbours(call: Run, tmp_path: Path) -> None:
    """The neighbours are the nearest by the cosine of the mean features: the first ten of this ranking."""
    folder = tmp_path / "my-features"
    folder.mkdir()
    random = np.random.default_rng(0)
    for split, videos in (("train", 60), ("test", 40)):
        np.save(folder / f"{split}_feats.npy", random.normal(size=(videos, 3, 16)).astype(np.float32))
    assert (
        call("run", *FIT, "--methods", "lsh,float", "--bits", "8", "--reference", "relaxed", "--report", "report")[0]
        == 0
    )
    found = record_of(run_of(tmp_path, "float", 8))["metrics"]["neighbours"]["recall"]
    assert found["5"] == pytest.approx(0.5)
    assert found["20"] == 1
    assert record_of(run_of(tmp_path, "lsh", 8))["relaxed"]["neighbours"]["20"] < 1


def test_other_references_are_methods(call: Run) -> None:
    assert call("run", *FIT, "--reference", "float")[::2] == (
        2,
        "bench: unknown --reference 'float': known: relaxed (float, pq and others go to --methods)\n",
    )
