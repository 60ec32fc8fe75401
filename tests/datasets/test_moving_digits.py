"""moving-digits: real digits, honest splits, the same bytes every time, and a task between chance and perfect."""

import dataclasses
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench.datasets.moving_digits import MovingDigits, Parameters
from bench.datasets.moving_digits.description import describe, learn_dictionary
from bench.datasets.moving_digits.digits import IMAGE_RANGES, SPLITS, load_digits
from bench.datasets.moving_digits.generation import generate
from bench.datasets.moving_digits.motion import draw_scenes
from bench.datasets.moving_digits.rendering import render
from numpy.typing import NDArray

from bench.base.errors import InputError
from bench.data.dataset import Dataset, Split

SMALL = Parameters(train_videos=60, query_videos=40, gallery_videos=150, filters=96, patch_samples=8000)
DIGEST = """
import torch
torch.set_num_threads(3)
from tests.datasets.test_moving_digits import digest
print(digest())
"""


def digest() -> str:
    """A hash of a small dataset's features and labels."""
    found = hashlib.sha256()
    parameters = Parameters(train_videos=40, query_videos=3, gallery_videos=2, filters=32, patch_samples=2000)
    for split in generate(parameters).values():
        assert split.labels is not None
        found.update(split.features[:].tobytes() + split.labels.tobytes())
    return found.hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VHBENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VHBENCH_CACHE", str(tmp_path_factory.mktemp("module")))
        made: Dataset = MovingDigits(SMALL).load()
        return made


@pytest.fixture
def splits(small: Dataset) -> dict[str, Split]:
    return {"train": small.train, "query": small.query, "gallery": small.gallery}


def frames_of(split: Split, videos: list[int]) -> NDArray[np.uint8]:
    assert split.frames is not None
    return split.frames(videos)


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits as reference

    images, classes = load_digits()
    np.testing.assert_array_equal(images, reference().images)
    np.testing.assert_array_equal(classes, reference().target)


def test_image_ranges_part_the_digits() -> None:
    ranges = [range(*IMAGE_RANGES[split]) for split in SPLITS]
    assert sorted(image for images in ranges for image in images) == list(range(1797))


def test_each_form_starts_where_a_split_does() -> None:
    _, classes = load_digits()
    for first, _ in IMAGE_RANGES.values():
        np.testing.assert_array_equal(classes[first : first + 20], np.tile(np.arange(10), 2))


def test_no_image_is_shown_in_two_splits() -> None:
    shown = [set(draw_scenes(Parameters(), split).images.ravel()) - {-1} for split in SPLITS]
    assert sum(map(len, shown)) == len(set.union(*shown))
    for split, images in zip(SPLITS, shown, strict=True):
        assert images <= set(range(*IMAGE_RANGES[split]))


def test_features_are_finite_and_non_negative(small: Dataset, splits: dict[str, Split]) -> None:
    assert small.summary.train_shape == small.train.features.shape == (60, 25, 96)
    assert small.query.features.shape == (40, 25, 96)
    assert small.gallery.features.shape == (150, 25, 96)
    for split in splits.values():
        features = split.features[:]
        assert features.dtype == np.float32
        assert np.isfinite(features).all()
        assert features.min() >= 0
        assert 0.2 < features.mean() < 1


def test_labels_name_the_digits_shown(small: Dataset, splits: dict[str, Split]) -> None:
    _, classes = load_digits()
    assert len(small.class_names) == small.summary.classes == 10
    for name, split in splits.items():
        assert split.labels is not None
        assert split.labels.dtype == np.uint8
        assert split.labels.shape == (len(split.features), 10)
        for labels, images in zip(split.labels, draw_scenes(SMALL, name).images, strict=True):
            assert set(np.flatnonzero(labels)) == {classes[image] for image in images if image >= 0}


