"""The forgeries: changes to stored runs of `test_forgeries`, sealed as by this package's own source.

CHEAP ones contradict the record or its files; COPIED ones have codes of another run; COMPUTED ones are seen only where
the codes are evaluated again.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.store.codes_file import StoredCodes
from bench.store.registered import LABELS
from tests.store import forger

METHODS, SEEDS = ("itq", "lsh", "pcah", "bth"), (0, 1)
LSH, OTHER, ITQ, BTH = ("lsh", 0), ("lsh", 1), ("itq", 0), ("bth", 0)


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
    theirs = forger.codes_of(folder_of(root, ITQ))
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
