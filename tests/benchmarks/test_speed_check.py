"""The command around the decision: what it measures again, says, and ends with."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.base.errors import InputError
from bench.registry import load_registry
from tests.benchmarks import speed_check
from tests.benchmarks.baseline import Baseline, Figure, baseline_of, read_baseline, write_baseline
from tests.benchmarks.speed_check import BASELINE, check, drawn, figures_of, machine, main

KERNELS = ("product", "copy")
Measured = dict[str, float]


def baseline(cpu: str | None = None) -> Baseline:
    here = machine() | ({"cpu": cpu} if cpu else {})
    return baseline_of([{name: Figure(KERNELS, 2.0) for name in ("encode", "search")}] * 5, here, "2026-01-01")


class Sessions:
    """Gives recorded sessions in place of measured ones, and notes what was asked for."""

    def __init__(self, *sessions: Measured) -> None:
        self.left = list(sessions)
        self.asked: list[tuple[list[str], str | None]] = []

    def __call__(self, paths: Sequence[str] = (), slowed: str | None = None) -> dict[str, Figure]:
        self.asked.append((list(paths), slowed))
        return {path: Figure(KERNELS, ratio) for path, ratio in self.left.pop(0).items()}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    sessions = Sessions()
    monkeypatch.setattr(speed_check, "measure", sessions)
    return sessions


def test_clean(recorded: Sessions, capsys: pytest.CaptureFixture[str]) -> None:
    recorded.left = [{"encode": 2.1, "search": 1.9}]
    assert check(baseline()) == 0
    output = capsys.readouterr()
    assert "nothing is slower by more than noise" in output.err
    assert output.out.splitlines()[2].split() == [
        "encode", "product·copy", "2.00", "2.10", "1.05", "1.12", "as", "fast",
    ]  # fmt: skip


def test_a_slowdown_fails_and_is_named_with_factor_and_tolerance(
    recorded: Sessions, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.left = [{"encode": 2.7, "search": 2.0}, {"encode": 2.6}]
    assert check(baseline()) == 1
    assert recorded.asked == [([], None), (["encode"], None)]
    output = capsys.readouterr()
    assert "encode takes 1.30 times as long as in the baseline; noise explains 1.12" in output.err
    assert "SLOWER" in output.out


def test_what_is_slow_only_once_passes(recorded: Sessions) -> None:
    recorded.left = [{"encode": 2.7, "search": 2.6}, {"encode": 2.0, "search": 2.1}]
    assert check(baseline()) == 0


def test_another_processor_reports_and_does_not_fail(recorded: Sessions, capsys: pytest.CaptureFixture[str]) -> None:
    recorded.left = [{"encode": 2.7, "search": 2.0}, {"encode": 2.7}]
    assert check(baseline("Some Other Processor")) == 0
    error = capsys.readouterr().err
    assert "encode takes 1.35 times as long" in error
    assert "the baseline comes from Some Other Processor" in error


def test_a_new_path_is_reported_and_does_not_fail(recorded: Sessions, capsys: pytest.CaptureFixture[str]) -> None:
    recorded.left = [{"encode": 2.0, "search": 2.0, "brand-new": 9.0}]
    assert check(baseline()) == 0
    assert "not in the baseline: brand-new; add them with --write-baseline" in capsys.readouterr().err


def test_the_proof_slows_the_drawn_path_in_both_sessions(
    recorded: Sessions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "baseline.json"
    write_baseline(file, baseline())
    slow = drawn(3, ["search", "encode"])
    slowed = {"encode": 2.0, "search": 2.0} | {slow: 2.6}
    recorded.left = [slowed, {slow: 2.6}]
    assert main(["--baseline", str(file), "--prove", "3"]) == 1
    assert recorded.asked == [([], slow), ([slow], slow)]
    assert f"{slow} is slowed by 30%" in capsys.readouterr().err


def test_writing_takes_five_sessions(recorded: Sessions, tmp_path: Path) -> None:
    recorded.left = [{"encode": ratio} for ratio in (2.0, 2.1, 1.9, 2.05, 1.95)]
    file = tmp_path / "baseline.json"
    assert main(["--baseline", str(file), "--write-baseline"]) == 0
    written = read_baseline(file)
    assert written.paths["encode"].ratio == 2.0
    assert written.paths["encode"].runs == (2.0, 2.1, 1.9, 2.05, 1.95)
    assert written.machine == machine()


def test_a_path_too_noisy_for_a_slowdown_of_30_percent_is_named(
    recorded: Sessions, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded.left = [{"encode": ratio} for ratio in (2.0, 2.4, 1.6, 2.3, 1.7)]
    assert main(["--baseline", str(tmp_path / "baseline.json"), "--write-baseline"]) == 0
    assert "encode is too noisy to catch a slowdown of 30%" in capsys.readouterr().err


def test_a_figure_is_the_median_of_its_turns() -> None:
    records = [
        {"extra_info": {"path": path, "kernels": list(KERNELS), "ratio": ratio}}
        for path, ratio in (("a", 3.0), ("b", 1.0), ("a", 9.0), ("b", 2.0), ("a", 2.0), ("b", 8.0))
    ]
    assert figures_of({"benchmarks": records}) == {"a": Figure(KERNELS, 3.0), "b": Figure(KERNELS, 2.0)}


def test_benchmarks_that_do_not_run_are_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InputError("the benchmarks do not run: no module named numba")

    monkeypatch.setattr(speed_check, "measure", fail)
    assert main([]) == 2
    assert capsys.readouterr().err == "speed check: the benchmarks do not run: no module named numba\n"


def test_every_built_in_method_is_watched() -> None:
    registry = load_registry()
    built_in = {name for name, method in registry.methods.items() if method.__module__.startswith("bench.methods")}
    watched = set(read_baseline(BASELINE).paths)
    # Measured and not compared, until a baseline with them is written on a calm machine.
    later = {"conmh", "autossvh", "s5vh", "sh", "sph", "wsch", "dkph", "bervae", "ssth", "ssvh",
             "float", "pq", "opq", "rabitq"}  # fmt: skip
    assert {f"encode-{name}" for name in built_in - later} <= watched
    assert {"train-bth", "train-mcmsh", "evaluate", "anchor-graph", "start-up", "render-report"} <= watched
