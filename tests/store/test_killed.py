"""A process may die at any change of files: what was stored is there, whole, and what it left is told from the rest."""

import errno
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest

from bench.store import swap
from bench.store.evaluation import evaluate_again
from bench.store.store import Store
from bench.store.stored_run import read_run, write_record
from bench.store.swap import RUN_NAME
from tests.store.conftest import add, dies_at, everything, record_of, spec_of


def whole(store: Store) -> float | None:
    """The duration in the stored run, all of whose files are as written."""
    run = store.find(spec_of())
    if run is None:
        return None
    for name in run.record.checksums:
        run.verified(name)
    return run.record.durations["fit"]


def write(store: Store) -> object:
    return add(store, spec_of(), seconds=2.0)


def evaluate(store: Store) -> object:
    return evaluate_again(store, ["strict"])


def measure(store: Store) -> None:
    write_record(store.root / spec_of().folder, record_of(spec_of(), seconds=2.0))


@pytest.mark.parametrize(("work", "stored_before"), [(write, False), (write, True), (evaluate, True), (measure, True)])
def test_killed_at_any_change(tmp_path: Path, work: Callable[[Store], object], stored_before: bool) -> None:
    outcomes: list[float | None] = []
    killed = True
    while killed:
        store = Store(tmp_path / str(len(outcomes)))
        other = add(store, spec_of(1))
        files = everything(other.folder)
        if stored_before:
            add(store, spec_of())
        killed = dies_at(len(outcomes) + 1, partial(work, store))
        outcomes.append(whole(store))
        untouched = store.find(spec_of(1))
        assert untouched is not None
        assert work is evaluate or everything(other.folder) == files
        store.require_writable()
        assert not list(store.root.glob("*/*/.*")), "leftovers"
        assert outcomes[-1] == whole(store)
    first = 1.0 if stored_before else None
    assert outcomes[0] == first
    # Once the new one is there, it stays.
    assert outcomes == sorted(outcomes, key=lambda seconds: seconds == 2.0)
    assert outcomes[-1] == (1.0 if work is evaluate else 2.0)


@pytest.mark.parametrize("failing", [1, 2])
def test_a_rename_that_fails_leaves_the_stored_run(store: Store, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    add(store, spec_of())
    calls = 0
    rename = Path.rename

    def failing_rename(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing_rename)
        with pytest.raises(KeyboardInterrupt):
            write(store)
    assert whole(store) == 1.0
    assert not list(store.root.glob("*/*/.*"))


@pytest.mark.parametrize("where", ["swap.sync_tree", "store.sealed", "store.sha256"])
def test_a_full_disk_leaves_the_stored_run(store: Store, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    add(store, spec_of())

    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = everything(store.root)
    with monkeypatch.context() as patch:
        patch.setattr(f"bench.store.{where}", full)
        with pytest.raises(OSError, match="No space left"):
            write(store)
    assert everything(store.root) == before
    assert whole(store) == 1.0


def test_another_process_that_stores_the_same_run_at_the_same_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename
    others = iter([3.0])

    def rename_after_the_other(self: Path, target: Path) -> Path:
        if RUN_NAME.fullmatch(target.name):
            for seconds in others:
                add(store, spec_of(), seconds=seconds)
        return rename(self, target)

    def slow(*arguments: Path) -> Path | None:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", rename_after_the_other)
            return swap.put_in_place(*arguments)

    endings = iter(range(9))
    monkeypatch.setattr("bench.store.store.put_in_place", slow)
    monkeypatch.setattr(
        "bench.store.store.hidden_beside", lambda final: final.with_name(f".{final.name}.h.{next(endings)}")
    )
    write(store)
    assert whole(store) == 2.0


def test_what_another_machine_writes_is_left_alone_for_a_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = add(store, spec_of())
    theirs = run.folder.with_name(f".{run.folder.name}.other-host-1.1")
    theirs.mkdir()
    store.require_writable()
    assert theirs.exists()
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 2 * swap.DAY)
    store.require_writable()
    assert not theirs.exists()
    assert whole(store) == 1.0


def test_what_this_process_writes_is_no_leftover(store: Store) -> None:
    run = add(store, spec_of())
    mine = swap.hidden_beside(run.folder)
    mine.mkdir()
    store.require_writable()
    assert mine.exists()


def test_an_interrupted_exchange_is_undone_by_whoever_reads(store: Store) -> None:
    run = add(store, spec_of())
    run.folder.rename(run.folder.with_name(f".{run.folder.name}.other-host-1.1.old"))
    assert list(store.runs()) == [run]
    assert read_run(run.folder) == run
