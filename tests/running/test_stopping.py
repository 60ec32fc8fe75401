"""Ctrl-C once: the epoch is finished, the state saved; twice: gone at once. Dead parents leave no children."""

import json
import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing.context import ForkServerContext
from pathlib import Path

import psutil
import pytest

from bench.base.progress import Stopped
from bench.running.isolation import Isolation
from bench.running.stopping import ended_by_signals, listening
from bench.running.worker import end_with_parent
from bench.store.store import Store
from tests.conftest import survived
from tests.running.conftest import PLUGIN, Bench, Start, planned, records, runner

LONG = ("--methods", "steady", "--bits", "8", "--set", "steady.batch_size=4", "--shard", "1/1", "--set")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_finishes_the_epoch_and_goes_on_next_time(
    number: signal.Signals, start: Start, features: Path, tmp_path: Path
) -> None:
    bench = start(*LONG, "steady.epochs=100000")
    bench.until("in the second epoch")
    bench.kill(number)
    status, said = bench.end()
    assert status == 130, said
    assert "repeat the command to continue" in said
    assert not list(Store(tmp_path / "results").runs())
    assert not list((tmp_path / "results/.leases").iterdir())
    (state,) = (tmp_path / "results/.training").rglob("*.safetensors")
    header = json.loads(state.read_bytes()[8 : 8 + int.from_bytes(state.read_bytes()[:8], "little")])
    note = json.loads(header["__metadata__"]["note"])
    # The interval of saving is a minute: this was saved for the sake of the request.
    assert note["epoch"] >= 2
    again = start(*LONG, "steady.epochs=100000")
    again.until(f"resumes after epoch {note['epoch']}")
    again.kill(number)
    assert again.end()[0] == 130
    survived(f"requests to stop ({number.name})", 2)


def test_a_stopped_run_ends_as_if_undisturbed(features: Path, tmp_path: Path) -> None:
    wanted = planned(features, "steady", epochs=6)
    runner(tmp_path / "whole").run(wanted)
    for epochs in (1, 2, 3):
        display = _StopsAfter(epochs)
        with pytest.raises(Stopped, match="stopped after epoch"):
            runner(tmp_path / "stopped", display=display).run(wanted)
    runner(tmp_path / "stopped").run(wanted)
    assert records(tmp_path / "stopped") == records(tmp_path / "whole")


