"""A stored byte that changed is noticed and said; the run is never used, moved by nobody who reads, never deleted."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.errors import InputError
from bench.store.evaluation import evaluate_again
from bench.store.integrity import RECORD, DamagedError, sealed, unsealed
from bench.store.merge import merge
from bench.store.prune import superfluous
from bench.store.store import DAMAGED, Store
from bench.store.stored_run import CODES, PER_QUERY, write_record
from bench.store.verify import verify
from tests.store.conftest import add, everything, record_of, spec_of
from tests.store.forger import edit

SEALED = sealed(record_of(spec_of()))


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("two") / "results")
    add(store, spec_of(0)), add(store, spec_of(1))
    return store.root


def test_anybody_can_check_a_record() -> None:
    values = json.loads(SEALED)
    assert values["spec"]["parameters"] == {"note": '\n "checksum": ""'}
    blank = SEALED.decode().replace(values["checksum"], "")
    assert hashlib.sha256(blank.encode()).hexdigest() == values["checksum"]
    assert unsealed(SEALED, Path("run")) == record_of(spec_of())


@given(place=st.integers(0, len(SEALED) - 1), bits=st.integers(1, 255))
@settings(max_examples=400, deadline=None)
def test_any_changed_byte_of_a_record_is_noticed(place: int, bits: int) -> None:
    content = bytearray(SEALED)
    content[place] ^= bits
    with pytest.raises(InputError, match=r"damaged \(|written by another version"):
        unsealed(bytes(content), Path("run"))


@pytest.mark.parametrize(
    "name",
    ["../../../../taken", "/etc/hostname", "a/../../b", "record.json", "", "a//b", "./a", "a\\b", "a\nb", "a" * 5000],
)
def test_a_record_names_nothing_outside_its_folder(name: str, store: Store, tmp_path: Path) -> None:
    theirs = Store(tmp_path / "theirs/results", lambda line: None)
    run = add(theirs, spec_of())
    record = run.record.model_copy(update={"checksums": run.record.checksums | {name: "0" * 64}})
    (run.folder / RECORD).write_bytes(sealed(record))
    before = everything(tmp_path)
    assert [finding.path for finding in verify(theirs).findings] == [run.folder / RECORD]
    (merged_run,) = merge([theirs.root], store)
    assert merged_run.outcome.startswith("not copied")
    assert everything(tmp_path) == before


@given(length=st.integers(0, len(SEALED) - 1))
@settings(max_examples=50, deadline=None)
def test_a_record_that_is_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(DamagedError):
        unsealed(SEALED[:length], Path("run"))


@pytest.mark.parametrize("file", [CODES, RECORD])
@given(share=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
@settings(max_examples=25, deadline=None)
def test_any_changed_byte_of_a_run_keeps_its_numbers_from_being_shown(
    two_runs: Path, file: str, share: float, bits: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "results"
        shutil.copytree(two_runs, root)
        path = root / spec_of(0).folder / file
        content = bytearray(path.read_bytes())
        content[int(share * len(content))] ^= bits
        path.write_bytes(content)
        said: list[str] = []
        before = everything(root)
        try:
            shown = {run.record.spec.seed: run.record for run in Store(root, said.append).runs()}
        except InputError as error:
            assert "written by another version" in str(error)
            return
        assert shown.pop(1).status == "done"
        if file == CODES:
            assert (shown[0].status, shown[0].reason, shown[0].metrics) == (
                "unsound", "damaged (codes.npz differs from its checksum)", {},
            )  # fmt: skip
        elif shown:
            # It still says which run it is, in a row without numbers.
            record = shown[0]
            assert (record.status, record.metrics, record.costs, record.history) == ("unsound", {}, None, [])
            assert str(record.reason).startswith("damaged (record.json ")
            assert not said
        else:
            (line,) = said
            assert line.startswith(f"{path.parent}: damaged (")
            assert line.endswith("ignored; `bench run` does it again and keeps this one")
        assert everything(root) == before


def test_a_second_damage_does_not_replace_the_first(store: Store) -> None:
    for content in (b"first", b"second", b"third"):
        (add(store, spec_of()).folder / RECORD).write_bytes(content)
        assert store.find(spec_of()) is None
    add(store, spec_of())
    aside = store.root / DAMAGED / spec_of().folder
    found = [aside.with_name(aside.name + ending) / RECORD for ending in ("", "-2", "-3")]
    assert [path.read_bytes() for path in found] == [b"first", b"second", b"third"]


def test_a_missing_file_is_damage(store: Store) -> None:
    (add(store, spec_of()).folder / CODES).unlink()
    (row,) = evaluate_again(store, ["paper"])
    assert (row.record.status, row.record.reason) == ("unsound", "damaged (codes.npz is missing)")


def test_evaluating_does_not_bless_a_damaged_encoder(store: Store) -> None:
    (add(store, spec_of()).folder / "encoder/encoder.safetensors").write_bytes(b"other")
    before = everything(store.root)
    (row,) = evaluate_again(store, ["paper"])
    assert (row.record.status, row.record.reason) == (
        "unsound",
        "damaged (encoder/encoder.safetensors differs from its checksum)",
    )
    assert everything(store.root) == before


def test_evaluating_leaves_other_files_alone(store: Store) -> None:
    run = add(store, spec_of())
    (again,) = evaluate_again(store, ["strict"])
    assert set(again.record.metrics) == {"paper", "strict"}
    assert again.record.metrics["paper"] == run.record.metrics["paper"]
    changed = {name for name in run.record.checksums if run.record.checksums[name] != again.record.checksums[name]}
    assert changed == {PER_QUERY}
    assert all(again.verified(name).is_file() for name in again.record.checksums)


def test_a_record_read_before_an_evaluation_finds_the_new_files(store: Store) -> None:
    run = add(store, spec_of())
    evaluate_again(store, ["strict"])
    assert run.verified(PER_QUERY).is_file()


def test_a_record_in_the_place_of_another_run(store: Store, said: list[str]) -> None:
    first, second = add(store, spec_of(0)), add(store, spec_of(1))
    shutil.copy(first.folder / RECORD, second.folder / RECORD)
    assert [run.record.spec.seed for run in store.runs()] == [0]
    assert f"damaged (record.json belongs to {spec_of(0).folder})" in said[0]


def test_records_of_another_version_are_refused_and_stay(store: Store) -> None:
    path = add(store, spec_of()).folder / RECORD
    path.write_bytes(path.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 2'))
    with pytest.raises(InputError, match=r"schema version 2; this one reads 1\); use that version, or name another"):
        list(store.runs())
    assert path.exists()


def test_a_record_of_no_possible_run_is_named_and_stops_nothing(store: Store, said: list[str]) -> None:
    sound, forged = add(store, spec_of(0)), add(store, spec_of(1))
    edit(forged.folder, lambda values: values["spec"].update(bits=5000))
    assert list(store.runs()) == [sound]
    assert said == [
        f"{forged.folder}: damaged (record.json: spec.bits: input should be less than or equal to 1024 (got 5000)); "
        "ignored; `bench run` does it again and keeps this one"
    ]
    assert [finding.path for finding in verify(store).findings] == [forged.folder / RECORD]


def test_foreign_files_are_named_and_left_alone(store: Store, said: list[str]) -> None:
    run = add(store, spec_of())
    (store.root / "notes.txt").write_text("mine")
    (store.root / "toy/lsh/draft").mkdir()
    (store.root / "toy/lsh/16-0123456789ab").mkdir()
    before = everything(store.root)
    assert list(store.runs()) == [run]
    names = "notes.txt, toy/lsh/16-0123456789ab, toy/lsh/draft"
    assert said == [f"{store.root}: not runs, left alone: {names}"]
    assert everything(store.root) == before
    assert (store.root / "toy/lsh/draft").is_dir()


def test_what_a_user_put_into_a_run_survives_its_replacement(store: Store) -> None:
    folder = add(store, spec_of()).folder
    (folder / "notes.txt").write_text("mine")
    add(store, spec_of(), seconds=2.0)
    assert not (folder / "notes.txt").exists()
    kept = store.root / DAMAGED / spec_of().folder / "notes.txt"
    assert kept.read_text() == "mine"
    assert superfluous(store) == []
    kept.unlink()
    assert [found.path for found in superfluous(store)] == [kept.parent]


def test_a_record_written_again_is_whole(store: Store) -> None:
    run = add(store, spec_of())
    record = run.record.model_copy(update={"reason": "costs could not be measured"})
    write_record(run.folder, record)
    found = store.find(spec_of())
    assert found is not None
    assert found.record == record
