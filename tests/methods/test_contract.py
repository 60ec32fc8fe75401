"""What every method must do, whichever it is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.data.dataset import Dataset
from bench.encoding.fitting import fit_method, inputs, resolve_parameters
from bench.learning.context import FitContext
from bench.learning.deep_method import DeepMethod
from bench.registry import load_registry
from bench.running.contract import BITS, CHECKS, Subject

ALIKE = {"mixer-lrd", "mixer-mrd", "mixer-srd"}
"""MLP-Mixer with one branch more: nothing here could tell them from it and MCMSH."""
METHODS = {name: method for name, method in load_registry().methods.items() if name not in ALIKE}


@pytest.fixture(scope="module", params=sorted(METHODS))
def subject(request: pytest.FixtureRequest, tiny: Dataset) -> Subject:
    return Subject(METHODS[request.param], tiny)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(subject: Subject, check: Callable[[Subject], None]) -> None:
    check(subject)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_training_labels_are_shown_to_bounds_only(name: str, tiny: Dataset) -> None:
    method = METHODS[name]
    assert method.uses_labels == (name == "oracle")
    assert method.reference == (name in {"float", "opq", "pq", "rabitq"})
    assert method.bound == (method.reference or name in {"oracle", "random"})
    if not method.uses_labels:
        assert inputs(method, tiny.train) is tiny.train.features


@pytest.mark.parametrize("method", sorted(name for name, found in METHODS.items() if issubclass(found, DeepMethod)))
def test_held_out_training_videos_choose_the_epoch(method: str, tiny: Dataset) -> None:
    parameters = Subject(METHODS[method], tiny).quick | {"epochs": 4, "learning_rate": 0.02, "validation_share": 0.25}
    context = FitContext(0)
    resolved = resolve_parameters(METHODS[method], tiny.summary, {}, parameters)
    kept = fit_method(METHODS[method](BITS, resolved), tiny, context)
    losses = [row["validation_loss"] for row in context.history[-4:]]
    best = int(np.argmin(losses))
    assert context.checkpoint == f"epoch {best + 1} of 4: lowest loss on 10 training videos held out"
    # The same training, stopped at that epoch, ends with the same codes.
    shorter = resolve_parameters(METHODS[method], tiny.summary, {}, parameters | {"epochs": best + 1})
    stopped = fit_method(METHODS[method](BITS, shorter), tiny, FitContext(0))
    np.testing.assert_array_equal(kept.encode(tiny.gallery.features), stopped.encode(tiny.gallery.features))


OWN = '''
import numpy as np
from bench.learning.method import ShallowMethod

drawn = np.random.default_rng()


class Mine(ShallowMethod):
    """Random directions."""

    name = "mine"
    title = "Mine"

    def directions(self, centred, random):
        return {source}.standard_normal((centred.shape[1], self.bits))
'''


def test_a_file_of_ones_own_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(OWN.format(source="random"))
    assert main(["check-method", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CHECKS)
    assert all(line.startswith("fine   mine ") for line in lines)
    # A stream of its own, which no seed reaches.
    file.write_text(OWN.format(source="drawn"))
    assert main(["check-method", str(file)]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILS")]
    assert len(failed) == 1
    assert failed[0].startswith("FAILS  mine gives the same codes for the same seed: ")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (
            OWN.format(source="random").replace("self.bits)", "2 * self.bits)"),
            "OutputError: mine gave outputs of shape (1, 24) for 1 videos; expected (1, 12)",
        ),
        (OWN.format(source="nothing"), "NameError: name 'nothing' is not defined (mine.py, line 15)"),
    ],
)
def test_an_exception_is_shown_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], source: str, error: str
) -> None:
    (tmp_path / "mine.py").write_text(source)
    assert main(["check-method", str(tmp_path / "mine.py")]) == 1
    described, failed, rest = capsys.readouterr().out.splitlines()
    assert described.startswith("fine   mine has a name")
    assert failed == f"FAILS  mine encodes any number of videos, none included, as int8 in -1, +1: {error}"
    assert rest == "       mine: the checks after this one were not tried; fix it and check again"


def test_files_that_define_no_method_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import nothing_of_this_name\n")
    assert main(["check-method", str(file)]) == 2
    assert "(mine.py, line 1)" in capsys.readouterr().err
    file.write_text("from bench.data.dataset import Dataset\n")
    assert main(["check-method", str(file)]) == 2
