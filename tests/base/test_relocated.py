"""Import paths that earlier versions taught: they work, and name the new one."""

import importlib
import pickle
import sys
from typing import Any

import pytest

import bench
from bench.base.relocated import MOVED


def import_old(name: str) -> Any:
    """The module of an old name, imported as for the first time."""
    sys.modules.pop(name, None)
    with pytest.warns(DeprecationWarning, match=rf"{name} is now {MOVED[name]};"):
        return importlib.import_module(name)


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_gives_the_module_under_its_new_one(old: str) -> None:
    new = importlib.import_module(MOVED[old])
    found = import_old(old)
    assert found is new
    assert found.__spec__ is not None
    assert found.__name__ == found.__spec__.name == MOVED[old]


def test_what_was_taught_is_still_there() -> None:
    assert import_old("bench.errors").InputError is bench.InputError
    assert callable(import_old("bench.structure.graph").anchor_graph)
    assert callable(import_old("bench.structure.kmeans").kmeans)
    assert import_old("bench.running.apart").Isolation().jobs == 1
    training = import_old("bench.training")
    assert all(hasattr(training, name) for name in ("DeepMethod", "Draw", "Objective", "Schedule", "train"))
    assert pickle.loads(pickle.dumps(training.Schedule())) == training.Schedule()


def test_a_path_that_never_was_is_no_module() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("bench.no_such_room")
