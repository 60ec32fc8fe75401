"""What lies around the program: results that can only be read, files of systems, narrow terminals."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.errors import InputError
from bench.base.processes import usable_cores
from bench.base.text import text_table
from bench.report.selection import select_runs
from bench.store.store import Store
from tests.cli.conftest import Run
from tests.conftest import survived

LITTER = [
    ".DS_Store", "._record.json", "Thumbs.db", "desktop.ini", ".directory", ".nfs000000000012",
    "@eaDir/a", "lost+found/a",
]  # fmt: skip


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_results_that_can_only_be_read_are_reported(
    call: Run, feature_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    arguments = ["run", "--methods", "lsh", "--datasets", feature_folder, "--report"]
    assert call(*arguments, "first", "--bits", 8)[0] == 0

    def refuse(store: Store) -> None:
        raise InputError(f"{store.root}: results cannot be written there (Read-only file system); name another folder")

    monkeypatch.setattr(Store, "require_writable", refuse)
    before = contents(Path("results"))
    for verb in (
        [*arguments, "second", "--bits", 8], [*arguments, "third", "--bits", "8,16", "--existing", "only-cached"],
        ["report"], ["list", "runs"], ["results", "verify"],
    ):  # fmt: skip
        assert call(*verb)[0] == 0, verb
    assert Path("second/report.md").read_bytes() == Path("first/report.md").read_bytes()
    for verb in ([*arguments, "fourth", "--bits", 16], [*arguments, "fourth", "--bits", 8, "--existing", "rerun"]):
        status, _, error = call(*verb)
        assert (status, "results cannot be written there" in error) == (2, True)
    assert contents(Path("results")) == before


def test_what_systems_leave_in_results_stops_and_damages_nothing(call: Run, feature_folder: Path) -> None:
    arguments = ["run", "--methods", "lsh", "--bits", 8, "--datasets", feature_folder]
    assert call(*arguments)[0] == 0
    (run,) = Path("results/runs").glob("[!.]*/*/*")
    places = (Path("results/runs"), run.parents[1], run.parent, run, run / "encoder", Path("results/runs/.leases"))
    left = [place / name for place in places for name in LITTER]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("of the system")
    status, output, error = call("results", "verify")
    assert (status, output, error) == (
        0,
        "1 runs, 5 files: all sound (undamaged and consistent; --recompute also computes every metric again)\n",
        "",
    )
    for verb in (["report"], ["evaluate"], [*arguments, "--existing", "rerun"], ["list", "runs"]):
        status, _, error = call(*verb)
        assert status == 0
        assert "left alone" not in error
    assert not Path("results/runs/.damaged").exists()
    assert all(path.exists() for path in left if run not in path.parents)
    survived("files that systems leave behind", len(left))


def test_a_report_of_some_of_the_runs(call: Run, feature_folder: Path) -> None:
    for methods, bits in (("lsh,itq", "8"), ("itq", "4")):
        assert call("run", "--methods", methods, "--bits", bits, "--datasets", feature_folder, "--shard", "1/1")[0] == 0
    everything = {"LSH", "ITQ"}
    asked: list[tuple[list[str], list[str], list[int], set[str]]] = [
        (["lsh"], [], [], {"LSH"}),
        (["lsh", "itq"], [], [8], everything),
        ([], [str(feature_folder)], [4], {"ITQ"}),
        ([], ["my-features"], [], everything),
    ]
    for names, datasets, lengths, shown in asked:
        selected = select_runs(Store(Path("results/runs")).runs(), names, datasets, lengths)
        assert {run.record.method_title for run in selected} == shown
    status, output, _ = call("report", "--methods", "lsh")
    assert (status, "LSH" in output, "ITQ" in output) == (0, True, False)
    report = Path("reports/latest/report.md").read_text(encoding="utf-8")
    assert ("| LSH " in report, "| ITQ " in report) == (True, False)
    for option, name, hint in (
        ("--methods", "lhs", "no selected run has the method 'lhs': did you mean lsh?"),
        ("--datasets", "my-feature", "did you mean my-features?"),
        ("--bits", "12", "known: 4, 8"),
    ):
        status, _, error = call("report", option, name)
        assert (status, hint in error, error.count("\n")) == (2, True, 1)


def test_a_narrow_terminal_shows_one_record_below_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("LSH", "0.512", "a folder of a long name"), ("ITQ", "", "–")]
    headers = ("method", "mAP@20\n16 bits", "where it is")
    piped = text_table(rows, headers)
    assert max(map(len, piped.splitlines())) > 30
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert text_table(rows, headers) == piped
    monkeypatch.setenv("COLUMNS", "30")
    assert text_table(rows, headers) == (
        "method: LSH\nmAP@20 16 bits: 0.512\nwhere it is: a folder of a\n  long name\n\nmethod: ITQ\nwhere it is: –"
    )
    monkeypatch.setenv("COLUMNS", "1")
    assert max(map(len, text_table(rows, headers).splitlines())) <= 20


def test_systems_that_do_not_say_which_cores_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cores() == 6


FORKS = """
import os
from bench.base.fork_context import fork_server_context
if __name__ == "__main__":
    command = "test -z \\"$PYTHONSAFEPATH\\" && exit 7"
    child = fork_server_context([], 1).Process(target=os.execvp, args=("sh", ["sh", "-c", command]))
    child.start()
    child.join()
    print(child.exitcode)
"""


def test_modules_of_the_working_folder_do_not_end_isolated_runs(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    for name in ("random", "profile", "signal", "bench"):
        (tmp_path / "work" / f"{name}.py").write_text("print('my own experiment')\n")
    (tmp_path / "forks.py").write_text(FORKS)
    done = subprocess.run(
        [sys.executable, tmp_path / "forks.py"], cwd=tmp_path / "work", capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("7\n", "")
