"""What is not the program's own stays in a report's folder, whatever happens there."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import InputError
from bench.report.document import Document
from bench.report.folder import require_writable, write_document
from bench.report.write import write_report
from tests.conftest import survived

LEFT_BY_SYSTEMS = [".DS_Store", "Thumbs.db", "desktop.ini", ".directory", "._report.md", ".nfs0001", ".gitignore"]
OWN = ["report.pdf", "thesis.tex", "tables/own.csv", "figures/mine.png", "figures/old/a.png", "figures/.DS_Store"]


@pytest.fixture
def folder(builder: Any, tmp_path: Path) -> Path:
    """The folder of a report of one run."""
    builder.add("alpha", 16)
    return write_report(builder.store.runs(), tmp_path / "report").parent


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def own(folder: Path, names: list[str]) -> dict[str, bytes]:
    """Somebody's own files, with contents of their own."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"years of work: {name}")
    return {name: (folder / name).read_bytes() for name in names}


def test_own_files_stay_and_stop_nothing(folder: Path, builder: Any) -> None:
    kept = own(folder, LEFT_BY_SYSTEMS + OWN)
    builder.add("beta", 16)
    require_writable(folder)
    text = write_report(builder.store.runs(), folder).read_text(encoding="utf-8")
    assert "BETA" in text
    assert {name: contents(folder)[name] for name in kept} == kept


def test_what_it_no_longer_needs_goes_and_nothing_else(folder: Path, builder: Any) -> None:
    before = contents(folder)
    first = list(builder.store.runs())
    builder.add("beta", 32)
    builder.add("alpha", 16, dataset="other")
    write_report(builder.store.runs(), folder)
    assert len(contents(folder)) > len(before)
    kept = own(folder, OWN)
    write_report(first, folder)
    assert contents(folder) == before | kept


def test_a_folder_of_somebody_gets_a_report(builder: Any, tmp_path: Path) -> None:
    builder.add("alpha", 16, epochs=0)
    kept = own(tmp_path / "mine", OWN)
    write_report(builder.store.runs(), tmp_path / "mine")
    assert (tmp_path / "mine/report.md").is_file()
    assert {name: contents(tmp_path / "mine")[name] for name in kept} == kept


def test_a_page_of_somebody_is_kept_under_another_name(builder: Any, tmp_path: Path) -> None:
    """One that a person made of `report.md` before the program wrote pages."""
    builder.add("alpha", 16)
    kept = own(tmp_path / "mine", ["report.html"])
    write_report(builder.store.runs(), tmp_path / "mine")
    assert (tmp_path / "mine/report.kept.html").read_bytes() == kept["report.html"]
    assert (tmp_path / "mine/report.html").read_text().startswith("<!doctype html>")


def test_a_report_of_somebody_is_refused_before_any_work(builder: Any, tmp_path: Path) -> None:
    builder.add("alpha", 16)
    kept = own(tmp_path / "mine", ["report.md"])
    with pytest.raises(InputError, match=r"report\.md: was not written by vhbench.*--report"):
        require_writable(tmp_path / "mine")
    with pytest.raises(InputError, match="--report"):
        write_report(builder.store.runs(), tmp_path / "mine")
    assert contents(tmp_path / "mine") == kept


@pytest.mark.parametrize("name", ["tables", "figures"])
def test_a_file_in_place_of_a_folder_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="is a file, not a folder"):
        require_writable(tmp_path)


@pytest.mark.parametrize("name", ["report.md", "report.html", "tables/toy-cost.csv", "figures/toy-training-loss.svg"])
def test_what_was_changed_by_hand_is_kept_under_another_name(
    folder: Path, builder: Any, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    original = (folder / name).read_bytes()
    for number in (1, 2):
        path = folder / name
        path.write_bytes(path.read_bytes() + b"edited")
        edited = path.read_bytes()
        builder.add("beta", 16, seed=number)
        require_writable(folder)
        write_report(builder.store.runs(), folder)
        kept = path.with_stem(f"{path.stem}.kept" if number == 1 else f"{path.stem}.kept-{number}")
        assert kept.read_bytes() == edited
        assert f"kept as {kept.name}" in capsys.readouterr().err
        assert not path.read_bytes().endswith(b"edited")
    assert original[:20] == (folder / name).read_bytes()[:20]


def test_a_figure_of_somebody_with_a_name_that_is_needed_is_kept(builder: Any, tmp_path: Path) -> None:
    builder.add("alpha", 16)
    kept = own(tmp_path / "report", ["figures/toy-training-loss.png"])
    write_report(builder.store.runs(), tmp_path / "report")
    assert (tmp_path / "report/figures/toy-training-loss.kept.png").read_bytes() == next(iter(kept.values()))
    assert (tmp_path / "report/figures/toy-training-loss.png").read_bytes().startswith(b"\x89PNG")


def test_a_list_that_leads_elsewhere_removes_nothing(folder: Path, builder: Any, tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_bytes(b"")
    note = json.loads((folder / ".report.md.json").read_text())
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    note["files"] |= {"../victim.txt": empty, str(victim): empty, "figures/../../victim.txt": empty}
    (folder / ".report.md.json").write_text(json.dumps(note))
    builder.add("beta", 16)
    write_report(builder.store.runs(), folder)
    assert victim.exists()


@pytest.mark.parametrize("content", ["", "[]", '{"files": []}', '{"files": {"report.md": 3}}', "{", "null"])
def test_a_list_that_cannot_be_read_loses_nothing(folder: Path, builder: Any, content: str) -> None:
    (folder / ".report.md.json").write_text(content)
    before = contents(folder)
    builder.add("beta", 16)
    write_report(builder.store.runs(), folder)
    assert before["report.md"] == (folder / "report.kept.md").read_bytes()


def test_two_documents_share_a_folder(folder: Path) -> None:
    report = contents(folder)
    for text in ("first", "second"):
        write_document(lambda text=text: Document([text]), folder, "paper.md")  # type: ignore[misc]
    found = contents(folder)
    assert {name: found[name] for name in report} == report
    assert found.keys() - report.keys() == {"paper.md", "paper.html", ".paper.md.json"}
    assert found["paper.md"] == b"second\n"


def test_a_full_disk_leaves_the_report_as_it_was(
    folder: Path, builder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    before = contents(folder)
    builder.add("beta", 16)
    write, written = Path.write_bytes, 0

    def full(path: Path, content: bytes) -> int:
        nonlocal written
        written += 1
        if written > 10:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match="No space left on device"):
            write_report(builder.store.runs(), folder)
    assert written > 10
    assert contents(folder) == before
    survived("full disks while a report is written")