def test_a_second_digit_leaves_its_ink_in_the_frames() -> None:
    clear = dataclasses.replace(Parameters(train_videos=60), clutter=0.0, noise=0.0)
    scenes = draw_scenes(clear, "train")
    accompanied = np.flatnonzero(scenes.images[:, 1] >= 0)
    assert 0.2 < len(accompanied) / len(scenes) < 0.6
    alone = dataclasses.replace(scenes, images=np.where([True, False], scenes.images, -1))
    both, one = (render(clear, "train", script, range(60)).astype(int) for script in (scenes, alone))
    changed = np.flatnonzero(np.abs(both - one).max(axis=(1, 2, 3)) > 100)
    np.testing.assert_array_equal(changed, accompanied)


def test_every_digit_is_seen_in_its_video() -> None:
    clear = dataclasses.replace(Parameters(train_videos=60), clutter=0.0, noise=0.0)
    frames = render(clear, "train", draw_scenes(clear, "train"), range(60))
    assert frames.max(axis=(2, 3)).min() > 60  # in every frame


def test_same_parameters_make_the_same_bytes() -> None:
    tiny = dataclasses.replace(SMALL, train_videos=40, query_videos=3, gallery_videos=2)
    first, second = generate(tiny), generate(tiny)
    for split in SPLITS:
        assert first[split].features.tobytes() == second[split].features.tobytes()
        assert first[split].labels.tobytes() == second[split].labels.tobytes()


def test_another_process_with_other_threads_makes_the_same_bytes() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", DIGEST], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == f"{digest()}\n"


def test_generating_leaves_the_number_of_threads_alone() -> None:
    import torch

    before = torch.get_num_threads()
    generate(dataclasses.replace(SMALL, train_videos=20, query_videos=1, gallery_videos=1))
    assert torch.get_num_threads() == before


def test_another_seed_makes_other_videos() -> None:
    for split in SPLITS:
        mine, other = draw_scenes(SMALL, split), draw_scenes(dataclasses.replace(SMALL, seed=1), split)
        assert not np.array_equal(mine.images, other.images)


def test_some_videos_are_rendered_as_all_are(splits: dict[str, Split]) -> None:
    for split in splits.values():
        everything = frames_of(split, list(range(len(split.features))))
        assert everything.shape == (len(split.features), 25, 22, 22)
        assert everything.dtype == np.uint8
        chosen = [7, 2, -1, 2]
        np.testing.assert_array_equal(frames_of(split, chosen), everything[chosen])
        assert frames_of(split, []).shape == (0, 25, 22, 22)


def test_frames_are_the_ones_that_were_described(small: Dataset) -> None:
    training = frames_of(small.train, list(range(60)))
    dictionary = learn_dictionary(SMALL, training)
    for split in (small.train, small.gallery):
        np.testing.assert_allclose(
            describe(SMALL, dictionary, frames_of(split, [5, 11])), split.features[[5, 11]], rtol=1e-4, atol=1e-5
        )


def test_asking_for_a_video_that_is_not_there(small: Dataset) -> None:
    with pytest.raises(IndexError, match="60 videos"):
        frames_of(small.train, [60])


