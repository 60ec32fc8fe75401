"""Real `bench` processes that start fast, and what is done with them."""

import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, TextIO

import pytest
import torch

from bench.registry import load_registry
from bench.running.forking import TRAINING_LIBRARIES
from bench.running.isolation import ExecutorFactory
from bench.running.plan import PlannedRun, plan
from bench.running.runner import Runner
from bench.store.store import Store
from tests.conftest import write_split

# Forked processes import by name what they are to do; `tests` has one here only.
sys.path.append(str(Path(__file__).parent))
COMMAND = import_module("bench_process").bench
PLUGIN = Path(__file__).with_name("plugin.py")
IGNORED = {"started", "durations", "environment", "costs"}


@pytest.fixture(scope="session")
def starter() -> ForkServerContext:
    """Starts processes that have everything imported, as the isolation does; one thread each."""
    context = multiprocessing.get_context("forkserver")
    modules = {plugin.__module__ for plugin in load_registry().origins}
    modules |= {"bench.running.worker", "bench.report.compose", "bench.report.terminal", *TRAINING_LIBRARIES}
    modules.add("tests.running.bench_process")
    context.set_forkserver_preload(sorted(modules))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        forkserver.ensure_running()
    return context


@pytest.fixture(scope="session")
def features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A feature folder with 40 training and 12 test videos."""
    folder = tmp_path_factory.mktemp("sweep") / "toy"
    folder.mkdir()
    write_split(folder, "train", 40, 0)
    write_split(folder, "test", 12, 1)
    return folder


class Bench:
    """A `bench` command in a process of its own."""

    def __init__(self, context: ForkServerContext, arguments: list[str], environment: dict[str, str]) -> None:
        ours, theirs = context.Pipe()
        self.process: ForkServerProcess = context.Process(target=COMMAND, args=(theirs, arguments, environment))
        self.process.start()
        theirs.close()
        self.pid = self.process.pid or 0
        self._ours = ours
        self._stream: TextIO = os.fdopen(os.dup(ours.fileno()), encoding="utf-8", errors="replace")

    def until(self, text: str) -> str:
        """What the command says up to a line that holds `text`."""
        said = ""
        for line in self._stream:
            said += line
            if text in line:
                return said
        raise AssertionError(f"never said '{text}':\n{said}")

    def end(self) -> tuple[int, str]:
        """Exit status, and what it said until then."""
        said = self._stream.read()
        self.process.join()
        self.close()
        return self.process.exitcode or 0, said

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def close(self) -> None:
        self._stream.close()
        self._ours.close()


def bench_run(
    context: ForkServerContext, features: Path, results: Path, *arguments: object, **environment: str
) -> Bench:
    """`bench run` on the toy dataset with the plug-in; not isolated unless asked, to start faster."""
    call = ["run", "--datasets", features, "--plugin", PLUGIN, "--results", results, "--device", "cpu", *arguments]
    call += [] if {"--jobs", "--isolate"} & set(arguments) else ["--jobs", 1]
    return Bench(context, [str(part) for part in call], environment)


Start = Callable[..., Bench]


@pytest.fixture
def start(starter: ForkServerContext, features: Path, tmp_path: Path) -> Iterator[Start]:
    """Start `bench run` on the toy dataset with the plug-in, storing in `results`."""
    started: list[Bench] = []

    def begin(*arguments: object, results: str = "results", **environment: str) -> Bench:
        report = ("--report", tmp_path / f"{results}-report-{len(started)}")
        started.append(bench_run(starter, features, tmp_path / results, *report, *arguments, **environment))
        return started[-1]

    yield begin
    for bench in started:
        if bench.process.is_alive():
            bench.kill()
            bench.process.join()
        bench.close()


def planned(features: Path, methods: str, seeds: int = 1, bits: int = 8, **parameters: Any) -> list[PlannedRun]:
    """Runs of methods of the plug-in."""
    names = methods.split(",")
    return plan(
        load_registry([PLUGIN]),
        methods=names,
        datasets=[str(features)],
        bits=[bits],
        seeds=range(seeds),
        parameters={"steady": parameters} if parameters else {},
    )


def runner(
    results: Path, said: list[str] | None = None, isolation: ExecutorFactory | None = None, **more: Any
) -> Runner:
    """A runner of this process."""
    say = (lambda line: None) if said is None else said.append
    return Runner(Store(results, say), torch.device("cpu"), say=say, isolation=isolation, **more)


def records(results: Path) -> dict[str, dict[str, Any]]:
    """All stored records without what differs from one doing of a run to the next; every file is as written."""
    found = {}
    for run in Store(results).runs():
        for name in run.record.checksums:
            run.verified(name)
        values = json.loads((run.folder / "record.json").read_text(encoding="utf-8"))
        found[run.record.spec.folder] = {
            key: value for key, value in values.items() if key not in IGNORED | {"checksum"}
        }
    return found
