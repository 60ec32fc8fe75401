"""Stored metrics have what their readers rely on, or the record is refused in one line that names what is wrong."""

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bench.errors import InputError
from bench.integrity import sealed, unsealed
from bench.metrics import evaluate
from bench.record import RunRecord
from bench.store import Store, read_run
from tests.store.conftest import add, record_of, spec_of

READ = (
    "protocol", "queries", "map", "map_best", "map_worst", "precision", "recall", "ndcg", "map_full",
    "precision_recall", "precision_radius2", "queries_without_relevant",
)  # fmt: skip
BY_K = READ[2:8]


@pytest.fixture(scope="module")
def scores() -> dict[str, Any]:
    random = np.random.default_rng(0)
    codes = random.choice(np.array([-1, 1], dtype=np.int8), (12, 8))
    return evaluate(codes, np.eye(3, dtype=np.uint8)[np.arange(12) % 3], protocol="paper", ks=(2, 5)).to_json()


def record(scores: dict[str, Any]) -> RunRecord:
    values = record_of(spec_of()).model_dump(mode="json")
    return RunRecord.model_validate(values | {"metrics": {"paper": scores}})


def test_what_the_evaluator_gives_is_kept_as_it_is(scores: dict[str, Any]) -> None:
    assert record(scores).metrics == {"paper": scores}


def test_a_stored_run_can_be_sent_to_another_process(tmp_path: Path) -> None:
    run = add(Store(tmp_path), spec_of())
    sent = pickle.loads(pickle.dumps(run))
    assert sent == copy.deepcopy(run) == run
    assert sent.verified("codes.npz").is_file()


@pytest.mark.parametrize("name", ["queries_empty_radius2", "tie_spread", "bits", "ks", "gallery"])
def test_what_earlier_versions_left_out_or_nobody_reads_may_be_missing(scores: dict[str, Any], name: str) -> None:
    assert record({key: value for key, value in scores.items() if key != name}).metrics


def test_sums_may_round(scores: dict[str, Any]) -> None:
    assert record(scores | {"ndcg": dict.fromkeys(scores["ndcg"], 1 + 2e-16)}).metrics


@pytest.mark.parametrize("name", READ)
def test_a_missing_table_is_refused(scores: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError, match=f"of protocol paper: {name}: field required"):
        record({key: value for key, value in scores.items() if key != name})


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
    with pytest.raises(ValidationError, match=f"of protocol paper: {name}"):
        record(changed)


@pytest.mark.parametrize("key", ["five", "05", "-5", "5.0", "", "5\n", "9" * 5000])
@pytest.mark.parametrize("name", BY_K)
def test_a_key_that_is_no_k_is_refused(scores: dict[str, Any], name: str, key: str) -> None:
    with pytest.raises(ValidationError, match=f"of protocol paper: {name}"):
        record(scores | {name: scores[name] | {key: 0.5}})


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"recall": {"2": 0.5}}, "map and recall are not of the same k"),
        ({"map": {}}, "map: dictionary should have at least 1 item"),
        ({"precision_recall": {"recall": [0.5], "precision": [0.5, 0.5]}}, "of different lengths"),
        ({"precision_recall": {"recall": [], "precision": []}}, "precision_recall.recall: list should have"),
        ({"queries": 0}, "queries: input should be greater"),
        ({"queries": 1.5}, "queries: input should be a valid integer"),
        ({"queries_without_relevant": -1}, "queries_without_relevant: input should be greater"),
        ({"protocol": {"name": "paper"}}, "protocol.description: field required"),
    ],
)
def test_tables_that_do_not_fit_are_refused(scores: dict[str, Any], changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        record(scores | changed)


def test_a_crafted_record_is_refused_in_one_line_that_names_it(store: Store) -> None:
    run = add(store, spec_of())
    assert unsealed(sealed(run.record), run.folder) == run.record
    crafted = run.record.model_copy(update={"metrics": {"strict": {}}})
    (run.folder / "record.json").write_bytes(sealed(crafted))
    with pytest.raises(InputError) as refused:
        read_run(run.folder)
    assert str(refused.value) == (
        f"{run.folder}/record.json: not a record of this version (metrics: of protocol strict: protocol: field "
        "required); move the folder away and run again"
    )
