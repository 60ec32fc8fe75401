"""What an index finds is what a comparison with every code finds, in an order that anyone can repeat."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.encoding.code_file import CodeFile, CodesDescription, UsedEncoder
from bench.metrics import pack_codes, unpack_codes
from bench.search import index as indexes
from bench.search.index import Index, add, create, open_index
from bench.search.lookup import Found, Hit, look_up

BITS = 12


def random_signs(count: int, seed: int = 0, bits: int = BITS) -> NDArray[np.int8]:
    return np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), (count, bits))


def file_of(signs: NDArray[np.int8], ids: list[str] | None = None, encoder: str = "a") -> CodeFile:
    description = CodesDescription(
        videos=len(signs), bits=signs.shape[1], format="signs", bitorder=None, padding=0, sha256="0" * 64, ids=ids,
        encoder=UsedEncoder(folder="encoders/one", digest=encoder),
    )  # fmt: skip
    return CodeFile(pack_codes(signs), description)


def one_by_one(signs: NDArray[np.int8], query: NDArray[np.int8], k: int | None, radius: int | None) -> Found:
    ranked = sorted((int(distance), number) for number, distance in enumerate((signs != query).sum(axis=1)))
    near = [(distance, number) for distance, number in ranked if radius is None or distance <= radius]
    hits, rest = near[:k], near[len(near[:k]) :]
    tied = sum(distance == hits[-1][0] for distance, _ in rest)
    return Found(tuple(Hit(number, distance) for distance, number in hits), tied)


@pytest.fixture(scope="module")
def signs() -> NDArray[np.int8]:
    return random_signs(300)


@pytest.fixture(scope="module")
def made(signs: NDArray[np.int8], tmp_path_factory: pytest.TempPathFactory) -> Index:
    folder = tmp_path_factory.mktemp("made") / "index"
    create(file_of(signs), folder)
    return open_index(folder)


@given(st.integers(0, 10**6), st.none() | st.integers(1, 310), st.none() | st.integers(0, BITS))
@settings(max_examples=40, deadline=None)
def test_everything_is_found_in_order(
    made: Index, signs: NDArray[np.int8], seed: int, k: int | None, radius: int | None
) -> None:
    queries = random_signs(2, seed)
    expected = [one_by_one(signs, query, k, radius) for query in queries]
    assert look_up(made, pack_codes(queries), k, radius) == expected


def test_ties_longer_than_what_is_asked_of_faiss_are_ordered(tmp_path: Path) -> None:
    signs = random_signs(300, seed=3, bits=3)
    index = create(file_of(signs), tmp_path / "index")
    for query in signs[:5]:
        for k in (1, 2, 7, 60):
            for radius in (None, 0, 1):
                assert look_up(index, pack_codes(query[None]), k, radius) == [one_by_one(signs, query, k, radius)]


def test_a_query_is_not_found_by_itself(made: Index, signs: NDArray[np.int8]) -> None:
    for own in (0, 7, 299):
        (found,) = look_up(made, made.code(own), k=5, own=own)
        numbers = [hit.number for hit in one_by_one(signs, signs[own], None, None).hits if hit.number != own]
        assert [hit.number for hit in found.hits] == numbers[:5]


def test_codes_come_back(made: Index, signs: NDArray[np.int8]) -> None:
    np.testing.assert_array_equal(unpack_codes(made.code(5)), signs[5:6])
    assert (made.name_of(5), made.number_of("5"), made.number_of("300"), made.number_of("x")) == ("5", 5, None, None)


def test_codes_added_are_as_if_they_had_been_there(tmp_path: Path, signs: NDArray[np.int8]) -> None:
    names = [f"clip {number}.mp4" for number in range(300)]
    create(file_of(signs[:200], names[:200]), tmp_path / "index")
    add(file_of(signs[200:], names[200:]), tmp_path / "index")
    index = open_index(tmp_path / "index")
    assert index.description.videos == 300
    assert [index.number_of(names[250]), index.name_of(250)] == [250, names[250]]
    query = random_signs(1, seed=5)
    assert look_up(index, pack_codes(query), 20) == [one_by_one(signs, query[0], 20, None)]
    assert len(list((tmp_path / "index").iterdir())) == 2


def test_many_codes_lie_in_lists_whose_recall_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexes, "EXACT", 1500)
    random = np.random.default_rng(0)
    centres = random_signs(40, seed=1, bits=64)
    signs = np.repeat(centres, 50, axis=0)
    signs[random.random(signs.shape) < 0.05] *= -1
    create(file_of(signs[:1000]), tmp_path / "index")
    assert open_index(tmp_path / "index").description.kind == "exact"
    add(file_of(signs[1000:]), tmp_path / "index")
    index = open_index(tmp_path / "index")
    described = index.description
    assert (described.kind, described.videos) == ("lists", 2000)
    assert described.recall is not None
    assert described.visited is not None
    assert described.recall >= 0.99
    assert described.visited < index.faiss.nlist
    np.testing.assert_array_equal(unpack_codes(index.code(1234)), signs[1234:1235])
    hits = total = 0
    for number in range(0, 2000, 40):
        # Near a code of the index, as a query is that is not in it.
        query = np.where(random.random(64) < 0.05, -signs[number], signs[number])
        (found,) = look_up(index, pack_codes(query[None]), 10)
        farthest = one_by_one(signs, query, 10, None).hits[-1].distance
        hits, total = hits + sum(hit.distance <= farthest for hit in found.hits), total + 10
    assert hits / total >= 0.97
    more = random_signs(30, seed=9, bits=64)
    add(file_of(more), tmp_path / "index")
    again = open_index(tmp_path / "index")
    assert (again.description.kind, again.description.videos) == ("lists", 2030)
    np.testing.assert_array_equal(unpack_codes(again.code(2029)), more[-1:])


def test_what_cannot_be_added_is_refused(tmp_path: Path, signs: NDArray[np.int8]) -> None:
    folder = tmp_path / "index"
    create(file_of(signs[:3], ["a", "b", "c"]), folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    for codes, reason in (
        (file_of(random_signs(2, bits=16), ["d", "e"]), "holds codes of 12 bits, not 16"),
        (file_of(signs[3:4], ["d"], encoder="b"), "its codes come from another encoder"),
        (file_of(signs[3:5], ["d", "b"]), "'b' is there already"),
        (file_of(signs[3:4]), "either all codes have names or none"),
    ):
        with pytest.raises(InputError, match=reason):
            add(codes, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_folders_that_are_no_place_for_an_index(tmp_path: Path, signs: NDArray[np.int8]) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    create(file_of(signs), tmp_path / "index")
    for folder, reason in (("mine", "is no empty folder"), ("index", "holds an index; add the codes to it with --add")):
        with pytest.raises(InputError, match=reason):
            create(file_of(signs), tmp_path / folder)
    with pytest.raises(InputError, match="holds no index"):
        open_index(tmp_path / "mine")
    with pytest.raises(InputError, match="there are no codes"):
        create(file_of(signs[:0]), tmp_path / "new")


def test_a_damaged_index_is_refused(tmp_path: Path, signs: NDArray[np.int8]) -> None:
    create(file_of(signs), tmp_path / "index")
    (stored,) = (tmp_path / "index").glob("*.faiss")
    content = stored.read_bytes()
    stored.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match="was changed since it was written; make the index again"):
        open_index(tmp_path / "index")
    stored.unlink()
    with pytest.raises(InputError, match=stored.name):
        open_index(tmp_path / "index")
    described = tmp_path / "index" / "index.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"file": "../../elsewhere.faiss"}))
    with pytest.raises(InputError, match=r"index\.json: file"):
        open_index(tmp_path / "index")


def test_queries_of_other_bits_are_refused(made: Index) -> None:
    with pytest.raises(InputError, match="the queries have 16 bits, the index 12"):
        look_up(made, pack_codes(random_signs(1, bits=16)))
