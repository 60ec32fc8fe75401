"""The files that a public forge reads: workflows, issue forms, hooks, the citation."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FORMS = sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("[!c]*.yml"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms_have_what_the_forge_asks_for(path: Path) -> None:
    form = read(path)
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    identifiers = [field["id"] for field in fields]
    assert len(identifiers) == len(set(identifiers))
    assert {field["type"] for field in fields} <= {"textarea", "input", "dropdown", "checkboxes"}
    assert all(field["attributes"]["label"] for field in fields)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_tox_with_environments_that_exist(path: Path) -> None:
    steps = [step for job in read(path)["jobs"].values() for step in job["steps"]]
    commands = [step["run"] for step in steps if step.get("run", "").startswith("tox")]
    assert commands
    environments = set(re.findall(r"^\[testenv:(\w+)\]", (ROOT / "tox.ini").read_text(encoding="utf-8"), flags=re.M))
    assert {command.partition("-e ")[2] for command in commands} <= environments | {""}


def test_hooks_use_the_pinned_versions() -> None:
    pinned = set((ROOT / "constraints.txt").read_text(encoding="utf-8").split())
    hooks = read(ROOT / ".pre-commit-config.yaml")
    for repository in hooks["repos"]:
        if repository["repo"].endswith("/ruff-pre-commit"):
            assert f"ruff=={repository['rev'].removeprefix('v')}" in pinned
        for hook in repository["hooks"]:
            assert set(hook.get("additional_dependencies", [])) <= pinned


def test_every_paper_of_a_built_in_method_is_cited() -> None:
    citation = read(ROOT / "CITATION.cff")
    assert citation["version"] in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    known = json.loads((ROOT / "results/methods.json").read_text(encoding="utf-8"))
    papers = {method["papers"][0] for method in known.values()} - {""}
    for paper in papers:
        (cited,) = (reference for reference in citation["references"] if reference["title"] in paper)
        assert paper.startswith(cited["authors"][0]["family-names"])
        assert paper.endswith(f"{cited['collection-title']} {cited['year']}")
