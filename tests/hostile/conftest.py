"""Runs the corpus once, in a process that may crash."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .corpus import cases

TESTS = Path(__file__).parents[1]
CRASHED: dict[str, Any] = {
    "status": None,
    "error": "",
    "output": "",
    "strange": [],
    "seconds": 0,
    "share": 0,
    "grown": 0,
}
Outcomes = dict[str, dict[str, Any]]


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """What became of every case, by its label."""
    report, found = tmp_path_factory.mktemp("hostile") / "report.jsonl", Outcomes()
    report.touch()
    while len(found) < len(cases()):
        ended = _child(report, len(found))
        lines = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
        found |= {line["label"]: line for line in lines if "label" in line}
        if "begun" in lines[-1]:
            label = lines[-1]["begun"]
            found[label] = CRASHED | {"label": label, "failure": f"the process ended with {ended}"}
    return found


def _child(report: Path, first: int) -> str:
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    ended = subprocess.run(
        [sys.executable, "-m", "hostile.child", str(report), str(first)],
        env=environment,
        cwd=report.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{ended.returncode}: {ended.stderr[-500:]}"
