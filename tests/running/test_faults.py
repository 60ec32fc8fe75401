"""Disks that are full, broken, or write half: the sweep ends in one line, and the next one finishes the rest."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import InputError
from bench.learning.states import TrainingStates
from bench.running.plan import PlannedRun
from bench.running.storage import StorageError
from bench.store.store import Store
from tests.conftest import survived
from tests.running.conftest import Start, planned, records, runner

CHANGES = {"open", "os.rename", "os.mkdir", "os.link", "os.remove"}
_failing: list[Callable[[str, tuple[Any, ...]], None]] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _failing and event in CHANGES:
        _failing[-1](event, arguments)


sys.addaudithook(_hook)


@contextmanager
def fault(root: Path, step: int, number: int) -> Iterator[list[str]]:
    """The so-many-th change of files below `root` fails with an error of the system; yields what failed."""
    seen = 0
    failed: list[str] = []

    def fail(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event == "open" and not (arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            return
        if not any(str(root) in str(part) for part in arguments[:2]):
            return
        seen += 1
        if seen == step:
            failed.append(event)
            raise OSError(number, os.strerror(number), str(arguments[0]))

    _failing.append(fail)
    try:
        yield failed
    finally:
        _failing.pop()


@pytest.fixture(autouse=True)
def _save_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingStates, "due", lambda self: True)


@pytest.fixture(scope="module")
def undisturbed(features: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    results = tmp_path_factory.mktemp("undisturbed")
    runner(results).run(wanted(features))
    return records(results)


def wanted(features: Path) -> list[PlannedRun]:
    return planned(features, "plain,steady", epochs=2)


def test_a_fault_at_any_change_of_files(features: Path, tmp_path: Path, undisturbed: dict[str, Any]) -> None:
    step, failed = 0, ["something"]
    while failed:
        step += 1
        number = (errno.ENOSPC, errno.EIO)[step % 2]
        results = tmp_path / str(step)
        with fault(results, step, number) as failed:
            try:
                runner(results).run(wanted(features))
            except InputError as error:  # a StorageError, or what is found before anything is begun
                assert str(results) in str(error)
                assert os.strerror(number) in str(error)
                assert "\n" not in str(error)
        stored = records(results)
        assert all(undisturbed[folder] == values for folder, values in stored.items())
        runner(results).run(wanted(features))
        assert records(results) == undisturbed, failed
        assert not list(results.glob("*/*/.*"))
        survived(f"changes of files that failed ({errno.errorcode[number]})", len(failed))
    assert step > 15


def test_files_that_cannot_grow(start: Start, tmp_path: Path, features: Path, undisturbed: dict[str, Any]) -> None:
    """Writes are cut short at a size, whoever writes: Python, numpy, safetensors."""
    for size in (60, 300, 700, 1200, 2000):
        arguments = ("--methods", "plain,steady", "--bits", "8", "--set", "steady.epochs=2", "--shard", "1/1")
        status, said = start(*arguments, LARGEST_FILE=str(size), SAVE_ALWAYS="1").end()
        assert status == 2, said
        assert "results cannot be written (File too large)" in said or "(os error 27)" in said, said
        stored = records(tmp_path / "results")
        assert all(undisturbed[folder] == values for folder, values in stored.items())
        survived("writes cut short")
    runner(tmp_path / "results").run(wanted(features))
    assert records(tmp_path / "results") == undisturbed


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A disk of so many bytes, which a second call makes larger."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(size: int) -> Path:
        options = f"{'remount,' if disk.is_mount() else ''}size={size}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], check=False,
                              capture_output=True)  # fmt: skip
        if done.returncode:
            pytest.skip("disks cannot be mounted here")
        return disk

    yield mount
    if disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full(
    small_disk: Callable[[int], Path], features: Path, undisturbed: dict[str, Any]
) -> None:
    full = 0
    for pages in range(1, 13):
        results = small_disk(4096 * pages) / "results"
        try:
            runner(results).run(wanted(features))
        except StorageError as error:
            assert "No space left on device" in str(error)
            full += 1
        if results.exists():
            stored = records(results)
            assert all(undisturbed[folder] == values for folder, values in stored.items())
    assert full > 3
    results = small_disk(2**20) / "results"
    Store(results).require_writable()
    runner(results).run(wanted(features))
    assert records(results) == undisturbed
    survived("disks really full (tmpfs)", full)
