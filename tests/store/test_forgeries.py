"""Forged results, sealed as by this package's own source: none is called sound, and no cheap one is shown.

A store of real runs is made once; every forgery is done to a copy. What reads only moves nothing.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.cli import main
from bench.registry import load_registry
from bench.running.plan import plan
from bench.running.runner import Runner
from bench.store.codes_file import StoredCodes, read_codes
from bench.store.recompute import Recomputation
from bench.store.registered import LABELS
from bench.store.store import Store
from bench.store.verify import verify
from tests.report.conftest import costs_of
from tests.store import forger
from tests.store.conftest import everything

METHODS, SEEDS, EPOCHS = ("itq", "lsh", "pcah", "bth"), (0, 1), 2
SMALL = {"epochs": EPOCHS, "anchors": 4, "hidden": 8, "batch_size": 8}
LSH, OTHER, ITQ, BTH = ("lsh", 0), ("lsh", 1), ("itq", 0), ("bth", 0)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of features of three classes, searched against itself."""
    folder = tmp_path_factory.mktemp("data") / "own"
    folder.mkdir()
    random = np.random.default_rng(0)
    for split, videos in (("train", 40), ("test", 30)):
        labels = np.eye(3, dtype=np.uint8)[np.arange(videos) % 3]
        features = labels @ random.normal(size=(3, 16)) + random.normal(size=(videos, 16))
        np.save(folder / f"{split}_feats.npy", np.repeat(features[:, None], 4, 1).astype(np.float32))
        np.save(folder / f"{split}_labels.npy", labels)
    (folder / "dataset.toml").write_text('gallery = "test"\nquery = "test"\n')
    return folder


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of four methods and two seeds at 16 bits, as `bench run` stores them, without costs."""
    store = Store(tmp_path_factory.mktemp("made") / "runs")
    runner = Runner(store, torch.device("cpu"))
    runner._measure = lambda planned, finished, datasets, leases: list(finished)  # type: ignore[method-assign]
    planned = plan(load_registry(), methods=METHODS, datasets=[str(data)], bits=[16], seeds=SEEDS,
                   parameters={"bth": SMALL})  # fmt: skip
    assert len(runner.run(planned)) == 7
    return store.root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "runs")
    return tmp_path / "runs"


def folder_of(root: Path, run: tuple[str, int]) -> Path:
    """The folder of a method's run with this seed."""
    found = [path.parent for path in root.glob(f"own/{run[0]}/*/record.json")]
    (folder,) = [path for path in found if forger.values_of(path)["spec"]["seed"] == run[1]]
    return folder


