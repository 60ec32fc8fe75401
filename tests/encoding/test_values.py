"""Values as people hold them in Python: taken, or refused in one line that says how to give them."""

import decimal
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import bench
from bench.base.errors import InputError
from bench.base.text import LONGEST_SHOWN, shown
from bench.data.dataset import Dataset
from bench.data.features import ArrayFeatures
from bench.learning.method import ShallowMethod
from bench.metrics.codes import PackedCodes

FEATURES = np.random.default_rng(0).normal(size=(40, 4, 16)).astype(np.float32)
QUICK: dict[str, Any] = {"epochs": 1, "hidden": 16, "anchors": 4}


class Hostile:
    """Of no use, and cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def refused(call: Any, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 3 * LONGEST_SHOWN
    for word in words:
        assert word in message


@pytest.fixture(scope="module")
def encoder() -> bench.Encoder:
    return bench.fit("mlp-mixer", FEATURES, bits=8, **QUICK)


@pytest.mark.parametrize("bits", [np.int64(8), np.uint8(8), np.array(8), torch.tensor(8)])
def test_whole_numbers_of_all_libraries(bits: Any) -> None:
    fitted = bench.fit("lsh", FEATURES, bits=bits, seed=bits)
    assert fitted.description == bench.fit("lsh", FEATURES, bits=8, seed=8).description
    assert type(fitted.description.bits) is int
    np.testing.assert_array_equal(fitted.encode(FEATURES), bench.fit("lsh", FEATURES, 8, seed=8).encode(FEATURES))
    assert PackedCodes(np.zeros((2, 1), dtype=np.uint64), bits).bits == 8


NO_NUMBERS: list[Any] = [None, True, np.True_, torch.tensor(True), 16.0, 1.7, np.float64(8), "8", decimal.Decimal(8)]
NO_NUMBERS += [[8], np.array([8, 9]), Hostile(), float("nan")]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_what_is_no_whole_number(value: Any) -> None:
    kind = type(value).__name__
    refused(lambda: bench.fit("lsh", FEATURES, bits=value), "bits: ", kind, "give an int")
    refused(lambda: bench.fit("lsh", FEATURES, bits=8, seed=value), "seed: ", kind, "give an int")
    refused(lambda: PackedCodes(np.zeros((2, 1), dtype=np.uint64), value), "bits: ", kind)


@pytest.mark.parametrize(("bits", "seed"), [(0, 0), (1025, 0), (8, -1), (8, 2**32), (10**5000, 0)], ids=shown)
def test_whole_numbers_out_of_range(bits: int, seed: int) -> None:
    refused(lambda: bench.fit("lsh", FEATURES, bits=bits, seed=seed), "is not between")


@pytest.mark.parametrize("device", ["cpu", "CPU", torch.device("cpu")])
def test_devices(device: Any) -> None:
    assert bench.fit("lsh", FEATURES, bits=8, device=device).device == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "cuda:", "mps", None, 0, torch.device("meta"), Hostile()])
def test_unknown_devices(device: Any) -> None:
    refused(lambda: bench.fit("lsh", FEATURES, bits=8, device=device), "unknown device", "known: auto, cpu, cuda")


def test_a_device_that_is_not_there() -> None:
    missing = f"cuda:{torch.cuda.device_count()}"
    refused(lambda: bench.fit("lsh", FEATURES, bits=8, device=missing), f"device '{missing}'")


@pytest.mark.parametrize("epochs", [np.int64(2), np.float64(2), torch.tensor(2), np.array(2), 2.0])
def test_parameters_of_all_libraries(epochs: Any) -> None:
    fitted = bench.fit("mlp-mixer", FEATURES, bits=8, **QUICK | {"epochs": epochs})
    assert fitted.description.parameters["epochs"] == 2
    assert len(fitted.history) == 2


NO_EPOCHS: list[Any] = [np.array([1, 2]), None, "two", float("nan"), Hostile(), {}, np.datetime64("2026")]


@pytest.mark.parametrize("value", NO_EPOCHS, ids=shown)
def test_parameters_that_cannot_be_meant(value: Any) -> None:
    refused(lambda: bench.fit("mlp-mixer", FEATURES, bits=8, epochs=value), "mlp-mixer.epochs: ")


FORMS: dict[str, Any] = {
    "float64": FEATURES.astype(np.float64),
    "big-endian": FEATURES.astype(">f4"),
    "a tensor": torch.from_numpy(FEATURES),
    "a tensor with a gradient": torch.from_numpy(FEATURES).requires_grad_(),
    "a list of arrays": list(FEATURES),
    "a list of tensors": list(torch.from_numpy(FEATURES).requires_grad_()),
    "lists of lists": FEATURES.tolist(),
    "Fortran's order": np.asfortranarray(FEATURES),
    "every second": np.repeat(FEATURES, 2, axis=0)[::2],
    "backwards": FEATURES[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": FEATURES.transpose(2, 0, 1).copy().transpose(1, 2, 0),
    "features": ArrayFeatures(FEATURES),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_features_in_other_forms(form: str, encoder: bench.Encoder) -> None:
    expected = encoder.encode(FEATURES)
    np.testing.assert_array_equal(encoder.encode(FORMS[form]), expected)
    again = bench.fit("mlp-mixer", FORMS[form], bits=8, **QUICK)
    np.testing.assert_array_equal(again.encode(FEATURES), expected)


def test_features_that_are_rounded_or_whole(encoder: bench.Encoder) -> None:
    rounded = torch.from_numpy(FEATURES).bfloat16()
    np.testing.assert_array_equal(encoder.encode(rounded), encoder.encode(rounded.float().numpy()))
    whole = np.round(10 * FEATURES)
    for kind in (np.int8, np.int64, np.float16):
        np.testing.assert_array_equal(encoder.encode(whole.astype(kind)), encoder.encode(whole))
    locked = FEATURES.copy()
    locked.flags.writeable = False
    np.testing.assert_array_equal(encoder.encode(locked), encoder.encode(FEATURES))


NO_FEATURES: dict[str, tuple[Any, str]] = {
    "one video": (FEATURES[0], "give one video as array[None]"),
    "a data frame": (pd.DataFrame(FEATURES[0]), "give one video as array[None]"),
    "videos of other lengths": ([FEATURES[0], FEATURES[1, :3]], "videos have shapes (3, 16) and (4, 16); sample"),
    "lists of other lengths": ([FEATURES[0].tolist(), FEATURES[1, :3].tolist()], "videos have shapes (3,) and (4,)"),
    "an iterator": (iter(FEATURES), "are an iterator; give numpy.stack(list(…)) of it"),
    "nothing": (None, "hold object"),
    "text": (np.full((2, 4, 16), "1"), "hold <U1"),
    "complex numbers": (FEATURES.astype(complex), "hold complex128"),
    "masked": (np.ma.masked_array(FEATURES, FEATURES > 1), "are a masked array"),
    "sparse": (torch.from_numpy(FEATURES).to_sparse(), "cannot be read as an array"),
    "NaN": (np.full((2, 4, 16), np.nan), "NaN or infinite"),
    "too large": (np.full((2, 4, 16), 1e300), "NaN or infinite"),
    "four axes": (FEATURES[None], "(1, 40, 4, 16)"),
}


@pytest.mark.parametrize("form", NO_FEATURES)
def test_what_is_no_features(form: str, encoder: bench.Encoder) -> None:
    given, reason = NO_FEATURES[form]
    refused(lambda: encoder.encode(given), "features", reason)
    if form not in {"one video", "a data frame"}:
        refused(lambda: bench.fit("itq", given, bits=8), "data", reason)


def test_whole_datasets_are_refused_where_features_are_asked_for(encoder: bench.Encoder, tiny: Dataset) -> None:
    whole: Any = tiny
    refused(lambda: encoder.encode(whole), "a Dataset holds features and more; give its .query.features")
    refused(lambda: encoder.encode(whole.query), "a Split holds features and more; give its .features")
    refused(lambda: bench.fit("itq", "moving-digits", bits=8), "give bench.load_dataset('moving-digits')")
    refused(lambda: bench.fit("itq", FEATURES[:0], bits=8), "(0, 4, 16)", "nothing to learn from")
    refused(lambda: bench.fit("oracle", FEATURES, bits=8), "oracle is made from labels")


def test_vectors_are_videos_of_one_frame() -> None:
    fitted = bench.fit("itq", FEATURES[:, 0], bits=8)
    np.testing.assert_array_equal(fitted.encode(FEATURES[:, 0]), fitted.encode(FEATURES[:, :1]))


class Own(ShallowMethod):
    """The first coordinates."""

    name = "own"
    title = "Own"

    def directions(self, centred, random):  # type: ignore[no-untyped-def]
        return np.eye(centred.shape[1], self.bits)


def test_a_class_of_ones_own(tmp_path: Path) -> None:
    fitted = bench.fit(Own, FEATURES, bits=8)
    expected = np.where((FEATURES.mean(axis=1) - FEATURES.mean(axis=(0, 1)))[:, :8] >= 0, 1, -1)
    np.testing.assert_array_equal(fitted.encode(FEATURES), expected)
    fitted.save(str(tmp_path / "own"))
    refused(lambda: bench.load_encoder(tmp_path / "own"), "unknown method 'own'", "from Python plugins=[FILE]")
    loaded = bench.load_encoder(str(tmp_path / "own"), plugins=[Own])
    np.testing.assert_array_equal(loaded.encode(FEATURES), expected)
    file = tmp_path / "own.py"
    header = "import numpy as np\nfrom bench.learning.method import ShallowMethod\n\n\n"
    file.write_text(header + inspect.getsource(Own))
    np.testing.assert_array_equal(bench.load_encoder(tmp_path / "own", plugins=file).encode(FEATURES), expected)


@pytest.mark.parametrize("method", [3, None, ["itq"], int, Own(8, None), Hostile()])
def test_what_is_no_method(method: Any) -> None:
    refused(lambda: bench.fit(method, FEATURES, bits=8), "neither a name, such as 'itq', nor a class")


def test_classes_that_cannot_be_used() -> None:
    refused(lambda: bench.fit("own", FEATURES, bits=8), "unknown method 'own'", "from Python give its class")
    taken = type("Taken", (Own,), {"name": "itq"})
    refused(lambda: bench.fit(taken, FEATURES, bits=8), "'itq' is already the name of bench.methods.itq")
    refused(lambda: bench.fit(ShallowMethod, FEATURES, bits=8), "ShallowMethod has no title")


@pytest.mark.parametrize("path", [None, 3, b"encoder", Hostile()])
def test_what_is_no_path(path: Any, encoder: bench.Encoder) -> None:
    kind = type(path).__name__
    refused(lambda: bench.load_encoder(path), "folder: ", kind, "give a path as text or pathlib.Path")
    refused(lambda: encoder.save(path), "folder: ", kind)
    refused(lambda: bench.load_checkpoint("bth", path, bits=8), "path: ", kind)
    refused(lambda: bench.load_dataset(path), "name: ", kind)
