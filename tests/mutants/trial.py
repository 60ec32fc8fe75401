"""Trials: tests run on a tree by a process of their own, forked from one that has imported the large libraries."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path

import pytest

from .mutant import ROOT, Mutant

AT_ONCE = 2
SECONDS = 300.0
"""After which the tests of one mutant are ended."""
FORK = multiprocessing.get_context("fork")


@dataclass(eq=False)
class Outcome:
    """What came of a trial; as a plug-in of pytest it notes that itself."""

    failed: list[str] = field(default_factory=list)
    """Tests that failed, or whose fixtures did."""
    uncollected: list[str] = field(default_factory=list)
    status: int | None = None
    """pytest's own; None: it came to no end."""
    seconds: float = 0.0
    output: str = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.uncollected.append(report.nodeid)

    @property
    def ran(self) -> bool:
        """Were tests run? What cannot be imported, or ends pytest itself, is no valid patch."""
        return self.status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) and not self.uncollected

    @property
    def verdict(self) -> str:
        """`caught` only where a test failed."""
        if not self.ran:
            return "NO END" if self.status is None else "INVALID"
        return "caught" if self.failed else "SURVIVED"


class Trial:
    """Tests of a tree that are being run."""

    def __init__(self, tests: Sequence[str], tree: Path, scratch: Path, options: Sequence[str] = ()) -> None:
        self._output = scratch / "output.txt"
        self._started = time.monotonic()
        self.report, sender = FORK.Pipe(duplex=False)
        self._process = FORK.Process(target=_run, args=([*options, *tests], tree, scratch, self._output, sender))
        self._process.start()
        # The process has the only other end: where it dies, the report ends.
        sender.close()

    @property
    def late(self) -> bool:
        return time.monotonic() - self._started > SECONDS

    def end(self) -> Outcome:
        """What came of it so far; nothing that it started goes on."""
        outcome = Outcome(seconds=time.monotonic() - self._started)
        if self.report.poll():
            with suppress(EOFError):
                outcome.failed, outcome.uncollected, outcome.status = self.report.recv()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid or 0, signal.SIGKILL)
        self._process.join()
        outcome.output = self._output.read_text(encoding="utf-8", errors="replace") if self._output.exists() else ""
        return outcome


def run_clean(tests: Sequence[str], tree: Path) -> Outcome:
    """Run tests on the tree as it is."""
    with tempfile.TemporaryDirectory(prefix="clean-") as scratch:
        trial = Trial(tests, tree, Path(scratch))
        connection.wait([trial.report])
        return trial.end()


def run_mutants(mutants: Iterable[Mutant], tree: Path, failing: Sequence[str] = ()) -> Iterator[tuple[Mutant, Outcome]]:
    """Run the tests of every mutant on a copy of the tree, `AT_ONCE` at a time; as they end.

    Tests that are `failing` without a bug would catch anything, and are left out.
    """
    waiting, options = list(mutants), ["-x", *(f"--deselect={test}" for test in failing)]
    running: dict[Trial, tuple[Mutant, tempfile.TemporaryDirectory[str]]] = {}
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            mutant, scratch = waiting.pop(0), tempfile.TemporaryDirectory(prefix="mutant-")
            copy = Path(scratch.name) / "tree"
            # With what the clean run compiled: Python and numba see by a file's time whether that still holds.
            shutil.copytree(tree, copy, symlinks=True)
            (copy / mutant.file).write_text(mutant.patched(tree), encoding="utf-8")
            # In whole seconds, and the file may be younger than that.
            os.utime(copy / mutant.file, (time.time() + 2,) * 2)
            running[Trial(mutant.tests, copy, Path(scratch.name), options)] = mutant, scratch
        ready = connection.wait([trial.report for trial in running], timeout=1)
        for trial in [trial for trial in running if trial.report in ready or trial.late]:
            mutant, scratch = running.pop(trial)
            yield mutant, trial.end()
            scratch.cleanup()


def copy_working_tree(target: Path, root: Path = ROOT) -> None:
    """Copy what git knows of, or would add, and link packages that lie elsewhere to where imports find them."""
    listed = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0"):
        if (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target / name)
    project = tomllib.loads((target / "pyproject.toml").read_text(encoding="utf-8"))
    for package, folder in project["tool"]["setuptools"]["package-dir"].items():
        place = target.joinpath(*package.split("."))
        if not place.exists():
            place.symlink_to(os.path.relpath(target / folder, place.parent))


def _run(
    arguments: Sequence[str], tree: Path, scratch: Path, output: Path, sender: "connection.Connection[object, object]"
) -> None:
    # A group of its own, which can be ended with all that the tests start.
    os.setsid()
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(tree)
    # Before the finder of an editable installation, here and in processes that tests start.
    sys.path[:] = [str(tree), *(place for place in sys.path if place not in {"", str(ROOT)})]
    os.environ["PYTHONPATH"] = str(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] in {"bench", "tests"}]:
        del sys.modules[name]
    outcome = Outcome()
    options = ["-q", "-p", "no:cacheprovider", f"--rootdir={tree}", f"--basetemp={scratch / 'tests'}"]
    status = pytest.main([*options, *arguments], plugins=[outcome])
    sender.send((outcome.failed, outcome.uncollected, int(status)))
