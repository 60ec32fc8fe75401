"""Datasets and encoders that are copied, sent to other processes and read by threads: the same numbers."""

import copy
import multiprocessing
import os
import pickle
import resource
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from bench.datasets.moving_digits import MovingDigits, Parameters
from numpy.typing import NDArray
from safetensors.numpy import save_file

from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.data.features import ArrayFeatures, ConcatenatedFeatures, Features
from bench.data.folder import open_features
from bench.data.open_files import MOST_OPEN
from bench.encoding.encoder import Encoder
from bench.encoding.modules import EncoderDescription
from bench.registry import load_registry

ARRAY = np.random.default_rng(0).normal(size=(9, 4, 3)).astype(np.float32)
KINDS = ("a.npy", "a.safetensors", "contiguous.h5", "chunks.h5", "big-endian.h5")


def write(path: Path, array: NDArray[np.float32] = ARRAY) -> Path:
    path.unlink(missing_ok=True)
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".safetensors":
        save_file({"feats": array}, path)
    else:
        with h5py.File(path, "w") as file:
            stored = array.astype(">f4") if path.name == "big-endian.h5" else array
            file.create_dataset("feats", data=stored, chunks=(2, 4, 3) if path.name == "chunks.h5" else None)
    return path


def values(features: Features) -> NDArray[np.float32]:
    """All videos, by every way of reading."""
    rows = np.arange(len(features))[::-1]
    frames = np.stack([features.read_frames(rows, np.full(len(rows), frame)) for frame in range(4)], axis=1)
    np.testing.assert_array_equal(features.read(rows), frames)
    np.testing.assert_array_equal(features[:][::-1], frames)
    return frames[::-1]


def of_all(made: list[Features]) -> list[NDArray[np.float32]]:
    return [values(features) for features in made]


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[Features]]:
    made = [open_features(write(tmp_path / name)) for name in KINDS]
    yield [*made, ConcatenatedFeatures([made[0], made[3], ArrayFeatures(ARRAY)])]


EXPECTED = [*[ARRAY] * len(KINDS), np.concatenate([ARRAY] * 3)]


def same(found: list[NDArray[np.float32]]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(found, EXPECTED, strict=True))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
@pytest.mark.parametrize("name", KINDS)
def test_a_copy_outlives_its_original(tmp_path: Path, name: str, copied: Callable[[Features], Features]) -> None:
    original = open_features(write(tmp_path / name))
    assert np.array_equal(values(original), ARRAY)
    twin = copied(original)
    del original
    # The number that the original's descriptor had is another file's now.
    (tmp_path / "other").write_bytes(np.random.default_rng(1).normal(size=500).tobytes())
    held = [os.open(tmp_path / "other", os.O_RDONLY) for _ in range(8)]
    try:
        assert np.array_equal(values(twin), ARRAY)
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_a_forked_process_and_its_parent_read_at_once(files: list[Features]) -> None:
    assert same(of_all(files))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        answers = [pool.apply_async(of_all, (files,)) for _ in range(4)]
        assert same(of_all(files))
        assert all(same(answer.get(60)) for answer in answers)


def encoder_of(name: str, **parameters: int) -> Encoder:
    """An encoder of 8 bits for videos of 25 × 6, as it is before training."""
    method = load_registry().method(name)
    chosen = method.Parameters.model_validate(parameters)
    description = EncoderDescription(
        method=name, bits=8, frames=25, dimensions=6, parameters=chosen.model_dump(mode="json")
    )
    return Encoder(description, method(8, chosen).build(25, 6).eval())


def sent(features: list[Features], data: Dataset, encoders: list[Encoder]) -> dict[str, Any]:
    """What a process makes of what it is sent."""
    assert data.query.frames is not None
    return {
        "features": of_all(features),
        "codes": [encoder.encode(data.query.features) for encoder in encoders],
        "frames": data.query.frames([3]),
        "recommended": {name: dict(chosen) for name, chosen in data.recommended.items()},
    }


