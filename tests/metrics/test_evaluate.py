"""What surrounds the numbers: packing, protocols, the record, determinism, import cost."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.metrics import PROTOCOLS, PackedCodes, evaluate, pack_codes, unpack_codes


@given(rows=st.integers(0, 5), bits=st.integers(1, 200), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_packing_can_be_undone(rows: int, bits: int, seed: int) -> None:
    codes = np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), size=(rows, bits))
    packed = pack_codes(codes)
    assert packed.words.shape == (rows, -(-bits // 64))
    assert len(packed) == rows
    unpacked = unpack_codes(packed)
    assert unpacked.dtype == np.int8
    np.testing.assert_array_equal(unpacked, codes)
    np.testing.assert_array_equal(pack_codes(codes > 0).words, packed.words)


def test_where_bits_go() -> None:
    codes = np.zeros((1, 70), dtype=int)
    codes[0, [0, 3, 69]] = 1
    assert pack_codes(codes).words.tolist() == [[0b1001, 1 << 5]]


def test_packed_codes_may_be_read_only() -> None:
    codes = np.random.default_rng(0).integers(0, 2, (20, 40))
    packed = pack_codes(codes)
    packed.words.setflags(write=False)
    fortran = PackedCodes(np.asfortranarray(pack_codes(np.tile(codes, 2)).words), 80)
    assert evaluate(packed, [0, 1] * 10).map == evaluate(codes, [0, 1] * 10).map
    assert evaluate(fortran, [0, 1] * 10).map == evaluate(np.tile(codes, 2), [0, 1] * 10).map


def test_the_protocols() -> None:
    assert set(PROTOCOLS) == {"paper", "strict"}
    paper, strict = PROTOCOLS["paper"], PROTOCOLS["strict"]
    assert (paper.normalise, paper.exclude_self, paper.ties) == ("k", False, "expected")
    assert (strict.normalise, strict.exclude_self, strict.ties) == ("relevant", True, "expected")
    for protocol in PROTOCOLS.values():
        assert protocol.description.endswith(".")
        with pytest.raises(dataclasses.FrozenInstanceError):
            protocol.name = "mine"  # type: ignore[misc]


def test_a_changed_protocol_says_so() -> None:
    def name(**options: object) -> str:
        return evaluate([[0], [1]], [0, 0], **options).protocol.name  # type: ignore[arg-type]

    assert name() == "paper"
    assert name(ties="expected", normalise="k", exclude_self=False) == "paper"
    assert name(ties="index") == "paper, ties=index"
    assert name(protocol="strict", normalise="k", exclude_self=False) == "strict, normalise=k, exclude_self=False"


PROTOCOL_CHOICES = [
    {"protocol": protocol, "ties": ties, "exclude_self": exclude_self}
    for protocol in PROTOCOLS
    for ties in ("expected", "index", "best", "worst")
    for exclude_self in (False, True)
]


@pytest.mark.parametrize("options", PROTOCOL_CHOICES)
@pytest.mark.parametrize("multi_hot", [False, True])
def test_equal_copies_of_the_queries_are_the_queries(options: dict[str, Any], *, multi_hot: bool) -> None:
    rng = np.random.default_rng(11)
    codes, labels = rng.choice([-1, 1], (60, 9)), rng.integers(0, 4, 60)
    if multi_hot:
        labels = (rng.random((60, 5)) < 0.3).astype(np.uint8)
    alone = evaluate(codes, labels, **options)
    copies = evaluate(codes, labels, codes.copy() > 0, labels.astype(np.int16), **options)
    assert copies.to_json() == alone.to_json()
    for k in alone.ks:
        np.testing.assert_array_equal(copies.average_precision[k], alone.average_precision[k])


@pytest.mark.parametrize("changed", ["bit", "label", "order", "number"])
def test_a_gallery_that_differs_anywhere_is_apart(changed: str) -> None:
    # Each code its own label: with the query itself in place mAP@1 is 1, without it nothing is relevant.
    codes, labels = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]), np.arange(4)
    gallery, gallery_labels = codes.copy(), labels.copy()
    if changed == "bit":
        gallery[3, 0] = 0
    elif changed == "label":
        gallery_labels[3] = 9
    elif changed == "order":
        gallery, gallery_labels = gallery[::-1], gallery_labels[::-1]
    else:
        gallery, gallery_labels = gallery[:3], gallery_labels[:3]
    assert evaluate(codes, labels, protocol="strict").queries_without_relevant == 4
    apart = evaluate(codes, labels, gallery, gallery_labels, protocol="strict", ks=(1,))
    assert apart.average_precision[1][:3].tolist() == [1, 1, 1]
    assert apart.queries_without_relevant == (changed in ("label", "number"))


def test_the_protocol_says_left_out_only_where_it_applies() -> None:
    def described(*gallery: Any, **options: Any) -> str:
        description = evaluate([[0], [1]], [0, 0], *gallery, **options).to_json()["protocol"]["description"]
        assert isinstance(description, str)
        return description

    assert "left out of its own ranking" in described(protocol="strict")
    assert "left out of its own ranking" in described([[0], [1]], [0, 0], protocol="strict")
    assert "left out" not in described([[1], [1]], [0, 0], protocol="strict")
    assert "the gallery is apart from the queries" in described([[1], [1]], [0, 0], exclude_self=True)
    assert "stays there" in described()


def test_the_record_is_json() -> None:
    scores = evaluate([[0, 1], [1, 1], [0, 0]], [0, 0, 1], ks=np.array([2, 1, 2]))
    assert scores.ks == (1, 2)
    record = json.loads(json.dumps(scores.to_json(), allow_nan=False))
    assert record["map"] == {"1": scores.map[1], "2": scores.map[2]}
    assert record["tie_spread"]["2"] == scores.map_best[2] - scores.map_worst[2]
    assert record["protocol"]["name"] == "paper"
    assert scores.precision_recall is not None
    assert record["precision_recall"]["recall"] == scores.precision_recall[0].tolist()
    assert record["queries"] == record["gallery"] == 3
    assert "average_precision" not in record


@pytest.mark.parametrize("ties", ["expected", "index"])
def test_the_same_to_the_bit_with_any_number_of_threads(monkeypatch: pytest.MonkeyPatch, ties: str) -> None:
    rng = np.random.default_rng(3)
    codes, labels = rng.integers(0, 2, (700, 20)), rng.integers(0, 9, 700)
    records = []
    for threads in (1, 2, 5):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
        records.append(json.dumps(evaluate(codes, labels, ties=ties).to_json()))  # type: ignore[arg-type]
    assert len(set(records)) == 1


def test_importing_compiles_nothing_and_brings_no_torch() -> None:
    program = "import sys, bench.metrics; print(*sorted({'numba', 'torch'} & set(sys.modules)))"
    assert run(program) == ""


def test_a_new_process_finds_the_compiled_kernels() -> None:
    codes, labels = [[0, 1], [1, 1]], [0, 0]
    here = evaluate(codes, labels).map[5]  # compiles what nobody has compiled before
    kernels = (
        "[part.stats for module in (counting, tie_sums) for part in vars(module).values() if hasattr(part, 'py_func')]"
    )
    program = (
        f"from bench.metrics import counting, evaluate, tie_sums; print(evaluate({codes}, {labels}).map[5]); "
        f"kernels = {kernels}; "
        "print(sum(len(part.cache_hits) for part in kernels), sum(len(part.cache_misses) for part in kernels))"
    )
    found, loaded, compiled = run(program).split()
    assert float(found) == here
    assert int(loaded) > 1
    assert int(compiled) == 0


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    root = Path(__file__).parents[2]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()
