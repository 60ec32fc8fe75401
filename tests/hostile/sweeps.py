"""Sweep files that are malformed, met by `bench run`."""

import os
from collections.abc import Iterator
from pathlib import Path

from . import material
from .case import Case, Make, command, written
from .notes import sparse

GOOD = 'methods = ["lsh"]\nbits = [4]\ndatasets = ["data"]\n'
TEXTS: dict[str, str] = {
    "not TOML": "methods: lsh",
    "an unknown key": GOOD + "epochs = 3",
    "a plug-in": GOOD + 'plugin = "evil.py"',
    "plug-ins": GOOD + 'plugins = ["evil.py"]',
    "a results folder": GOOD + 'results = "/tmp"',
    "one method as text": 'methods = "lsh"',
    "no methods": GOOD.replace('"lsh"', ""),
    "an unknown method": GOOD.replace("lsh", "lhs"),
    "a method that is a path": GOOD.replace("lsh", "../evil.py"),
    "a method with a NUL": GOOD.replace("lsh", "l\\u0000sh"),
    "a method with an escape sequence": GOOD.replace("lsh", "\\u001b[2Jlsh"),
    "a method of 100,000 characters": GOOD.replace("lsh", "l" * 100_000),
    "an unknown dataset": GOOD.replace("data", "date", 1).replace('"data"', '"dat"'),
    "a dataset that is not there": GOOD.replace('"data"', '"./nowhere"'),
    "a dataset that is a file": GOOD.replace('"data"', '"./evil.py"'),
    "a dataset with a NUL": GOOD.replace('"data"', '"./a\\u0000b"'),
    "a dataset of 100,000 characters": GOOD.replace('"data"', f'"{"d" * 100_000}"'),
    "a dataset of 100,000 folders": GOOD.replace('"data"', f'"{"d/" * 100_000}"'),
    "bits as text": GOOD.replace("[4]", '["4"]'),
    "a fraction of a bit": GOOD.replace("[4]", "[4.5]"),
    "true bits": GOOD.replace("[4]", "[true]"),
    "no bit": GOOD.replace("[4]", "[0]"),
    "negative bits": GOOD.replace("[4]", "[-4]"),
    "10^30 bits": GOOD.replace("[4]", f"[1{'0' * 30}]"),
    "bits of 5000 digits": GOOD.replace("[4]", f"[{'9' * 5000}]"),
    "hexadecimal bits of 100,000 digits": GOOD.replace("[4]", f"[0x{'f' * 100_000}]"),
    "a negative seed": GOOD + "seeds = [-1]",
    "a seed of 65 bits": GOOD + f"seeds = [{2**65}]",
    "a hexadecimal seed of 100,000 digits": GOOD + f"seeds = [0x{'f' * 100_000}]",
    "a seed that is not a number": GOOD + "seeds = [nan]",
    "parameters of another method": GOOD + "[parameters.itq]\niterations = 3",
    "an unknown parameter": GOOD + "[parameters.lsh]\nepochs = 3",
    "parameters that are no table": GOOD + "parameters = 3",
    "a parameter that is a table": GOOD.replace("lsh", "itq") + "[parameters.itq.iterations]\na = 3",
    "a parameter that is not a number": GOOD.replace("lsh", "mcmsh") + "[parameters.mcmsh]\ncorruption = nan",
    "an infinite parameter": GOOD.replace("lsh", "mcmsh") + "[parameters.mcmsh]\ncluster_weight = inf",
    "a parameter of 100,000 digits": GOOD.replace("lsh", "itq") + f"[parameters.itq]\niterations = 0x{'f' * 100_000}",
    "lists nested deeply": "methods = " + "[" * 50_000,
    "a key of 100,000 parts": "a." * 100_000 + "b = 1",
    "a NUL": "methods = ['a\0b']",
}
FILES: dict[str, Make] = {
    "not UTF-8": written(b'methods = ["\xff"]'),
    "bytes": written(bytes(range(256)) * 10),
    "100 MB": lambda path: sparse(path, 10**8),
    "a pipe that nobody writes to": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "not there": lambda path: None,
}


def cases() -> Iterator[Case]:
    for name, make in ({name: written(text) for name, text in TEXTS.items()} | FILES).items():
        yield case(name, make)


def case(name: str, make: Make) -> Case:
    def fill(folder: Path) -> None:
        material.feature_folder(folder)
        (folder / "evil.py").write_text("from pathlib import Path\nPath('executed').touch()\n")
        make(folder / "sweep.toml")

    return Case("sweep.toml", name, fill, command("run", "sweep.toml"), "")
