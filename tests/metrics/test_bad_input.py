"""Every wrong input is refused in one line that names the thing."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from bench.base.errors import InputError
from bench.metrics import PackedCodes, evaluate, pack_codes

CODES = np.array([[1, -1, 1], [1, 1, -1]])
LABELS = np.array([0, 1])


def with_value(value: float, dtype: type = float) -> np.ndarray:
    codes: np.ndarray = np.ones((4, 3), dtype=dtype)
    codes[2, 1] = value
    return codes


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (with_value(0.5), ["query_codes", "0.5", "row 2", "column 1"]),
        (with_value(np.nan), ["query_codes", "nan", "row 2", "column 1"]),
        (with_value(np.inf), ["query_codes", "inf", "row 2"]),
        (with_value(2, int), ["query_codes", "2", "row 2", "column 1"]),
        (with_value(-2, int), ["query_codes", "-2", "row 2"]),
        (np.array([[1, -1], [0, 1], [1, 1], [1, 1]]), ["query_codes", "0 at row 1, column 0", "zero"]),
        (np.ones(4), ["query_codes", "two-dimensional", "(4,)"]),
        (np.ones((4, 0)), ["query_codes", "bits"]),
        (np.ones((4, 3), dtype=complex), ["query_codes", "complex"]),
        (np.full((4, 3), "1"), ["query_codes", "<U1"]),
        (np.ones((4, 3), dtype=object), ["query_codes", "object"]),
        (np.ones((0, 3)), ["query_codes", "no codes"]),
    ],
)
def test_codes(codes: np.ndarray, words: list[str]) -> None:
    refused(words, codes, np.zeros(len(codes), dtype=int))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 1, 2]), ["query_labels", "(3,)", "2 videos"]),
        (np.array([0, -4]), ["query_labels", "-4", "row 1"]),
        (np.array([0, 0.5]), ["query_labels", "0.5 at row 1", "whole"]),
        (np.array([[0], [np.nan]]), ["query_labels", "nan at row 1", "whole"]),
        (np.array([0, np.inf]), ["query_labels", "inf at row 1", "whole"]),
        (np.array([[0, 1], [-1, 1]]), ["query_labels", "-1 at row 1, column 0", "0 or -1"]),
        (np.array([0, 2**64 - 1], dtype=np.uint64), ["query_labels", "18446744073709551615"]),
        (np.array([[0, 1], [2, 0]]), ["query_labels", "2", "row 1, column 0"]),
        (np.array([[0, 1], [np.nan, 0]]), ["query_labels", "nan", "row 1, column 0"]),
        (np.array([["a", "b"], ["b", "b"]]), ["query_labels", "a at row 0, column 0"]),
        (np.array(["a", None]), ["query_labels", "object", "numpy.unique"]),
        (np.zeros((2, 1, 1)), ["query_labels", "(2, 1, 1)"]),
    ],
)
def test_labels(labels: np.ndarray, words: list[str]) -> None:
    refused(words, CODES, labels)


NO_ARRAYS: dict[str, Callable[[], Any]] = {
    "Sparse": lambda: torch.ones(2, 3).to_sparse(),
    "meta": lambda: torch.ones(2, 3, device="meta"),
    "inhomogeneous": lambda: [[1, 1, 1], [1, 1]],
    "masked": lambda: np.ma.masked_array(np.ones((2, 3)), mask=np.eye(2, 3) > 0),
}


@pytest.mark.parametrize("reason", NO_ARRAYS)
def test_what_is_no_array(reason: str) -> None:
    wrong = NO_ARRAYS[reason]()
    refused(["query_codes", reason], wrong, LABELS)
    refused(["query_labels", reason], CODES, wrong)
    refused(["gallery_codes", reason], CODES, LABELS, wrong, LABELS)
    refused(["gallery_labels", reason], CODES, LABELS, CODES, wrong)


def test_tensors_that_numpy_can_read() -> None:
    expected = evaluate(CODES, LABELS).map
    codes, labels = torch.from_numpy(CODES), torch.from_numpy(LABELS)
    assert evaluate(codes, labels).map == expected
    assert evaluate(codes.float().requires_grad_(), labels).map == expected
    assert evaluate(codes.bfloat16(), labels).map == expected
    assert evaluate(list(codes.float().requires_grad_()), list(labels)).map == expected


@pytest.mark.parametrize(
    ("gallery_codes", "gallery_labels", "words"),
    [
        (np.ones((2, 4)), LABELS, ["query_codes", "3 bits", "gallery_codes", "4"]),
        (np.ones((0, 3)), np.zeros(0, dtype=int), ["gallery_codes", "no codes"]),
        (with_value(3), LABELS, ["gallery_codes", "3.0", "row 2"]),
        (CODES.copy(), np.eye(2), ["query_labels are class numbers", "gallery_labels are a table"]),
        (CODES.copy(), np.array(["a", "b"]), ["query_labels are class numbers", "gallery_labels are class names"]),
        (CODES.copy(), np.zeros(1, dtype=int), ["gallery_labels", "(1,)", "2 videos"]),
        (CODES.copy(), None, ["gallery_codes without gallery_labels"]),
        (None, LABELS, ["gallery_labels without gallery_codes"]),
    ],
)
def test_gallery(gallery_codes: Any, gallery_labels: Any, words: list[str]) -> None:
    refused(words, CODES, LABELS, gallery_codes, gallery_labels)


def test_label_widths() -> None:
    refused(["query_labels have 2", "gallery_labels have 3"], CODES, np.eye(2), CODES.copy(), np.zeros((2, 3)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ks": ()}, ["ks", "empty"]),
        ({"ks": (5, 0)}, ["ks", "0"]),
        ({"ks": (-3,)}, ["ks", "-3"]),
        ({"ks": (5.0,)}, ["ks", "5.0"]),
        ({"ks": (True,)}, ["ks", "True"]),
        ({"ks": ("5",)}, ["ks", "'5'"]),
        ({"ks": 5}, ["ks", "5"]),
        ({"protocol": "papr"}, ["papr", "paper, strict"]),
        ({"protocol": None}, ["None", "paper, strict"]),
        ({"normalise": "hits"}, ["hits", "k, relevant"]),
        ({"protocol": "ties=index"}, ["'ties=index'", "paper, strict", "arguments of bench.evaluate"]),
        ({"protocol": np.array([["paper"], ["strict"]])}, ["unknown protocol", "paper, strict"]),
        ({"normalise": np.array(["k", "relevant"])}, ["unknown normalise", "k, relevant"]),
        ({"ties": "random"}, ["random", "expected, index, best, worst"]),
        ({"ties": np.zeros((2, 2))}, ["unknown ties", "expected, index, best, worst"]),
        ({"ties": ["index"]}, ["unknown ties", "['index']"]),
        ({"exclude_self": np.zeros((2, 2))}, ["exclude_self", "True, False"]),
        ({"ks": np.ones((2, 2))}, ["ks holds", "[1., 1.]"]),
        ({"exclude_self": 1}, ["exclude_self", "True, False"]),
    ],
)
def test_options(options: dict[str, Any], words: list[str]) -> None:
    refused(words, CODES, LABELS, **options)


@pytest.mark.parametrize(
    ("words", "bits"),
    [
        (np.zeros((2, 1), dtype=np.int64), 3),
        (np.zeros((2, 1), dtype=np.uint64), 65),
        (np.zeros(2, dtype=np.uint64), 3),
        (np.full((2, 1), 8, dtype=np.uint64), 3),
        (np.zeros((2, 1), dtype=np.uint64), 0),
        (np.zeros((2, 1), dtype=np.uint64), True),
        (np.ma.masked_array(np.zeros((2, 1), dtype=np.uint64), mask=[[True], [False]]), 3),
        ([[0]], 3),
    ],
)
def test_packed_codes(words: Any, bits: Any) -> None:
    with pytest.raises(InputError, match="packed codes"):
        PackedCodes(words, bits)


def test_pack_codes_names_its_own_argument() -> None:
    with pytest.raises(InputError, match=r"^codes are not binary: 7 at row 0, column 1"):
        pack_codes([[1, 7]])


def refused(words: list[str], *arguments: Any, **options: Any) -> None:
    with pytest.raises(InputError) as caught:
        evaluate(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
