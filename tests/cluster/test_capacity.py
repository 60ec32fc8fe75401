"""What runs ask for against what nodes have; wrong options and missing clusters are one line each."""

import socket
import sys
from pathlib import Path

import pytest

from bench.cli import main
from bench.cluster.capacity import Need, at_once, need_of, require_room
from bench.cluster.connection import connected
from bench.cluster.versions import require_alike, versions
from bench.data.dataset import Summary
from bench.errors import InputError
from bench.method import Resources
from bench.registry import load_registry
from bench.running.apart import Isolation
from tests.cluster.conftest import planned

GIGABYTE = 10**9
LARGE = {"CPU": 16.0, "GPU": 2.0, "memory": 64.0 * GIGABYTE}
SMALL = {"CPU": 4.0, "memory": 8.0 * GIGABYTE}


@pytest.mark.parametrize(
    ("need", "large", "small"),
    [
        (Need(1, 0, None), 16, 4),
        (Need(4, 0, None), 4, 1),
        (Need(5, 0, None), 3, 0),
        (Need(1, 0, 10 * GIGABYTE), 6, 0),
        (Need(1, 0.5, None), 4, 0),
        (Need(1, 1, GIGABYTE), 2, 0),
    ],
)
def test_how_many_a_node_takes(need: Need, large: int, small: int) -> None:
    assert (need.fits(LARGE), need.fits(SMALL)) == (large, small)
    assert at_once([need] * 100, [LARGE, SMALL]) == large + small
    assert at_once([need] * 2, [LARGE, LARGE]) == 2


def test_room_is_asked_of_single_nodes() -> None:
    require_room({"run": Need(16, 2, 64 * GIGABYTE)}, [SMALL, LARGE])
    said = r"^b asks for 5 CPUs, 7\.0 GB of memory, which no node .* has \(at most 4 CPUs, 0 GPUs, 8\.0 GB\); lower"
    with pytest.raises(InputError, match=said):
        require_room({"a": Need(4, 0, None), "b": Need(5, 0, 7 * GIGABYTE)}, [SMALL, SMALL, SMALL])
    with pytest.raises(InputError, match="which no node of the cluster has"):
        require_room({"run": Need(1, 0, None)}, [])
    assert at_once([Need(1, 0, None)], []) == 1


def test_what_is_given_goes_before_what_is_declared() -> None:
    deep, shallow = planned("watched")[0], planned("itq")[0]
    declared = shallow.method.resources(shallow.summary)
    # 40 videos of 16 dimensions: float32, the same centred, and float64.
    assert declared == Resources(1, 0, 10**9 + 40 * 16 * 16)
    assert need_of(shallow, Isolation(), "auto", [LARGE]) == Need(1, 0, declared.memory)
    assert need_of(shallow, Isolation(threads=3, memory_limit=5), "auto", [LARGE]) == Need(3, 0, 5)
    assert need_of(deep, Isolation(), "auto", [SMALL, LARGE]).gpus == 1
    assert need_of(deep, Isolation(), "cuda", [SMALL, LARGE]).gpus == 1
    assert need_of(deep, Isolation(), "cpu", [LARGE]).gpus == 0
    assert need_of(deep, Isolation(), "auto", [SMALL]).gpus == 0
    with pytest.raises(InputError, match="no node of the cluster has a GPU"):
        need_of(deep, Isolation(), "cuda", [SMALL])


def test_shallow_methods_ask_for_more_where_there_are_more_videos() -> None:
    summary = planned("itq")[0].summary
    large = summary.model_copy(update={"train_videos": 10**6, "dimensions": 4096})
    assert isinstance(large, Summary)
    for name, method in load_registry().methods.items():
        memory = method.resources(large).memory
        assert memory is not None, name
        assert memory > 10**6 * 4096 * 16, name


def test_other_versions_are_named() -> None:
    there = versions()
    require_alike(versions(), there)
    with pytest.raises(InputError, match=r"^torch is .* here, and 1\.0 where the sweep was started; install the same"):
        require_alike(versions(), there | {"torch": "1.0"})


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'pip install "vhbench\[ray\]"'), connected(None):
        pass


@pytest.mark.parametrize("address", ["here", "ray://10.0.0.1:10001", "127.0.0.1", "127.0.0.1:port"])
def test_addresses_that_are_none(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(InputError, match="expected host:port or auto"), connected(address):
        pass


def test_nobody_at_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.socket() as closed:  # bound, and not listening
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        said = rf"^--address 127\.0\.0\.1:{port}: no cluster answers there"
        with pytest.raises(InputError, match=said), connected(f"127.0.0.1:{port}"):
            pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--address", "auto"], "--address auto: names a Ray cluster; give --executor ray with it"),
        (["--executor", "slurm"], "unknown executor 'slurm': known: local, ray"),
    ],
)
def test_wrong_options(options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["run", "--methods", "itq", "--results", str(tmp_path / "r"), *options])
    assert status == 2
    assert capsys.readouterr().err == f"bench: {said}\n"
    assert not (tmp_path / "r").exists()


def test_a_dry_run_needs_no_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["run", "--methods", "itq", "--bits", "8", "--results", str(tmp_path / "r"), "--dry-run"]
    assert main(call) == 0
    alone = capsys.readouterr().out
    assert main([*call, "--executor", "ray", "--address", "127.0.0.1:1"]) == 0
    assert capsys.readouterr().out == alone
