"""Leases: one owner at a time, none that outlives its owner, no clock compared between machines."""

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from bench.base.atomic import remove
from bench.base.processes import is_dead, started, this_process
from bench.store import leases
from bench.store.leases import Lease, Leases
from tests.conftest import survived


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
    owner = path / leases.OWNER
    owner.write_text(json.dumps(json.loads(owner.read_text()) | {"host": "another"}))


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
    code = (f"from pathlib import Path; from bench.store.leases import Leases; import os\n"
            f"assert Leases(Path({str(tmp_path)!r})).take('a'); os._exit(9)")  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert (tmp_path / "a").exists()
    lease = Leases(tmp_path).take("a")
    assert lease is not None
    lease.release()


DIES = """
import os, sys
from pathlib import Path
from bench.store.leases import Leases
left = int(sys.argv[2])
def die(event, arguments):
    global left
    if event in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"} and sys.argv[1] in str(arguments):
        left -= 1
        if not left:
            os._exit(9)
sys.addaudithook(die)
lease = Leases(Path(sys.argv[1])).take("a")
assert lease
lease.release()
"""


def test_whenever_a_process_dies_that_takes_or_leaves_a_lease_others_have_it_at_once(tmp_path: Path) -> None:
    died = 0
    for step in range(1, 20):
        folder = tmp_path / str(step)
        done = subprocess.run([sys.executable, "-c", DIES, str(folder), str(step)], check=False)
        lease = Leases(folder).take("a")
        assert lease is not None, step
        lease.release()
        if done.returncode == 0:
            break
        died += 1
        for path in leases.leftovers(folder):
            remove(path)
        assert list(folder.iterdir()) == []
    # Before the folder is made, signed, renamed and removed.
    assert died >= 4
    survived("processes that die while they take or leave a lease", died)


def test_file_systems_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    lease = Leases(tmp_path).take("a")
    assert lease is not None
    assert Leases(tmp_path).holder("a") == this_process()
    assert Leases(tmp_path).take("a") is None
    lease.release()
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_was_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network file system renames, and when the question is asked again says that there is nothing to rename."""
    rename = os.rename

    def renamed_twice(*arguments: Path) -> None:
        rename(*arguments)
        rename(*arguments)

    monkeypatch.setattr(os, "rename", renamed_twice)
    lease = Leases(tmp_path).take("a")
    assert lease is not None
    assert lease.held
    assert Leases(tmp_path).take("a") is None
    lease.release()


def test_only_what_nobody_uses_is_left_over(tmp_path: Path) -> None:
    here = this_process()
    owners = {"ours": here, "dead": here | {"started": 0}, "elsewhere": here | {"host": "another"}}
    for name, owner in owners.items():
        (tmp_path / f".a.{name}").mkdir()
        (tmp_path / f".a.{name}" / leases.OWNER).write_text(json.dumps(owner))
    (tmp_path / ".a.empty").mkdir()
    (tmp_path / ".a.file").touch()
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / leases.OWNER).write_text(json.dumps(owners["dead"]))
    assert [path.name for path in leases.leftovers(tmp_path)] == [".a.dead", ".a.empty", ".a.file"]


@pytest.mark.parametrize("name", ["a", "a/owner.json"])
@pytest.mark.parametrize("content", ["[]", "5", "null", "no JSON"])
def test_what_is_no_lease_must_run_out(name: str, content: str, tmp_path: Path, clock: Clock) -> None:
    """Files are leases of earlier versions."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    mine = Leases(tmp_path, 100, clock)
    assert mine.take("a") is None
    assert mine.holder("a") is None
    clock.now = 100
    lease = mine.take("a")
    assert lease is not None
    lease.release()


def test_a_holder_that_sleeps_for_long_holds_nothing(tmp_path: Path, clock: Clock) -> None:
    lease = Leases(tmp_path, 100, clock).take("a")
    assert lease is not None
    other = Leases(tmp_path, 100, clock)
    assert other.holder("a") == this_process()
    clock.now = 100
    assert other.holder("a") is None
    lease.renew()
    assert other.holder("a") == this_process()
    lease.release()


def test_an_owner_that_wakes_up_when_another_takes_over_releases_only_its_own(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the worst moment: the other comes in between the two steps of the release."""
    lease = Leases(tmp_path, 100, clock).take("a")
    other = Leases(tmp_path, 100, clock)
    assert lease is not None
    taken: list[Lease | None] = []
    rmdir = Path.rmdir

    def late(path: Path) -> None:
        taken.append(other.take("a"))
        rmdir(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rmdir", late)
        lease.release()
    (new,) = taken
    assert new is not None
    assert new.held
    assert Leases(tmp_path, 100, clock).take("a") is None
    new.release()
    assert list(tmp_path.iterdir()) == []


def test_a_changed_working_directory_loses_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lease = Leases(Path("leases")).take("a")
    assert lease is not None
    monkeypatch.chdir("/")
    assert lease.held
    lease.release()


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="cannot wait for a process and leave it as it is")
def test_a_process_that_nobody_has_looked_after_is_dead() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    owner = this_process() | {"process": child.pid, "started": started(child.pid)}
    assert not is_dead(owner)
    assert child.stdin is not None
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(owner)
    child.wait()


def test_who_is_dead() -> None:
    here = this_process()
    assert not is_dead(here)
    # The number was given to another process since.
    assert is_dead(here | {"started": here["started"] - 1})
    # Containers and machines may share a name and the number of their processes' namespace.
    for other in ({"host": "another"}, {"namespace": "pid:[1]"}, {"boot": "another"}):
        assert not is_dead(here | other | {"started": 0})
    assert not is_dead({})


def test_a_clock_that_is_set_makes_nobody_dead(tmp_path: Path) -> None:
    """By an NTP server, or after a virtual machine was asleep: the time of the machine's start then moves with it."""
    stat = Path("/proc/stat").read_text()
    (start,) = re.findall(r"(?m)^btime (\d+)$", stat)
    (tmp_path / "stat").write_text(stat.replace(f"btime {start}", f"btime {int(start) + 1}"))
    (tmp_path / "self").symlink_to(f"/proc/{os.getpid()}")
    (tmp_path / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    code = (
        "import psutil, sys, time\n"
        "from pathlib import Path\n"
        "real = time.time\n"
        "time.time = lambda: real() + 3600\n"
        f"psutil.PROCFS_PATH = {str(tmp_path)!r}\n"
        "from bench.store.leases import Leases\n"
        f"print(psutil.Process({os.getpid()}).create_time())\n"
        f"sys.exit(Leases(Path({str(tmp_path / 'leases')!r})).take('a') is not None)\n"
    )
    with Leases(tmp_path / "leases").take("a") or pytest.fail("nobody else has it"):
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert float(other.stdout) == pytest.approx(psutil.Process().create_time() + 1, abs=0.1)
    assert other.returncode == 0, other.stderr
    survived("clocks set while a lease is held")


def test_a_process_that_cannot_be_looked_at_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc shows other users' processes to nobody (hidepid)."""
    monkeypatch.setattr("bench.base.processes._stat", lambda process: None)
    assert not is_dead(this_process() | {"started": 1})


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
