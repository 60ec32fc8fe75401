"""Files of codes: packed and read back bit by bit, and never read with a description that is not theirs."""

import json
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from bench.base.errors import InputError
from bench.cli import main
from bench.encoding.code_file import description_file, read_code_file
from bench.encoding.encoder import encoder_digest
from bench.metrics import unpack_codes

from .conftest import deep_encoder, random_videos

BITS = 20


class Codes:
    """An encoder and features on disk, and what the command makes of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.encoder, self.features = folder, folder / "encoder", folder / "features.npy"
        encoder = deep_encoder("mixer-lrd", bits=BITS)
        encoder.save(self.encoder)
        videos = random_videos(50)
        np.save(self.features, videos)
        self.signs = encoder.encode(videos)

    def written(self, *options: str, name: str = "codes.npy") -> Path:
        out = self.folder / name
        call = ["encode", "--encoder", self.encoder, "--features", self.features, "--out", out, *options]
        assert main([str(part) for part in call]) == 0
        return out


@pytest.fixture
def codes(tmp_path: Path) -> Codes:
    return Codes(tmp_path)


def by_hand(signs: np.ndarray, order: str) -> np.ndarray:
    octets = np.zeros((len(signs), 3), dtype=np.uint8)
    for video, row in enumerate(signs):
        for bit, sign in enumerate(row):
            place = bit % 8 if order == "little" else 7 - bit % 8
            octets[video, bit // 8] += (1 << place) * (sign == 1)
    return octets


@pytest.mark.parametrize("order", ["little", "big"])
def test_bits_lie_where_the_description_says(codes: Codes, order: str) -> None:
    path = codes.written("--format", "packed", "--bitorder", order)
    np.testing.assert_array_equal(np.load(path), by_hand(codes.signs, order))
    found = read_code_file(path)
    np.testing.assert_array_equal(unpack_codes(found.codes), codes.signs)
    described = json.loads(description_file(path).read_text())
    assert described["bitorder"] == order
    assert (described["bits"], described["padding"], described["videos"]) == (BITS, 4, 50)
    assert described["encoder"] == {"folder": str(codes.encoder), "digest": encoder_digest(codes.encoder)}


def test_signs_are_the_default_and_packed_bits_little(codes: Codes) -> None:
    signs = codes.written()
    np.testing.assert_array_equal(np.load(signs), codes.signs)
    np.testing.assert_array_equal(unpack_codes(read_code_file(signs).codes), codes.signs)
    assert json.loads(description_file(signs).read_text())["bitorder"] is None
    packed = codes.written("--format", "packed", name="packed.npy")
    np.testing.assert_array_equal(np.load(packed), by_hand(codes.signs, "little"))


def test_faiss_ranks_packed_codes_as_signs_are_ranked(codes: Codes) -> None:
    octets = np.load(codes.written("--format", "packed"))
    index = faiss.IndexBinaryFlat(8 * octets.shape[1])
    index.add(octets)
    distances, _ = index.search(octets, 50)
    expected = np.sort((codes.signs[:, None] != codes.signs[None]).sum(axis=2), axis=1)
    np.testing.assert_array_equal(np.sort(distances, axis=1), expected)


def test_a_description_of_another_file_is_refused(codes: Codes) -> None:
    little = codes.written("--format", "packed", name="little.npy")
    big = codes.written("--format", "packed", "--bitorder", "big", name="big.npy")
    description_file(big).write_bytes(description_file(little).read_bytes())
    with pytest.raises(InputError, match=r"big\.npy: big\.npy\.json describes another file; write the codes again"):
        read_code_file(big)
    description_file(little).unlink()
    with pytest.raises(InputError, match=r"little\.npy: holds bytes, and little\.npy\.json is missing, which says how"):
        read_code_file(little)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bitorder": "middle"}, "bitorder"),
        ({"bits": 17}, "padding and bitorder is stored as 4, True|describes another file|padding"),
        ({"padding": 0}, "padding"),
        ({"bits": 0}, "bits"),
        ({"ids": ["a"]}, "ids is stored as 1"),
        ({"surprise": 1}, "surprise"),
        ({"sha256": "0" * 64}, "describes another file"),
    ],
)
def test_a_description_that_is_wrong_is_refused(codes: Codes, change: dict[str, Any], reason: str) -> None:
    path = codes.written("--format", "packed")
    beside = description_file(path)
    beside.write_text(json.dumps(json.loads(beside.read_text()) | change))
    with pytest.raises(InputError, match=reason):
        read_code_file(path)


def test_signs_of_others_need_no_description(tmp_path: Path) -> None:
    for number, values in enumerate(([[1, -1], [-1, -1]], [[1, 0], [0, 0]])):
        for kind in (np.int8, np.uint8, np.float32) if number else (np.int8,):
            path = tmp_path / f"{number}.npy"
            np.save(path, np.array(values, dtype=kind))
            found = read_code_file(path)
            assert found.description is None
            np.testing.assert_array_equal(unpack_codes(found.codes), [[1, -1], [-1, -1]])


def test_what_is_no_file_of_codes(tmp_path: Path) -> None:
    text, several = tmp_path / "codes.npy", tmp_path / "codes.npz"
    text.write_text("nothing of the kind")
    np.savez(several, a=np.ones(3))
    for path, reason in ((text, "is no .npy file of codes"), (several, "holds several arrays"),
                         (tmp_path / "none.npy", "none.npy")):  # fmt: skip
        with pytest.raises(InputError, match=reason):
            read_code_file(path)


def test_codes_are_written_over_ours_alone(codes: Codes, capsys: pytest.CaptureFixture[str]) -> None:
    path = codes.written("--format", "packed")
    assert codes.written("--format", "packed", "--bitorder", "big") == path
    assert codes.written() == path
    capsys.readouterr()
    description_file(path).write_text("my notes")
    call = ["encode", "--encoder", codes.encoder, "--features", codes.features, "--out", path]
    assert main([str(part) for part in call]) == 2
    assert "codes.npy.json beside it describes no codes, and would be overwritten" in capsys.readouterr().err
    assert description_file(path).read_text() == "my notes"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--format", "pakced"], "--format pakced: did you mean packed?"),
        (["--bitorder", "big"], "--bitorder big: signs have none; add --format packed"),
        (["--format", "packed", "--bitorder", "litle"], "--bitorder litle: did you mean little?"),
    ],
)
def test_wrong_options(
    options: list[str], reason: str, codes: Codes, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    call = ["encode", "--encoder", codes.encoder, "--features", codes.features, "--out", codes.folder / "c.npy"]
    assert main([*map(str, call), *options]) == 2
    assert reason in capsys.readouterr().err
