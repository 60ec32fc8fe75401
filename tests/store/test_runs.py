"""Runs: identity, determinism, reuse, records that are whole or absent."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch

import bench
from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.data.folder import FolderSource
from bench.encoding.fitting import resolve_parameters
from bench.learning.context import FitContext
from bench.registry import load_registry
from bench.running.plan import Existing, PlannedRun, parse_settings, plan
from bench.running.runner import Runner
from bench.store.codes_file import StoredCodes, read_codes, write_codes
from bench.store.record import RunSpec
from bench.store.store import Store
from bench.store.verify import verify
from tests.conftest import QUICKLY, survived

SPEC = RunSpec(
    method="mcmsh",
    dataset="moving-digits",
    bits=32,
    seed=1,
    parameters={"epochs": 5, "learning_rate": 0.0003, "branches": ["long", "short"], "note": None},
    dataset_fingerprint="0123456789abcdef",
    method_revision=1,
)


def planned(folder: Path, methods: str = "mlp-mixer", **parameters: Any) -> list[PlannedRun]:
    quick = {"mlp-mixer": {"epochs": 2, "batch_size": 16, "anchors": 6, "hidden": 32}, "bth": {}}
    return plan(
        load_registry(),
        methods=[methods],
        datasets=[str(folder)],
        bits=[8],
        seeds=[0],
        parameters={methods: {**quick.get(methods, {}), **parameters}},
    )


def runner(root: Path, existing: Existing = "reuse") -> Runner:
    return Runner(Store(root), torch.device("cpu"), existing)


def test_identities_are_frozen() -> None:
    # A change here orphans every stored result: raise the schema version and say so in the changelog.
    canonical = (
        '{"bits":32,"dataset":"moving-digits","dataset_fingerprint":"0123456789abcdef","method":"mcmsh",'
        '"method_revision":1,"parameters":{"branches":["long","short"],"epochs":5,"learning_rate":0.0003,"note":null},'
        '"seed":1}'
    )
    assert SPEC.identity == hashlib.sha256(canonical.encode()).hexdigest()[:12]
    assert SPEC.identity == "17f3679fb65b"
    assert SPEC.folder == "moving-digits/mcmsh/32-17f3679fb65b"


@pytest.mark.parametrize(
    "change", [{"bits": 33}, {"seed": 2}, {"method_revision": 2}, {"dataset_fingerprint": "f"}, {"parameters": {}}]
)
def test_every_field_is_part_of_the_identity(change: dict[str, Any]) -> None:
    assert SPEC.model_copy(update=change).identity != SPEC.identity


def test_random_streams_depend_on_seed_and_name_alone() -> None:
    first = FitContext(5)
    first.random("other").random(10)
    assert first.random("a", 1).random() == FitContext(5).random("a", 1).random()
    assert first.random("a", 1).random() != first.random("a", 2).random()
    assert first.random("a", 1).random() != FitContext(6).random("a", 1).random()


def test_a_stored_run_is_reused_without_touching_data_or_models(
    feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (done,) = runner(tmp_path / "runs").run(planned(feature_folder))
    assert done.record.status == "done"

    def touched(*_: object) -> NoReturn:
        raise AssertionError("the data or the model was touched")

    monkeypatch.setattr(FolderSource, "load", touched)
    monkeypatch.setattr("bench.running.one_run.fit_method", touched)
    (again,) = runner(tmp_path / "runs").run(planned(feature_folder))
    assert again == done


WATCHED = """
import sys
from bench.cli import main
from bench.running import one_run

def watched(method, *rest):
    before = set(sys.modules)
    encoder = fit_method(method, *rest)
    new = [name.split(".")[0] for name in set(sys.modules) - before]
    with open("imported", "a") as file:
        print(sum(name in {"torch", "sympy", "faiss"} for name in new), file=file)
    return encoder