class _StopsAfter:
    """A display that sends SIGINT to this process in so many-th step of a training."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def sweep(self) -> "_StopsAfter":
        return self

    def run(self, label: str) -> "_StopsAfter":
        return self

    def overall(self, done: int, total: int, left: float | None) -> None:
        pass

    def task(self, description: str, steps: int) -> "_StopsAfter":
        return self

    def advance(self, status: str = "") -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(signal.SIGINT)

    def __enter__(self) -> "_StopsAfter":
        return self

    def __exit__(self, *error: object) -> None:
        pass


def test_twice_leaves_at_once(start: Start, tmp_path: Path) -> None:
    bench = start("--methods", "hangs", "--bits", "8")
    bench.until("hanging")
    bench.kill(signal.SIGINT)
    bench.until("Ctrl-C again stops at once")
    bench.kill(signal.SIGINT)
    status, said = bench.end()
    assert status == 130, said
    assert not list((tmp_path / "results/.leases").iterdir())
    survived("requests to leave at once (SIGINT twice)")


def test_children_are_asked_too(starter: ForkServerContext, features: Path, tmp_path: Path) -> None:
    wanted = planned(features, "steady", 2, epochs=100_000, batch_size=4)
    said: list[str] = []
    isolation = Isolation((PLUGIN,), jobs=2, threads=1)
    begun = threading.Semaphore(0)

    class Display(_StopsAfter):
        def advance(self, status: str = "") -> None:
            begun.release()

    def ask() -> None:
        for _ in range(2):
            begun.acquire()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=ask, daemon=True).start()
    with pytest.raises(Stopped):
        runner(tmp_path, said, isolation, display=Display(0)).run(wanted)
    assert list((tmp_path / ".training").rglob("*.safetensors"))
    assert not list(Store(tmp_path).runs())
    survived("requests to stop that reach other processes", 2)


@pytest.mark.parametrize("everybody", [False, True], ids=["group", "everybody"])
def test_a_signal_to_more_than_the_command_fails_no_run(everybody: bool, start: Start, tmp_path: Path) -> None:
    """To its group, as `timeout` sends it, or to all processes of a job, those too that do the runs."""
    bench = start(*LONG, "steady.epochs=100000", "--isolate", "--threads", "1")
    states = tmp_path / "results/.training"
    waiting = threading.Event()
    while not any(states.rglob("output.txt")) or b"second epoch" not in next(states.rglob("output.txt")).read_bytes():
        assert bench.process.is_alive()
        waiting.wait(0.02)
    others = psutil.Process(bench.pid).children(recursive=True) if everybody else []
    os.killpg(bench.pid, signal.SIGTERM)
    for process in others:
        process.terminate()
    status, said = bench.end()
    assert status == 130, said
    assert not list(Store(tmp_path / "results").runs())
    # Whoever does a run and is ended by the signal cannot save any more.
    assert everybody or list(states.rglob("*.safetensors"))
    survived("requests to stop that reach more than the command")


def test_sigterm_ends_measuring_as_sigint_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_terminal_that_closes_asks_once_however_often_it_says_so() -> None:
    with listening() as stop:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert (stop.asked, stop.at_once) == (True, False)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with listening() as stop:  # under nohup
            signal.raise_signal(signal.SIGHUP)
            assert not stop.asked
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_dead_parent_leaves_no_child(
    start: Start, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    bench = start("--methods", "hangs-once", "--bits", "8", "--isolate", "--threads", "1", TRAINED=str(mark),
                  results="runs")  # fmt: skip
    bench.until("started")
    child = _child(bench, mark)
    bench.kill()
    bench.end()
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running()
    monkeypatch.setenv("TRAINED", str(mark))
    (run,) = runner(tmp_path / "runs").run(planned(features, "hangs-once"))
    assert run.record.status == "done"
    survived("sweeps killed whose runs are processes of their own")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death without a thread")
def test_a_dead_parent_leaves_no_child_that_holds_the_interpreters_lock(start: Start, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    bench = start("--methods", "holds-lock", "--bits", "8", "--isolate", "--threads", "1", TRAINED=str(mark))
    child = _child(bench, mark)
    bench.kill()
    bench.end()
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running()
    survived("sweeps killed whose runs hold the interpreter's lock")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a parent's death without a thread")
def test_a_parent_that_is_dead_already_is_noticed_too() -> None:
    heard, told = os.pipe()
    child = os.fork()
    if not child:
        os.close(heard)
        # A process whose parent dies before it asks to be told.
        context = multiprocessing.get_context("fork")
        orphan = context.Process(target=_asks_late, args=(told,))
        orphan.start()
        os._exit(0)
    os.close(told)
    os.waitpid(child, 0)
    with os.fdopen(heard, "rb") as pipe:
        assert pipe.read() == b"waits"


def _asks_late(told: int) -> None:
    os.setsid()
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.write(told, b"waits")
    end_with_parent()
    os.write(told, b" and lives")


def _child(bench: Bench, mark: Path) -> psutil.Process:
    """The process that has left its number."""
    waiting = threading.Event()
    while not (mark.exists() and mark.read_text()):
        assert bench.process.is_alive()
        waiting.wait(0.02)
    return psutil.Process(int(mark.read_text()))


def test_only_the_main_thread_listens() -> None:
    asked: list[bool] = []

    def listen() -> None:
        with listening() as stop:
            asked.append(stop())

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert asked == [False]
    before = signal.getsignal(signal.SIGTERM)
    with listening() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
