"""Every malformed input ends in exit status 2 and one line that names it, within a second or so and little memory."""

import pytest

from tests.conftest import survived

from .case import Case
from .conftest import Outcomes
from .corpus import cases

MEMORY = 2**30
LONGEST_LINE = 2100


def test_the_corpus_is_large_and_every_case_has_a_name() -> None:
    labels = [case.label for case in cases()]
    assert len(labels) == len(set(labels))
    assert len([case for case in cases() if case.category != "mutations"]) >= 200


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.label)
def test_malformed_input(case: Case, outcomes: Outcomes) -> None:
    outcome = outcomes[case.label]
    assert outcome["failure"] is None, outcome["failure"]
    assert outcome["status"] in case.statuses, outcome
    lines = outcome["error"].splitlines()
    if outcome["status"] == 2:
        wrong = [line for line in lines if line.startswith("bench: ")]
        assert wrong == lines[-1:]
        assert case.names in wrong[0]
        assert len(wrong[0]) < LONGEST_LINE
        # News may come before: damaged results each have a line, and large files are announced.
        assert len(lines) == 1 or case.category in {"results", "command lines"}
    # Nothing executed, left half-written or written elsewhere.
    assert outcome["strange"] == []
    # Nothing that a terminal would obey.
    assert all(character.isprintable() or character == "\n" for character in outcome["error"] + outcome["output"])
    # Measured in processor time, and as a share of what the program takes to start.
    assert outcome["share"] < 1.5
    assert outcome["grown"] < MEMORY
    survived(f"malformed inputs: {case.category}")