def paper(values: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = values["metrics"]["paper"]
    return found


def scores(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda root: forger.edit(folder_of(root, LSH), lambda values: change(paper(values)))


def record(change: Callable[[dict[str, Any]], object], run: tuple[str, int] = LSH) -> Callable[[Path], object]:
    return lambda root: forger.edit(folder_of(root, run), change)


def codes(change: Callable[[StoredCodes], StoredCodes]) -> Callable[[Path], object]:
    return lambda root: forger.with_codes(folder_of(root, LSH), change)


def raised(values: dict[str, Any]) -> None:
    for table in ("map", "map_best", "map_worst"):
        values[table] = {k: min(1.0, value + 0.1) for k, value in values[table].items()}


def shifted_with_its_queries(root: Path) -> None:
    """mAP and values per query say the same; only the codes know."""
    folder = folder_of(root, LSH)
    values = forger.values_of(folder)
    with np.load(folder / forger.PER_QUERY) as arrays:
        changed = {name: array * 0.9 for name, array in arrays.items()}
    np.savez_compressed(folder / forger.PER_QUERY, **changed)
    for protocol, found in values["metrics"].items():
        for k in found["map"]:
            found["map"][k] = float(changed[f"{protocol}@{k}"].mean())
            found["map_worst"][k] = min(found["map_worst"][k], found["map"][k])
            found["tie_spread"][k] = found["map_best"][k] - found["map_worst"][k]
    forger.seal(folder, values)


def per_query(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[Path], object]:
    def forge(root: Path) -> None:
        forger.per_query(folder_of(root, LSH), change)
        record(lambda values: None)(root)

    return forge


def codes_of_another(root: Path) -> None:
    theirs = read_codes(folder_of(root, ITQ) / forger.CODES)
    forger.with_codes(folder_of(root, LSH), lambda own: theirs)


def run_of_another(root: Path) -> None:
    """ITQ's run as LSH's, with codes, encoder and numbers."""
    made_up = forger.values_of(folder_of(root, LSH))
    told = {name: made_up[name] for name in ("method_title", "paper")}
    target = forger.move(folder_of(root, ITQ), method="lsh", parameters=made_up["spec"]["parameters"], seed=7)
    forger.edit(target, lambda values: values.update(told))


def seed_copied(root: Path) -> None:
    forger.move(folder_of(root, LSH), seed=1)


def trained_longer(root: Path) -> None:
    """A run of few epochs as one of many."""
    folder = folder_of(root, BTH)
    forger.move(folder, parameters=forger.values_of(folder)["spec"]["parameters"] | {"epochs": 50})


def shorter_codes(root: Path) -> None:
    """Codes and numbers of 8 bits in a run of 16."""

    def halved(own: StoredCodes) -> StoredCodes:
        return replace(own, query_codes=own.query_codes[:, :8])

    forger.with_codes(folder_of(root, LSH), halved)


def one_class(own: StoredCodes) -> StoredCodes:
    return replace(own, query_labels=np.eye(3, dtype=np.uint8)[[0] * len(own.query_codes)])


def one_class_everywhere(root: Path) -> None:
    """All labels are one class in all runs, and so noted."""
    for run in [(method, seed) for method in METHODS for seed in SEEDS if (method, seed) != ("pcah", 1)]:
        forger.with_codes(folder_of(root, run), one_class)
    shutil.rmtree(root / LABELS)


def titles_exchanged(root: Path) -> None:
    titles = {run: forger.values_of(folder_of(root, run))["method_title"] for run in (LSH, ITQ)}
    record(lambda values: values.update(method_title=titles[ITQ]))(root)
    record(lambda values: values.update(method_title=titles[LSH]), ITQ)(root)


def labels_noted_anew(root: Path) -> None:
    codes(one_class)(root)
    (note,) = (root / LABELS).iterdir()
    note.unlink()


def fewer_queries(root: Path) -> None:
    def fewer(own: StoredCodes) -> StoredCodes:
        assert own.query_labels is not None
        return replace(own, query_codes=own.query_codes[:20], query_labels=own.query_labels[:20])

    codes(fewer)(root)


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], object]:
    def change(values: dict[str, Any]) -> None:
        values[new] = values.pop(old)

    return change


def without(name: str) -> Callable[[Path], object]:
    def forge(root: Path) -> None:
        (folder_of(root, LSH) / name).unlink()
        record(lambda values: None)(root)

    return forge


def encoder_of(run: tuple[str, int], name: str = "encoder.safetensors") -> Callable[[Path], object]:
    """The encoder of another run, or of one of the same shape its weights alone."""

    def forge(root: Path) -> None:
        theirs, own = (folder_of(root, one) / forger.ENCODER for one in (run, LSH))
        for path in [theirs / name] if name else theirs.iterdir():
            shutil.copy(path, own)
        record(lambda values: None)(root)

    return forge


