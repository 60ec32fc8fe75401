"""What runs ask for against what nodes have; wrong options and missing clusters are one line each."""

import socket
import sys
from pathlib import Path

import pytest

from bench.base.errors import InputError
from bench.cli import main
from bench.data.dataset import Summary
from bench.learning.method import Resources
from bench.registry import load_registry
from bench.running.isolation import Isolation
from bench.running.ray.on_ray import connected
from tests.ray.conftest import planned

GIGABYTE = 10**9
LARGE = {"CPU": 16.0, "GPU": 2.0, "memory": 64.0 * GIGABYTE}
SMALL = {"CPU": 4.0, "memory": 8.0 * GIGABYTE}


@pytest.mark.parametrize(
    ("asked", "large", "small"),
    [
        ({"CPU": 1, "GPU": 0, "memory": 0}, 16, 4),
        ({"CPU": 5, "GPU": 0, "memory": 0}, 3, 0),
        ({"CPU": 1, "GPU": 0, "memory": 10 * GIGABYTE}, 6, 0),
        ({"CPU": 1, "GPU": 0.5, "memory": 0}, 4, 0),
        ({"CPU": 1, "GPU": 1, "memory": GIGABYTE}, 2, 0),
    ],
)
def test_how_many_a_node_takes(asked: dict[str, float], large: int, small: int) -> None:
    pytest.importorskip("ray")
    from bench.running.ray.executor import fitting

    assert (fitting(asked, LARGE), fitting(asked, SMALL)) == (large, small)


def test_options_override_what_is_declared() -> None:
    pytest.importorskip("ray")
    from bench.running.ray.executor import resources_of

    deep, shallow = planned("watched")[0], planned("itq")[0]
    declared = shallow.method.resources(shallow.summary)
    # 40 videos of 16 dimensions: float32, the same centred, and float64.
    assert declared == Resources(1, 0, 10**9 + 40 * 16 * 16)
    assert resources_of(shallow, Isolation(), "auto", [LARGE]) == {"CPU": 1, "GPU": 0, "memory": declared.memory}
    asked = resources_of(shallow, Isolation(threads=3, memory_limit=5), "auto", [LARGE])
    assert asked == {"CPU": 3, "GPU": 0, "memory": 5}
    for device, nodes, gpus in (
        ("auto", [SMALL, LARGE], 1),
        ("cuda", [SMALL, LARGE], 1),
        ("cpu", [LARGE], 0),
        ("auto", [SMALL], 0),
    ):
        assert resources_of(deep, Isolation(), device, nodes)["GPU"] == gpus
    with pytest.raises(InputError, match=r"^--device cuda: Ray knows of no GPU in the cluster; use --device auto or"):
        resources_of(deep, Isolation(), "cuda", [SMALL])
    said = r"^small/itq/8-\w+ asks for 5 CPUs, .* no node of the cluster has \(at most 4 CPUs, 0 GPUs, 8\.0 GB"
    with pytest.raises(InputError, match=said):
        resources_of(shallow, Isolation(threads=5), "auto", [SMALL, SMALL])


def test_shallow_methods_ask_for_more_where_there_are_more_videos() -> None:
    summary = planned("itq")[0].summary
    large = summary.model_copy(update={"train_videos": 10**6, "dimensions": 4096})
    assert isinstance(large, Summary)
    for name, method in load_registry().methods.items():
        memory = method.resources(large).memory
        assert memory is not None, name
        assert memory > 10**6 * 4096 * 16, name


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
        (["--address", "auto"], "--address auto: is for Ray clusters; add --executor ray"),
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
