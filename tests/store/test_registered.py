"""What ships of methods and datasets is what they say and hold."""

from bench.loading import load_dataset
from bench.registered import describe, known_methods, registered_datasets
from bench.registry import load_registry


def test_every_built_in_method_is_known_as_it_calls_itself() -> None:
    built_in = {name: method for name, method in load_registry().methods.items() if method.__module__.startswith("bench.")}
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
    assert type("Extended", (pcah,), {"name": "extended"}).seeded


def test_datasets_have_the_labels_that_ship() -> None:
    (known,) = registered_datasets().values()
    assert known == describe(load_dataset(known.summary.name))
