"""A training that is cut off goes on from its last state and ends with the same codes, to the bit."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from bench.context import FitContext
from bench.data.dataset import Dataset
from bench.encoder import Encoder
from bench.fitting import fit_method, resolve_parameters
from bench.plugin_files import code_digest
from bench.registry import load_registry
from bench.training.states import TrainingStates

QUICK = {"epochs": 3, "batch_size": 16, "anchors": 6, "hidden": 32}


class CutError(Exception):
    """Stands for a kill."""


class CutAfter:
    """A progress that ends the training at a step, whichever stage it is in; counts the steps otherwise."""

    def __init__(self, steps: int | None = None) -> None:
        self.left, self.steps = steps, 0

    @contextmanager
    def task(self, description: str, steps: int) -> Iterator["CutAfter"]:
        yield self

    def advance(self, status: str = "") -> None:
        self.steps += 1
        if self.steps == self.left:
            raise CutError


def fit(method: str, data: Dataset, states: TrainingStates | None, progress: CutAfter, **chosen: object) -> Encoder:
    found = load_registry().method(method)
    resolved = resolve_parameters(found, data.summary, {}, QUICK | chosen)
    return fit_method(found(16, resolved), data, FitContext(0, progress=progress, states=states))


@pytest.mark.parametrize(("method", "share"), [("mcmsh", 0.25), ("bth", 0.0)])
def test_resumes_to_the_same_codes(method: str, share: float, tiny: Dataset, tmp_path: Path) -> None:
    whole = CutAfter()
    undisturbed = fit(method, tiny, None, whole, validation_share=share)
    expected = undisturbed.encode(tiny.gallery.features)
    for step in (2, whole.steps // 2 + 1, whole.steps):
        folder = tmp_path / str(step)
        with pytest.raises(CutError):
            fit(method, tiny, TrainingStates(folder, seconds=0), CutAfter(step), validation_share=share)
        rest = CutAfter()
        resumed = fit(method, tiny, TrainingStates(folder, seconds=0), rest, validation_share=share)
        np.testing.assert_array_equal(resumed.encode(tiny.gallery.features), expected, err_msg=f"cut at step {step}")
        assert resumed.history == undisturbed.history
        # No epoch is done twice but the one that was cut; an epoch has at most three batches.
        assert rest.steps + step <= whole.steps + 3


def test_states_are_kept_at_intervals_and_at_the_end_of_a_stage(tiny: Dataset, tmp_path: Path) -> None:
    with pytest.raises(CutError):
        fit("bth", tiny, TrainingStates(tmp_path / "seldom"), CutAfter(8))
    assert not (tmp_path / "seldom").exists()
    with pytest.raises(CutError):
        fit("bth", tiny, TrainingStates(tmp_path / "seldom"), CutAfter(10))
    assert [path.name for path in (tmp_path / "seldom").iterdir()] == ["bth-reconstruction.safetensors"]


def test_a_damaged_state_is_not_used(tiny: Dataset, tmp_path: Path) -> None:
    expected = fit("mcmsh", tiny, TrainingStates(tmp_path, seconds=0), CutAfter()).encode(tiny.gallery.features)
    (state,) = tmp_path.iterdir()
    for content in (b"nonsense", state.read_bytes()[:-100]):
        state.write_bytes(content)
        progress = CutAfter()
        again = fit("mcmsh", tiny, TrainingStates(tmp_path, seconds=0), progress)
        assert progress.steps == 9
        np.testing.assert_array_equal(again.encode(tiny.gallery.features), expected)


def test_a_method_whose_source_changed_starts_anew(tmp_path: Path) -> None:
    source = (
        "from bench.method import ShallowMethod\nclass Mine(ShallowMethod):\n    name, title = 'mine', 'Mine'\n"
        "    def directions(self, centred, random): ...\n"
    )
    digests = []
    for number, text in enumerate((source, source, source + "    paper = 'x'\n")):
        file = tmp_path / str(number) / "mine.py"
        file.parent.mkdir()
        file.write_text(text)
        digests.append(code_digest(load_registry([file]).method("mine")))
    assert digests[0] == digests[1] != digests[2]