def relative_change(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Mean distance between a frame before and after, in parts of the mean distance between frames of two videos."""
    before, after = (array.reshape(*array.shape[:2], -1).astype(np.float64) for array in (before, after))
    other = np.roll(before, 1, axis=0)
    distances = np.linalg.norm(before - after, axis=-1).mean(), np.linalg.norm(before - other, axis=-1).mean()
    return float(distances[0] / distances[1])


def test_the_descriptor_tolerates_a_shift_by_one_pixel(small: Dataset) -> None:
    scenes = draw_scenes(SMALL, "train")
    pixel = np.array([1, 0], dtype=np.float32)
    shifted = dataclasses.replace(
        scenes,
        centres=scenes.centres + pixel,
        cloud_offsets=scenes.cloud_offsets - 2 / SMALL.frame_size * pixel,
    )
    # A few frames of each video are enough; the noise is not shifted.
    before, after = (render(SMALL, "train", script, range(60))[:, ::6] for script in (scenes, shifted))
    dictionary = learn_dictionary(SMALL, before)
    of_pixels = relative_change(before, after)
    of_features = relative_change(describe(SMALL, dictionary, before), describe(SMALL, dictionary, after))
    assert of_features < 0.6 * of_pixels


def mean_average_precision(
    query: NDArray[np.float32], gallery: NDArray[np.float32], relevant: NDArray[np.bool_], k: int
) -> float:
    """mAP@k by cosine similarity, AP divided by k."""
    query, gallery = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (query, gallery))
    order = np.argsort(-query @ gallery.T, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(relevant, order, axis=1)
    return float((hits * hits.cumsum(axis=1) / np.arange(1, k + 1)).sum(axis=1).mean() / k)


def test_exact_search_lies_between_chance_and_perfect(small: Dataset) -> None:
    assert small.query.labels is not None
    assert small.gallery.labels is not None
    relevant = small.query.labels.astype(int) @ small.gallery.labels.T > 0
    query, gallery = (split.features[:].mean(axis=1) for split in (small.query, small.gallery))
    chance = mean_average_precision(
        np.random.default_rng(0).normal(size=query.shape),
        np.random.default_rng(1).normal(size=gallery.shape),
        relevant,
        5,
    )
    exact = mean_average_precision(query, gallery, relevant, 5)
    assert 0.1 < relevant.mean() < 0.3
    assert 0.35 < exact < 0.85
    assert exact > chance + 0.25


def test_the_second_load_reads_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = MovingDigits(dataclasses.replace(SMALL, train_videos=20, query_videos=2, gallery_videos=2))
    made = source.load()
    assert [file.suffix for file in cache.iterdir()] == [".npz"]
    monkeypatch.setattr("bench.datasets.moving_digits.generation.generate", lambda _: pytest.fail("generated again"))
    read = source.load()
    np.testing.assert_array_equal(read.train.features[:], made.train.features[:])
    np.testing.assert_array_equal(read.gallery.labels, made.gallery.labels)


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip_a_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut_short, flip_a_byte, lambda _: b"", lambda _: b"nonsense"])
def test_a_damaged_cache_is_made_again(cache: Path, damage: Callable[[bytes], bytes]) -> None:
    source = MovingDigits(dataclasses.replace(SMALL, train_videos=20, query_videos=2, gallery_videos=2))
    expected = source.load().train.features[:]
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    np.testing.assert_array_equal(source.load().train.features[:], expected)
    assert file.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_only_a_warning(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").touch()
    monkeypatch.setenv("VHBENCH_CACHE", str(cache / "file"))
    source = MovingDigits(dataclasses.replace(SMALL, train_videos=20, query_videos=2, gallery_videos=2))
    with pytest.warns(UserWarning, match="VHBENCH_CACHE"):
        assert len(source.load().query.features) == 2


def test_summary_needs_nothing_slow() -> None:
    code = (
        "import sys; from bench.datasets.moving_digits import MovingDigits; MovingDigits().summary();"
        "print([name for name in ('torch', 'sklearn', 'faiss', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_fingerprint_follows_the_parameters() -> None:
    fingerprints = {Parameters().fingerprint(), Parameters(seed=1).fingerprint(), Parameters(noise=0.2).fingerprint()}
    assert len(fingerprints) == 3
    assert MovingDigits().summary().fingerprint == Parameters().fingerprint()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_videos": 0}, "train_videos must be at least 1, not 0"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"patch_size": 21}, "patch_size must be at most frame_size - 2 = 20"),
        ({"patch_samples": 10}, "patch_samples must be at least 256, not 10"),
        ({"second_digit_share": 1.5}, "second_digit_share must be 0 to 1, not 1.5"),
        ({"noise": float("nan")}, "noise must be at least 0, not nan"),
    ],
)
def test_impossible_parameters_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Parameters(**changes)
