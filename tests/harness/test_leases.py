"""Leases: one owner at a time, none that outlives its owner, no clock compared between machines."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import leases
from bench.leases import Lease, Leases, is_dead, this_process


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def is_held(lease: Lease) -> bool:
    return lease.held


def elsewhere(path: Path) -> None:
    """Make a lease look like one of another machine, whose life cannot be looked up."""
    state = path.stat()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "another"}))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_one_owner_at_a_time(tmp_path: Path, clock: Clock) -> None:
    mine, other = Leases(tmp_path / "leases", clock=clock), Leases(tmp_path / "leases", clock=clock)
    lease = mine.take("a")
    assert lease is not None
    with lease:
        assert is_held(lease)
        assert other.take("a") is None
        second = other.take("b")
        assert second is not None
        second.release()
    assert not is_held(lease)
    again = other.take("a")
    assert again is not None
    again.release()
    assert list((tmp_path / "leases").iterdir()) == []


def test_another_machine_is_given_time_by_our_own_clock(tmp_path: Path, clock: Clock) -> None:
    mine, other = Leases(tmp_path, 100, clock), Leases(tmp_path, 100, clock)
    lease = mine.take("a")
    assert lease is not None
    elsewhere(tmp_path / "a")
    # However old the file says it is.
    os.utime(tmp_path / "a", (1, 1))
    assert other.take("a") is None
    clock.now = 99
    assert other.take("a") is None
    lease.renew()
    clock.now = 150
    assert other.take("a") is None
    clock.now = 249
    assert other.take("a") is None
    clock.now = 250
    taken = other.take("a")
    assert taken is not None
    # The first owner wakes up: it has lost the lease, and leaves the other's alone.
    assert not lease.held
    lease.renew()
    lease.release()
    assert taken.held
    assert Leases(tmp_path, 100, clock).take("a") is None
    taken.release()


def test_a_dead_process_of_this_machine_holds_nothing(tmp_path: Path) -> None:
    code = (f"from pathlib import Path; from bench.leases import Leases; import os\n"
            f"assert Leases(Path({str(tmp_path)!r})).take('a'); os._exit(9)")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert (tmp_path / "a").exists()
    lease = Leases(tmp_path).take("a")
    assert lease is not None
    lease.release()


def test_who_is_dead() -> None:
    here = this_process()
    assert not is_dead(here)
    # The number was given to another process since.
    assert is_dead(here | {"started": here["started"] - 1})
    assert not is_dead(here | {"host": "another", "started": 0})
    assert not is_dead(here | {"namespace": "pid:[1]", "started": 0})
    assert not is_dead({})


def test_two_that_find_it_abandoned_do_not_both_take_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has judged the old lease when the first takes it: at any point between its steps."""
    steps: list[str] = []
    points = ["_abandoned", "_set_aside", "_create"]
    for point in points:
        folder = tmp_path / point
        owner, first, second = (Leases(folder, 100, clock) for _ in range(3))
        old = owner.take("a")
        assert old is not None
        elsewhere(folder / "a")
        clock.now = 0
        assert first.take("a") is None
        assert second.take("a") is None
        clock.now = 100
        taken: list[object] = []

        def race(
            step: Callable[..., object], before: str, first: Leases = first, taken: list[object] = taken
        ) -> Callable[..., object]:
            def racing(*arguments: object) -> object:
                if not taken and not steps:
                    steps.append(before)
                    taken.append(first.take("a"))
                    steps.clear()
                return step(*arguments)

            return racing

        with monkeypatch.context() as patch:
            if point == "_set_aside":
                patch.setattr(leases, point, race(leases._set_aside, point))
            else:
                patch.setattr(second, point, race(getattr(second, point), point))
            last = second.take("a")
        assert taken[0] is not None
        assert last is None
        assert not old.held
