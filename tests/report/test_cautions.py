"""Results that are shown with a reason to doubt them."""

from pathlib import Path
from typing import Any

import pytest

from bench.metrics.codes import Chance, Diagnostics
from bench.report.problems import cautions, last_share
from bench.report.runs import name_runs
from bench.report.terminal import summary
from bench.report.write import write_report
from bench.store.stored_run import StoredRun
from tests.report.conftest import Builder


def seen(builder: Builder, run: StoredRun, **changes: Any) -> list[str]:
    """The cautions of one run whose record says something else."""
    record = run.record.model_copy(update=changes)
    return cautions(name_runs([StoredRun(run.folder, record)]))


def diagnostics(
    value: float = 0.1, error: float = 0.01, *, constant: int = 0, copied: int = 0, entropy: float | None = None,
    effective: float | None = None,
) -> Diagnostics:  # fmt: skip
    chance = {"strict": {20: Chance(value=value, error=error)}}
    return Diagnostics(
        constant_bits=constant,
        copied_bits=copied,
        distinct_codes=1.0,
        bit_entropy=entropy,
        effective_bits=effective,
        random=chance,
    )


def test_the_share_of_the_fall_that_came_last() -> None:
    assert last_share([10, 6, 4, 3, 2], 1) == pytest.approx(1 / 8)
    assert last_share([10, 6, 4, 3, 2], 2) == pytest.approx(2 / 8)
    assert last_share([1, 2], 1) == 0
    assert last_share([2, 1], 1) == 1
    assert last_share([3, 1, 2], 1) == 0


def losses(*values: float) -> list[dict[str, float]]:
    return [{"epoch": float(epoch), "loss": value} for epoch, value in enumerate(values)]


def test_training_cut_short(builder: Builder) -> None:
    run = builder.add("mine", 16)
    assert seen(builder, run, history=losses(10, 2, 1.1, 1.05, 1.0)) == []
    (falling,) = seen(builder, run, history=losses(10, 8, 6, 4, 2))
    assert falling.startswith("MINE, 16 bits, seed 0: the loss was still falling")
    assert "25% of its fall came in the last of 5 epochs" in falling
    (single,) = seen(builder, run, history=losses(10))
    assert "one epoch" in single
    assert seen(builder, run, history=[]) == []


def test_codes_that_say_little(builder: Builder) -> None:
    run = builder.add("mine", 16, level=0.5)
    settled = losses(10, 2, 1.1, 1.05, 1.0)
    assert seen(builder, run, history=settled, diagnostics=diagnostics()) == []
    constant, copied = seen(
        builder, run, history=settled, diagnostics=diagnostics(constant=3, copied=2)
    )  # fmt: skip
    assert "bits are the same for every video (3 of 16)" in constant
    assert "bits copy others (2 of 16)" in copied


def test_bits_that_hardly_vary(builder: Builder) -> None:
    run = builder.add("mine", 16, level=0.5)
    settled = losses(10, 2, 1.1, 1.05, 1.0)
    (dead,) = seen(builder, run, history=settled, diagnostics=diagnostics(entropy=0.31))
    assert "bits are nearly the same for every video (mean entropy 0.31 of 1)" in dead
    assert seen(builder, run, history=settled, diagnostics=diagnostics(entropy=0.9)) == []


def test_codes_that_collapsed(builder: Builder) -> None:
    run = builder.add("mine", 16, level=0.5)
    settled = losses(10, 2, 1.1, 1.05, 1.0)
    (collapsed,) = seen(builder, run, history=settled, diagnostics=diagnostics(effective=1.9))
    assert "the codes collapsed: bits tell nearly the same (1.9 effective bits)" in collapsed
    assert seen(builder, run, history=settled, diagnostics=diagnostics(effective=2.1)) == []


def test_no_better_than_random(builder: Builder) -> None:
    run = builder.add("mine", 16, level=0.5)
    settled = losses(10, 2, 1.1, 1.05, 1.0)
    score = run.record.metrics["strict"].map[20]
    # Above random codes by 1.9 and by 2.1 standard errors.
    (weak,) = seen(builder, run, history=settled, diagnostics=diagnostics(score - 0.019, 0.01))
    assert f"not above random codes (mAP@20 {score:.3f}, random {score - 0.019:.3f}, protocol strict)" in weak
    assert seen(builder, run, history=settled, diagnostics=diagnostics(score - 0.021, 0.01)) == []
    assert seen(builder, run, history=settled, bound=True, diagnostics=diagnostics(score, 0.01)) == []


def test_one_sentence_for_all_lengths_and_seeds(builder: Builder) -> None:
    runs = [builder.add("mine", bits, seed, epochs=1) for bits in (16, 32) for seed in (0, 1)]
    (sentence,) = cautions(name_runs(runs))
    assert sentence.startswith("MINE, 16, 32 bits, seeds 0, 1: trained for one epoch")


def test_shown_first_in_the_report_and_in_the_terminal(builder: Builder, tmp_path: Path) -> None:
    builder.add("mine", 16, epochs=1, title="A_B <i>")
    runs = list(builder.store.runs())
    text = write_report(runs, tmp_path / "report").read_text(encoding="utf-8")
    assert text.index("Be careful with") < text.index("## How to read this")
    assert r"A\_B" in text[text.index("Be careful with") :][:60]
    assert "A_B <i>, 16 bits, seed 0: trained for one epoch" in summary(runs)
