"""Two results folders side by side: what faces what, what is marked, what is listed."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.base.errors import InputError
from bench.cli import main
from bench.report.comparison import compare_folders
from bench.store.store import Store
from bench.store.stored_run import PER_QUERY, StoredRun
from tests.report.conftest import Builder

Sides = tuple[Builder, Builder]


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Builder(Store(tmp_path / "before")), Builder(Store(tmp_path / "after"))


def text_of(sides: Sides) -> str:
    return compare_folders(sides[0].store.root, sides[1].store.root)


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    block = text.partition(heading)[2].partition("---")[2].partition("\n\n")[0]
    lines = [line for line in block.splitlines() if not set(line) <= {"-", " "}]
    return [re.split(r"\s{2,}", line.strip()) for line in lines]


def map_of(run: StoredRun, k: int = 20) -> float:
    return run.record.metrics["paper"].map[k]


def change(builder: Builder, run: StoredRun, **update: Any) -> StoredRun:
    """Store a run again with parts of its record changed."""
    return builder.store.rewrite(run, run.record.model_copy(update=update), lambda folder: None)


def with_times(builder: Builder, run: StoredRun, change_timing: Callable[[Any], Any]) -> None:
    costs = run.record.costs
    assert costs
    encoding = [
        place.model_copy(update={"sweep": [change_timing(timing) for timing in place.sweep]})
        for place in costs.encoding
    ]
    change(builder, run, costs=costs.model_copy(update={"encoding": encoding}))


def test_means_spreads_and_difference_are_those_of_the_records(sides: Sides) -> None:
    before = [sides[0].add("alpha", 16, seed, 0.4) for seed in (0, 1)]
    after = [sides[1].add("alpha", 16, seed, 0.6) for seed in (0, 1, 2)]
    one, other = ([map_of(run) for run in side] for side in (before, after[:2]))
    ((label, bits, seeds, first, second, difference, noise),) = rows(text_of(sides), "mAP@20 under protocol paper")
    assert (label, bits, seeds) == ("ALPHA", "16", "2 / 2")
    assert first == f"{np.mean(one):.3f} ± {abs(one[0] - one[1]) / np.sqrt(2):.3f}"
    assert second == f"{np.mean(other):.3f} ± {np.std(other, ddof=1):.3f}"
    assert difference == f"{np.mean(other) - np.mean(one):+.3f}"
    assert noise == "* yes, p < 0.001"
    # The third seed would move one side alone.
    assert "ALPHA, 16 bits, seed 2: A not stored, B done" in text_of(sides)


def test_sides_without_a_seed_in_common_compare_all_of_their_own(sides: Sides) -> None:
    before = [sides[0].add("alpha", 16, seed, 0.4) for seed in (0, 1)]
    after = [sides[1].add("alpha", 16, seed, 0.6) for seed in (2, 3, 4)]
    one, other = ([map_of(run) for run in side] for side in (before, after))
    ((*_, seeds, first, second, _difference, _noise),) = rows(text_of(sides), "mAP@20 under protocol paper")
    assert seeds == "2 / 3"
    assert (first[:5], second[:5]) == (f"{np.mean(one):.3f}", f"{np.mean(other):.3f}")


def test_p_value_is_that_of_all_signs(tmp_path: Path) -> None:
    sides = Builder(Store(tmp_path / "a"), queries=11), Builder(Store(tmp_path / "b"), queries=11)
    # The same random numbers give close pairs; other ones the spread of a real change.
    one, other = sides[0].add("alpha", 16, 0, 0.4), sides[1].add("alpha", 16, 1, 0.44)
    values = [np.load(run.folder / PER_QUERY)["paper@20"] for run in (one, other)]
    differences = values[1] - values[0]
    signs = np.array(list(itertools.product((-1, 1), repeat=11)))
    exact = float((np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12).mean())
    *_, noise = rows(text_of(sides), "mAP@20 under protocol paper")[0]
    found = re.fullmatch(r"for these weights, p (\d\.\d{3})", noise)
    assert found
    assert float(found[1]) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 2000) + 0.001)


def test_p_values_are_adjusted_for_the_rows_of_the_table(sides: Sides) -> None:
    """A lone row with the smallest p there is, 1/2001; among ten rows it becomes ten times that."""
    for bits in range(8, 18):
        sides[0].add("alpha", bits, 0, 0.2)
        sides[1].add("alpha", bits, 0, 0.8)
    noises = [row[-1] for row in rows(text_of(sides), "mAP@20 under protocol paper")]
    assert noises == ["for these weights, p 0.005"] * 10


def test_equal_values_are_identical(sides: Sides) -> None:
    for builder in sides:
        builder.add("alpha", 16)
    *_, difference, noise = rows(text_of(sides), "mAP@20 under protocol paper")[0]
    assert (difference, noise) == ("+0.000", "identical")


def test_one_seed_is_never_more_than_noise(sides: Sides) -> None:
    """The same code with other threads gives other weights: however sure the queries are, they are those of one run."""
    for builder, level in zip(sides, (0.2, 0.8), strict=True):
        builder.add("alpha", 16, 0, level)
        for seed in range(3):
            builder.add("beta", 16, seed + 10 * (level > 0.5), level)
    sides[0].add("gamma", 16, 0, 0.2)
    for seed in (1, 2):
        sides[1].add("gamma", 16, seed, 0.8)
    found = {row[0]: row[-1] for row in rows(text_of(sides), "mAP@20 under protocol paper")}
    assert found == {
        "ALPHA": "for these weights, p 0.001",
        "BETA": "* yes, p 0.001",
        "GAMMA": "for these weights, p 0.001",
    }


def test_rows_stand_in_the_order_of_the_tables(sides: Sides) -> None:
    for builder in sides:
        for method, bound in (("ideal", True), ("beta", False), ("alpha", False)):
            for bits in (32, 16):
                builder.add(method, bits, uses_labels=bound)
    shown = [row[:2] for row in rows(text_of(sides), "mAP@100 under protocol strict")]
    assert shown == [[label, bits] for label in ("ALPHA", "BETA", "IDEAL, bound") for bits in ("16", "32")]


def costs_of(sides: Sides) -> dict[str, list[str]]:
    return {row[2]: row[3:] for row in rows(text_of(sides), "Cost of encoding one video")}


def test_times_are_marked_where_their_intervals_lie_apart(sides: Sides) -> None:
    """The builder's intervals reach 2 % to both sides: 1.00 and 1.03 overlap, 1.00 and 1.05 do not."""
    for name, milliseconds in (("alpha", 0.0515), ("beta", 0.0525)):
        sides[0].add(name, 16, milliseconds=0.05)
        sides[1].add(name, 16, milliseconds=milliseconds)
    table = rows(text_of(sides), "Cost of encoding one video")
    best = {row[0]: row[3:] for row in table if row[2] == "ms/video, best batch"}
    assert best["ALPHA"] == [
        "0.0500 (0.0490–0.0510)",
        "0.0515 (0.0505–0.0525)",
        "1.03",
        "no, intervals overlap",
    ]
    assert best["BETA"][2:] == ["1.05", "* yes, intervals apart"]
    assert [row[-1] for row in table if row[2].startswith("par")] == ["no", "no"]


