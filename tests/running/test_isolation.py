"""Runs in processes of their own: whatever a method does there is a row, and the others go on."""

import shlex
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.running.failures import LONGEST_REASON
from bench.running.isolation import Isolation, resident
from bench.running.runner import Runner
from bench.store.store import Store
from tests.conftest import survived
from tests.running.conftest import PLUGIN, planned, records, runner

WRONG = {
    "segfault": "segmentation fault (signal 11)",
    "abort": "aborted (signal 6)",
    "exits": "its process ended without a result, with exit status 3",
    "leaves": "SystemExit: enough",
    "raises": "ValueError: nothing works",
    "names-file": r"RuntimeError: caf\udce9 is missing",
    "silent": "SilentError: its message cannot be formatted (RuntimeError)",
    "talks": "ValueError: word word",
    "cancelled": "CancelledError: no longer wanted",
    "nan": "OutputError: nan gave NaN or infinite outputs",
    "wrong-shape": "OutputError: wrong-shape gave outputs of shape",
    "constant": "OutputError: constant gave all 40 videos the same code",
}  # fmt: skip
ALIVE = (
    "leaves", "raises", "names-file", "silent", "talks", "cancelled", "nan", "wrong-shape", "constant"
)  # fmt: skip


def isolated_runner(results: Path, said: list[str] | None = None, existing: str = "reuse", **rules: Any) -> Runner:
    isolation = Isolation((PLUGIN,), threads=1, **rules)
    return runner(results, said, isolation, existing=existing)


def test_one_run_cannot_harm_another(starter: ForkServerContext, features: Path, tmp_path: Path) -> None:
    said: list[str] = []
    runs = isolated_runner(tmp_path, said, jobs=2).run(planned(features, ",".join([*WRONG, "plain"])))
    assert [run.record.spec.method for run in runs] == [*WRONG, "plain"]
    for run, expected in zip(runs, WRONG.values(), strict=False):
        assert run.record.status == "failed"
        assert str(run.record.reason).startswith(expected), run.record.reason
        text = run.verified("traceback.txt").read_text(encoding="utf-8")
        assert f"bench run --methods {run.record.spec.method} " in text
        assert "--existing retry-failed --isolate --threads 1 --plugin" in text
    by_method = {run.record.spec.method: run for run in runs}
    assert by_method["plain"].record.status == "done"
    assert by_method["plain"].record.environment["threads"] == 1
    assert "last words" in by_method["exits"].verified("traceback.txt").read_text(encoding="utf-8")
    assert "in misbehave" in by_method["segfault"].verified("traceback.txt").read_text(encoding="utf-8")
    assert not list((tmp_path / ".leases").iterdir())
    survived("methods that crash, exit or give nonsense, isolated", len(WRONG))


def test_in_this_process_too_nonsense_is_a_row(features: Path, tmp_path: Path) -> None:
    runs = runner(tmp_path).run(planned(features, ",".join([*ALIVE, "plain"])))
    for run, method in zip(runs, ALIVE, strict=False):
        assert str(run.record.reason).startswith(WRONG[method]), run.record.reason
        assert len(str(run.record.reason)) <= LONGEST_REASON
        assert "--isolate" not in run.verified("traceback.txt").read_text(encoding="utf-8")
    assert runs[-1].record.status == "done"
    assert Store(tmp_path).find(runs[2].record.spec) == runs[2]
    survived("methods that raise or give nonsense, in the process of the sweep", len(ALIVE))


@pytest.mark.parametrize("isolated", [False, True])
def test_a_method_that_changes_the_working_directory(
    isolated: bool, starter: ForkServerContext, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make = isolated_runner if isolated else runner
    runs = make(Path("results")).run(planned(features, "wanders,plain"))
    assert [run.record.status for run in runs] == ["done", "done"]
    assert len(records(tmp_path / "results")) == 2
    assert Path.cwd() == tmp_path
    survived("methods that change the working directory")


def test_an_interrupt_of_a_method_is_one(features: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        runner(tmp_path).run(planned(features, "interrupted"))
    assert not list(Store(tmp_path).runs())


def test_a_crash_is_tried_again_apart(
    starter: ForkServerContext, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (first,) = isolated_runner(tmp_path / "runs").run(planned(features, "segfault"))
    again = shlex.split(first.verified("traceback.txt").read_text(encoding="utf-8").splitlines()[-1])
    assert "--isolate" in again
    assert main(again[1:]) == 1
    second = Store(tmp_path / "runs").find(first.record.spec)
    assert second
    assert second.record.reason == first.record.reason
    assert second.record.started != first.record.started or second.record.durations != first.record.durations


@pytest.mark.parametrize(
    ("method", "rules", "status", "reason"),
    [
        ("hangs", {"time_limit": 1.0}, "timeout", "not done after 1 s (--time-limit)"),
        ("hog", {"memory_limit": 10**9}, "failed", "more than 1 GB of memory (--memory-limit)"),
    ],
)
def test_limits(
    method: str, rules: dict[str, Any], status: str, reason: str, starter: ForkServerContext, features: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    (wrong,) = isolated_runner(tmp_path, **rules).run(planned(features, method))
    assert wrong.record.status == status
    assert str(wrong.record.reason).startswith(reason)
    survived(f"methods over a limit ({method})")


def test_codes_do_not_depend_on_the_process(starter: ForkServerContext, features: Path, tmp_path: Path) -> None:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runner(tmp_path / "here").run(planned(features, "steady,plain", epochs=3))
    finally:
        torch.set_num_threads(before)
    isolated_runner(tmp_path / "isolated", jobs=2).run(planned(features, "steady,plain", epochs=3))
    assert records(tmp_path / "here") == records(tmp_path / "isolated")


def test_only_failed_ones_are_tried_again(
    starter: ForkServerContext, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINED", str(tmp_path / "mark"))
    said: list[str] = []
    wanted = planned(features, "plain,exits")
    done, failed = isolated_runner(tmp_path / "runs").run(wanted)
    kept = isolated_runner(tmp_path / "runs").run(wanted)
    assert kept == [done, failed]
    again = isolated_runner(tmp_path / "runs", said, "retry-failed").run(wanted)
    assert again[0] == done
    assert again[1].record.status == "failed"
    assert sum(": started" in line or "exit status 3" in line for line in said) == 1


def test_memory_counts_what_a_process_has_started() -> None:
    assert resident(None) > 10**6
    assert resident(2**30) == 0