CHEAP: dict[str, Callable[[Path], object]] = {
    # Those of the audit.
    "mAP edited": scores(lambda found: found["map"].update({"20": 0.999})),
    "mAP, best and worst edited": scores(raised),
    "values per query shifted": per_query(
        lambda found: found.update({name: values * 0.5 for name, values in found.items()})
    ),
    "labels all one class": codes(one_class),
    "codes of 8 bits in a run of 16": shorter_codes,
    "titles exchanged": titles_exchanged,
    "fewer queries": fewer_queries,
    "worst above best": scores(lambda found: found.update(map_worst=found["map_best"], map_best=found["map_worst"])),
    "not finite": scores(lambda found: found["ndcg"].update({"20": float("nan")})),
    "out of range": scores(lambda found: found["precision"].update({"5": 1.5})),
    "a protocol under another's name": record(lambda values: values["metrics"].update(strict=paper(values))),
    # Of our own.
    "a protocol of one's own": record(lambda values: renamed("strict", "lenient")(values["metrics"])),
    "a protocol described otherwise": scores(lambda found: found["protocol"].update(description="AP@k of one.")),
    "a k without values per query": per_query(lambda found: found.pop("paper@20")),
    "values per query of fewer queries": per_query(lambda found: found.update({"paper@20": found["paper@20"][:10]})),
    "no values per query at all": without(forger.PER_QUERY),
    "no codes": without(forger.CODES),
    "an encoder of another method": encoder_of(BTH, ""),
    "another gallery": record(lambda values: values["dataset"].update(gallery_videos=3000)),
    "another dataset's name": record(lambda values: values["dataset"].update(name="fcvid")),
    "more training videos": record(lambda values: values["dataset"].update(train_videos=4000)),
    "real instead of made-up data": record(lambda values: values["dataset"].update(stand_in=True)),
    "trained for longer": trained_longer,
    "epochs of training left out": record(lambda values: values["history"].pop(), BTH),
    "a loss that is not finite": record(lambda values: values["history"][0].update(loss=float("inf")), BTH),
    "a bound": record(lambda values: values.update(bound=True)),
    "shown the labels": record(lambda values: values.update(uses_labels=True, bound=True)),
    "another paper": record(lambda values: values.update(paper="Nobody, Nothing, 2030")),
    "time that runs backwards": record(lambda values: values["durations"].update(fit=-1.0)),
    "metrics of a failed run": record(lambda values: values.update(status="failed")),
    "precision within radius 2": scores(lambda found: found.update(precision_radius2=0.99)),
    "recall that falls": scores(lambda found: found["precision_recall"]["recall"].reverse()),
    "another revision of a plug-in": lambda root: forger.move(folder_of(root, LSH), method_revision="1-0123456789ab"),
}  # fmt: skip
COPIED: dict[str, Callable[[Path], object]] = {
    "codes of ITQ in a run of LSH": codes_of_another,
    "ITQ as LSH, with its encoder": run_of_another,
    "a seed copied as another": seed_copied,
}
COMPUTED: dict[str, Callable[[Path], object]] = {
    "mAP shifted with its values per query": shifted_with_its_queries,
    "NDCG edited": scores(lambda found: found["ndcg"].update({"20": 0.123})),
    "mAP of the whole ranking edited": scores(lambda found: found.update(map_full=0.5)),
    "a precision edited": scores(lambda found: found["precision"].update({"5": 0.5})),
    "a point of a curve moved": scores(lambda found: found["precision_recall"]["precision"].__setitem__(9, 0.5)),
    "queries that find nothing": scores(
        lambda found: found.update(queries_empty_radius2=found["queries_empty_radius2"] + 1)
    ),
    "one query's value exchanged with another's": per_query(
        lambda found: found.update({"paper@20": np.sort(found["paper@20"])})
    ),
    "random codes made to look worse": record(
        lambda values: values["diagnostics"]["random"]["paper"]["20"].update(value=0.001)
    ),
    "bits said to be constant": record(lambda values: values["diagnostics"].update(constant_bits=1)),
    "labels noted anew": labels_noted_anew,
    "all labels one class everywhere": one_class_everywhere,
}


