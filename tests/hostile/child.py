"""Runs cases in a process of their own, within limits: `python -m hostile.child REPORT FIRST`.

Every case is announced in the report before it runs and judged after it, one JSON line each, so that a crash or a hang
can be told from the case that caused it.
"""

import contextlib
import io
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from . import material
from .case import Case
from .corpus import cases

KNOWN = ("case-", "vhbench-")
MEMORY = 2**30
"""Bytes that a case may take, above what the program takes by itself."""


class TooLongError(BaseException):
    """A case computes for longer than it may."""


def main(report: Path, first: int) -> None:
    """Run the cases from number `first` on."""
    tempfile.tempdir = tempfile.mkdtemp(prefix="vhbench-", dir=report.parent)
    _look_at_messages_alone()
    _warm_up()
    start = time.process_time()
    signal.signal(signal.SIGPROF, _stop)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    before = _peak()
    with report.open("a", encoding="utf-8", buffering=1) as lines:
        for case in cases()[first:]:
            print(json.dumps({"begun": case.label}), file=lines)
            outcome = _outcome(case, start)
            print(json.dumps(outcome | {"share": outcome["seconds"] / start, "grown": _peak() - before}), file=lines)


def _look_at_messages_alone() -> None:
    """No case looks at what was measured or drawn, which takes most of the time."""
    from bench.profile import machine, timing
    from bench.report import document

    timing.MAX_ROUNDS, timing.WARM_UP_SECONDS = timing.FEWEST, 0
    machine.SIZES = {"cpu": (64, 64, 2**16)}
    document.drawn = lambda plots: [("", b"")] * len(plots)


def _warm_up() -> None:
    """Load what the program loads at its start, so that its share of time and memory is no case's."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        folder = Path(tempfile.mkdtemp())
        os.chdir(folder)
        material.encoder(folder)
        material.feature_folder(folder)
        from bench.cli import main as bench

        bench(["encode", "--encoder", "encoder", "--features", "features.npy", "--out", "codes.npy"])
        bench(["data", "check", "data"])
        bench(["list", "methods,published"])


def _outcome(case: Case, budget: float) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="case-"))
    os.chdir(folder)
    case.make(folder)
    before = _files(folder.parent, folder)
    output, error = io.StringIO(), io.StringIO()
    begun, failure, status = time.process_time(), None, None
    signal.setitimer(signal.ITIMER_PROF, 2 * budget)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(error):
            status = case.call()
    except BaseException:
        failure = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    seconds = time.process_time() - begun
    os.chdir(folder.parent)
    strange = sorted(_files(folder.parent, folder) - before)
    half_written = sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix in {".part", ".saving"} or path.name.endswith(".unfinished") or path.name == "executed"
    )
    shutil.rmtree(folder, ignore_errors=True)
    return {
        "label": case.label,
        "status": status,
        "error": error.getvalue(),
        "output": output.getvalue()[-2000:],
        "failure": failure,
        "seconds": seconds,
        "strange": strange + half_written,
    }


def _files(around: Path, own: Path) -> set[str]:
    """What lies beside the folders of cases."""
    return {path.name for path in around.iterdir() if path != own and not path.name.startswith(KNOWN)}


def _stop(*_: object) -> None:
    raise TooLongError


def _peak() -> int:
    """The most memory that this process has held at once, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