def test_noisy_times_are_never_marked(sides: Sides) -> None:
    sides[0].add("alpha", 16, milliseconds=0.05)
    with_times(
        sides[1],
        sides[1].add("alpha", 16, milliseconds=0.5),
        lambda timing: timing.model_copy(update={"noisy": timing.batch == 1}),
    )
    found = costs_of(sides)
    assert found["ms/video, batch 1"][-1] == "too noisy"
    assert found["ms/video, best batch"][-1] == "* yes, intervals apart"


def test_other_machines_compare_by_the_share_of_their_rates(sides: Sides) -> None:
    """Twice the time on a machine of half the rates is the same share."""
    sides[0].add("alpha", 16, milliseconds=0.05, cpu="fast")
    run = sides[1].add("alpha", 16, milliseconds=0.1, cpu="slow")
    costs = run.record.costs
    assert costs
    halved = {"float32": 2e10, "bfloat16": 1e10, "copy_bytes": 5e9}
    encoding = [place.model_copy(update={"rates": place.rates.model_copy(update=halved)}) for place in costs.encoding]
    change(sides[1], run, costs=costs.model_copy(update={"encoding": encoding}))
    found = costs_of(sides)
    assert not any(figure.startswith("ms/video") for figure in found)
    # 24 million multiply-adds at 4e10 a second take 0.6 ms, twelve times the time that the builder makes up.
    assert found["share of the rate (%), best batch"] == [
        "1,200 (1,176–1,224)", "1,200 (1,176–1,224)", "1.00", "no, intervals overlap",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("slower", "others", "verdict"),
    [(1, None, "* yes, intervals apart"), (2, 0.0, "no, so was the machine"), (1, 0.5, "unknown, machine busy")],
)
def test_a_slow_or_busy_day_is_no_difference(sides: Sides, slower: int, others: float | None, verdict: str) -> None:
    """Twice the time on the same machine, whose rates are `slower` times lower that day."""
    sides[0].add("alpha", 16, milliseconds=0.05)
    run = sides[1].add("alpha", 16, milliseconds=0.1)
    costs = run.record.costs
    assert costs
    rates = {"float32": 4e10 / slower, "bfloat16": 2e10 / slower, "copy_bytes": 1e10 / slower}
    encoding = [
        place.model_copy(update={"rates": place.rates.model_copy(update=rates), "others": others})
        for place in costs.encoding
    ]
    change(sides[1], run, costs=costs.model_copy(update={"encoding": encoding}))
    shown = costs_of(sides)["ms/video, best batch"]
    assert shown[2:] == ["2.00", verdict]


