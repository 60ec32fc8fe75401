"""A training that is cut off goes on from its last state and ends with the same codes, to the bit."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from bench.data.dataset import Dataset
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit_method, resolve_parameters
from bench.learning.context import FitContext
from bench.learning.states import Lowest, Trained, TrainingStates
from bench.registry import load_registry
from bench.registry.plugin_files import code_digest
from tests.conftest import survived
from tests.learning.stages import quick


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
    resolved = resolve_parameters(found, data.summary, {}, quick(method, epochs=3, **chosen))
    return fit_method(found(16, resolved), data, FitContext(0, progress=progress, states=states))


@pytest.mark.parametrize(("method", "share"), [("mcmsh", 0.25), ("bth", 0.0), ("conmh", 0.25), ("bervae", 0.25)])
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


def test_the_time_of_fitting_goes_on_where_it_was(tiny: Dataset, tmp_path: Path) -> None:
    """Both stages' states count from the beginning of the run, in whatever process that was."""

    def fit_seconds(stage: str) -> float:
        with safe_open(tmp_path / f"{stage}.safetensors", framework="pt") as file:
            return float(json.loads(file.metadata()["note"])["fit_seconds"])

    with pytest.raises(CutError):
        fit("bth", tiny, TrainingStates(tmp_path, seconds=0), CutAfter(14))
    before = fit_seconds("bth")
    assert 0 < fit_seconds("bth-reconstruction") < before
    states = TrainingStates(tmp_path, seconds=0)
    fit("bth", tiny, states, CutAfter())
    assert states.earlier == before < fit_seconds("bth")


def test_a_damaged_state_is_not_used(tiny: Dataset, tmp_path: Path) -> None:
    expected = fit("mcmsh", tiny, TrainingStates(tmp_path, seconds=0), CutAfter()).encode(tiny.gallery.features)
    (state,) = tmp_path.iterdir()
    for content in (b"nonsense", state.read_bytes()[:-100]):
        state.write_bytes(content)
        progress = CutAfter()
        again = fit("mcmsh", tiny, TrainingStates(tmp_path, seconds=0), progress)
        assert progress.steps == 9
        np.testing.assert_array_equal(again.encode(tiny.gallery.features), expected)


def test_a_state_with_a_lost_block_is_not_used(tiny: Dataset, tmp_path: Path) -> None:
    expected = fit("mcmsh", tiny, TrainingStates(tmp_path, seconds=0), CutAfter()).encode(tiny.gallery.features)
    (state,) = tmp_path.iterdir()
    whole = state.read_bytes()
    assert len(whole) > 12 * 4096
    for block in (3, len(whole) // 4096 // 2, len(whole) // 4096 - 1):
        content = bytearray(whole)
        content[block * 4096 : (block + 1) * 4096] = bytes(4096)
        assert content != whole
        state.write_bytes(content)
        progress = CutAfter()
        again = fit("mcmsh", tiny, TrainingStates(tmp_path, seconds=0), progress)
        assert progress.steps == 9, f"block {block}"
        np.testing.assert_array_equal(again.encode(tiny.gallery.features), expected)
    survived("training states with a lost block", 3)


class Fitted:
    """A network of one layer after one step, and what else a state holds."""

    def __init__(self, width: int, seed: int) -> None:
        torch.manual_seed(seed)
        self.network = nn.Linear(width, 2)
        self.optimiser = torch.optim.Adam(self.network.parameters())
        self.network(torch.ones(1, width)).sum().backward()
        self.optimiser.step()
        self.lowest, self.history = Lowest(), [{"loss": float(seed)}]
        self.lowest.offer(float(seed), 0, self.network)

    def save(self, folder: Path, optimiser: torch.optim.Optimizer | None = None) -> Path:
        states = TrainingStates(folder)
        states.save("stage", 1, self.trained(optimiser), self.lowest, self.history)
        return folder / "stage.safetensors"

    def restore(self, folder: Path) -> int:
        return TrainingStates(folder).restore("stage", self.trained(), self.lowest, self.history)

    def trained(self, optimiser: torch.optim.Optimizer | None = None) -> Trained:
        return Trained(self.network, optimiser or self.optimiser, {})

    def __repr__(self) -> str:
        return repr((self.network.state_dict(), self.optimiser.state_dict(), self.lowest, self.history))


def test_a_state_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    kept, wider = Fitted(3, 1), Fitted(4, 2)
    before = repr(kept)
    wider.save(tmp_path)
    assert kept.restore(tmp_path) == 0
    assert repr(kept) == before
    Fitted(3, 2).save(tmp_path, wider.optimiser)
    assert kept.restore(tmp_path) == 0
    assert repr(kept) == before


@pytest.mark.parametrize("missing", ["epoch", "history", "fit_seconds", "lowest_loss", "lowest_epoch", "checksum"])
def test_a_state_whose_note_lacks_something_changes_nothing(missing: str, tmp_path: Path) -> None:
    path = Fitted(3, 2).save(tmp_path)
    with safe_open(path, framework="pt") as file:
        note = json.loads(file.metadata()["note"])
    del note[missing]
    save_file(load_file(path), path, {"note": json.dumps(note)})
    kept = Fitted(3, 1)
    before = repr(kept)
    assert kept.restore(tmp_path) == 0
    assert repr(kept) == before


def test_a_state_that_the_optimiser_refuses_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Fitted(3, 2).save(tmp_path)
    kept = Fitted(3, 1)
    before = repr(kept)

    def refuse(state: object) -> None:
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(kept.optimiser, "load_state_dict", refuse)
        assert kept.restore(tmp_path) == 0
    assert repr(kept) == before
    assert kept.restore(tmp_path) == 1
    assert kept.history == [{"loss": 1.0}, {"loss": 2.0}]
    assert kept.lowest.loss == 2.0


def test_states_have_the_mode_of_other_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        state = Fitted(3, 1).save(tmp_path)
    finally:
        os.umask(before)
    assert state.stat().st_mode & 0o777 == 0o640


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