@pytest.mark.parametrize("forgery", CHEAP)
def test_what_contradicts_itself_is_a_row_with_its_reason(
    forgery: str, root: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    CHEAP[forgery](root)
    before = everything(root)
    assert not verify(Store(root)).sound
    unsound = [run for run in Store(root).runs() if run.record.status == "unsound"]
    assert unsound
    for run in unsound:
        assert run.record.reason
        assert not run.record.metrics
        assert Store(root, lambda line: None).find_sound(run.record.spec) is None
    assert main(["results", "merge", str(root), "--results", str(root.parent / "merged")]) == 1
    assert "not copied: inconsistent (" in capsys.readouterr().err
    assert everything(root) == before


@pytest.mark.parametrize("forgery", COPIED)
def test_copied_codes_are_named(forgery: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    COPIED[forgery](root)
    assert main(["results", "verify", "--results", str(root)]) == 1
    assert "codes equal those of own/" in capsys.readouterr().out


@pytest.mark.parametrize("forgery", COMPUTED)
def test_what_the_codes_do_not_say_is_named(forgery: str, root: Path, data: Path) -> None:
    COMPUTED[forgery](root)
    source = load_registry().dataset(str(data))
    verified = verify(Store(root), Recomputation(load_registry(), {source.summary().fingerprint: source}))
    states = {finding.state for finding in verified.findings}
    assert states & {"not as computed", "inconsistent"}
    assert all("stored" in finding.what for finding in verified.findings if finding.state == "not as computed")


@pytest.mark.parametrize("forge", [codes_of_another, encoder_of(OTHER)])
def test_codes_that_the_encoder_does_not_give_are_named(
    forge: Callable[[Path], object], root: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(root)
    assert main(["results", "verify", "--reencode", "30", "--datasets", str(data), "--results", str(root)]) == 1
    assert "stored codes of 30 of 30 query videos differ from the encoder's" in _unfolded(capsys.readouterr().out)


def _unfolded(text: str) -> str:
    return " ".join(text.split())


def test_what_is_true_can_be_proven(root: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(root)
    for options in ([], ["--recompute"], ["--reencode", "30", "--datasets", str(data)]):
        assert main(["results", "verify", *options, "--results", str(root)]) == 0
        proven = "every metric follows from the codes" if options else "--recompute also computes every metric again"
        assert capsys.readouterr().out.endswith(f"{proven})\n")
    assert everything(root) == before


def test_labels_that_nothing_knows_prove_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(root / LABELS)
    assert main(["results", "verify", "--recompute", "--results", str(root)]) == 1
    assert "labels of own: unknown here; give the dataset with --datasets" in _unfolded(capsys.readouterr().out)


def test_evaluating_again_names_what_it_changes_and_puts_it_right(
    made: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores(lambda found: found["map"].update({"20": 0.999}))(root)
    folder, true = folder_of(root, LSH), forger.values_of(folder_of(made, LSH))
    assert main(["evaluate", "--results", str(root)]) == 0
    computed = true["metrics"]["paper"]["map"]["20"]
    assert f"{folder}: paper map 20: stored 0.999, computed {computed}\n" in capsys.readouterr().err
    assert forger.values_of(folder)["metrics"] == true["metrics"]
    assert verify(Store(root)).sound
    assert main(["evaluate", "--results", str(root)]) == 0
    assert "stored" not in capsys.readouterr().err


def test_counts_of_one_encoder_agree_between_seeds(root: Path) -> None:
    for run in (LSH, OTHER):
        size = (folder_of(root, run) / forger.ENCODER / "encoder.safetensors").stat().st_size
        changed = {"encoder_bytes": size, "parameters_encode": 1000 + run[1], "search": None}
        costs = costs_of("lsh", 16, 0, "cpu", 1.0, {}).model_copy(update=changed).model_dump(mode="json")
        record(partial(dict.update, costs=costs), run)(root)
    wrong = {run.record.spec.seed: run.record for run in Store(root).runs() if run.record.status == "unsound"}
    assert set(wrong) == set(SEEDS)
    assert "numbers of parameters" in str(wrong[0].reason)


@pytest.mark.parametrize(
    "cost", [{"flops": -1}, {"parameters_encode": 10**9}, {"code_bytes": 1}, {"encoder_bytes": 5}, {"encoding": []}]
)
def test_costs_that_cannot_be_are_refused(cost: dict[str, Any], root: Path) -> None:
    costs = json.loads(costs_of("lsh", 16, 0, "cpu", 1.0, {}).model_dump_json()) | {"search": None} | cost
    record(lambda values: values.update(costs=costs))(root)
    assert [run.record.spec.method for run in Store(root).runs() if run.record.status == "unsound"] == ["lsh"]


@pytest.mark.parametrize("verb", [["results", "verify"], ["results", "prune"], ["evaluate"], ["report"],
                                  ["results", "merge", "{}"]])  # fmt: skip
def test_a_folder_without_runs_is_no_success(
    verb: list[str], root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    wrong, empty = root.parent, root.parent / "empty"
    empty.mkdir()
    for folder, hint in ((wrong, f"no runs here; did you mean {root}?"), (empty, "no runs here; ")):
        merging = "{}" in verb
        call = [part.format(folder) for part in verb]
        assert main([*call, "--results", str(root if merging else folder)]) == 2
        assert hint in capsys.readouterr().err


def test_seeds_of_a_method_without_any_run_once(root: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planned = plan(
        load_registry(), methods=["pcah", "lsh"], datasets=[str(data)], bits=[16], seeds=[3, 4], parameters={}
    )
    assert [(run.spec.method, run.spec.seed) for run in planned] == [("pcah", 0), ("lsh", 3), ("lsh", 4)]
    assert "pcah: does not use the seed; run once, as seed 0" in capsys.readouterr().err
    # Those that earlier versions stored are understood.
    forger.move(folder_of(root, ("pcah", 0)), seed=1)
    assert verify(Store(root)).sound
    assert not verify(Store(root)).findings


@pytest.fixture
def crlf(root: Path) -> Path:
    for path in [*root.rglob("*.json"), *root.rglob("*.txt")]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    return root


def test_line_ends_of_version_control_break_no_seal(crlf: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = everything(crlf)
    assert main(["results", "verify", "--recompute", "--results", str(crlf)]) == 0
    assert [run.record for run in Store(crlf).runs()] == [run.record for run in Store(made).runs()]
    assert everything(crlf) == before
    capsys.readouterr()
    assert main(["results", "merge", str(made), "--results", str(crlf)]) == 0
    assert capsys.readouterr().out == f"{crlf}: the same is here 7\n"
