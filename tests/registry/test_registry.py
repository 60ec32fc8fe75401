"""Finding methods and datasets; nothing that a plug-in does takes the program down."""

from pathlib import Path

import pytest

from bench import registry
from bench.base.errors import InputError
from bench.cli import main
from bench.registry import load_registry
from bench.registry.plugin_files import code_digest, plugin_of
from bench.running.plan import revision_of

GOOD = '''
import numpy as np
from bench.learning.method import ShallowMethod


class Good(ShallowMethod):
    """The first coordinates."""

    name = "{name}"
    title = "Good"

    def directions(self, centred, random):
        return np.eye(centred.shape[1], self.bits)
'''


def test_built_in_plug_ins_are_found_and_none_is_broken() -> None:
    found = load_registry()
    expected = {
        "mcmsh",
        "mlp-mixer",
        "mixer-lrd",
        "mixer-mrd",
        "mixer-srd",
        "bth",
        "dkph",
        "bervae",
        "conmh",
        "autossvh",
        "ssth",
        "ssvh",
        "itq",
        "pcah",
        "lsh",
        "sh",
        "sph",
        "wsch",
        "random",
        "oracle",
    }
    assert expected <= set(found.methods)
    assert "moving-digits" in found.datasets
    assert not found.broken


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(GOOD.format(name="one"))
    assert "one" in load_registry([tmp_path / "one.py"]).methods
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").write_text("from .inner import Good\n")
    (tmp_path / "package/inner.py").write_text(GOOD.format(name="two"))
    (tmp_path / "_ignored.py").write_text("raise RuntimeError")
    assert {"one", "two"} <= set(load_registry([tmp_path]).methods)
    assert "one" not in load_registry().methods


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("raise RuntimeError('no\\nluck')", "RuntimeError: no luck (broken.py, line 1)"),
        ("import sys; sys.exit(3)", "SystemExit: 3 (broken.py, line 1)"),
        ("\ndef broken(:", "SyntaxError: invalid syntax (broken.py, line 2)"),
        ("\nimport nothing_of_this_name", "No module named 'nothing_of_this_name' (broken.py, line 2)"),
        ("\n\nimport json\njson.loads('{')", "(broken.py, line 4)"),
        ("x = 1", "defines no method and no dataset"),
        (GOOD.format(name="lsh"), "'lsh' is already the name of bench.methods.lsh"),
        (GOOD.format(name="Not A Name"), "Good.name is 'Not A Name'; it must be lower-case"),
        (GOOD.replace("title", "subtitle").format(name="untitled"), "Good has no title"),
        (
            GOOD.format(name="odd") + "    Parameters = 3\n",
            "Good.Parameters is not derived from bench.method.Parameters",
        ),
        (GOOD.replace("def directions", "def other").format(name="abstract"), "Good does not define directions"),
    ],
)
def test_a_broken_file_that_is_named_is_refused_with_its_error(tmp_path: Path, content: str, error: str) -> None:
    (tmp_path / "broken.py").write_text(content)
    (tmp_path / "sound.py").write_text(GOOD.format(name="sound"))
    with pytest.raises(InputError) as refused:
        load_registry([tmp_path / "sound.py", tmp_path / "broken.py"])
    assert str(refused.value).startswith(f"--plugin {tmp_path / 'broken.py'}: ")
    assert error in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_extended_needs_no_name(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        GOOD.replace('    name = "{name}"\n', "") + '\n\nclass Mine(Good):\n    name = "mine"\n'
    )
    assert "mine" in load_registry([tmp_path / "mine.py"]).methods


def test_two_files_with_one_name(tmp_path: Path) -> None:
    files = [tmp_path / "first.py", tmp_path / "second.py"]
    for number, file in enumerate(files):
        file.write_text(GOOD.format(name="mine") + f"        # {number}\n")
    with pytest.raises(InputError, match=r"--plugin .*second\.py: 'mine' is already the name of .*first\.py"):
        load_registry(files)
    assert "mine" in load_registry([files[0], files[0]]).methods


class BrokenEntry:
    """An entry point of an installed package that does not load."""

    value, dist = "elsewhere.mine", None

    def load(self) -> None:
        raise RuntimeError("no\nluck")


def test_a_broken_package_is_listed_and_hides_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry._installed.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: [BrokenEntry()])
    try:
        assert main(["list", "methods,datasets"]) == 0
        with pytest.raises(
            InputError, match=r"unknown method 'mine': .*elsewhere\.mine is broken: RuntimeError: no luck"
        ):
            load_registry().method("mine")
    finally:
        registry._installed.cache_clear()
    output = capsys.readouterr().out
    assert "RuntimeError: no luck" in output
    assert "mcmsh" in output
    assert "moving-digits" in output


class ForeignEntry:
    """An entry point that names a class which is no plug-in."""

    value, dist = "elsewhere:Path", None

    def load(self) -> type[Path]:
        return Path


def test_a_class_that_is_no_plug_in_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    registry._installed.cache_clear()
    monkeypatch.setattr(registry, "entry_points", lambda group: [ForeignEntry()])
    try:
        found = load_registry()
    finally:
        registry._installed.cache_clear()
    assert {(entry.origin, entry.error) for entry in found.broken} == {
        ("elsewhere:Path", "Path is no method and no dataset")
    }
    assert "lsh" in found.methods


def test_the_source_of_a_package_is_all_of_it(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import Good\n")
    (package / "inner.py").write_text(GOOD.format(name="mine"))
    (package / "helper.py").write_text("SHIFT = 0\n")
    first, same = (load_registry([tmp_path]).method("mine") for _ in range(2))
    assert plugin_of(first) == package
    (package / "helper.py").write_text("SHIFT = 1\n")
    changed = load_registry([tmp_path]).method("mine")
    assert first is same
    assert code_digest(first) != code_digest(changed)
    assert revision_of(first) == f"1-{code_digest(first)}"
    lsh = load_registry().method("lsh")
    assert plugin_of(lsh) is None
    assert revision_of(lsh) == lsh.revision


def test_comments_and_layout_are_no_change_of_a_source(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(GOOD.format(name="mine"))
    first = load_registry([file]).method("mine")
    changed = GOOD.format(name="mine").replace('"""The first coordinates."""', '"""Others."""  # a comment')
    file.write_text(f"# -*- coding: utf-8 -*-\n\n\n{changed}\n# The end.\n")
    assert revision_of(load_registry([file]).method("mine")) == revision_of(first)
    file.write_text(changed.replace("self.bits", "self.bits + 0"))
    assert revision_of(load_registry([file]).method("mine")) != revision_of(first)
