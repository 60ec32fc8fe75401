"""Is anything slower than it was? `tox -e perf` asks; docs/speed-checks.md explains.

python -m tests.benchmarks.speed_check                     # compare with the committed baseline
python -m tests.benchmarks.speed_check --write-baseline    # after a change of speed that is meant
python -m tests.benchmarks.speed_check --prove 7           # slow a path by 30 %; the seed says which
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from bench.base.errors import InputError
from bench.profile.environment import environment
from bench.report.tables import NOTHING, number

from .baseline import (
    Baseline,
    Figure,
    Judgement,
    baseline_of,
    judge,
    quicker_of_both,
    read_baseline,
    slower,
    write_baseline,
)
from .calibration import SLOWDOWN, TURNS

ROOT = Path(__file__).resolve().parents[2]
SUITE = "tests/benchmarks/test_paths.py"
BASELINE = Path(__file__).with_name("baseline.json")
SESSIONS = 5
SLOWED_BY = 0.3
# One thread: the processor time of several depends on how they happen to meet.
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
DESCRIBED = ("cpu", "cores", "system", "python", "libraries")


def measure(paths: Sequence[str] = (), slowed: str | None = None) -> dict[str, Figure]:
    """The figures of one session, in a process of its own: all paths or these, of each the median over its turns.

    Raises InputError if the benchmarks do not run.
    """
    started, load = time.perf_counter(), os.getloadavg()[0]
    tests = [f"{SUITE}::test_path[{turn}-{path}]" for turn in range(TURNS) for path in paths] or [SUITE]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        options = ["-q", "--benchmark-only", "--benchmark-autosave", f"--benchmark-json={file}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *tests, *options],
            check=False,
            cwd=ROOT,
            env=os.environ | THREADS | ({SLOWDOWN: f"{slowed}={SLOWED_BY}"} if slowed else {}),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise InputError(f"the benchmarks do not run: {(done.stdout + done.stderr)[-2000:]}")
        found = figures_of(json.loads(file.read_text(encoding="utf-8")))
    _say(f"measured {len(found)} paths in {time.perf_counter() - started:.0f} s, load {load:.1f}")
    return found


def figures_of(saved: dict[str, Any]) -> dict[str, Figure]:
    """The figures in what pytest-benchmark saved."""
    turns: dict[str, list[Figure]] = {}
    for record in saved["benchmarks"]:
        extra = record["extra_info"]
        turns.setdefault(extra["path"], []).append(Figure(tuple(extra["kernels"]), extra["ratio"]))
    return {
        path: Figure(found[0].kernels, float(np.median([figure.ratio for figure in found])))
        for path, found in turns.items()
    }


def check(baseline: Baseline, slowed: str | None = None) -> int:
    """Measure, judge, and measure again what seems slower. 1 if a path is, on a processor like the baseline's."""
    figures = measure(slowed=slowed)
    suspects = slower(judge(figures, baseline))
    if suspects:
        _say(f"seem slower, measured again: {', '.join(suspects)}")
        figures = quicker_of_both(figures, measure(suspects, slowed))
    judgements = judge(figures, baseline)
    print(table(judgements, baseline, figures))
    return verdict(judgements, baseline, machine())


def verdict(judgements: Sequence[Judgement], baseline: Baseline, here: dict[str, Any]) -> int:
    """Say what was found; the exit status."""
    found = [judgement for judgement in judgements if judgement.verdict == "SLOWER"]
    for judgement in found:
        _say(
            f"{judgement.path} takes {judgement.factor:.2f} times as long as in the baseline; noise explains "
            f"{1 + judgement.tolerance:.2f}"
        )
    new = [judgement.path for judgement in judgements if judgement.verdict == "new"]
    if new:
        _say(f"not in the baseline: {', '.join(new)}; add them with --write-baseline")
    known = baseline.machine.get("cpu")
    if here["cpu"] != known:
        _say(f"this is {here['cpu']}, the baseline comes from {known}: ratios shift between processors, so that "
             "nothing fails here; compare with a baseline of this machine (--baseline FILE)")  # fmt: skip
        return 0
    if not found:
        _say("nothing is slower by more than noise")
    return 1 if found else 0


def table(judgements: Sequence[Judgement], baseline: Baseline, figures: dict[str, Figure]) -> str:
    """All paths with their figures, in units of their kernels."""
    rows = [
        (
            judgement.path,
            "·".join(figures[judgement.path].kernels),
            number(baseline.paths[judgement.path].ratio, decimals=2) if judgement.verdict != "new" else NOTHING,
            number(figures[judgement.path].ratio, decimals=2),
            number(judgement.factor, decimals=2),
            number(1 + judgement.tolerance, decimals=2),
            judgement.verdict,
        )
        for judgement in judgements
    ]
    header = ("path", "in units of", "baseline", "now", "factor", "tolerated", "verdict")
    sides = ("left", "left", "right", "right", "right", "right", "left")
    return tabulate(rows, headers=header, disable_numparse=True, colalign=sides)


def renew(file: Path) -> int:
    """Measure the sessions that a baseline takes, and write it."""
    sessions = []
    for session in range(SESSIONS):
        _say(f"session {session + 1} of {SESSIONS}")
        sessions.append(measure())
    baseline = baseline_of(sessions, machine(), datetime.now(UTC).date().isoformat())
    write_baseline(file, baseline)
    for path in baseline.paths:
        if baseline.tolerance(path) >= SLOWED_BY:
            _say(f"{path} is too noisy to catch a slowdown of {SLOWED_BY:.0%}: write the baseline on a calmer machine")
    _say(f"written: {file}")
    return 0


def machine() -> dict[str, Any]:
    """This machine, as a baseline describes it."""
    found = environment(torch.device("cpu"))
    return {name: found[name] for name in DESCRIBED}


def drawn(seed: int, paths: Iterable[str]) -> str:
    """The path that a seed draws."""
    return random.Random(seed).choice(sorted(paths))


def _say(line: str) -> None:
    print(f"speed check: {line}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="speed_check", description="Is anything slower than it was?")
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="another file than the committed one")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--write-baseline", action="store_true", help="measure five sessions and write the baseline")
    group.add_argument("--prove", type=int, metavar="SEED", help="slow the path that the seed draws by 30 %%")
    given = parser.parse_args(arguments)
    try:
        if given.write_baseline:
            return renew(given.baseline)
        baseline = read_baseline(given.baseline)
        slowed = None if given.prove is None else drawn(given.prove, baseline.paths)
        if slowed:
            _say(f"{slowed} is slowed by {SLOWED_BY:.0%}")
        return check(baseline, slowed)
    except InputError as error:
        _say(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main())
