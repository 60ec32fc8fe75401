"""Work in forked processes gives what one process would."""

import errno
import multiprocessing
import os
from collections.abc import Callable

import pytest

from bench.base.forked import forked_map
from tests.conftest import survived


def cores(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(number)))


def thirds() -> list[Callable[[], tuple[float, int]]]:
    """Items that cannot be pickled."""

    def third(number: int) -> Callable[[], tuple[float, int]]:
        return lambda: (number / 3, os.getpid())

    return [third(number) for number in range(7)]


def test_several_processes_work_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    cores(monkeypatch, 2)
    found = forked_map(lambda item: item(), thirds())
    assert [value for value, _ in found] == [number / 3 for number in range(7)]
    assert 1 <= len({process for _, process in found} - {os.getpid()}) <= 2


def test_one_core_or_one_item_needs_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    cores(monkeypatch, 2)
    assert forked_map(lambda item: item(), thirds()[:1]) == [(0, os.getpid())]
    assert forked_map(abs, []) == []
    cores(monkeypatch, 1)
    assert {process for _, process in forked_map(lambda item: item(), thirds())} == {os.getpid()}


@pytest.mark.parametrize("number", [1, 2])
def test_an_error_of_the_function_is_raised(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cores(monkeypatch, number)
    with pytest.raises(ZeroDivisionError):
        forked_map(lambda item: 1 / item, [2, 1, 0])


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("concurrent.futures.process.ProcessPoolExecutor.__init__", OSError(errno.ENOSYS, "Function not implemented")),
        ("concurrent.futures.process.ProcessPoolExecutor.__init__", ImportError("no sem_open implementation")),
        ("os.fork", BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")),
    ],
)
def test_without_processes_it_computes_the_same(
    where: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """No semaphores, as with a /dev/shm that cannot be written, or a limit on processes that is reached in between."""
    calls, fork = 0, os.fork

    def refuse(*arguments: object, **named: object) -> int:
        nonlocal calls
        calls += 1
        if where == "os.fork" and calls == 1:
            return fork()
        raise error

    cores(monkeypatch, 2)
    monkeypatch.setattr(where, refuse)
    assert [value for value, _ in forked_map(lambda item: item(), thirds())] == [number / 3 for number in range(7)]
    assert calls > (where == "os.fork")
    assert not [child for child in multiprocessing.active_children() if child.is_alive()]
    survived("systems without processes or semaphores")
