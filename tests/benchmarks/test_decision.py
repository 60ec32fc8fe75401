"""Is a path slower by more than noise? Decided on recorded and on simulated ratios."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import InputError
from tests.benchmarks.baseline import (
    Baseline,
    Figure,
    baseline_of,
    judge,
    quicker_of_both,
    read_baseline,
    slower,
    spread_of,
    write_baseline,
)
from tests.benchmarks.speed_check import BASELINE

KERNELS = ("product",)
MACHINE = {"cpu": "made up"}
PATHS = [f"path-{number}" for number in range(17)]


def session(random: np.random.Generator, noise: float, slow: dict[str, float] | None = None) -> dict[str, Figure]:
    """Ratios around 5, with normal noise on their logarithms; `slow` paths take so many times as long."""
    return {
        path: Figure(KERNELS, 5 * (slow or {}).get(path, 1) * math.exp(noise * random.standard_normal()))
        for path in PATHS
    }


def learned(random: np.random.Generator, noise: float) -> Baseline:
    return baseline_of([session(random, noise) for _ in range(5)], MACHINE, "2026-01-01")


def found_slower(random: np.random.Generator, baseline: Baseline, noise: float, slow: dict[str, float]) -> list[str]:
    """What the check ends with: what seems slower is measured again, and the lower figure counts."""
    figures = session(random, noise, slow)
    suspects = slower(judge(figures, baseline))
    again = session(random, noise, slow)
    return slower(judge(quicker_of_both(figures, {path: again[path] for path in suspects}), baseline))


def test_clean_sessions_are_not_flagged() -> None:
    """Less than one session in a hundred, of 17 paths with noise that the baseline has learned from five sessions."""
    random = np.random.default_rng(0)
    flagged = 0
    for _ in range(25):
        noise = random.uniform(0.005, 0.05)
        baseline = learned(random, noise)
        flagged += sum(bool(found_slower(random, baseline, noise, {})) for _ in range(20))
    assert flagged < 5


def test_a_slowdown_of_30_percent_is_caught_and_named() -> None:
    """With the noise that was measured: in 19 of 20 sessions at least, and no other path is blamed."""
    random = np.random.default_rng(1)
    caught = others = 0
    for _ in range(100):
        noise = random.uniform(0.005, 0.035)
        baseline = learned(random, noise)
        slow = PATHS[random.integers(len(PATHS))]
        found = found_slower(random, baseline, noise, {slow: 1.3})
        caught += slow in found
        others += bool(set(found) - {slow})
    assert caught >= 95
    assert others <= 2


@given(st.floats(1.0, 3.0), st.lists(st.floats(4.5, 5.5), min_size=5, max_size=9))
def test_only_what_passes_the_tolerance_is_slower(factor: float, runs: list[float]) -> None:
    """Against the definition, written out: 12 %, or three times the spread of the runs' logarithms."""
    baseline = baseline_of([{"path": Figure(KERNELS, run)} for run in runs], MACHINE, "")
    logarithms = [math.log(run) for run in runs]
    mean = sum(logarithms) / len(runs)
    spread = math.sqrt(sum((value - mean) ** 2 for value in logarithms) / (len(runs) - 1))
    (judgement,) = judge({"path": Figure(KERNELS, baseline.paths["path"].ratio * factor)}, baseline)
    assert judgement.tolerance == pytest.approx(max(0.12, 3 * spread), abs=4e-4)
    assert judgement.factor == pytest.approx(factor)
    assert (judgement.verdict == "SLOWER") == (judgement.factor > 1 + judgement.tolerance)


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=9), st.floats(0.01, 100))
def test_the_spread_knows_no_units(runs: list[float], unit: float) -> None:
    assert spread_of([run * unit for run in runs]) == pytest.approx(spread_of(runs), abs=1e-9)


def test_the_spread_of_normal_noise_is_its_standard_deviation() -> None:
    runs = np.exp(0.05 * np.random.default_rng(2).standard_normal(20_000))
    assert spread_of(list(runs)) == pytest.approx(0.05, rel=0.05)


def test_recorded_sessions() -> None:
    """Five sessions; then one a little slower, one faster, one much slower, one unknown, one in other units."""
    runs = [3.0, 3.1, 3.05, 2.95, 3.02]
    names = ["a", "b", "c", "e"]
    baseline = baseline_of([{name: Figure(KERNELS, run) for name in names} for run in runs], MACHINE, "")
    figures = {
        "a": Figure(KERNELS, 3.3),
        "b": Figure(KERNELS, 2.1),
        "c": Figure(KERNELS, 3.93),
        "d": Figure(KERNELS, 1.0),
        "e": Figure(("loop",), 3.0),
    }
    found = judge(figures, baseline)
    assert [judgement.verdict for judgement in found] == ["as fast", "faster", "SLOWER", "new", "new"]
    assert found[2].factor == pytest.approx(3.93 / 3.02)
    assert slower(found) == ["c"]


def test_a_path_counts_as_noisy_as_the_typical_one() -> None:
    """Five sessions that agree by chance do not make a path calm."""
    sessions = [
        {"calm": Figure(KERNELS, 5.0), "b": Figure(KERNELS, 5 * factor), "c": Figure(KERNELS, 5 * factor)}
        for factor in (0.92, 0.96, 1.0, 1.04, 1.08)
    ]
    baseline = baseline_of(sessions, MACHINE, "")
    assert baseline.paths["calm"].spread == 0
    assert baseline.tolerance("calm") == baseline.tolerance("b") > 0.12


def test_a_path_that_a_session_lacks_is_left_out() -> None:
    one, other = {"a": Figure(KERNELS, 1.0), "b": Figure(KERNELS, 2.0)}, {"a": Figure(KERNELS, 1.1)}
    assert list(baseline_of([one, other], MACHINE, "").paths) == ["a"]


def test_the_file_keeps_all(tmp_path: Path) -> None:
    baseline = learned(np.random.default_rng(3), 0.02)
    write_baseline(tmp_path / "baseline.json", baseline)
    assert read_baseline(tmp_path / "baseline.json") == baseline


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot be read"), ("{", "write it anew"), (json.dumps({"written": "", "machine": {}}), "paths")],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "baseline.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=rf"baseline\.json: .*{message}"):
        read_baseline(file)


def test_the_committed_baseline_can_catch_a_slowdown_of_30_percent_everywhere() -> None:
    baseline = read_baseline(BASELINE)
    assert all(len(known.runs) >= 5 for known in baseline.paths.values())
    assert {path for path in baseline.paths if baseline.tolerance(path) >= 0.3} == set()