def test_a_spawned_process_gets_the_same(files: list[Features]) -> None:
    sizes = {"train_videos": 8, "query_videos": 5, "gallery_videos": 1, "filters": 6, "patch_samples": 500}
    data = MovingDigits(Parameters(**sizes)).load()
    encoders = [encoder_of("lsh"), encoder_of("mcmsh", hidden=16)]
    here = sent(files, data, encoders)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(sent, (files, data, encoders))
    assert same(here["features"])
    assert same(there["features"])
    assert there["recommended"] == here["recommended"] == MovingDigits.recommended
    np.testing.assert_array_equal(there["codes"], here["codes"])
    np.testing.assert_array_equal(there["frames"], here["frames"])


def test_a_copied_encoder_has_weights_of_its_own() -> None:
    encoder = encoder_of("mcmsh", hidden=16)
    videos = np.random.default_rng(0).normal(size=(50, 25, 6)).astype(np.float32)
    before, twin = encoder.encode(videos), copy.deepcopy(encoder)
    with torch.no_grad():
        for weights in twin.module.parameters():
            weights.normal_(generator=torch.Generator().manual_seed(0))
    assert not np.array_equal(twin.encode(videos), before)
    np.testing.assert_array_equal(encoder.encode(videos), before)


def open_now() -> int:
    """How many files this process has open, as far as the system tells."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.is_dir() else 0


def test_more_part_files_than_may_be_open(tmp_path: Path) -> None:
    names = [f"{number}.{'npy' if number % 2 else 'h5'}" for number in range(2 * MOST_OPEN)]
    parts = [open_features(write(tmp_path / name, ARRAY[:2] + number)) for number, name in enumerate(names)]
    expected = np.concatenate([ARRAY[:2] + number for number in range(len(names))])
    before, features = open_now(), ConcatenatedFeatures(parts)
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: features[:], range(8)):
            np.testing.assert_array_equal(found, expected)
    assert open_now() - before <= MOST_OPEN


def test_what_nobody_holds_is_closed(tmp_path: Path) -> None:
    before = open_now()
    features = [open_features(write(tmp_path / name)) for name in KINDS]
    of_all(features)
    features.clear()
    assert open_now() <= before


def test_one_file_too_many(tmp_path: Path) -> None:
    features = open_features(write(tmp_path / "a.npy"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 200), hard))
    held = []
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(InputError, match=r"a\.npy: cannot be read \(Too many open files\): this process has too"):
            features[:]
        os.close(held.pop())
        np.testing.assert_array_equal(features[:], ARRAY)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)


def replaced(path: Path) -> None:
    write(path.with_name(f"new-{path.name}"), -ARRAY).replace(path)


def rewritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(bytes(8))


def rewritten_under_the_old_date(path: Path) -> None:
    dates = path.stat()
    rewritten(path)
    os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 8)


@pytest.mark.parametrize("change", [replaced, rewritten, rewritten_under_the_old_date, cut])
@pytest.mark.parametrize("name", KINDS)
def test_a_copy_of_a_file_that_was_changed(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    path = write(tmp_path / name)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    features = open_features(path)
    values(features)
    twin = copy.deepcopy(features)
    change(path)
    with pytest.raises(InputError, match=r"was changed or replaced after it was opened; load it again$"):
        twin[:]


@pytest.mark.parametrize("change", [rewritten, cut])
@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_changed_while_it_is_open(tmp_path: Path, name: str, change: Callable[[Path], None]) -> None:
    path = write(tmp_path / name)
    os.utime(path, (1_600_000_000, 1_600_000_000))
    features = open_features(path)
    values(features)
    change(path)
    with pytest.raises(InputError, match=r"was changed or replaced after it was opened; load it again$"):
        features[:]


@pytest.mark.parametrize("change", [replaced, lambda path: path.chmod(0o600), Path.unlink])
@pytest.mark.parametrize("name", KINDS)
def test_an_open_file_is_read_whatever_becomes_of_its_name(
    tmp_path: Path, name: str, change: Callable[[Path], None]
) -> None:
    path = write(tmp_path / name)
    features = open_features(path)
    values(features)
    change(path)
    assert np.array_equal(values(features), ARRAY)


def test_a_relative_name_means_the_folder_of_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.npy")
    monkeypatch.chdir(tmp_path)
    features = open_features(Path("a.npy"))
    monkeypatch.chdir(os.sep)
    assert np.array_equal(values(features), ARRAY)
