"""Limits and shares as people write them, estimates, what a dry run shows, and what a log tells."""

import threading
from collections import Counter
from io import StringIO
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import InputError
from bench.base.text import duration, say
from bench.cli import main
from bench.cli.options import parse_memory, parse_time, shard_of
from bench.running.display import LogDisplay, TerminalDisplay, overall_line
from bench.running.estimate import Estimates, dry_run, kind_of
from bench.running.failures import retry_command
from bench.running.plan import Existing, parse_settings
from bench.store.leases import LEASES, Leases
from bench.store.store import Store
from tests.running.conftest import PLUGIN, Start, planned, runner
from tests.store.conftest import record_of, spec_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("2h", 7200), ("1.5 h", 5400), ("1d", 86400), ("10S", 10)]
)
def test_times(text: str, seconds: float) -> None:
    assert parse_time("--time-limit", text) == seconds


@pytest.mark.parametrize(("text", "size"), [("8GB", 8 * 10**9), ("512MiB", 512 * 2**20), ("1.5 gb", 1.5e9)])
def test_amounts_of_memory(text: str, size: int) -> None:
    assert parse_memory("--memory-limit", text) == size


@pytest.mark.parametrize(
    "text", ["", "45", "s", "-1h", "0s", "2 weeks", "1h30m", "nanh", "9" * 400 + "d", "9" * 400 + "GB"]
)
def test_what_is_no_limit(text: str) -> None:
    with pytest.raises(InputError, match=r"--time-limit .*expected a time such as 45s, 90m or 2h"):
        parse_time("--time-limit", text)
    with pytest.raises(InputError, match=r"--memory-limit .*expected an amount such as 8GB"):
        parse_memory("--memory-limit", text)


def test_what_is_no_amount_of_memory() -> None:
    with pytest.raises(InputError, match=r"--memory-limit 0\.0000001MB: less than one byte"):
        parse_memory("--memory-limit", "0.0000001MB")
    assert parse_memory("--memory-limit", "0.000001MB") == 1


@given(st.integers(0, 50), st.integers(1, 12))
def test_shards_make_the_whole(runs: int, shards: int) -> None:
    parts = [shard_of(range(runs), f"{number}/{shards}") for number in range(1, shards + 1)]
    assert sorted(chain(*parts)) == list(range(runs))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3", "", "1" * 5000 + "/2"])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(InputError, match=r"--shard .*expected a share such as 3/16"):
        shard_of([1, 2, 3], text)


def test_durations_for_people() -> None:
    assert [duration(seconds) for seconds in (0.4, 59.4, 59.6, 200, 3599.9, 7500)] == [
        "0 s", "59 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "2 h 05 min"
    ]  # fmt: skip


def test_estimates_are_those_of_runs_alike() -> None:
    quick, slow, unknown = (spec_of(method=name) for name in ("lsh", "bth", "itq"))
    done = [record_of(quick, seconds=seconds) for seconds in (2.0, 4.0, 90.0)] + [record_of(slow, seconds=96.0)]
    estimates = Estimates([*done, record_of(unknown, "failed", seconds=7.0)])
    longer = quick.model_copy(update={"bits": 64, "seed": 5})
    assert estimates.seconds(longer) == 4.0
    assert estimates.seconds(unknown) is None
    assert estimates.seconds(quick.model_copy(update={"parameters": {"epochs": 5}})) is None
    # 2 × 4 + 96 + the mean of the known kinds, 50
    assert estimates.total(Counter(map(kind_of, [quick, longer, slow, unknown]))) == 154.0
    assert estimates.total(Counter([kind_of(unknown)])) is None
    assert estimates.total(Counter()) == 0.0


def test_a_dry_run_touches_nothing(features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["run", "--datasets", str(features), "--plugin", str(PLUGIN), "--methods", "plain", "--bits", "8"]
    call += ["--results", str(tmp_path / "results"), "--dry-run"]
    assert main(call) == 0
    assert "to do toy plain 8 0 unknown" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "results").exists()


def test_a_dry_run_says_what_would_happen(features: Path, tmp_path: Path) -> None:
    wanted = planned(features, "plain,raises", 2)
    done, *_ = runner(tmp_path).run(wanted)
    (tmp_path / wanted[1].spec.folder).rename(tmp_path / "gone")
    (tmp_path / wanted[3].spec.folder).rename(tmp_path / "gone too")
    lease = Leases(tmp_path / LEASES).take(wanted[3].spec.identity)
    assert lease
    seconds = duration(sum(done.record.durations.values()))

    def rows(existing: Existing) -> list[str]:
        text = dry_run(wanted, Store(tmp_path), existing, torch.device("cpu"), 1)
        assert text.endswith("(costs are measured afterwards)")
        return [" ".join(line.split()) for line in text.splitlines()[2:6]] + [text.splitlines()[-1]]

    reuse, retried = rows("reuse"), rows("retry-failed")
    lease.release()
    assert reuse[0] == "stored, reused toy plain 8 0"
    assert reuse[1] == f"to do toy plain 8 1 {seconds}"
    assert reuse[2] == "failed, kept (--existing retry-failed tries again) toy raises 8 0"
    assert reuse[3].startswith("running on ")
    assert reuse[4].startswith(f"1 of 4 runs to do, time: about {seconds} ")
    assert retried[:2] == reuse[:2]
    assert retried[2] == "to do again (failed) toy raises 8 0 unknown"
    assert retried[4].startswith("2 of 4 runs to do")
    assert rows("rerun")[0].startswith("to do again (done) toy plain 8 0")
    assert rows("only-cached")[1] == "not stored, skipped toy plain 8 1"


