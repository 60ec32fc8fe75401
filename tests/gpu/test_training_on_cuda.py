"""Training on a CUDA device: the same codes every time, wherever features live, captured or not, cut off or not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bench.base import cuda_graph
from bench.base.progress import SilentProgress
from bench.data.dataset import Dataset, Split
from bench.data.features import ConcatenatedFeatures
from bench.encoding.encoder import Encoder
from bench.encoding.fitting import fit_method, resolve_parameters
from bench.learning import residency
from bench.learning.context import FitContext
from bench.learning.items import Batch
from bench.learning.loop import Training
from bench.learning.schedule import Schedule
from bench.learning.states import TrainingStates
from bench.registry import load_registry
from bench.running.isolation import Isolation
from bench.running.plan import plan
from bench.running.runner import Runner
from bench.store.store import Store
from tests.gpu.conftest import CUDA
from tests.learning.test_captured import ByValue
from tests.learning.test_states import CutAfter, CutError

# Five batches an epoch: the last three run the captured step.
_QUICK: dict[str, Any] = {"epochs": 3, "batch_size": 8, "hidden": 32}
QUICK = {**_QUICK, "anchors": 6}
METHODS = {
    **dict.fromkeys(("mcmsh", "mlp-mixer", "bth"), QUICK),
    "s5vh": {**_QUICK, "layers": 2},
    "wsch": {**_QUICK, "hidden": 64},
    "conmh": {**_QUICK, "depth": 2, "decoder_hidden": 24},
    "bervae": {**_QUICK, "pretrain_epochs": 1},
}
"""Parameters for quick training."""
PRECISIONS = ("float32", "bfloat16")


def fitted(method: str, data: Dataset, said: list[str] | None = None, **more: Any) -> Encoder:
    """An encoder trained on the device."""
    context = {name: more.pop(name) for name in ("states", "progress") if name in more}
    found = load_registry().method(method)
    resolved = resolve_parameters(found, data.summary, {}, METHODS[method] | more)
    heard = list[str]() if said is None else said
    return fit_method(found(16, resolved), data, FitContext(0, CUDA, say=heard.append, **context))


def weights(encoder: Encoder) -> dict[str, NDArray[Any]]:
    return {name: value.cpu().numpy() for name, value in encoder.module.state_dict().items()}


def require_equal(first: Encoder, second: Encoder) -> None:
    one, other = weights(first), weights(second)
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)
    assert first.history == second.history


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_weights(method: str, precision: str, tiny: Dataset) -> None:
    first = fitted(method, tiny, precision=precision)
    assert first.device.type == "cuda"
    require_equal(first, fitted(method, tiny, precision=precision))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_every_place_of_the_features_gives_the_same_weights(
    method: str, precision: str, tiny: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    streamed = Dataset(
        tiny.summary, Split(ConcatenatedFeatures([tiny.train.features])), tiny.query, tiny.gallery, tiny.class_names
    )
    found = {}
    for place, device, memory in (("on the device", 2**40, 0), ("in memory", 0, 2**40), ("from their file", 0, 0)):
        monkeypatch.setattr(residency, "free_on_device", lambda _, free=device: free)
        monkeypatch.setattr(residency, "free_memory", lambda free=memory: free)
        said: list[str] = []
        found[place] = fitted(method, streamed, said, precision=precision)
        assert any(place in line for line in said), said
    require_equal(found["on the device"], found["in memory"])
    require_equal(found["on the device"], found["from their file"])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("method", METHODS)
def test_captured_steps_give_the_same_weights(
    method: str, precision: str, tiny: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    captured_ = fitted(method, tiny, said, precision=precision)
    refused = [line for line in said if "not captured" in line]
    assert refused == (
        ["s5vh: steps are not captured as a CUDA graph: its objective has an `after_step`"] if method == "s5vh" else []
    )
    monkeypatch.delitem(cuda_graph.CAPTURES, "cuda")
    require_equal(captured_, fitted(method, tiny, precision=precision))


def test_a_refused_capture_leaves_no_trace(tiny: Dataset) -> None:
    """CUDA refuses a loss that reads a value. The training goes on; a later one is captured and right."""
    expected = fitted("mcmsh", tiny)
    network, said = torch.nn.Linear(2, 1, bias=False).to(CUDA), list[str]()
    context = FitContext(0, CUDA, say=said.append)
    training = Training(network, ByValue(network), Schedule.model_validate({}), context, "stage")
    values = {"slope": torch.ones(3, 2, device=CUDA)}
    batch = Batch({"first": torch.zeros(3, 1, 1, device=CUDA)}, {}, values)
    with SilentProgress().task("", 1) as task:
        row = training.epoch(0, [batch] * 6, task)
    assert np.isfinite(row["loss"])
    assert [line for line in said if "not permitted when stream is capturing" in line] == said
    assert said
    said.clear()
    require_equal(expected, fitted("mcmsh", tiny, said))
    assert not any("captured" in line for line in said)


@pytest.mark.parametrize(("method", "share"), [("mcmsh", 0.25), ("bth", 0.0)])
def test_resumes_to_the_same_weights(method: str, share: float, tiny: Dataset, tmp_path: Path) -> None:
    whole = CutAfter()
    undisturbed = fitted(method, tiny, progress=whole, validation_share=share)
    for step in (2, whole.steps // 2 + 1, whole.steps):
        states = TrainingStates(tmp_path / str(step), seconds=0)
        with pytest.raises(CutError):
            fitted(method, tiny, states=states, progress=CutAfter(step), validation_share=share)
        rest = CutAfter()
        require_equal(undisturbed, fitted(method, tiny, states=states, progress=rest, validation_share=share))
        assert rest.steps + step <= whole.steps + 3


@pytest.mark.parametrize("method", METHODS)
def test_the_device_learns_what_the_processor_learns(method: str, tiny: Dataset) -> None:
    """Other dropout numbers and roundings: losses alike, not equal."""
    found = load_registry().method(method)
    resolved = resolve_parameters(found, tiny.summary, {}, METHODS[method])
    there, here = fitted(method, tiny), fit_method(found(16, resolved), tiny, FitContext(0))
    for one, other in zip(there.history, here.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=0.05)


def test_runs_in_processes_of_their_own_give_the_same_codes(feature_folder: Path, tmp_path: Path) -> None:
    """Two at a time share the device; the process that forks them has not touched it."""
    wanted = plan(
        load_registry(),
        methods=["mcmsh", "bth"],
        datasets=[str(feature_folder)],
        bits=[8],
        seeds=[0],
        parameters=dict.fromkeys(("mcmsh", "bth"), QUICK),
    )
    here = Runner(Store(tmp_path / "here"), CUDA).run(wanted)
    isolated = Runner(Store(tmp_path / "isolated"), CUDA, isolation=Isolation(jobs=2, threads=1)).run(wanted)
    for one, other in zip(here, isolated, strict=True):
        assert one.record.status == other.record.status == "done", (one.record.reason, other.record.reason)
        assert one.record.environment["device"] == torch.cuda.get_device_name(CUDA)
        assert one.record.checksums["codes.npz"] == other.record.checksums["codes.npz"]


def test_a_run_that_asks_for_too_much_of_the_device_is_a_row(feature_folder: Path, tmp_path: Path) -> None:
    def done(hidden: int) -> Any:
        wanted = plan(
            load_registry(),
            methods=["mlp-mixer"],
            datasets=[str(feature_folder)],
            bits=[8],
            seeds=[0],
            parameters={"mlp-mixer": {**QUICK, "hidden": hidden}},
        )
        (run,) = Runner(Store(tmp_path / "runs"), CUDA).run(wanted)
        return run.record

    _, total = torch.cuda.mem_get_info(CUDA)
    torch.cuda.set_per_process_memory_fraction(2**28 / total)
    try:
        # Matrices of 256 MiB.
        failed = done(2**13)
        assert failed.status == "failed"
        assert "OutOfMemoryError: CUDA out of memory" in str(failed.reason)
        # What the failed run held is free again.
        assert done(32).status == "done"
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
