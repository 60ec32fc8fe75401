"""Results that others contribute: packed, taken in, verified; the ones in the repository, and forged ones."""

import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.registry import load_registry
from bench.store.integrity import RECORD
from bench.store.recompute import Recomputation
from bench.store.store import Store
from bench.store.stored_run import CODES, PER_QUERY
from bench.store.verify import Finding, verify
from tests.store import forger
from tests.store.conftest import add, everything, spec_of

COMMUNITY = Path(__file__).parents[2] / "results/community"
CONTRIBUTORS = sorted(path for path in COMMUNITY.iterdir() if path.is_dir())
LARGEST_RUN = 8_000_000
ALLOWED = {"unproven", "equal codes"}
"""Labels that nobody here knows make a result one that is merely reported."""


def wrong(folder: Path) -> list[Finding]:
    """What is wrong with contributed results."""
    found = verify(Store(folder), Recomputation(load_registry()))
    return [finding for finding in found.findings if finding.state not in ALLOWED]


@pytest.mark.parametrize("folder", CONTRIBUTORS, ids=lambda folder: folder.name)
def test_contributed_results_are_true(folder: Path) -> None:
    assert wrong(folder) == []
    for run in Store(folder).runs():
        sizes = [path.stat().st_size for path in run.folder.rglob("*") if path.is_file()]
        assert sum(sizes) <= LARGEST_RUN
        assert {*run.record.checksums} == {CODES, PER_QUERY, "encoder/encoder.json"}
        assert run.record.dataset.place == ""
    assert not list(folder.glob(".*")), "labels of a dataset are known to the registry, or to nobody"


def test_there_is_a_contributed_result_that_is_proven() -> None:
    assert [
        run.record.spec.method
        for folder in CONTRIBUTORS
        for run in Store(folder).runs()
        if not list(Recomputation(load_registry())(run))
    ]


def better_score(folder: Path) -> None:
    """mAP@20 is higher, so are its queries, and all is sealed again."""
    forger.per_query(folder, lambda arrays: arrays.update({"paper@20": np.minimum(1, arrays["paper@20"] + 0.1)}))
    with np.load(folder / PER_QUERY) as arrays:
        mean = float(arrays["paper@20"].mean())
    scores = {"map": mean, "map_best": mean, "map_worst": mean}
    forger.edit(
        folder, lambda values: [values["metrics"]["paper"][name].update({"20": to}) for name, to in scores.items()]
    )


def better_labels(folder: Path) -> None:
    """All videos are relevant to all queries, and every number follows from that."""
    forger.with_codes(
        folder,
        lambda codes: replace(
            codes, query_labels=np.ones_like(codes.query_labels), gallery_labels=np.ones_like(codes.gallery_labels)
        ),
    )


def same_codes_of_another_method(folder: Path) -> None:
    """ITQ's codes, called LSH's."""
    other = next(path for path in folder.parents[1].glob("lsh/*"))
    shutil.copy(folder / CODES, other / CODES)
    shutil.copy(folder / PER_QUERY, other / PER_QUERY)
    metrics = forger.values_of(folder)["metrics"]
    forger.edit(other, lambda values: values.update(metrics=metrics, diagnostics=None))


@pytest.mark.parametrize("forge", [better_score, better_labels, same_codes_of_another_method])
def test_a_forged_contribution_is_refused(forge: object, tmp_path: Path) -> None:
    shutil.copytree(CONTRIBUTORS[0], tmp_path / "theirs")
    assert callable(forge)
    forge(next((tmp_path / "theirs/moving-digits/itq").iterdir()))
    assert wrong(tmp_path / "theirs")


def test_equal_runs_make_equal_files_without_weights(store: Store, tmp_path: Path) -> None:
    place = store.root.parent / "elsewhere/runs"
    first = add(store, spec_of(0))
    add(store, spec_of(1), "failed", reason="too bad")
    shutil.copytree(store.root, place)
    assert main(["submit", str(store.root), "--out", str(tmp_path / "a.zip")]) == 0
    # By the place that `bench list runs` shows.
    assert main(["submit", "toy/lsh", "--results", str(place), "--out", str(tmp_path / "b.zip")]) == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    folder = first.record.spec.folder
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        packed = ("average_precision.npz", "codes.npz", "encoder/encoder.json", "record.json")
        assert archive.namelist() == [f"{folder}/{name}" for name in packed]
        record = json.loads(archive.read(f"{folder}/{RECORD}"))
    weights = "encoder/encoder.safetensors"
    assert record["left_out"] == {weights: first.record.checksums[weights]}
    assert weights not in record["checksums"]


def test_a_submission_is_merged_like_a_folder(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    sent, community = add(store, spec_of(0)), tmp_path / "community"
    file = tmp_path / "sent.zip"
    assert main(["submit", str(sent.folder), "--out", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: 1 run, 0.0 MB, without weights\n"
    assert main(["results", "merge", str(file), "--results", str(community)]) == 0
    (run,) = Store(community).runs()
    assert run.record.metrics == sent.record.metrics
    before = everything(community)
    # Again, and with the weights: nothing is in conflict.
    assert main(["results", "merge", str(file), "--results", str(community)]) == 0
    assert main(["results", "merge", str(store.root), "--results", str(community)]) == 0
    assert everything(community) == before
    assert capsys.readouterr().out.splitlines() == [
        f"{community}: copied 1",
        f"{community}: the same is here 1",
        f"{community}: same codes with other measurements 1",
    ]
    # Its labels are known to nobody but the one who sent it.
    assert main(["results", "verify", "--recompute", "--results", str(community)]) == 1
    assert "unproven" in capsys.readouterr().out


def test_a_damaged_run_in_a_submission_is_named_as_one_of_the_file(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = add(store, spec_of(0)), tmp_path / "sent.zip"
    assert main(["submit", str(run.folder), "--out", str(file)]) == 0
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(b'"status": "done"', b'"status": "fine"'))
    assert main(["results", "merge", str(file), "--results", str(tmp_path / "community")]) == 1
    expected = f"{file}/{run.record.spec.folder}: not copied: damaged (record.json differs from its checksum)"
    assert expected in capsys.readouterr().err


def test_runs_that_would_be_refused_are_not_packed(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = add(store, spec_of(0)), tmp_path / "sent.zip"
    better = run.record.metrics["paper"].model_copy(update={"map_full": 0.99})
    record = run.record.model_copy(update={"metrics": {"paper": better}})
    store.rewrite(run, record, lambda folder: None)
    assert main(["submit", str(run.folder), "--out", str(out)]) == 2
    assert "map_full: stored 0.99, computed" in capsys.readouterr().err
    assert not out.exists()


def test_only_finished_runs_can_be_packed(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = add(store, spec_of(0), "failed", reason="too bad")
    for place, why in ((failed.folder, "no finished run there"), (tmp_path / "nowhere", "no runs there")):
        assert main(["submit", str(place), "--out", str(tmp_path / "sent.zip")]) == 2
        assert why in capsys.readouterr().err
