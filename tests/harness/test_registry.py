"""Finding methods and datasets; nothing that a plug-in does takes the program down."""

from pathlib import Path

import pytest

from bench.cli import main
from bench.errors import InputError
from bench.registry import Registry, load_registry

GOOD = '''
import numpy as np
from bench.method import ShallowMethod


class Good(ShallowMethod):
    """The first coordinates."""

    name = "{name}"
    title = "Good"

    def directions(self, centred, random):
        return np.eye(centred.shape[1], self.bits)
'''


def errors(registry: Registry) -> str:
    return "\n".join(f"{entry.origin}: {entry.error}" for entry in registry.broken)


def test_built_in_plug_ins_are_found_and_none_is_broken() -> None:
    registry = load_registry()
    expected = {
        "mcmsh",
        "mlp-mixer",
        "mixer-lrd",
        "mixer-mrd",
        "mixer-srd",
        "bth",
        "itq",
        "pcah",
        "lsh",
        "random",
        "oracle",
    }
    assert expected <= set(registry.methods)
    assert "moving-digits" in registry.datasets
    assert not registry.broken


def test_a_file_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(GOOD.format(name="one"))
    assert "one" in load_registry([tmp_path / "one.py"]).methods
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").write_text("from .inner import Good\n")
    (tmp_path / "package/inner.py").write_text(GOOD.format(name="two"))
    (tmp_path / "_ignored.py").write_text("raise RuntimeError")
    registry = load_registry([tmp_path])
    assert {"one", "two"} <= set(registry.methods)
    assert not registry.broken
    assert "one" not in load_registry().methods


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("raise RuntimeError('no\\nluck')", "RuntimeError: no luck"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def broken(:", "SyntaxError"),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("x = 1", "defines no method and no dataset"),
        (GOOD.format(name="lsh"), "'lsh' is already the name of bench.methods.lsh"),
        (GOOD.format(name="Not A Name"), "Good.name is 'Not A Name'; it must be lower-case"),
        (GOOD.replace("title", "subtitle").format(name="untitled"), "Good has no title"),
        (GOOD.format(name="odd") + "    Parameters = 3\n", "Good.Parameters is no bench.method.Parameters"),
        (GOOD.replace("def directions", "def other").format(name="abstract"), "Good does not define directions"),
    ],
)
def test_a_broken_plug_in_is_listed_with_its_error(tmp_path: Path, content: str, error: str) -> None:
    (tmp_path / "broken.py").write_text(content)
    (tmp_path / "sound.py").write_text(GOOD.format(name="sound"))
    registry = load_registry([tmp_path / "broken.py", tmp_path / "sound.py"])
    assert error in errors(registry)
    assert "broken.py" in errors(registry)
    assert {"sound", "mcmsh"} <= set(registry.methods)


def test_broken_plug_ins_stand_in_the_listing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.py").write_text("raise RuntimeError('no luck')")
    assert main(["list", "methods,datasets", "--plugin", str(tmp_path / "broken.py")]) == 0
    output = capsys.readouterr().out
    assert "RuntimeError: no luck" in output
    assert "mcmsh" in output
    assert "moving-digits" in output


def test_an_unknown_name_that_a_broken_file_may_define(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise RuntimeError('no luck')")
    with pytest.raises(InputError, match=r"unknown method 'mine': .*mine\.py is broken: RuntimeError: no luck"):
        load_registry([tmp_path / "mine.py"]).method("mine")
