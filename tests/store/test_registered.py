"""What ships of methods and datasets is what they say and hold."""

from bench.datasets.moving_digits.digits import load_digits
from bench.datasets.moving_digits.motion import draw_scenes, multi_hot
from bench.datasets.moving_digits.parameters import Parameters
from bench.datasets.moving_digits.source import MovingDigits

from bench.registry import load_registry
from bench.store.codes_file import relevance_digest
from bench.store.registered import known_methods, registered_datasets


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
    assert known.summary == MovingDigits().summary()
    _, classes = load_digits()
    query, gallery = (multi_hot(draw_scenes(Parameters(), split), classes) for split in ("query", "gallery"))
    assert known.labels == relevance_digest(query, gallery, None)
