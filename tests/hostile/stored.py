"""Results folders that are damaged or crafted, met by the verbs that read them."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from . import material
from .case import SET_ASIDE, Case, Make, command, cut, written
from .encoders import instead
from .features import pickled, zeros_in_zip

REPORT = command("report", "--results", "results", "--report", "report")
EVALUATE = command("evaluate", "--results", "results")
LIST = command("list", "runs", "--results", "results")
VERIFY = command("results", "verify", "--results", "results")


def record(**changed: Any) -> Make:
    """A record with other values and the checksum of before."""

    def make(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changed, indent=1, sort_keys=True) + "\n")

    return make


def sealed(change: Callable[[dict[str, Any]], object]) -> Make:
    """A record with other values and a checksum that fits: crafted, not damaged."""

    def make(path: Path) -> None:
        import hashlib

        values = json.loads(path.read_text())
        change(values)
        values["checksum"] = ""
        blank = json.dumps(values, indent=1, sort_keys=True) + "\n"
        path.write_text(
            blank.replace('"checksum": ""', f'"checksum": "{hashlib.sha256(blank.encode()).hexdigest()}"', 1)
        )

    return make


def with_values(**changed: Any) -> Make:
    return sealed(lambda values: values.update(changed))


def with_spec(**changed: Any) -> Make:
    return sealed(lambda values: values["spec"].update(changed))


def codes(**changed: Any) -> Make:
    """Codes with other arrays, and a checksum in the record that fits."""

    def make(path: Path) -> None:
        with np.load(path) as arrays:
            good = dict(arrays)
        with path.open("wb") as file:
            np.savez_compressed(file, **{name: value for name, value in (good | changed).items() if value is not None})
        _fit(path)

    return make


def fitting(make: Make) -> Make:
    """A file beside the record, with a checksum in the record that fits."""

    def made(path: Path) -> None:
        make(path)
        _fit(path)

    return made


def _fit(path: Path) -> None:
    import hashlib

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sealed(lambda values: values["checksums"].update({path.name: digest}))(path.with_name("record.json"))


RECORDS: dict[str, Make] = {
    "empty": written(b""),
    "text": written("no record"),
    "a list": written("[]"),
    "bytes": written(bytes(range(256)) * 4),
    "nested deeply": written("[" * 100_000),
    "not UTF-8": written(b'{"status": "\xff"}'),
    "cut off": cut(lambda path: None, 0.6),
    "a folder": instead(Path.mkdir),
    "a pipe that nobody writes to": instead(os.mkfifo),
    "a link to itself": instead(lambda path: path.symlink_to(path)),
    "another status": record(status="perfect"),
    "another score": record(metrics={"paper": {"map": {"5": 1.0}}}),
    "a later version": record(schema_version=2),
    "a version of 5000 digits": written('{"schema_version": ' + "9" * 5000 + "}"),
    "a version that is a list": record(schema_version=[1]),
    "an infinite number": written('{"schema_version": 1e999}'),
    "crafted: a later version": with_values(schema_version=99),
    "crafted: no such status": with_values(status="perfect"),
    "crafted: an escape sequence for a reason": with_values(status="failed", reason="\x1b[2J\x1b]0;owned\x07"),
    "crafted: markup for a title": with_values(method_title="<script>alert(1)</script>|$\\input{/etc/passwd}"),
    "crafted: metrics that are none": with_values(metrics={"paper": {"map": "high"}}),
    "crafted: metrics of no protocol": with_values(metrics={"\x1b[2J": {}}),
    "crafted: metrics that are missing": with_values(metrics={"paper": {}}),
    "crafted: out of the folder": with_spec(dataset="../../.."),
    "crafted: an absolute path": with_spec(method="/etc"),
    "crafted: a NUL": with_spec(method="a\0b"),
    "crafted: checksums of files outside": with_values(checksums={"../../../../secret": "0" * 64}),
    "crafted: durations that are not numbers": sealed(lambda values: values.update(durations={"fit": float("nan")})),
    "crafted: 10^300 queries": sealed(lambda values: values["dataset"].update(query_videos=10**300)),
}
RENDERED = (
    "crafted: an escape sequence for a reason",
    "crafted: markup for a title",
    "crafted: metrics that are none",
    "crafted: metrics of no protocol",
    "crafted: metrics that are missing",
)
CODES: dict[str, Make] = {
    "empty": written(b""),
    "text": written("no codes"),
    "cut off": cut(lambda path: None, 0.6),
    "not there": Path.unlink,
    "a folder": instead(Path.mkdir),
    "crafted: objects": fitting(pickled),
    "crafted: no archive": fitting(written(b"PK\x03\x04" + bytes(100))),
    "crafted: an archive of zeros": fitting(zeros_in_zip),
    "crafted: 10^12 bits": codes(bits=np.array(10**12)),
    "crafted: negative bits": codes(bits=np.array(-4)),
    "crafted: no bits": codes(bits=None),
    "crafted: bits that are a list": codes(bits=np.array([4, 4])),
    "crafted: bits that are text": codes(bits=np.array("four")),
    "crafted: codes of numbers": codes(query_codes=np.ones((3, 3))),
    "crafted: one axis": codes(query_codes=np.ones(3, np.uint8)),
    "crafted: labels of other videos": codes(query_labels=np.ones((3, 1), np.uint8)),
    "crafted: no classes": codes(classes=np.array(0)),
}


def cases() -> Iterator[Case]:
    for name, make in RECORDS.items():
        # A report draws figures for seconds: only of what is not set aside before.
        verb, call = ("report", REPORT) if name in RENDERED else ("list runs", LIST)
        yield case(f"{name} (record.json, {verb})", "record.json", make, call)
    for name, make in CODES.items():
        yield case(f"{name} (codes.npz, evaluate)", "codes.npz", make, EVALUATE)
    for verb, call in (("evaluate", EVALUATE), ("verify", VERIFY)):
        yield case(f"per-query scores of objects ({verb})", "average_precision.npz", fitting(pickled), call)
        yield case(f"per-query scores cut off ({verb})", "average_precision.npz", cut(lambda path: None, 0.5), call)
        yield folders(f"a link to the folder itself ({verb})", lambda path: path.symlink_to(".."), call)
        yield folders(f"a file ({verb})", written("mine"), call)
        yield folders(f"a pipe ({verb})", os.mkfifo, call)


def case(name: str, file: str, make: Make, call: Callable[[], int]) -> Case:
    def fill(folder: Path) -> None:
        material.results(folder)
        make(material.runs(folder)[0] / file)

    return Case("results", name, fill, call, "results", SET_ASIDE)


def folders(name: str, make: Make, call: Callable[[], int]) -> Case:
    """Something among the folders of runs that is none."""

    def fill(folder: Path) -> None:
        material.results(folder)
        run = material.runs(folder)[0]
        shutil.rmtree(run)
        make(run)

    return Case("results", f"instead of a run, {name}", fill, call, "results", SET_ASIDE)
