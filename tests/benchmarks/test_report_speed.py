"""How long stored runs take to be verified and reported: `pytest --benchmark-only tests/benchmarks`.

The first report of a sweep draws its figures, which takes most of the time; a report that would come out as it stands
is left as it is, so that only reading and verifying remain.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.report.runs import bits_of, name_runs
from bench.report.significance import indistinguishable
from bench.report.terminal import summary
from bench.report.write import write_report
from bench.store.store import Store
from bench.store.verify import verify
from tests.report.conftest import KS, Builder
from tests.report.test_confidence import one_by_one

PROTOCOLS = ("paper", "strict")


def sweep(root: Path, methods: int, bits: tuple[int, ...], seeds: int, queries: int) -> Store:
    builder = Builder(Store(root), queries)
    for method in range(methods):
        for length in bits:
            for seed in range(seeds):
                builder.add(f"method{method}", length, seed, 0.3 + 0.03 * method + length / 1000, epochs=50)
    return builder.store


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_a_finished_sweep_of_1000_runs(benchmark: Any, tmp_path: Path) -> None:
    """10 methods × 5 code lengths × 20 seeds, 1,000 queries, two protocols: verify, summary, report."""
    store = sweep(tmp_path / "results", 10, (16, 32, 64, 96, 128), 20, 1000)

    def report() -> None:
        runs = list(store.runs())
        summary(runs)
        write_report(runs, tmp_path / "report")

    first = seconds(report)

    def verify_and_report() -> None:
        assert not verify(store).findings
        report()

    benchmark.pedantic(verify_and_report, rounds=3, iterations=1)
    again = benchmark.stats.stats.median
    specs = [run.record.spec for run in store.runs()]
    finding = seconds(lambda: [store.find(spec) for spec in specs]) / len(specs)
    benchmark.extra_info.update(first_report_seconds=first, find_milliseconds=1000 * finding)
    print(
        f"\nfirst report {first:.1f} s; verified and reported again {again:.2f} s; find {1000 * finding:.2f} ms a run"
    )
    assert again < first / 2


def test_the_tests_of_a_report_of_fcvids_size(benchmark: Any, tmp_path: Path) -> None:
    """11 methods × 3 code lengths, 45,600 queries, two protocols, six k: all k at once, beside one after the other."""
    store = sweep(tmp_path / "results", 11, (16, 32, 64), 1, 45_600)
    runs = name_runs(store.runs())
    groups = [[run for run in runs if run.bits == bits] for bits in bits_of(runs)]
    asked = [(group, protocol) for group in groups for protocol in PROTOCOLS]
    others: list[float] = []
    benchmark.pedantic(
        lambda: [indistinguishable(group, protocol, KS) for group, protocol in asked],
        setup=lambda: others.append(seconds(lambda: [one_by_one(group, protocol) for group, protocol in asked])),
        rounds=2,
        iterations=1,
    )
    ratio = float(np.median(others)) / benchmark.stats.stats.median
    benchmark.extra_info.update(other_seconds=float(np.median(others)), times_faster=ratio)
    print(
        f"\nours {benchmark.stats.stats.median:.2f} s, one by one {np.median(others):.2f} s: {ratio:.1f} times faster"
    )
    assert ratio > 1.5
