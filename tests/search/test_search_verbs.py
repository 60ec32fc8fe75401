"""`bench index`, `bench search` and `bench export`, as a user calls them."""

import json
import shutil
from pathlib import Path

import faiss
import numpy as np
import pytest
import usearch.index as usearch_index

from bench.cli import main
from bench.encoding.code_file import description_file, read_code_file
from bench.metrics import unpack_codes
from tests.encoding.conftest import deep_encoder, random_videos

BITS, VIDEOS = 16, 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder, features, codes of three forms, and an index."""
    place = tmp_path_factory.mktemp("search")
    deep_encoder("mixer-lrd", bits=BITS).save(place / "encoder")
    np.save(place / "features.npy", random_videos(VIDEOS))
    for name, options in (
        ("signs", []), ("little", ["--format", "packed"]), ("big", ["--format", "packed", "--bitorder", "big"])
    ):  # fmt: skip
        call = ["encode", "--encoder", place / "encoder", "--features", place / "features.npy", "--out"]
        assert main([str(part) for part in (*call, place / f"{name}.npy", *options)]) == 0
    assert main(["index", str(place / "signs.npy"), "--out", str(place / "index")]) == 0
    return place


def signs_in(folder: Path) -> np.ndarray:
    return np.asarray(np.load(folder / "signs.npy"))


def found(folder: Path, query: object, capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, object]]:
    capsys.readouterr()
    assert main(["search", str(folder / "index"), str(query), "--json", *options]) == 0
    results: list[dict[str, object]] = json.loads(capsys.readouterr().out)
    return results


def test_features_codes_and_names_find_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signs = signs_in(folder)
    for name in ("features", "signs", "little", "big"):
        results = found(folder, folder / f"{name}.npy", capsys, "-k", "4")
        assert [result["query"] for result in results] == [f"{name}.npy[{number}]" for number in range(VIDEOS)]
        for number, result in enumerate(results):
            distances = (signs != signs[number]).sum(axis=1)
            order = sorted(range(VIDEOS), key=lambda other: (distances[other], other))[:4]
            assert result["results"] == [{"id": str(other), "distance": int(distances[other])} for other in order]
    (by_name,) = found(folder, 7, capsys)
    assert "7" not in {hit["id"] for hit in by_name["results"]}  # type: ignore[attr-defined]


def test_a_table_says_what_is_left_out(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "codes.npy", np.array([[1] * 8, [1] * 8, [1] * 7 + [-1]], dtype=np.int8))
    assert main(["index", str(tmp_path / "codes.npy"), "--out", str(tmp_path / "index")]) == 0
    assert capsys.readouterr().err == f"{tmp_path / 'index'}: 3 codes of 8 bits; exact\n"
    assert main(["search", str(tmp_path / "index"), "2", "-k", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["1       1           0", "1 more at distance 1 are left out"]
    assert main(["search", str(tmp_path / "index"), "2", "--radius", "0"]) == 0
    assert capsys.readouterr().out == "nothing within the radius\n"


def test_the_encoder_is_the_one_of_the_index(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    shutil.rmtree(moved / "encoder")
    described = moved / "index" / "index.json"
    values = json.loads(described.read_text())
    values["encoder"]["folder"] = str(moved / "encoder")
    described.write_text(json.dumps(values))
    call = ["search", str(moved / "index"), str(folder / "features.npy")]
    assert main(call) == 2
    assert "is no longer there; name the folder where it is now with --encoder" in capsys.readouterr().err
    assert main([*call, "--encoder", str(folder / "encoder")]) == 0
    deep_encoder("mcmsh", bits=BITS).save(moved / "other")
    assert main([*call, "--encoder", str(moved / "other")]) == 2
    assert "is not the encoder that the codes of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("99", "neither a file nor in"),
        ("clip.mp4", "neither a file nor in"),
        ("narrow.npy", "have 8 bits, the index 16"),
    ],
)
def test_queries_that_mean_nothing(
    query: str,
    reason: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("narrow.npy", np.ones((1, 8), dtype=np.int8))
    assert main(["search", str(folder / "index"), query]) == 2
    assert reason in capsys.readouterr().err


@pytest.fixture
def one_bit(tmp_path: Path) -> Path:
    """Two codes of 20 bits: only bit 0 set, and only bit 9."""
    signs = np.full((2, 20), -1, dtype=np.int8)
    signs[0, 0] = signs[1, 9] = 1
    np.save(tmp_path / "codes.npy", signs)
    return tmp_path / "codes.npy"


def exported(codes: Path, to: str) -> Path:
    out = codes.with_suffix(f".{to}")
    assert main(["export", str(codes), "--to", to, "--out", str(out)]) == 0
    return out


def test_faiss_has_bit_0_lowest(one_bit: Path) -> None:
    index = faiss.read_index_binary(str(exported(one_bit, "faiss")))
    np.testing.assert_array_equal(index.reconstruct_n(0, 2), [[1, 0, 0], [0, 2, 0]])
    assert index.d == 24


def test_pgvector_has_bit_0_first(one_bit: Path) -> None:
    lines = exported(one_bit, "pgvector").read_text().splitlines()
    assert lines == ["0\t10000000000000000000", "1\t00000000010000000000"]


def test_milvus_takes_packed_bytes_with_bit_0_highest(folder: Path) -> None:
    octets = np.load(folder / "big.npy")
    np.testing.assert_array_equal(octets, np.packbits(signs_in(folder) > 0, axis=1))


def test_usearch_finds_the_same_distances(folder: Path) -> None:
    index = usearch_index.Index(ndim=BITS, metric="hamming", dtype="b1", path=exported(folder / "signs.npy", "usearch"))
    signs = signs_in(folder)
    matches = index.search(np.packbits(signs[:1] > 0, axis=1), 5)
    expected = np.sort((signs != signs[0]).sum(axis=1))[:5]
    np.testing.assert_array_equal(np.sort(matches.distances.ravel()), expected)


def test_exports_of_all_forms_are_the_same(folder: Path) -> None:
    contents = set()
    for name in ("signs", "little", "big"):
        codes = read_code_file(folder / f"{name}.npy")
        assert codes.description
        np.testing.assert_array_equal(unpack_codes(codes.codes), signs_in(folder))
        contents.add(exported(folder / f"{name}.npy", "pgvector").read_bytes())
    assert len(contents) == 1


def test_names_go_into_exports_escaped(one_bit: Path) -> None:
    from bench.encoding.code_file import CodesDescription, sha256_of, write_description

    described = CodesDescription(
        videos=2, bits=20, format="signs", bitorder=None, padding=0, sha256=sha256_of(one_bit), ids=["a\tb\\", "c\nd"]
    )
    write_description(one_bit, described)
    assert description_file(one_bit).is_file()
    names = [line.rsplit("\t", 1)[0] for line in exported(one_bit, "pgvector").read_text().splitlines()]
    assert names == [r"a\tb\\", r"c\nd"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--to", "fais", "--out", "new.faiss"], "--to fais: did you mean faiss?"),
        (["--to", "faiss", "--out", "codes.npy"], "codes.npy: exists; name a new file"),
        (["--to", "faiss", "--out", "none/new.faiss"], "cannot be written"),
    ],
)
def test_exports_that_cannot_be(
    options: list[str], reason: str, one_bit: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(one_bit.parent)
    before = one_bit.read_bytes()
    assert main(["export", "codes.npy", *options]) == 2
    assert reason in capsys.readouterr().err
    assert one_bit.read_bytes() == before
