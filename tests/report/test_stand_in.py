"""Generated data are called so wherever their results are shown."""

from pathlib import Path
from typing import Any

from bench.report.compose import compose
from bench.report.document import Document
from bench.report.figures import settings
from bench.report.runs import name_runs
from bench.report.terminal import summary
from bench.report.write import write_report

PHRASE = "stand-in data, not the real FCVID"


def document_of(builder: Any) -> Document:
    with settings():
        return compose(name_runs(builder.store.runs()))


def test_title_headings_captions_and_pictures_say_so(builder: Any) -> None:
    for bits in (16, 32):
        builder.add("alpha", bits, dataset="fcvid", dataset_title="FCVID", stand_in=True)
    document = document_of(builder)
    assert f"# Video hashing benchmark – {PHRASE}\n" in document.text
    assert f"\n## FCVID ({PHRASE})\n" in document.text
    assert all(PHRASE in table.caption for table in document.tables if table.name.startswith("fcvid-"))
    for plot in document.plots:
        assert PHRASE in plot.caption
        assert plot.figure.get_suptitle() == PHRASE


def test_real_data_beside_are_not_called_so(builder: Any) -> None:
    builder.add("alpha", 16, dataset="fcvid", dataset_title="FCVID", fingerprint="a" * 64, stand_in=True)
    builder.add("alpha", 16)
    document = document_of(builder)
    assert "\n## Toy videos\n" in document.text
    assert {plot.figure.get_suptitle() for plot in document.plots if plot.name.startswith("toy-")} == {""}


def test_real_and_generated_data_of_one_name_are_told_apart(builder: Any) -> None:
    builder.add("alpha", 16, dataset="fcvid", dataset_title="FCVID", fingerprint="a" * 64)
    builder.add("alpha", 16, dataset="fcvid", dataset_title="FCVID", fingerprint="b" * 64, stand_in=True)
    assert {run.dataset_title for run in name_runs(builder.store.runs())} == {"FCVID", f"FCVID ({PHRASE})"}


def test_the_terminal_says_so(builder: Any) -> None:
    builder.add("alpha", 16, dataset="fcvid", dataset_title="FCVID", stand_in=True)
    assert summary(builder.store.runs()).startswith(f"FCVID ({PHRASE})\n=")


def test_without_stand_ins_nothing_says_so(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert "stand-in" not in text
    assert "\n# Video hashing benchmark\n" in text


def test_odd_titles_are_escaped_in_the_report_title(builder: Any, tmp_path: Path) -> None:
    builder.add("alpha", 16, epochs=0, dataset_title="<b> _x_\n# | $y$", stand_in=True)
    text = write_report(builder.store.runs(), tmp_path / "report").read_text(encoding="utf-8")
    title = next(line for line in text.splitlines() if line.startswith("# "))
    assert title == (
        r"# Video hashing benchmark – stand-in data, not the real &lt;b&gt; \_x\_ # \| \$y\$"
    )  # fmt: skip
