"""The program where its surroundings are not as usual: streams, encodings, folders, interrupts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main
from tests.cli.conftest import Run
from tests.conftest import QUICKLY, survived

CODE = "import sys; from bench.cli import main; sys.exit(main())"
RUN = QUICKLY + CODE
PUBLISHED = ("list", "published", "--method", "mcmsh", "--bits", "64")


def bench(
    *arguments: object, redirect: str = "", code: str = CODE, **environment: str
) -> subprocess.CompletedProcess[str]:
    """The program in a process of its own, its streams as the shell redirects them."""
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=300
    )  # fmt: skip


def test_no_stream_costs_a_report(call: Run, feature_folder: Path) -> None:
    (feature_folder / "dataset.toml").write_text('title = "клипы"\n', encoding="utf-8")
    arguments = ["run", "--methods", "lsh", "--bits", 8, "--datasets", feature_folder, "--shard", "1/1"]
    assert call(*arguments)[0] == 0
    for folder, redirect, environment in (
        ("closed", "<&- >&- 2>&-", {}),
        # A notebook's own backend, a code page of Windows, news that go nowhere.
        (
            "page",
            "2>/dev/full",
            {"PYTHONIOENCODING": "cp1252", "MPLBACKEND": "module://matplotlib_inline.backend_inline"},
        ),
    ):
        done = bench(*arguments[:-2], "--report", folder, redirect=redirect, code=RUN, **environment)
        assert done.returncode == 0
        assert Path(folder, "report.md").is_file()
        assert (done.stdout.splitlines() or [""])[0] == ("?????" if folder == "page" else "")
        survived("streams that are closed, full or short of characters")


@pytest.mark.parametrize(
    ("redirect", "status"), [(">&-", 0), ("2>&-", 0), ("2>/dev/full", 0), ("<&-", 0), (">/dev/full", 2)]
)
def test_streams_of_what_only_shows(redirect: str, status: int) -> None:
    done = bench("--version", redirect=redirect)
    assert done.returncode == status
    assert done.stderr.count("\n") == bool(status)
    assert ("standard output cannot be written (No space left on device)" in done.stderr) == bool(status)
    assert ("vhbench" in done.stdout) == (not redirect.startswith(">"))


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, *PUBLISHED], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 128 + 13


def test_a_mistake_nobody_can_read_has_its_status(tmp_path: Path) -> None:
    assert bench("list", "mehtods", redirect=">&- 2>&-").returncode == 2


def test_ctrl_c_while_modules_are_imported_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import builtins, os, signal, sys, time\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "            time.sleep(5)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    done = bench("report", PYTHONPATH=str(tmp_path))
    assert done.returncode == 130
    assert done.stderr == "bench: interrupted; finished runs are stored, repeat the command to continue\n"


def test_a_working_folder_that_was_removed_is_named() -> None:
    done = subprocess.run(
        ["sh", "-c", f"mkdir gone && cd gone && rmdir ../gone && exec {sys.executable} -P -c '{CODE}' report"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("bench: the working folder cannot be used (")


def test_modules_of_the_working_folder_are_not_python_s(tmp_path: Path) -> None:
    for name in ("random", "profile", "tempfile"):
        (tmp_path / f"{name}.py").write_text("print('my own experiment')\n")
    command = [sys.executable, "-m", "bench", *PUBLISHED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "MCMSH" in done.stdout
    assert "experiment" not in done.stdout


@pytest.mark.parametrize("group", [[], ["data"], ["results"]])
def test_no_command_is_the_whole_help_and_status_2(group: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    status = main(group)
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert main([*group, "--help"]) == 0
    assert capsys.readouterr().out == shown.err
    assert shown.err.count("\n") > 8


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "vhbench 0.1.0\n"


def test_the_end_of_a_file_is_no_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*arguments: object) -> None:
        raise EOFError("the file ends early")

    monkeypatch.setattr("bench.report.listing.listing", ends)
    with pytest.raises(Exception, match=r"^$|the file ends early") as raised:
        main(["list", "runs"])
    assert "the file ends early" in f"{raised.value} {raised.value.__cause__}"


def test_threads_that_cannot_be_started_cost_no_training(
    call: Run, feature_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    def refuse(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    status, output, error = call("run", "--methods", "lsh", "--bits", 8, "--datasets", feature_folder)
    assert (status, "LSH" in output) == (0, True), error
    assert Path("reports/latest/report.md").is_file()
    survived("limits on threads")
