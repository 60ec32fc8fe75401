"""From feature file to code file: any size, and on from where it stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from bench.base.errors import InputError
from bench.cli import main
from bench.encoding.backends import CHUNK
from bench.encoding.encode_file import Encoded, encode_file
from bench.registry import load_registry

from .conftest import deep_encoder, random_videos, stirred

VIDEOS = 5 * CHUNK + 7


class Killed(BaseException):
    """Stands for a process that ends in the middle."""


class KilledAfter:
    """Progress that ends the work after so many steps."""

    def __init__(self, steps: int) -> None:
        self.left, self.total = steps, 0

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator["KilledAfter"]:
        self.total = steps
        yield self

    def advance(self, status: str = "") -> None:
        self.left -= 1
        if not self.left:
            raise Killed


class Case:
    """An encoder and features on disk, and their codes in one go."""

    def __init__(self, folder: Path) -> None:
        self.encoder, self.features, self.out = folder / "encoder", folder / "features.npy", folder / "codes.npy"
        encoder = deep_encoder("mixer-lrd")
        encoder.save(self.encoder)
        self.videos = random_videos(VIDEOS)
        np.save(self.features, self.videos)
        self.expected = encoder.encode(self.videos)

    def encode(self, progress: KilledAfter | None = None) -> Encoded:
        return encode_file(self.encoder, self.features, self.out, load_registry(), progress=progress)

    @property
    def unfinished(self) -> list[Path]:
        return sorted(self.out.parent.glob(".codes.npy.*.part"))


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setattr("bench.encoding.backends.BLOCK_BYTES", 1)
    return Case(tmp_path)


def test_the_file_is_the_array(case: Case) -> None:
    assert case.encode() == Encoded(VIDEOS, 24, "feats", resumed=0, flipped=None)
    np.testing.assert_array_equal(np.load(case.out), case.expected)
    assert case.unfinished == []


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_it_goes_on_where_it_stopped(case: Case, steps: int) -> None:
    with pytest.raises(Killed):
        case.encode(KilledAfter(steps))
    assert not case.out.exists()
    progress = KilledAfter(0)
    assert case.encode(progress).resumed == min(steps * CHUNK, VIDEOS)
    assert progress.total == 6 - steps
    np.testing.assert_array_equal(np.load(case.out), case.expected)
    assert case.unfinished == []


@pytest.mark.parametrize("left", [0, 5, 60, 128 + 24 * 70 + 3])
def test_a_write_that_was_cut_off_is_done_again(case: Case, left: int) -> None:
    with pytest.raises(Killed):
        case.encode(KilledAfter(3))
    (unfinished,) = case.unfinished
    with unfinished.open("r+b") as file:
        file.truncate(left)
    case.encode()
    np.testing.assert_array_equal(np.load(case.out), case.expected)


def test_other_features_start_anew(case: Case) -> None:
    with pytest.raises(Killed):
        case.encode(KilledAfter(3))
    np.save(case.features, case.videos[::-1])
    assert case.encode().resumed == 0
    np.testing.assert_array_equal(np.load(case.out)[CHUNK : 2 * CHUNK], case.expected[::-1][CHUNK : 2 * CHUNK])
    assert case.unfinished == []


def test_another_encoder_starts_anew(case: Case) -> None:
    """One of the same shape, in the same place, as training again leaves it."""
    with pytest.raises(Killed):
        case.encode(KilledAfter(3))
    other = deep_encoder("mixer-lrd")
    stirred(other.module, seed=1)
    other.save(case.encoder)
    assert case.encode().resumed == 0
    np.testing.assert_array_equal(np.load(case.out), other.encode(case.videos))
    assert case.unfinished == []


def test_bad_values_leave_nothing_behind(case: Case) -> None:
    case.videos[200, 0, 0] = np.nan
    np.save(case.features, case.videos)
    with pytest.raises(InputError, match="features of video 200: NaN or infinite values"):
        case.encode()
    assert not case.out.exists()
    assert case.unfinished == []


def test_the_command(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    features = case.features.with_suffix(".h5")
    with h5py.File(features, "w") as file:
        file["feats"] = case.videos
    call = ["encode", "--encoder", str(case.encoder), "--features", str(features), "--out", str(case.out)]
    assert main(call) == 0
    np.testing.assert_array_equal(np.load(case.out), case.expected)
    assert capsys.readouterr().err == f"{case.out}: codes {VIDEOS} × 24\n"
    assert main([*call, "--precision", "bfloat16"]) == 0
    assert "% of the bits of the first videos differ from those in float32" in capsys.readouterr().err
    for wrong, message in (
        (["--backend", "eagre"], "unknown backend 'eagre': did you mean eager"),
        (["--precision", "half"], "unknown precision 'half'"),
    ):
        assert main([*call, *wrong]) == 2
        assert message in capsys.readouterr().err
