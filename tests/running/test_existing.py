"""What becomes of runs that are stored already: by hand, and that a dry run says what a run does."""

import shutil
from pathlib import Path
from typing import get_args

import pytest
import torch

from bench.base.errors import InputError
from bench.running.estimate import dry_run
from bench.running.plan import Existing, action_for, check_existing
from bench.store.record import Status
from bench.store.store import Store
from bench.store.stored_run import CODES, StoredRun
from tests.running.conftest import planned, runner
from tests.store.conftest import record_of, spec_of

POLICIES = get_args(Existing)


@pytest.mark.parametrize(
    ("policy", "nothing", "done", "failed", "timeout"),
    [
        ("reuse", "do", "reuse", "reuse", "reuse"),
        ("rerun", "do", "do", "do", "do"),
        ("retry-failed", "do", "reuse", "do", "do"),
        ("remeasure", "do", "reuse", "reuse", "reuse"),
        ("only-cached", "skip", "reuse", "reuse", "reuse"),
    ],
)
def test_every_policy(policy: Existing, nothing: str, done: str, failed: str, timeout: str) -> None:
    assert action_for(policy, None) == nothing
    expectations: dict[Status, str] = {"done": done, "failed": failed, "timeout": timeout}
    for status, expected in expectations.items():
        assert action_for(policy, StoredRun(Path(), record_of(spec_of(), status))) == expected


def test_policies_by_name() -> None:
    assert [check_existing(policy) for policy in POLICIES] == list(POLICIES)
    with pytest.raises(InputError, match="unknown policy 'again' for --existing: known: reuse, rerun, retry-failed"):
        check_existing("again")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, features: Path) -> Path:
    """Runs done, done and damaged since, and failed; and one that is not there."""
    root = tmp_path_factory.mktemp("stored")
    wanted = planned(features, "plain,raises", 3)
    runner(root).run(wanted)
    codes = root / wanted[1].spec.folder / CODES
    codes.write_bytes(codes.read_bytes()[:-1] + b"x")
    shutil.rmtree(root / wanted[2].spec.folder)
    return root


@pytest.mark.parametrize("policy", POLICIES)
def test_a_dry_run_says_what_a_run_does(
    policy: Existing, stored: Path, features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = planned(features, "plain,raises", 3)
    for name in ("dry", "real"):
        shutil.copytree(stored, tmp_path / name)
    table = dry_run(wanted, Store(tmp_path / "dry", lambda line: None), policy, torch.device("cpu"), 1)
    states = [line.split("  ")[0] for line in table.splitlines()[2:8]]
    done: list[str] = []

    def spy(run: object, *arguments: object) -> object:
        done.append(run.spec.identity)  # type: ignore[attr-defined]
        return do_run(run, *arguments)  # type: ignore[arg-type]

    from bench.running.one_run import do_run

    monkeypatch.setattr("bench.running.runner.do_run", spy)
    monkeypatch.setattr(
        "bench.running.runner.measure_runs", lambda runs, *_: [RuntimeError("not measured")] * len(runs)
    )
    said: list[str] = []
    found = runner(tmp_path / "real", said, existing=policy).run(wanted)
    to_do = [run.spec.identity for run, state in zip(wanted, states, strict=True) if state.startswith("to do")]
    assert done == to_do
    skipped = [number for number, state in enumerate(states, start=1) if state == "not stored, skipped"]
    assert skipped == [int(line[1]) for line in said if line.endswith("skipped (--existing only-cached)")]
    assert len(found) == len(wanted) - len(skipped)
    assert f"{len(to_do)} of 6 runs to do" in table
    expected = {"reuse": [1, 2], "rerun": [0, 1, 2, 3, 4, 5], "retry-failed": [1, 2, 3, 4, 5], "only-cached": []}
    expected["remeasure"] = expected["reuse"]
    assert to_do == [wanted[number].spec.identity for number in expected[policy]]
