"""Every Python and shell example of the README and of docs/ runs as it stands there, with little data.

An HTML comment in the line above a fence says what is special: `file: NAME` has the block written to that file, and
`skip: REASON` leaves it out. The examples of a page share a folder and, in Python, their variables.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bench.datasets.moving_digits import MovingDigits, Parameters
from scipy.io import savemat

from bench.cli import main
from bench.profile import encoding
from bench.profile.cost_types import Rates
from bench.report.drawing import Drawn
from tests.conftest import make_features
from tests.reports.conftest import BTH_ENCODER, MASKED
from tests.video.clips import write_numbered

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"^(?:<!-- (?P<marker>file|skip): (?P<value>.+?) -->\n)?```(?P<language>\S*)\n(?P<source>.*?)^```$", re.M | re.S
)
QUICK = {"epochs": 1, "hidden": 16, "anchors": 8, "batch_size": 40, "learning_rate": 3e-3}
TRAINED = ("mcmsh", "bth", "mlp-mixer", "mixer-lrd", "mixer-mrd", "mixer-srd")
STAND_INS = {"datasets.md": ("fcvid", "ucf101")}
"""By page, the papers' datasets of which examples suppose that the files are there."""
VIDEOS = ("README.md", "videos-to-search.md")
"""Pages of which examples suppose that there are videos."""
RUN, NOT_RUN = {"python", "sh"}, {"", "toml", "text", "{toctree}"}


@dataclass(frozen=True)
class Example:
    page: Path
    line: int
    """Of the first line within the fence, from 1."""
    language: str
    source: str
    marker: str | None
    value: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def examples() -> Iterator[Example]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in BLOCK.finditer(text):
            line = text.count("\n", 0, block.start("source")) + 1
            yield Example(page, line, **block.groupdict())


def parameters() -> Iterator[Any]:
    for example in examples():
        if example.marker == "skip":
            yield pytest.param(example, id=str(example), marks=pytest.mark.skip(reason=f"example: {example.value}"))
        elif example.marker == "file" or example.language in RUN:
            yield pytest.param(example, id=str(example))


@dataclass
class Place:
    """Where a page's examples run."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})


def write_split(folder: Path, split: str, videos: int, seed: int) -> None:
    """Files of a split under their usual names, with features as wide as those of the few moving digits."""
    (features, labels), (more, _) = make_features(videos, seed), make_features(videos, seed + 2)
    with h5py.File(folder / f"{split}_feats.h5", "w") as file:
        file["feats"] = np.concatenate([features, more], axis=2)
    savemat(folder / f"{split}_labels.mat", {"labels": labels})


@pytest.fixture(scope="module")
def places() -> dict[Path, Place]:
    return {}


@pytest.fixture
def place(
    example: Example, places: dict[Path, Place], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Place:  # fmt: skip
    """The folder of the example's page, with a feature folder; few moving digits, short measurements and no figures."""
    monkeypatch.setattr("bench.profile.encoding.BATCHES", (1,))
    # Processes of their own would not know what is changed here.
    monkeypatch.setattr("bench.running.jobs.usable_cores", lambda: 1)
    monkeypatch.setattr(encoding, "measure_rates", lambda *_: Rates(float32=1e9, bfloat16=1e9, copy_bytes=1e9))
    monkeypatch.setattr("bench.report.folder.drawn", lambda plots: [Drawn("", b"", b"", "")] * len(plots))
    monkeypatch.setattr("bench.profile.costs.time_encoders", partial(encoding.time_encoders, seconds=0.01))
    small = partial(Parameters, train_videos=80, query_videos=12, gallery_videos=30, filters=64, patch_samples=2000)
    monkeypatch.setattr("bench.datasets.moving_digits.source.Parameters", small)
    monkeypatch.setattr(MovingDigits, "recommended", {**dict.fromkeys(TRAINED, QUICK), **BTH_ENCODER, **MASKED})
    if example.page not in places:
        features = tmp_path / "path/to/features"
        features.mkdir(parents=True)
        write_split(features, "train", 80, 0)
        write_split(features, "test", 12, 1)
        for label in ("rise", "fall") if example.page.name in VIDEOS else ():
            (tmp_path / "path/to/videos" / label).mkdir(parents=True)
            for number in range(3):
                write_numbered(tmp_path / f"path/to/videos/{label}/{number}.mp4", number + 1)
        for name in STAND_INS.get(example.page.name, ()):
            assert main(["data", "fake", name, "--scale", "0.0005", "--out", str(tmp_path / "data" / name)]) == 0
        places[example.page] = Place(tmp_path)
    monkeypatch.chdir(places[example.page].folder)
    return places[example.page]


@pytest.mark.parametrize("example", list(parameters()))
def test_example(example: Example, place: Place) -> None:
    if example.marker == "file":
        assert example.value
        Path(example.value).parent.mkdir(parents=True, exist_ok=True)
        Path(example.value).write_text(example.source, encoding="utf-8")
    elif example.language == "python":
        # Blank lines before it, so that tracebacks show the page's own line numbers.
        code = compile("\n" * (example.line - 1) + example.source, example.page, "exec")
        exec(code, place.names)
    else:
        with pytest.MonkeyPatch.context() as environment:
            for line in example.source.replace("\\\n", " ").splitlines():
                run_line(line, environment)


def run_line(line: str, environment: pytest.MonkeyPatch) -> None:
    """A line of a shell example: `bench …` must succeed, `export NAME=VALUE` holds for the rest of the example."""
    words = shlex.split(line, comments=True)
    match words:
        case []:
            pass
        case ["export", setting]:
            environment.setenv(*setting.split("=", 1))
        case ["bench" | ".venv/bin/bench", *arguments]:
            assert main(arguments) == 0, line
        case _:
            pytest.fail(f"{line}: examples that are no bench commands need <!-- skip: REASON -->")


def test_no_example_escapes_by_the_name_of_its_language() -> None:
    assert {example.language for example in examples()} <= RUN | NOT_RUN
