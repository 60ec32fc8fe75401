"""The contract of every dataset that is known by name and read from files, tried on tiny stand-ins."""

from pathlib import Path

import numpy as np
import pytest

import bench
from bench.base.errors import InputError
from bench.base.progress import SilentProgress
from bench.cli import main
from bench.data.feature_files import FeatureFiles
from bench.data.stand_in import plan_stand_in
from bench.registry import load_registry

DATASETS = {name: found for name, found in load_registry().datasets.items() if issubclass(found, FeatureFiles)}
DIMENSIONS = 8
# Facts as published: training, query and gallery videos, frames, dimensions, classes; who queries whom.
FACTS = {
    "fcvid": ((45_585, 45_600, 45_600), 25, 4096, 239, "itself"),
    "yfcc": ((409_788, 1000, 101_256), 25, 4096, 80, "test"),
    "activitynet": ((9722, 1000, 3758), 30, 2048, 200, "test"),
    "ucf101": ((9537, 3783, 9537), 25, 4096, 101, "train"),
    "hmdb51": ((3570, 1530, 3570), 25, 4096, 51, "train"),
}
FILES = {
    "fcvid": "fcv_train_feats.h5 fcv_test_feats.h5 fcv_test_labels.mat",
    "activitynet": "train_feats.h5 test_feats.h5 re_label.mat query_feats.h5 q_label.mat",
    "ucf101": "ucf_train_feats.h5 ucf_train_labels.mat ucf_test_feats.h5 ucf_test_labels.mat",
    "hmdb51": "hmdb_train_feats.h5 hmdb_train_labels.mat hmdb_test_feats.h5 hmdb_test_labels.mat",
}
every_dataset = pytest.mark.parametrize("name", sorted(FACTS))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a stand-in of every dataset, each in a folder of its name."""
    folder = tmp_path_factory.mktemp("root")
    for name, dataset in DATASETS.items():
        plan_stand_in(dataset, folder / name, 0.002, 0, dimensions=DIMENSIONS).write(SilentProgress())
    return folder


def test_these_are_all() -> None:
    assert DATASETS.keys() == FACTS.keys()


@every_dataset
def test_declared_facts(name: str) -> None:
    dataset = DATASETS[name]
    (train, query, gallery), frames, dimensions, classes, searched = FACTS[name]
    roles = dataset.description.query, dataset.description.gallery
    assert dataset.sizes.videos["train"] == train
    assert [dataset.sizes.videos[role] for role in roles if role] == [query, gallery]
    assert (dataset.sizes.frames, dataset.sizes.dimensions, dataset.sizes.classes) == (frames, dimensions, classes)
    assert (roles[0] == roles[1]) == (searched == "itself")
    if name in FILES:
        assert dataset.file_names() == FILES[name].split()
    assert dataset.__doc__
    assert "uncertain" in dataset.__doc__
    assert "github.com/" in dataset.origin


@every_dataset
def test_loading(root: Path, name: str) -> None:
    data = bench.load_dataset(name, root=root)
    counts, frames, _, classes, searched = FACTS[name]
    summary = data.summary
    expected = [max(round(count * 0.002), 4) for count in counts]
    assert [summary.train_videos, summary.query_videos, summary.gallery_videos] == expected
    assert (summary.name, summary.stand_in, summary.self_search) == (name, True, searched == "itself")
    assert (data.gallery is data.query) == (searched == "itself")
    assert (data.gallery is data.train) == (searched == "train")
    for split, count in zip((data.train, data.query, data.gallery), expected, strict=True):
        assert split.features.shape == (count, frames, DIMENSIONS)
        assert split.features[:].dtype == np.float32
    for split in (data.query, data.gallery):
        assert split.labels is not None
        assert split.labels.shape == (len(split.features), classes)
        assert split.labels.sum(axis=1).min() >= 1
    assert (data.train.labels is not None) == (searched == "train")
    assert len(data.class_names) == classes


@every_dataset
def test_parts_come_in_order(root: Path, name: str) -> None:
    import h5py

    data = bench.load_dataset(name, root=root)
    names = [part for part in DATASETS[name].file_names() if "train_feats" in part]
    assert len(names) == (9 if name == "yfcc" else 1)
    expected = np.concatenate([h5py.File(root / name / part)["feats"][:] for part in names])
    np.testing.assert_array_equal(data.train.features[:], expected)


@every_dataset
def test_recommended_settings_are_of_known_methods_and_valid(root: Path, name: str) -> None:
    registry = load_registry()
    for method, values in bench.load_dataset(name, root=root).recommended.items():
        registry.method(method).Parameters.model_validate(values)


@every_dataset
def test_check_passes(root: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", name, "--data-root", str(root), "--all-values"]) == 0
    output = capsys.readouterr().out
    assert "complete and well-formed" in output
    assert "stand-in" in output
    for file in DATASETS[name].file_names():
        assert file in output


@every_dataset
def test_a_stand_in_is_a_feature_folder_too(root: Path, name: str) -> None:
    by_name, by_folder = bench.load_dataset(name, root=root), bench.load_dataset(root / name)
    assert by_folder.summary == by_name.summary


@every_dataset
def test_files_directly_in_the_root(root: Path, name: str) -> None:
    assert bench.load_dataset(name, root=root / name).summary == bench.load_dataset(name, root=root).summary


@every_dataset
def test_files_that_mark_themselves_need_no_note(root: Path, name: str, tmp_path: Path) -> None:
    for file in DATASETS[name].file_names():
        (tmp_path / file).symlink_to(root / name / file)
    assert bench.load_dataset(name, root=tmp_path).summary.stand_in


@every_dataset
def test_without_a_root(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VHBENCH_DATA", raising=False)
    with pytest.raises(InputError, match=f"{name}: name the folder of its files with --data-root DIR") as caught:
        bench.load_dataset(name)
    for file in DATASETS[name].file_names():
        assert file in str(caught.value)


def test_the_environment_names_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VHBENCH_DATA", str(root))
    assert bench.load_dataset("hmdb51").summary.name == "hmdb51"


@pytest.mark.parametrize(
    "call",
    [
        ["run", "--methods", "lsh", "--datasets", "fcvid"],
        ["profile", "--methods", "lsh", "--datasets", "fcvid"],
        ["reproduce", "table2", "--dataset", "fcvid"],
        ["data", "check", "fcvid"],
    ],
)
def test_every_verb_takes_a_root(
    call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*call, "--data-root", "nowhere"]) == 2
    assert "--data-root nowhere: no such folder; it holds the folder fcvid, or its files" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main([*call, "--data-root", "empty"]) == 2
    error = capsys.readouterr().err
    assert "fcvid: " in error
    assert "fcv_test_feats.h5" in error
    assert error.count("\n") == 1


def test_listing(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("VHBENCH_DATA", raising=False)
    assert main(["list", "datasets"]) == 0
    assert capsys.readouterr().out.count("not found: give --data-root, or set VHBENCH_DATA") == len(DATASETS)
    monkeypatch.setenv("VHBENCH_DATA", str(root))
    assert main(["list", "datasets"]) == 0
    assert capsys.readouterr().out.count(" found") == len(DATASETS)
    monkeypatch.setenv("VHBENCH_DATA", str(root / "hmdb51" / "nowhere"))
    assert main(["list", "datasets"]) == 0
    assert "no such folder" in capsys.readouterr().out
