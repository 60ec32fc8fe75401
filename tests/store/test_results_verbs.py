"""`bench results verify | merge | prune` and `bench list runs`, as a user calls them."""

import errno
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.cli import main
from bench.encoding.encoder import DESCRIPTION, WEIGHTS, Encoder
from bench.encoding.modules import EncoderDescription
from bench.store.integrity import RECORD, sha256
from bench.store.leases import LEASES, Leases
from bench.store.record import Status
from bench.store.store import CONFLICTS, DAMAGED, Store
from bench.store.stored_run import CODES, read_run, write_record
from tests.store.conftest import add, everything, spec_of


def test_verify_finds_nothing_in_sound_results(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    add(store, spec_of(0)), add(store, spec_of(1), "failed", reason="too bad")
    assert main(["results", "verify", "--results", str(store.root)]) == 0
    assert (
        capsys.readouterr().out
        == "2 runs, 6 files: all sound (undamaged and consistent; --recompute also computes every metric again)\n"
    )


def test_verify_names_everything_and_changes_nothing(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [add(store, spec_of(seed)).folder for seed in range(5)]
    (folders[0] / CODES).write_bytes(b"cut")
    (folders[1] / RECORD).write_bytes(b"{}")
    (folders[2] / "encoder/encoder.safetensors").unlink()
    (folders[3] / "notes.txt").write_text("mine")
    (store.root / "toy/lsh/\x1b[31mred").mkdir()
    folders[4].with_name(f".{folders[4].name}.other-host-1.1").mkdir()
    before = everything(store.root)
    assert main(["results", "verify", "--results", str(store.root)]) == 1
    out = capsys.readouterr().out
    assert everything(store.root) == before
    assert "\x1b" not in out
    cells = [re.split(" {2,}", line) for line in out.split("\n\n")[0].splitlines()[2:]]
    states = {path: state for path, state, _ in cells}
    names = {folder: f"toy/lsh/{folder.name}" for folder in folders}
    assert states == {
        f"{names[folders[0]]}/codes.npz": "damaged",
        f"{names[folders[1]]}/record.json": "damaged",
        f"{names[folders[2]]}/encoder/encoder.safetensors": "damaged",
        f"{names[folders[3]]}/notes.txt": "foreign",
        f"toy/lsh/.{folders[4].name}.other-host-1.1": "being written",
        "toy/lsh/ [31mred": "foreign",
    }
    assert "5 runs, 21 files: errors are listed above" in out


@pytest.mark.parametrize("name", [CODES, RECORD, "encoder"])
def test_verify_goes_on_after_what_it_may_not_read(
    name: str, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (add(store, spec_of(seed)).folder for seed in range(2))
    (second / CODES).write_bytes(b"cut")
    # Tests may run as root, who may read everything.
    for function in ("open", "stat", "lstat"):
        monkeypatch.setattr(Path, function, _forbidding(getattr(Path, function), first / name))
    assert main(["results", "verify", "--results", str(store.root)]) == 1
    out = capsys.readouterr().out
    states = {tuple(re.split(" {2,}", line.strip())) for line in out.split("\n\n")[0].splitlines()[2:]}
    what = "cannot be read (Permission denied)"
    lost = f"toy/lsh/{first.name}/{name}" + ("/encoder.safetensors" if name == "encoder" else "")
    assert (lost, "unreadable", what) in states
    assert (f"toy/lsh/{second.name}/codes.npz", "damaged", "differs from its checksum") in states


def _forbidding(function: Callable[..., Any], forbidden: Path) -> Callable[..., Any]:
    def asked(path: Path, *arguments: Any, **named: Any) -> Any:
        if forbidden in path.parents or (path == forbidden and function.__name__ == "open"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return function(path, *arguments, **named)

    return asked


def test_an_encoder_can_be_read_by_whoever_may_read_other_files(tmp_path: Path) -> None:
    description = EncoderDescription(method="lsh", bits=8, frames=2, dimensions=3, parameters={})
    before = os.umask(0o027)
    try:
        Encoder(description, torch.nn.Linear(3, 8)).save(tmp_path / "encoder")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "encoder").iterdir()}
    assert modes == {DESCRIPTION: 0o640, WEIGHTS: 0o640}


@pytest.fixture
def theirs(tmp_path: Path) -> Store:
    return Store(tmp_path / "theirs")


def test_merge_copies_what_is_missing(store: Store, theirs: Store, capsys: pytest.CaptureFixture[str]) -> None:
    add(store, spec_of(0))
    shutil.copytree(store.root, theirs.root)
    add(theirs, spec_of(1))
    before = everything(theirs.root)
    assert main(["results", "merge", str(theirs.root), "--results", str(store.root)]) == 0
    assert everything(store.root) == before == everything(theirs.root)
    assert capsys.readouterr().out == f"{store.root}: copied 1, the same is here 1\n"


def test_merge_keeps_both_in_a_conflict_once(
    store: Store, theirs: Store, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    mine, other = add(store, spec_of()), add(theirs, spec_of(), codes_of=1)
    kept = everything(mine.folder)
    for _ in range(2):
        assert main(["results", "merge", str(theirs.root), "--results", str(store.root)]) == 0
        captured = capsys.readouterr()
        assert captured.out == f"{store.root}: conflict 1\n"
        assert f"{other.folder}: conflict: differs from the one here, which stays; copied to " in captured.err
        assert everything(mine.folder) == kept
        (folder,) = (store.root / CONFLICTS).iterdir()
        (run,) = Store(folder).runs()
        assert run.record == other.record
        assert everything(run.folder) == everything(other.folder)
    assert [run.record for run in store.runs()] == [mine.record]


def test_merge_tells_other_measurements_from_other_codes(
    store: Store, theirs: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, other = add(store, spec_of(), seconds=1.0), add(theirs, spec_of(), seconds=2.0)
    # As on another machine: the same arrays, packed at another time.
    arrays = dict(np.load(other.folder / CODES))
    with zipfile.ZipFile(other.folder / CODES, "w", zipfile.ZIP_STORED) as file:
        for name, array in arrays.items():
            with file.open(zipfile.ZipInfo(f"{name}.npy", (1999, 1, 1, 0, 0, 0)), "w") as member:
                np.lib.format.write_array(member, array)
    checksums = other.record.checksums | {CODES: sha256(other.folder / CODES)}
    assert checksums[CODES] != mine.record.checksums[CODES]
    write_record(other.folder, other.record.model_copy(update={"checksums": checksums, "environment": {"cpu": "b"}}))
    kept = everything(store.root)
    assert main(["results", "merge", str(theirs.root), "--results", str(store.root)]) == 0
    assert capsys.readouterr().out == f"{store.root}: same codes with other measurements 1\n"
    assert everything(store.root) == kept
    # Anything else that differs is a conflict: a loss, a metric, a file.
    record = read_run(other.folder).record
    write_record(other.folder, record.model_copy(update={"history": [{"epoch": 0, "loss": 1.0}]}))
    assert main(["results", "merge", str(theirs.root), "--results", str(store.root)]) == 0
    write_record(other.folder, record)
    (other.folder / "encoder/encoder.safetensors").write_bytes(bytes(99) + b"1")
    changed = checksums | {"encoder/encoder.safetensors": sha256(other.folder / "encoder/encoder.safetensors")}
    write_record(other.folder, record.model_copy(update={"checksums": changed}))
    assert main(["results", "merge", str(theirs.root), "--results", str(store.root)]) == 0
    assert capsys.readouterr().out == f"{store.root}: conflict 1\n" * 2


def test_merge_prefers_a_finished_run(store: Store, theirs: Store) -> None:
    failed, done = add(store, spec_of(), "failed", reason="no memory"), add(theirs, spec_of())
    assert main(["results", "merge", str(theirs.root), "--results", str(store.root)]) == 0
    assert [run.record for run in store.runs()] == [done.record]
    (folder,) = (store.root / CONFLICTS).iterdir()
    assert [run.record for run in Store(folder).runs()] == [failed.record]


def test_merge_names_damaged_runs_and_does_not_copy_them(
    store: Store, theirs: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    path = add(theirs, spec_of()).folder / CODES
    path.write_bytes(b"cut")
    assert main(["results", "merge", str(theirs.root), "--results", str(store.root)]) == 1
    assert "not copied: damaged (codes.npz differs from its checksum)" in capsys.readouterr().err
    assert list(store.runs()) == []
    assert path.read_bytes() == b"cut"


def test_merge_checks_its_folders_first(store: Store, theirs: Store, capsys: pytest.CaptureFixture[str]) -> None:
    add(theirs, spec_of())
    for wrong, message in (
        (store.root / "nowhere", "no such folder"),
        (store.root.parent, "no runs here; did you mean"),
        (store.root, "is the folder to merge into"),
    ):
        store.root.mkdir(exist_ok=True)
        assert main(["results", "merge", str(theirs.root), str(wrong), "--results", str(store.root)]) == 2
        assert message in capsys.readouterr().err
        assert not everything(store.root)


def test_prune_lists_and_removes_only_when_told(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    run, late = add(store, spec_of()), add(store, spec_of(3), "timeout", reason="not done after 2 h")
    for seed, there in ((0, True), (1, False), (3, True)):
        state = store.training_folder(spec_of(seed)) / "digest/stage.safetensors"
        state.parent.mkdir(parents=True)
        state.write_bytes(bytes(1000))
        assert (store.root / spec_of(seed).folder).exists() is there
    (add(store, spec_of(2)).folder / RECORD).write_bytes(b"damaged")
    again = add(store, spec_of(2))
    before = everything(store.root)
    assert main(["results", "prune", "--results", str(store.root)]) == 0
    assert everything(store.root) == before
    listed = capsys.readouterr().out
    assert f"{DAMAGED}/{spec_of(2).folder}" in listed
    assert f".training/{spec_of(0).folder}" in listed
    assert spec_of(1).folder not in listed
    # It goes on from there when it is given more time.
    assert spec_of(3).folder not in listed
    assert main(["results", "prune", "--results", str(store.root), "--yes"]) == 0
    assert not list((store.root / DAMAGED).rglob("*.json"))
    assert not store.training_folder(spec_of(0)).exists()
    assert store.training_folder(spec_of(1)).exists()
    assert store.training_folder(spec_of(3)).exists()
    assert sorted(stored.folder for stored in store.runs()) == sorted([run.folder, late.folder, again.folder])
    capsys.readouterr()
    assert main(["results", "prune", "--results", str(store.root)]) == 0
    assert "nothing to remove" in capsys.readouterr().out


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_prune_keeps_and_list_shows_a_retry_that_was_interrupted(
    status: Status, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    add(store, spec_of(), status, reason="no memory")
    store.begin(spec_of())
    state = store.training_folder(spec_of()) / "digest/stage.safetensors"
    state.parent.mkdir()
    state.write_bytes(bytes(1000))
    assert main(["results", "prune", "--results", str(store.root), "--yes"]) == 0
    assert state.exists()
    capsys.readouterr()
    assert main(["list", "runs", "--results", str(store.root)]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert sorted(row.split()[0] for row in rows) == sorted([status, "interrupted"])


def test_prune_keeps_what_a_finished_run_is_done_again_from(store: Store) -> None:
    add(store, spec_of())
    store.begin(spec_of())
    lease = Leases(store.root / LEASES).take(spec_of().identity)
    assert lease is not None
    assert main(["results", "prune", "--results", str(store.root), "--yes"]) == 0
    assert store.training_folder(spec_of()).exists()
    lease.release()
    assert main(["results", "prune", "--results", str(store.root), "--yes"]) == 0
    assert not store.training_folder(spec_of()).exists()


def test_list_runs_shows_states_durations_and_reasons(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    add(store, spec_of(0), seconds=12.34)
    add(store, spec_of(1), "timeout", reason=f"\x1b[2J{'long ' * 40}\nend")
    (add(store, spec_of(2)).folder / RECORD).write_bytes(b"damaged")
    assert main(["list", "runs", "--results", str(store.root)]) == 0
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out
    head, _, *rows = captured.out.splitlines()
    assert head.split()[:6] == ["state", "dataset", "method", "bits", "seed", "durations"]
    done, timeout = sorted(rows)
    assert done.split()[:8] == ["done", "toy", "lsh", "8", "0", "fit", "12.3", "s"]
    assert timeout.split()[:5] == ["timeout", "toy", "lsh", "8", "1"]
    assert "long …" in timeout
    assert "end" not in timeout
    assert captured.err.count("damaged (record.json has no checksum); ignored") == 1


@pytest.mark.parametrize("verb", [["results", "verify"], ["results", "prune"], ["evaluate"], ["report"],
                                  ["results", "merge", "{}"]])  # fmt: skip
def test_a_folder_without_runs_is_no_success(
    verb: list[str], store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, spec_of())
    root = store.root
    monkeypatch.chdir(root.parent)
    wrong, empty = root.parent, root.parent / "empty"
    empty.mkdir()
    for folder, hint in ((wrong, f"no runs here; did you mean {root}?"), (empty, "no runs here; ")):
        merging = "{}" in verb
        call = [part.format(folder) for part in verb]
        assert main([*call, "--results", str(root if merging else folder)]) == 2
        assert hint in capsys.readouterr().err
