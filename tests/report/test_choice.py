"""The choice of a code takes what is cheap among the best, and says what no test can tell apart."""

from typing import Any

import pytest

from bench.base.errors import InputError
from bench.report.choice import Budget, choice
from bench.store.stored_run import StoredRun
from tests.report.conftest import Builder


def reference(run: StoredRun, size: int) -> StoredRun:
    """The run as one of a reference of so many bytes a video, whose search is not timed."""
    assert run.record.costs
    costs = run.record.costs.model_copy(update={"code_bytes": size, "search": None})
    return StoredRun(
        run.folder, run.record.model_copy(update={"bound": True, "reference": True, "costs": costs})
    )  # fmt: skip


@pytest.fixture
def codes(builder: Builder) -> list[StoredRun]:
    """Two seeds of codes whose scores vary by 0.1 among 40 queries: 0.005 more cannot be seen, 0.2 more can."""
    levels = (("alpha", 32, 0.5), ("alpha", 64, 0.505), ("beta", 32, 0.3), ("beta", 16, 0.25))
    return [builder.add(method, bits, seed, level) for method, bits, level in levels for seed in (0, 1)]


def mean(run: StoredRun) -> float:
    return run.record.metrics["strict"].map[20]


def test_the_cheapest_of_the_best_is_taken(codes: list[StoredRun], builder: Builder) -> None:
    builder.add("oracle", 16, 0, 0.9, bound=True)
    text = choice(builder.store.runs(), Budget(8))
    means = [(mean(codes[place]) + mean(codes[place + 1])) / 2 for place in (0, 2)]
    better = "ALPHA, 64 bits" if means[1] > means[0] else "ALPHA, 32 bits"
    assert f"  Take ALPHA, 32 bits: 4 bytes a video, mAP@20 {means[0]:.3f} (95% CI 0." in text
    assert better == "ALPHA, 64 bits"
    assert "the cheapest of the codes that cannot be told apart from the best, ALPHA, 64 bits, which has" in text
    assert f"{means[1] - means[0]:.3f} (95% CI -0." in text
    rows = [line.split("  ")[0] for line in text.splitlines() if " bits  " in line]
    assert rows == ["ALPHA, 64 bits", "ALPHA, 32 bits", "BETA, 32 bits", "BETA, 16 bits"]
    assert "†" not in "".join(line for line in text.splitlines() if line.startswith("BETA"))


@pytest.mark.parametrize(
    ("budget", "taken"),
    [
        (Budget(4), "ALPHA, 32 bits"),
        (Budget(2), "BETA, 16 bits"),
        # A query takes 20 * 0.05 ms of encoding, and 0.01 ms of search for each bit.
        (Budget(8, 1.2), "BETA, 16 bits"),
        (Budget(8, 1.33), "ALPHA, 32 bits"),
    ],
)
def test_only_what_fits_is_taken(codes: list[StoredRun], budget: Budget, taken: str) -> None:
    text = choice(codes, budget)
    assert f"Take {taken}:" in text
    assert f"at most {budget.size} bytes a video" in text


def test_what_is_no_hash_stands_beside(codes: list[StoredRun], builder: Builder) -> None:
    good, poor, same = (
        [reference(builder.add(name, 64, seed, level), 8) for seed in (0, 1)]
        for name, level in (("good", 0.8), ("poor", 0.2), ("same", 0.56))
    )
    exact = [reference(builder.add("exact", 16, 0, 0.9), 256)]
    text = choice([*codes, *good, *poor, *exact], Budget(8))
    assert "GOOD in 8 bytes is no hash, and is better than every code here: 0." in text
    assert "EXACT in 256 bytes, without any code, has 0." in text
    assert "Take ALPHA, 32 bits" in text
    assert "No quantiser within these bytes does better than the best code: POOR in 8 bytes has" in choice(
        [*codes, *poor], Budget(8)
    )
    text = choice([*codes, *same], Budget(8))
    assert "it cannot be told apart from the best code." in " ".join(text.split()), text
    assert "quantiser" not in choice([*codes, *good], Budget(4))


def test_one_seed_is_said(builder: Builder) -> None:
    runs = [builder.add("alpha", 32, 0, 0.5), builder.add("beta", 32, 0, 0.2)]
    text = choice(runs, Budget(8))
    assert "It is the best, and significantly better than all others." in text
    assert "One seed: other seeds may order the codes otherwise." in " ".join(text.split())
    assert "No other code was compared." in choice(runs[:1], Budget(8))


def test_nothing_fits(codes: list[StoredRun], builder: Builder) -> None:
    with pytest.raises(InputError, match=r"Toy videos: no finished run of a hash code fits --bytes 1$"):
        choice(codes, Budget(1))
    with pytest.raises(InputError, match=r"fits --bytes 8 and 0.5 ms a query; the fastest takes 1.16 ms"):
        choice(codes, Budget(8, 0.5))
    other = builder.add("alpha", 8, 0, dataset="other", dataset_title="Others", fingerprint="e" * 64)
    found = choice([*codes, other], Budget(1)).splitlines()
    assert (found[0], found[-1]) == ("Others", "Toy videos: no finished run of a hash code fits --bytes 1")


def test_runs_that_failed_are_no_choice(builder: Any) -> None:
    runs = [builder.add("alpha", 16, 0, 0.8, reason="out of memory"), builder.add("beta", 16, 0, 0.5)]
    assert "Take BETA, 16 bits" in choice(runs, Budget(8))
