"""What ships of methods and datasets is what they say and hold, and what results folders note of others."""

from dataclasses import replace
from pathlib import Path

import pytest
from bench.datasets.moving_digits.digits import load_digits
from bench.datasets.moving_digits.motion import draw_scenes, multi_hot
from bench.datasets.moving_digits.parameters import Parameters
from bench.datasets.moving_digits.source import CLASS_NAMES, MovingDigits

from bench.base.errors import InputError
from bench.data.dataset import Dataset
from bench.registry import load_registry
from bench.store.codes_file import relevance_digest
from bench.store.registered import LABELS, describe, known_dataset, known_methods, note_dataset, registered_datasets


def test_every_built_in_method_is_known_as_it_calls_itself() -> None:
    built_in = {
        name: method for name, method in load_registry().methods.items() if method.__module__.startswith("bench.")
    }
    known = known_methods()
    assert known.keys() == built_in.keys()
    for name, method in built_in.items():
        entry = known[name]
        # Earlier wordings may follow, for runs that were stored under them.
        assert (entry.titles[0], entry.papers[0]) == (method.title, method.paper), name
        assert (entry.bound, entry.uses_labels, entry.seeded) == (method.bound, method.uses_labels, method.seeded), name


def test_a_method_that_extends_one_without_seed_may_draw() -> None:
    pcah = load_registry().method("pcah")
    assert not pcah.seeded

    class Extended(pcah):  # type: ignore[misc, valid-type]
        name = "extended"

    assert Extended.seeded


def test_moving_digits_have_the_labels_that_ship() -> None:
    (known,) = registered_datasets().values()
    assert (known.summary, known.class_names) == (MovingDigits().summary(), CLASS_NAMES)
    _, classes = load_digits()
    query, gallery = (multi_hot(draw_scenes(Parameters(), split), classes) for split in ("query", "gallery"))
    assert known.labels == relevance_digest(query, gallery, None)


def test_names_of_classes_are_noted_beside_the_labels(tiny: Dataset, tmp_path: Path) -> None:
    """Also where an earlier version noted none; and in one printable line, whatever a plug-in calls its classes."""
    earlier = describe(tiny)
    assert earlier is not None
    path = tmp_path / LABELS / f"{tiny.summary.fingerprint}.json"
    path.parent.mkdir()
    path.write_text(earlier.model_dump_json(exclude={"class_names"}))
    known = known_dataset(tiny.summary.fingerprint, tmp_path)
    assert known is not None
    assert (known.labels, known.class_names) == (earlier.labels, ())
    note_dataset(replace(tiny, class_names=("dog\x1b[31m\n", "x" * 2000, "犬")), tmp_path)
    known = known_dataset(tiny.summary.fingerprint, tmp_path)
    assert known is not None
    assert (known.labels, known.class_names) == (earlier.labels, ("dog [31m", "x" * 1000, "犬"))


def test_a_dataset_names_all_classes_or_none(tiny: Dataset) -> None:
    assert replace(tiny, class_names=()).class_names == ()
    with pytest.raises(InputError, match=r"^tiny: 2 class_names for 3 classes; name every class, or none$"):
        replace(tiny, class_names=("a", "b"))