def test_a_log_hears_of_runs_now_and_then() -> None:
    now, said = [0.0], list[str]()
    log = LogDisplay(said.append, lambda: now[0])
    log.overall(0, 2, None)
    with log.run("[1/2] toy") as progress, progress.task("mcmsh", 100) as task:
        for _ in range(100):
            now[0] += 1
            task.advance("epoch 1/5")
    log.overall(1, 2, 61.0)
    log.overall(2, 2, 0.0)
    assert said == [
        "0 of 2 runs done",
        "[1/2] toy: started",
        "[1/2] toy: mcmsh 30/100 epoch 1/5",
        "[1/2] toy: mcmsh 60/100 epoch 1/5",
        "[1/2] toy: mcmsh 90/100 epoch 1/5",
        "1 of 2 runs done, about 1 min 01 s left",
    ]


def test_a_log_hears_of_runs_that_report_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.running.display.TICK_SECONDS", 0.001)
    now, heard, said = [0.0], threading.Event(), list[str]()

    def hear(line: str) -> None:
        said.append(line)
        if "running for" in line:
            heard.set()

    log = LogDisplay(hear, lambda: now[0])
    with log.sweep(), log.run("[1/1] toy"):
        for minute in (1, 2):
            now[0] = 60.0 * minute
            assert heard.wait(60)
            heard.clear()
    assert said == ["[1/1] toy: started", "[1/1] toy: running for 1 min 00 s", "[1/1] toy: running for 2 min 00 s"]


def test_news_are_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    written = list[str]()
    stream = StringIO()
    monkeypatch.setattr(stream, "write", written.append)
    monkeypatch.setattr("sys.stderr", stream)
    say("first\nline")
    say("second")
    assert written == ["first line\n", "second\n"]


def test_a_terminal_shows_a_line_a_run() -> None:
    display = TerminalDisplay()
    with display.sweep(), display.run("[1/2] a") as first, display.run("[2/2] b") as second:
        display.overall(0, 2, 90.0)
        with first.task("mcmsh", 4) as one, second.task("bth", 2):
            one.advance("epoch 1/2")
            shown = [
                (task.description, task.completed, task.total, task.fields["status"]) for task in display.bars.tasks
            ]
        assert shown == [
            ("all runs", 0, 2, overall_line(0, 2, 90.0)),
            ("[1/2] a", 1, 4, "epoch 1/2"),
            ("[2/2] b", 0, 2, "bth"),
        ]
    assert [task.description for task in display.bars.tasks] == ["all runs"]


def test_threads_asked_for_are_used_and_recorded(start: Start, tmp_path: Path) -> None:
    status, said = start("--methods", "plain", "--bits", "8", "--threads", "2", "--shard", "1/1").end()
    assert status == 0, said
    (run,) = Store(tmp_path / "results").runs()
    assert run.record.environment["threads"] == 2


def test_one_thread_unless_asked(start: Start, tmp_path: Path) -> None:
    status, said = start("--methods", "plain", "--bits", "8", "--shard", "1/1").end()
    assert status == 0, said
    (run,) = Store(tmp_path / "results").runs()
    assert run.record.environment["threads"] == 1


def test_the_command_that_retries_names_the_same_run(features: Path) -> None:
    (run,) = planned(features, "steady", epochs=3)
    words = retry_command(run, Path("results/my runs")).replace("'", "").split(" --set ")
    assert words[0].startswith(f"bench run --methods steady --datasets {features} --bits 8 --seeds 0 --results ")
    given_again = parse_settings(words[1:])["steady"]
    (again,) = planned(features, "steady", **given_again)
    assert again.spec == run.spec


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--time-limit", "soon"], "--time-limit soon: expected a time"),
        (["--memory-limit", "8"], "--memory-limit 8: expected an amount"),
        (["--memory-limit", "9" * 400 + "GB"], "999GB: expected an amount"),
        (["--memory-limit", "0.0000001MB"], "--memory-limit 0.0000001MB: less than one byte"),
        (["--memory-limit", ""], "--memory-limit : expected an amount"),
        (["--shard", "1" * 5000 + "/2"], "111/2: expected a share"),
        (["--shard", "17/16"], "--shard 17/16: expected a share"),
        (["--jobs", "0"], "--jobs"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_mistakes_end_in_one_line(
    arguments: list[str], message: str, features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["run", "--datasets", str(features), "--methods", "lsh", "--bits", "8", "--results", str(tmp_path / "new")]
    assert main([*call, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
