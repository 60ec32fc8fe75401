"""What several tests share: a tiny dataset, caches that stay out of the user's home, a count of the faults survived."""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before OpenMP is loaded: spinning threads of tests on a shared machine starve each other.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Processes that run the tests together share the cores: with more threads each would wait for the others'.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat

from bench.data.dataset import Dataset, Split, Summary
from bench.data.features import ArrayFeatures
from bench.profile.timing import FEWEST

FRAMES, DIMENSIONS, CLASSES = 25, 32, 3
GOLDEN = Path(__file__).parent / "golden"
FAULTS: Counter[str] = Counter()
"""Injected and survived, by kind."""
LONGEST = ("ray", "running", "cli", "reports", "store", "learning", "methods", "hostile", "report")
"""Folders whose files take longest: begun first, they do not keep one process busy while the others have no more."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores, since many tests wait for processes of their own."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One process for all of tests/running: what starts its commands takes 13 s to import everything."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return "tests/running" if file.startswith("tests/running/") else file

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files of the folders that take longest come first."""
    ranks = {folder: number for number, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


def pytest_collection_finish() -> None:
    """Spare every search for garbage all that was imported: a tenth of the time of some tests."""
    gc.collect()
    gc.freeze()


def survived(kind: str, count: int = 1) -> None:
    """Count faults that did no harm; they are shown at the end of the tests."""
    FAULTS[kind] += count


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where several processes run the tests, each tells the first one of them its counts."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["faults"] = dict(FAULTS)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Such a process has ended; one that crashed has told nothing."""
    FAULTS.update(getattr(node, "workeroutput", {}).get("faults", {}))


HOW_TO_RUN = {
    "CUDA": "on a machine with a GPU: pytest tests/gpu tests/metrics/test_cuda.py",
    "Triton": "pip install triton (1 GB); pytest tests/metrics/test_cuda.py",
    "benchmark": "tox -e perf, or pytest tests/benchmarks --benchmark-only",
    "browser": "apt install chromium; tox -e browser",
    "pdflatex": "apt install texlive-latex-extra",
    "onnx": "pip install -e '.[onnx]'",
    "mounted": "as root",
    "Linux": "on Linux",
}
"""By a word of the reason for which a test is skipped."""


def skipped_line(reasons: Counter[str]) -> str:
    """What was not tested, why, and how to test it."""
    parts = []
    for reason, count in sorted(reasons.items()):
        how = next((how for word, how in HOW_TO_RUN.items() if word in reason), None)
        parts.append(f"{count} ({reason}{f'; to run them: {how}' if how else ''})")
    return f"NOT TESTED HERE: {sum(reasons.values())} tests were skipped: {', '.join(parts)}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """The counts, and last of all, below pytest's own summary, what was skipped."""
    if FAULTS:
        terminalreporter.section("faults injected and survived")
        for kind, count in sorted(FAULTS.items()):
            terminalreporter.write_line(f"{count:5}  {kind}")
        terminalreporter.write_line(f"{sum(FAULTS.values()):5}  in all")
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        # Of a skipped report the text is (file, line, "Skipped: reason").
        reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ").rstrip(".") for report in skipped)
        terminalreporter.write_line("")
        terminalreporter.write_line(skipped_line(reasons), red=True, bold=True)


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.getbasetemp()
    # Processes that run the tests together share it, and with it the kernels that one of them has compiled.
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VHBENCH_CACHE", str(shared / "cache"))
        yield


QUICKLY = """
from bench.profile import machine, timing
timing.MAX_ROUNDS, timing.WARM_UP_SECONDS = timing.FEWEST, 0
machine.SIZES = {"cpu": (64, 64, 2**16)}
"""
"""For a process of its own: costs are measured with the fewest repeats, of small work."""
MEASURING = ("profile", "benchmarks", "gpu")
"""Folders whose tests look at what is measured."""


@pytest.fixture(autouse=True, scope="session")
def _no_early_imports() -> Iterator[None]:
    """Commands here import at most what they need: few of them start a process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.running.forking.import_early", lambda threads: None)
        yield


@pytest.fixture(autouse=True, scope="module")
def _measured_quickly(request: pytest.FixtureRequest) -> Iterator[None]:
    """Costs are measured with the fewest repeats, of small work: nobody looks at how long it took."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name not in MEASURING:
            patch.setattr("bench.profile.timing.MAX_ROUNDS", FEWEST)
            patch.setattr("bench.profile.timing.WARM_UP_SECONDS", 0)
            patch.setattr("bench.profile.machine.SIZES", {"cpu": (64, 64, 2**16)})
        yield


def make_features(videos: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Videos of three classes with well-separated means, and their labels."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(CLASSES, DIMENSIONS))
    classes = np.arange(videos) % CLASSES
    noise = random.normal(size=(videos, FRAMES, DIMENSIONS)) + 0.5 * random.normal(size=(videos, 1, DIMENSIONS))
    return (centres[classes][:, None] + noise).astype(np.float32), np.eye(CLASSES, dtype=np.uint8)[classes]


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    """40 training, 12 query and 30 gallery videos of three classes, 25 frames × 32."""
    splits = {name: make_features(count, seed) for seed, (name, count) in enumerate(SIZES.items())}
    summary = Summary(
        name="tiny",
        title="Tiny",
        fingerprint="0" * 32,
        train_videos=SIZES["train"],
        query_videos=SIZES["query"],
        gallery_videos=SIZES["gallery"],
        frames=FRAMES,
        dimensions=DIMENSIONS,
        classes=CLASSES,
        self_search=False,
    )
    train, query, gallery = (Split(ArrayFeatures(features), labels) for features, labels in splits.values())
    return Dataset(summary, train, query, gallery, ("a", "b", "c"))


SIZES = {"train": 40, "query": 12, "gallery": 30}


def write_split(folder: Path, split: str, videos: int, seed: int) -> None:
    """`<split>_feats.h5` and `<split>_labels.mat` of made-up videos."""
    features, labels = make_features(videos, seed)
    with h5py.File(folder / f"{split}_feats.h5", "w") as file:
        file["feats"] = features
    savemat(folder / f"{split}_labels.mat", {"labels": labels})


@pytest.fixture
def feature_folder(tmp_path: Path) -> Path:
    """A feature folder with 40 training and 12 test videos."""
    folder = tmp_path / "my-features"
    folder.mkdir()
    write_split(folder, "train", 40, 0)
    write_split(folder, "test", 12, 1)
    return folder
