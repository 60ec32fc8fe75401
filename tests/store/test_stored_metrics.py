"""Stored metrics have what their readers rely on, or the record is refused in one line that names what is wrong."""

import copy
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bench.base.text import validation_message
from bench.metrics import evaluate
from bench.store.integrity import InconsistentError, sealed, unsealed
from bench.store.record import RunRecord
from bench.store.store import Store
from bench.store.stored_run import read_run
from tests.store import forger
from tests.store.conftest import add, record_of, spec_of

BY_K = ("map", "map_best", "map_worst", "precision", "recall", "ndcg")
READ = (
    *BY_K, "protocol", "bits", "ks", "queries", "gallery", "tie_spread", "map_full", "precision_recall",
    "precision_radius2", "queries_without_relevant",
)  # fmt: skip


@pytest.fixture(scope="module")
def scores() -> dict[str, Any]:
    random = np.random.default_rng(0)
    codes = random.choice(np.array([-1, 1], dtype=np.int8), (12, 8))
    return evaluate(codes, np.eye(3, dtype=np.uint8)[np.arange(12) % 3], protocol="paper", ks=(2, 5)).to_json()


def record(scores: dict[str, Any]) -> RunRecord:
    values = record_of(spec_of()).model_dump(mode="json")
    return RunRecord.model_validate(values | {"metrics": {"paper": scores}})


def test_what_the_evaluator_gives_is_kept_as_it_is(scores: dict[str, Any]) -> None:
    assert record(scores).model_dump(mode="json")["metrics"] == {"paper": scores}


def test_a_stored_run_can_be_sent_to_another_process(tmp_path: Path) -> None:
    run = add(Store(tmp_path), spec_of())
    sent = pickle.loads(pickle.dumps(run))
    assert sent == copy.deepcopy(run) == run
    assert sent.verified("codes.npz").is_file()


@pytest.mark.parametrize("name", ["queries_empty_radius2"])
def test_what_earlier_versions_did_not_know_may_be_missing(scores: dict[str, Any], name: str) -> None:
    earlier = {key: value for key, value in scores.items() if key != name}
    assert record(earlier).model_dump(mode="json")["metrics"] == {"paper": earlier}


def test_scores_of_the_first_items_alone_are_no_record(scores: dict[str, Any]) -> None:
    part = evaluate([[0, 1, 1], [0, 0, 1]], [0, 0], ks=(2,), whole_ranking=False).to_json()
    with pytest.raises(ValidationError, match=r"metrics\.paper\.map_full is stored as None"):
        record(scores | part | {name: scores[name] for name in ("bits", "queries", "gallery")})


def test_sums_may_round(scores: dict[str, Any]) -> None:
    assert record(scores | {"ndcg": dict.fromkeys(scores["ndcg"], 1 + 2e-16)}).metrics


@pytest.mark.parametrize("name", READ)
def test_a_missing_table_is_refused(scores: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        record({key: value for key, value in scores.items() if key != name})
    assert validation_message(refused.value) == f"metrics.paper.{name}: field required"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1, "0.5", None, True, [0.5], {}])
@pytest.mark.parametrize("name", [*BY_K, "map_full", "precision_radius2", "precision_recall"])
def test_a_value_that_is_no_share_is_refused(scores: dict[str, Any], name: str, value: object) -> None:
    changed = copy.deepcopy(scores)
    if name in BY_K:
        changed[name]["5"] = value
    elif name == "precision_recall":
        changed[name]["recall"][3] = value
    else:
        changed[name] = value
    with pytest.raises(ValidationError, match=rf"metrics\.paper\.{name}"):
        record(changed)


@pytest.mark.parametrize(("name", "by"), [("map_worst", 0.01), ("map_best", -0.01)])
def test_no_order_of_ties_is_beyond_the_worst_and_the_best(scores: dict[str, Any], name: str, by: float) -> None:
    """Whatever the spread says: that of the changed values."""
    moved = scores | {name: {k: value + by for k, value in scores["map"].items()}}
    moved["tie_spread"] = {k: moved["map_best"][k] - moved["map_worst"][k] for k in moved["map"]}
    with pytest.raises(ValidationError, match=r"map@2 is stored as .*; expected between .* its worst and best order"):
        record(moved)


@pytest.mark.parametrize("key", ["five", "05", "-5", "5.0", "", "5\n", "9" * 5000])
@pytest.mark.parametrize("name", BY_K)
def test_a_key_that_is_no_k_is_refused(scores: dict[str, Any], name: str, key: str) -> None:
    with pytest.raises(ValidationError, match=rf"metrics\.paper\.{name}"):
        record(scores | {name: scores[name] | {key: 0.5}})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"recall": {"2": 0.5}}, "map and recall are not of the same k"),
        ({"map": {}}, "map: .* should have at least 1 item"),
        ({"precision_recall": {"recall": [0.5], "precision": [0.5, 0.5]}}, "of different lengths"),
        ({"precision_recall": {"recall": [], "precision": []}}, "precision_recall.recall: list should have"),
        ({"queries": 0}, "queries: input should be greater"),
        ({"queries": 1.5}, "queries: input should be a valid integer"),
        ({"queries_without_relevant": -1}, "queries_without_relevant: input should be greater"),
        ({"queries_without_relevant": 13}, "is stored as 13; expected at most 12 queries"),
        ({"map_full": 1.0, "queries_without_relevant": 1}, "map_full is stored as 1.0; expected at most the 0.916667"),
        ({"ks": [2, 6]}, r"ks is stored as \[2, 6\]; expected those of map: 2, 5"),
        ({"tie_spread": {"2": 0.5, "5": 0.5}}, "tie_spread@2 is stored as 0.5; expected .*, best minus worst"),
        ({"protocol": {"name": "paper"}}, "description is stored as None; expected AP@k is divided by k; a query"),
        ({"protocol": {"name": "lenient"}}, "name is stored as lenient; expected one of paper, strict"),
        ({"bits": 16}, "metrics.paper: bits is stored as 16; expected 8 as the run says"),
        ({"gallery": 13}, "metrics.paper: gallery is stored as 13; expected 12 as the run says"),
    ],
)
def test_tables_that_do_not_fit_are_refused(scores: dict[str, Any], changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        record(scores | changed)
    assert re.search(told, validation_message(refused.value))


def test_a_crafted_record_is_a_row_that_says_why(store: Store) -> None:
    run = add(store, spec_of())
    assert unsealed(sealed(run.record), run.folder) == run.record
    forger.edit(run.folder, lambda values: values.update(metrics={"strict": {}}))
    with pytest.raises(InconsistentError) as refused:
        read_run(run.folder)
    assert refused.value.what == "metrics.strict.protocol: field required"
    (row,) = store.runs()
    assert (row.record.status, row.record.reason, row.record.metrics) == ("unsound", refused.value.what, {})
