"""A run that was stored before `Scores` and `Costs` became parts of the record is worth as much as on its day.

`earlier/` holds its dataset and its results folder, as written by the commit before that change.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.store.integrity import sealed
from bench.store.store import Store
from bench.store.stored_run import read_run

EARLIER = Path(__file__).parent / "earlier"
RUN = "tiny/lsh/16-ca13778acd16"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stored run, in a copy below the current folder."""
    shutil.copytree(EARLIER, tmp_path / "earlier")
    monkeypatch.chdir(tmp_path / "earlier")
    return tmp_path / "earlier/runs" / RUN


def stored(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "record.json").read_bytes())
    return values


def test_an_earlier_run_is_reused_reported_verified_and_evaluated(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "record.json").read_bytes()
    assert main(["run", "--methods", "lsh", "--datasets", "./tiny", "--bits", "16", "--results", "runs"]) == 0
    printed = capsys.readouterr()
    assert "0 of 1 runs done" not in printed.err + printed.out
    (lsh,) = [line.split() for line in printed.out.splitlines() if line.startswith("LSH") and "136" in line]
    assert lsh[1:5] == ["0.295", "0.671", "136", "0.000128"]
    assert (folder / "record.json").read_bytes() == before

    assert main(["results", "verify", "--recompute", "--results", "runs"]) == 0
    assert capsys.readouterr().out.endswith("every metric follows from the codes)\n")

    (run,) = Store(Path("runs")).runs()
    assert run.record.costs is not None
    assert run.record.costs.parameters_encode == 136
    assert main(["evaluate", "--results", "runs"]) == 0
    (said,) = (line for line in capsys.readouterr().err.splitlines() if ": paper: added " in line)
    assert {"r_precision,", "ceiling,"} <= {f"{word.strip(',')}," for word in said.split()}
    again, earlier = stored(folder), json.loads(before)
    for name, scores in earlier["metrics"].items():
        assert again["metrics"][name].keys() >= scores.keys()
        for table, values in scores.items():
            assert again["metrics"][name][table] == values
    assert again["costs"] == earlier["costs"]
    assert again["diagnostics"].items() >= earlier["diagnostics"].items()
    assert again["diagnostics"].keys() - earlier["diagnostics"].keys() == {
        "bit_imbalance",
        "bit_entropy",
        "bit_correlation",
        "effective_bits",
    }


def test_a_record_is_written_as_it_was_read(folder: Path) -> None:
    """No key comes, goes or changes its type."""
    assert json.loads(sealed(read_run(folder.resolve()).record)) == stored(folder)
