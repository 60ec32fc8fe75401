"""The static leaderboard: built from contributed results, and what it says of those that it cannot believe."""

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from bench.cli import main
from bench.registry import load_registry
from bench.report.leaderboard import pages
from bench.report.published_tables import of_method
from bench.report.result_sets import Collection, collect
from bench.store.codes_file import StoredCodes, write_codes
from bench.store.evaluation import evaluate_codes, write_per_query
from bench.store.recompute import Recomputation
from bench.store.store import Store
from bench.store.stored_run import CODES, PER_QUERY
from bench.store.tiers import RECOMPUTED, REPORTED, RETRAINED
from tests.report.conftest import undrawn
from tests.report.test_page import Reader
from tests.store import forger
from tests.store.conftest import record_of, spec_of
from tests.stored_files import write_description

COMMUNITY = Path(__file__).parents[2] / "results/community/vhbench"
LABELS = np.eye(3, dtype=np.uint8)[np.arange(12) % 3]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A leaderboard over the contributed results, and over these with a forged number and another name."""
    folder = tmp_path_factory.mktemp("site")
    forged = folder / "forged <b>"
    shutil.copytree(COMMUNITY, forged)
    run = next(forged.glob("moving-digits/itq/*"))
    forger.edit(run, lambda values: values["metrics"]["paper"].update(map_full=0.99))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.report.folder.drawn", undrawn)
        assert main(["site", str(COMMUNITY), str(forged), "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_there_is_an_index_and_a_page_for_every_dataset_and_method(site: Path) -> None:
    pages = {path.name for path in site.glob("*.html")}
    assert pages == {"index.html", "dataset-moving-digits.html", "method-itq.html", "method-lsh.html"}


def test_all_links_lead_to_files_and_nothing_is_loaded(site: Path) -> None:
    for path in site.glob("*.html"):
        read = Reader(path.read_text(encoding="utf-8"))
        links = [attributes["href"] for attributes, _ in read.all("a")]
        assert "index.html" in links or path.name == "index.html"
        assert not [link for link in links if not (site / unquote(link)).is_file()]
        assert not read.all("img") + read.all("link") + read.all("iframe")
        (policy,) = [attributes["content"] for attributes, _ in read.all("meta") if "content" in attributes
                     and "default-src" in attributes["content"]]  # fmt: skip
        assert policy.startswith("default-src 'none'")


def rows(page: Path) -> list[list[str]]:
    """The cells of all table rows."""
    body = re.findall(r"<tr data-.*?</tr>", page.read_text(encoding="utf-8"))
    return [[text for _, text in Reader(row).all("td")] for row in body]


def test_every_row_says_what_is_known_of_it(site: Path) -> None:
    # method, bits, mAP@20, interval, note, evidence, set
    found = {row[0]: row for row in rows(site / "dataset-moving-digits.html") if len(row) == 7}
    assert found["ITQ (vhbench)"][2:] == ["0.385", "0.360–0.411", "", RECOMPUTED, "vhbench"]
    # Two sets that hold one and the same run do not confirm each other.
    assert found["LSH (forged <b>)"][5] == found["LSH (vhbench)"][5] == RECOMPUTED
    # The highest score comes first.
    assert list(found) == ["ITQ (vhbench)", "LSH (forged <b>)", "LSH (vhbench)", "ITQ (forged <b>)"]


def test_a_forged_number_is_not_shown_but_named(site: Path) -> None:
    (refused,) = [row for row in rows(site / "dataset-moving-digits.html") if "unsound" in row]
    assert refused[1] == "ITQ (forged <b>)"
    assert "paper map_full: stored 0.99" in refused[-1]
    (row,) = [row for row in rows(site / "method-itq.html") if row[:2] == ["Moving digits", "ITQ (forged <b>)"]]
    assert row[2:6] == ["16", "0", "–", "–"]


def test_published_numbers_stand_apart_in_another_style() -> None:
    table = of_method("mcmsh")
    assert table is not None
    assert all(cell.italic for row in table.rows for cell in row)
    assert table.notes[0].startswith("Published, not measured here")
    assert of_method("itq") is None  # no source gives numbers of it


def test_names_from_files_are_inert(site: Path) -> None:
    for path in site.glob("*.html"):
        assert "<b>" not in path.read_text(encoding="utf-8")


def stored(folder: Path, started: str, correct: float, method: str = "lsh", dataset: str = "toy") -> Path:
    """A results folder with one run: so many of its codes have the class of their video in their bits, others none."""
    made = record_of(spec_of(method=method))
    named = {
        "spec": made.spec.model_copy(update={"dataset": dataset}),
        "dataset": made.dataset.model_copy(update={"name": dataset}),
    }
    store, record = Store(folder, lambda _: None), made.model_copy(update={"started": started, **named})
    random = np.random.default_rng(0)
    bits = random.choice(np.array([-1, 1], dtype=np.int8), (12, 8))
    right = np.arange(12) < correct * 12
    bits[right] = np.repeat(LABELS * 2 - 1, 3, axis=1)[right, :8].astype(np.int8)
    codes = StoredCodes(bits, LABELS, None, None)
    scores = evaluate_codes(codes, ["paper"])

    def fill(place: Path) -> None:
        write_codes(place / CODES, codes)
        write_per_query(place / PER_QUERY, scores)
        write_description(place, record)

    metrics = {name: score.without_queries() for name, score in scores.items()}
    store.write(record.model_copy(update={"metrics": metrics}), fill)
    return folder


def known(collection: Collection) -> dict[str, str]:
    return {standing.source: standing.shown for standing in collection.standing.values()}


@pytest.mark.parametrize(
    ("started", "correct", "expected"),
    [
        ("2026-02-02T00:00:00+00:00", 1.0, RETRAINED),
        ("2026-02-02T00:00:00+00:00", 0.0, REPORTED),  # beyond noise
        ("2026-01-01T00:00:00+00:00", 1.0, REPORTED),  # the same run, given twice
    ],
)
def test_a_run_done_again_elsewhere_confirms_another(
    started: str, correct: float, expected: str, tmp_path: Path
) -> None:
    folders = [
        stored(tmp_path / "mine", "2026-01-01T00:00:00+00:00", 1.0),
        stored(tmp_path / "theirs", started, correct),
    ]
    # Its dataset is unknown here, so that nothing can be recomputed.
    found = collect(folders, Recomputation(load_registry()), lambda _: None)
    assert known(found) == {"mine": expected, "theirs": expected}
    assert {run.method for run in found.runs} == {"LSH (mine)", "LSH (theirs)"}


def test_pages_without_costs_have_no_empty_section(tmp_path: Path) -> None:
    found = collect([stored(tmp_path / "a", "2026-01-01T00:00:00+00:00", 1.0)], Recomputation(load_registry()), print)
    made = pages(found, {})
    assert set(made) == {"index.html", "dataset-toy.html", "method-lsh.html"}
    assert not [name for name, document in made.items() if "## Cost" in document.text]


def test_an_encoder_that_is_not_here_gives_no_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recomputation, "_load", lambda *_: None)  # making the dataset takes seconds
    found = collect([COMMUNITY], Recomputation(load_registry(), reencoded=4), lambda _: None)
    assert {standing.tiers for standing in found.standing.values()} == {(RECOMPUTED,)}


def test_the_site_replaces_itself_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    both, one = (
        [str(COMMUNITY), str(stored(tmp_path / "other", "2026-01-01T00:00:00+00:00", 1.0, "pcah"))],
        str(COMMUNITY),
    )
    assert main(["site", *both[:1], "--out", str(out)]) == 0
    before = {path.name: path.read_bytes() for path in out.glob("*.html")}
    (out / "CNAME").write_text("example.org")
    assert main(["site", one, "--out", str(out)]) == 0
    assert {path.name: path.read_bytes() for path in out.glob("*.html")} == before
    assert (out / "CNAME").read_text() == "example.org"
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "index.html").write_text("mine")
    assert main(["site", one, "--out", str(theirs)]) == 2
    assert (
        "was not written by vhbench, and would be replaced; move it, or name another folder with --out"
        in capsys.readouterr().err
    )
    assert main(["site", str(tmp_path / "nowhere"), "--out", str(out)]) == 2
    assert "no such folder" in capsys.readouterr().err