fit_method, one_run.fit_method = one_run.fit_method, watched
sys.exit(main(sys.argv[1:]))
"""


def test_another_process_gives_the_same_codes_and_has_its_libraries_before_it_fits(
    feature_folder: Path, tmp_path: Path
) -> None:
    (here,) = runner(tmp_path / "here").run(planned(feature_folder))
    arguments = ["run", "--methods", "lsh,mlp-mixer", "--bits", "8", "--datasets", str(feature_folder)]
    arguments += ["--device", "cpu", "--results", "there", "--shard", "1/1"]
    for setting in ("epochs=2", "batch_size=16", "anchors=6", "hidden=32"):
        arguments += ["--set", f"mlp-mixer.{setting}"]
    command = [sys.executable, "-c", QUICKLY + WATCHED, *arguments]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120, capture_output=True)
    there = tmp_path / "there" / here.record.spec.folder
    for file in ("codes.npz", "average_precision.npz", "encoder/encoder.safetensors"):
        assert (there / file).read_bytes() == (here.folder / file).read_bytes(), file
    # What a process imports once is on no run's clock. Else hundreds of modules each.
    assert [int(count) < 5 for count in (tmp_path / "imported").read_text().split()] == [True, True]


def test_records_say_what_was_used(feature_folder: Path, tmp_path: Path) -> None:
    (done,) = runner(tmp_path / "runs").run(planned(feature_folder))
    record = done.record
    assert record.spec.parameters["anchors"] == 6
    assert record.spec.parameters["cluster_weight"] == 0.8
    assert [row["epoch"] for row in record.history] == [0, 1]
    assert record.checkpoint == "last epoch"
    assert set(record.metrics) == {"paper", "strict"}
    assert record.costs is not None
    assert record.costs.parameters_encode > 0
    assert record.costs.main.single.median_ms > 0
    assert record.environment["libraries"]["torch"]
    assert set(record.checksums) == {
        "average_precision.npz",
        "codes.npz",
        "encoder/encoder.json",
        "encoder/encoder.safetensors",
    }


def test_anchors_default_to_one_for_20_videos(feature_folder: Path) -> None:
    (run,) = plan(
        load_registry(), methods=["mcmsh"], datasets=[str(feature_folder)], bits=[8], seeds=[0], parameters={}
    )
    assert run.spec.parameters["anchors"] == 2
    assert run.spec.parameters["epochs"] == 56


def test_a_run_that_cannot_be_stored_leaves_nothing_behind(
    feature_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("bench.store.swap.sync_tree", full)
        with pytest.raises(OSError, match="No space left"):
            runner(tmp_path / "runs").run(planned(feature_folder, "lsh"))
    # But the notes of the dataset, and that it was begun.
    left = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert [path.name for path in left if path.parent.name != ".labels"] == ["run.json"]
    assert runner(tmp_path / "runs").run(planned(feature_folder, "lsh"))[0].record.status == "done"


def test_the_loss_curve_has_one_row_an_epoch(feature_folder: Path, tmp_path: Path) -> None:
    quick = {"epochs": 3, "reconstruction_epochs": 2, "batch_size": 16, "anchors": 6, "hidden": 32}
    (done,) = runner(tmp_path / "runs").run(planned(feature_folder, "bth", **quick))
    assert [row["epoch"] for row in done.record.history] == [0, 1, 2]
    assert all("similarity" in row for row in done.record.history)


def test_too_few_videos_to_train_on(tiny: Dataset) -> None:
    with pytest.raises(InputError, match="needs 2 training videos or more; 1 of 3 are left"):
        parameters = {"anchors": 2, "validation_share": 0.3}
        resolved = resolve_parameters(load_registry().method("mcmsh"), tiny.summary, {}, parameters)
        load_registry().method("mcmsh")(8, resolved).check((3, 25, 32))


def test_saving_an_encoder_leaves_other_files_alone(tmp_path: Path, tiny: Dataset) -> None:
    folder = tmp_path / "encoder"
    bench.fit("lsh", tiny, bits=4).save(folder)
    (folder / "notes.txt").write_text("mine")
    bench.fit("lsh", tiny, bits=8).save(folder)
    assert bench.load_encoder(folder).description.bits == 8
    assert {path.name for path in folder.iterdir()} == {"encoder.json", "encoder.safetensors", "notes.txt"}


@pytest.mark.parametrize("name", ["encoder.json", "encoder.safetensors"])
def test_saving_an_encoder_replaces_no_file_of_others(tmp_path: Path, tiny: Dataset, name: str) -> None:
    (tmp_path / name).write_text('{"architectures": ["VideoEncoder"]}')
    with pytest.raises(InputError, match=f"{name}: would be replaced, and is no part of an encoder"):
        bench.fit("lsh", tiny, bits=4).save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"architectures": ["VideoEncoder"]}'


def test_an_encoder_is_saved_where_a_link_leads(tmp_path: Path, tiny: Dataset) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    bench.fit("lsh", tiny, bits=4).save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert bench.load_encoder(tmp_path / "disk").description.bits == 4


def test_a_loss_of_nan_is_a_failed_run(feature_folder: Path, tmp_path: Path) -> None:
    (failed,) = runner(tmp_path / "runs").run(planned(feature_folder, learning_rate=1e30))
    assert failed.record.status == "failed"
    assert failed.record.reason is not None
    assert "lower learning_rate" in failed.record.reason


def test_a_record_of_another_version_is_refused(feature_folder: Path, tmp_path: Path) -> None:
    (done,) = runner(tmp_path / "runs").run(planned(feature_folder, "lsh"))
    record = json.loads((done.folder / "record.json").read_text())
    record["schema_version"] = 99
    (done.folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"record\.json: written by another version of vhbench \(schema version 99;"):
        list(Store(tmp_path / "runs").runs())


def test_a_damaged_run_is_set_aside_and_done_again(
    feature_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (done,) = runner(tmp_path / "runs").run(planned(feature_folder, "lsh"))
    path = done.folder / "record.json"
    path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 1'))
    (again,) = runner(tmp_path / "runs").run(planned(feature_folder, "lsh"))
    assert again.record.metrics == done.record.metrics
    assert "damaged (record.json differs from its checksum); ignored" in capsys.readouterr().err
    assert (tmp_path / "runs/.damaged" / done.record.spec.folder / "codes.npz").is_file()


@pytest.mark.parametrize("file", ["codes.npz", "encoder/encoder.safetensors", "average_precision.npz"])
@pytest.mark.parametrize("missing", [True, False])
def test_a_run_with_a_damaged_file_is_set_aside_and_done_again(
    file: str, missing: bool, feature_folder: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    wanted, results = planned(feature_folder, "lsh"), tmp_path / "runs"
    (first,) = Runner(Store(results), torch.device("cpu")).run(wanted)
    path = first.folder / file
    before = path.read_bytes()
    if missing:
        path.unlink()
    else:
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    (again,) = Runner(Store(results, said.append), torch.device("cpu")).run(wanted)
    assert any("damaged" in line and file in line and "ignored" in line for line in said)
    assert list((results / ".damaged").rglob("record.json"))
    weights = "encoder/encoder.safetensors"
    assert again.record.checksums[weights] == first.record.checksums[weights]
    assert not verify(Store(results)).findings
    survived("files of stored runs damaged or missing")


def test_codes_survive_the_disk(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    codes = StoredCodes(
        query_codes=random.choice(np.array([-1, 1], dtype=np.int8), (5, 13)),
        query_labels=random.integers(0, 2, (5, 3)).astype(np.uint8),
        gallery_codes=random.choice(np.array([-1, 1], dtype=np.int8), (7, 13)),
        gallery_labels=random.integers(0, 2, (7, 3)).astype(np.uint8),
    )
    write_codes(tmp_path / "codes.npz", codes)
    read = read_codes(tmp_path / "codes.npz")
    for name, array in vars(codes).items():
        np.testing.assert_array_equal(getattr(read, name), array)
    (tmp_path / "codes.npz").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"codes\.npz: no readable codes"):
        read_codes(tmp_path / "codes.npz")


def test_settings_are_read_as_toml_or_text() -> None:
    assert parse_settings(["a.x=5", "a.y=0.5", 'a.z=["long"]', "b.flag=true", "b.name=text"]) == {
        "a": {"x": 5, "y": 0.5, "z": ["long"]},
        "b": {"flag": True, "name": "text"},
    }