def test_counts_that_differ_are_marked(sides: Sides) -> None:
    sides[0].add("alpha", 16)
    run = sides[1].add("alpha", 16)
    assert run.record.costs
    change(sides[1], run, costs=run.record.costs.model_copy(update={"parameters_encode": 1_250_020}))
    assert costs_of(sides)["parameters to encode"] == ["1,000,016", "1,250,020", "1.25", "* yes, counted"]
    assert costs_of(sides)["multiply-adds (M)"][-1] == "no"


def test_lower_bounds_do_not_compare(sides: Sides) -> None:
    sides[0].add("alpha", 16)
    run = sides[1].add("alpha", 16)
    assert run.record.costs
    change(sides[1], run, costs=run.record.costs.model_copy(update={"uncounted_operators": {"gru": 1}}))
    assert costs_of(sides)["multiply-adds (M)"] == ["24.0", "≥ 24.0", "–", "unknown, not all counted"]


def test_runs_of_one_side_are_listed(sides: Sides) -> None:
    for seed in (0, 1, 2):
        sides[0].add("alpha", 16, seed)
    sides[1].add("alpha", 16, 0)
    sides[1].add("alpha", 16, 1, reason="out of memory")
    sides[1].add("beta", 32, dataset="other", dataset_title="Other videos")
    text = text_of(sides)
    assert "ALPHA, 16 bits, seed 1: A done, B failed: out of memory" in text
    assert "ALPHA, 16 bits, seed 2: A done, B not stored" in text
    assert "Other videos\n============\n\nNot on both sides:\n  BETA, 32 bits, seed 0: A not stored, B done" in text


def test_a_changed_parameter_faces_what_it_was(sides: Sides) -> None:
    sides[0].add("alpha", 16, parameters={"epochs": 5})
    sides[1].add("alpha", 16, parameters={"epochs": 9})
    ((label, *_),) = rows(text_of(sides), "mAP@20 under protocol paper")
    assert label == "ALPHA (epochs=5) → ALPHA (epochs=9)"


def test_several_variants_face_their_equals_only(sides: Sides) -> None:
    for epochs in (5, 7):
        sides[0].add("alpha", 16, parameters={"epochs": epochs})
    for epochs in (7, 8, 9):
        sides[1].add("alpha", 16, parameters={"epochs": epochs})
    text = text_of(sides)
    assert [row[0] for row in rows(text, "mAP@20 under protocol paper")] == ["ALPHA (epochs=7)"]
    assert "ALPHA (epochs=5), 16 bits, seed 0: A done, B not stored" in text
    assert "ALPHA (epochs=9), 16 bits, seed 0: A not stored, B done" in text


def test_other_data_of_the_same_name_is_never_compared(sides: Sides) -> None:
    sides[0].add("alpha", 16, fingerprint="a" * 64)
    sides[1].add("alpha", 16, fingerprint="b" * 64)
    text = text_of(sides)
    assert "mAP@" not in text
    assert text.count("Not on both sides:") == 2


def test_only_protocols_of_both_sides_are_shown(sides: Sides) -> None:
    run = sides[0].add("alpha", 16)
    strict = {name: values for name, values in np.load(run.folder / PER_QUERY).items() if name.startswith("strict")}
    record = run.record.model_copy(update={"metrics": {"strict": run.record.metrics["strict"]}, "costs": None})
    sides[0].store.rewrite(run, record, lambda folder: np.savez(folder / PER_QUERY, allow_pickle=False, **strict))
    sides[1].add("alpha", 16)
    text = text_of(sides)
    assert "under protocol strict" in text
    assert "under protocol paper" not in text
    assert "Cost of encoding" not in text


def test_titles_cannot_reach_the_terminal_raw(sides: Sides) -> None:
    for builder in sides:
        builder.add("alpha", 16, title="red\x1b[31m\nnext", dataset_title="Toy\x1b[2J")
    assert "\x1b" not in text_of(sides)


def test_the_command(sides: Sides, capsys: pytest.CaptureFixture[str]) -> None:
    for builder in sides:
        builder.add("alpha", 16)
    folders = [str(builder.store.root) for builder in sides]
    assert main(["compare", *folders]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"A: {folders[0]} (1 run)\nB: {folders[1]} (1 run)\n\nToy videos\n")


@pytest.mark.parametrize("wrong", ["nowhere", "empty", "file"])
def test_wrong_folders_are_one_line(
    sides: Sides, tmp_path: Path, wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sides[0].add("alpha", 16)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"no such folder|no runs here"):
        compare_folders(tmp_path / wrong, sides[0].store.root)
    assert main(["compare", str(sides[0].store.root), str(tmp_path / wrong)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    what = "no runs here" if wrong == "empty" else "no such folder"
    hint = "give a results folder, or start with `bench run`"
    assert captured.err.splitlines() == [f"bench: {tmp_path / wrong}: {what}; {hint}"]
