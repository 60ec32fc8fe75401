"""Calls that are wrong themselves: flags, numbers, names and paths."""

from collections.abc import Iterator
from pathlib import Path

from . import material
from .case import Case, command

RUN = ("run", "--methods", "lsh", "--bits", "4", "--datasets", "data")
ENCODE = ("encode", "--encoder", "encoder", "--features", "features.npy", "--out", "codes.npy")
FAKE = ("data", "fake", "ucf101", "--out", "made")
CONVERT = ("data", "convert", "data", "--to", "float16", "--out", "made")
LONG, ESCAPE, SURROGATE = "x" * 100_000, "\x1b[2J\x1b]0;owned\x07", "\udcff\udcfe"
STRANGE = {"empty": "", "long": LONG, "an escape sequence": ESCAPE, "bytes": SURROGATE, "arabic": "سلام"}


def changed(call: tuple[str, ...], **options: str) -> tuple[str, ...]:
    """A call with other values of its options."""
    words = list(call)
    for option, value in options.items():
        flag = f"--{option.replace('_', '-')}"
        if flag in words:
            words[words.index(flag) + 1] = value
        else:
            words += [flag, value]
    return tuple(words)


WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "no such verb": (("frobnicate",), "frobnicate"),
    "no such flag": ((*RUN, "--frobnicate"), "--frobnicate"),
    "a flag without a value": (("run", "--methods"), "--methods"),
    "a word too many": ((*RUN, "sweep.toml", "another.toml"), "another.toml"),
    "an empty word": (("",), ""),
    "a verb with an escape sequence": ((ESCAPE,), ""),
    "a verb of 100,000 characters": ((LONG,), "No such command"),
    "no methods": (("run", "--datasets", "data"), "methods"),
    "only commas": (changed(RUN, methods=",,,"), "methods"),
    "bits that are not numbers": (changed(RUN, bits="four"), "--bits"),
    "bits that are not whole": (changed(RUN, bits="4.5"), "--bits"),
    "bits: NaN": (changed(RUN, bits="nan"), "--bits"),
    "bits: infinite": (changed(RUN, bits="inf"), "--bits"),
    "bits: negative": (changed(RUN, bits="-4"), "bits"),
    "bits: none": (changed(RUN, bits="0"), "bits"),
    "bits: 10^30": (changed(RUN, bits="1" + "0" * 30), "bits"),
    "bits: 5000 digits": (changed(RUN, bits="9" * 5000), "--bits"),
    "bits: a range": (changed(RUN, bits="4-8"), "--bits"),
    "bits: more than a linear method has": (changed(RUN, methods="pcah", bits="64"), "pcah"),
    "seeds: negative": (changed(RUN, seeds="-1"), "seed"),
    "seeds: 10^30": (changed(RUN, seeds="1" + "0" * 30), "seed"),
    "set: nothing": (changed(RUN, set=""), "--set"),
    "set: no value": (changed(RUN, set="lsh.epochs="), "--set"),
    "set: no method": (changed(RUN, set="epochs=3"), "--set"),
    "set: another method": (changed(RUN, set="itq.iterations=3"), "itq"),
    "set: nested deeply": (changed(RUN, methods="itq", set="itq.iterations=" + "[" * 50_000), "itq"),
    "set: 5000 digits": (changed(RUN, methods="itq", set="itq.iterations=" + "9" * 5000), "itq"),
    "set: hexadecimal, 100,000 digits": (changed(RUN, methods="itq", set=f"itq.iterations=-0x{'f' * 9}"), "itq"),
    "set: a table in disguise": (changed(RUN, methods="itq", set="itq.iterations=1\nother = 2"), "itq"),
    "memory limit: 400 digits": (changed(RUN, memory_limit="9" * 400 + "GB"), "--memory-limit"),
    "memory limit: less than a byte": (changed(RUN, memory_limit="0.0000001MB"), "--memory-limit"),
    "memory limit: empty": (changed(RUN, memory_limit=""), "--memory-limit"),
    "time limit: 400 digits": (changed(RUN, time_limit="9" * 400 + "d"), "--time-limit"),
    "shard: 5000 digits": (changed(RUN, shard="1" * 5000 + "/2"), "--shard"),
    "existing: unknown": (changed(RUN, existing="always"), "--existing"),
    "device: unknown": (changed(RUN, device="tpu"), "tpu"),
    "results: a file": (changed(RUN, results="features.npy"), "features.npy"),
    "results: within a file": (changed(RUN, results="features.npy/results"), "features.npy"),
    "results: long": (changed(RUN, results=LONG), ""),
    "report: a file": (changed(RUN, report="features.npy"), "features.npy"),
    "report: long": (changed(RUN, report=LONG), ""),
    "report of a file": (("report", "--results", "features.npy"), "features.npy"),
    "report of a folder without runs": (("report", "--results", "data"), "data"),
    "list runs of a file": (("list", "runs", "--results", "features.npy"), "features.npy"),
    "list: unknown": (("list", "everything"), "everything"),
    "list: a year of bits": (("list", "published", "--bits", "1999"), "bits"),
    "list: an unknown method": (("list", "published", "--method", ESCAPE), ""),
    "evaluate: an unknown protocol": (("evaluate", "--protocol", "loose"), "loose"),
    "evaluate: no protocol": (("evaluate", "--protocol", ","), "--protocol"),
    "verify: no such folder": (("results", "verify", "--results", "nowhere"), "nowhere"),
    "verify: a file": (("results", "verify", "--results", "features.npy"), "features.npy"),
    "merge: no such folder": (("results", "merge", "nowhere"), "nowhere"),
    "merge: into itself": (("results", "merge", "data", "--results", "data"), "data"),
    "prune: no such folder": (("results", "prune", "--results", "nowhere"), "nowhere"),
    "reproduce: unknown": (("reproduce", "table9"), "table9"),
    "reproduce: nothing": (("reproduce", ","), ""),
    "profile: an unknown method": (("profile", "--methods", "nobody", "--datasets", "data"), "nobody"),
    "profile: bits": (("profile", "--methods", "lsh", "--bits", "x", "--datasets", "data"), "--bits"),
    "encode: no encoder": (changed(ENCODE, encoder="data"), "data"),
    "encode: an encoder that is a file": (changed(ENCODE, encoder="features.npy"), "features.npy"),
    "encode: out is a folder": (changed(ENCODE, out="data"), "--out"),
    "encode: out in no folder": (changed(ENCODE, out="nowhere/codes.npy"), "--out"),
    "encode: out of another kind": (changed(ENCODE, out="codes.txt"), "--out"),
    "encode: out is long": (changed(ENCODE, out=f"{'x' * 500}.npy"), "too long"),
    "encode: out cannot be written": (changed(ENCODE, out="/proc/codes.npy"), "--out"),
    "encode: backend": (changed(ENCODE, backend="fast"), "fast"),
    "encode: precision": (changed(ENCODE, precision="int8"), "int8"),
    "encode: features are a folder": (changed(ENCODE, features="data"), "data"),
    "check: no such folder": (("data", "check", "./nowhere"), "nowhere"),
    "check: a file of text": (("data", "check", "./encoder/encoder.json"), "encoder.json"),
    "check: a data root that is not there": (("data", "check", "fcvid", "--data-root", "nowhere"), "nowhere"),
    "check: a data root with nothing in it": (("data", "check", "fcvid", "--data-root", "encoder"), "fcvid"),
    "fake: no such dataset": (("data", "fake", "imagenet", "--out", "made"), "imagenet"),
    **{f"fake: scale {scale}": (changed(FAKE, scale=scale), "--scale") for scale in ("nan", "inf", "-1", "0", "1e308")},
    "fake: scale in words": (changed(FAKE, scale="half"), "--scale"),
    "fake: a petabyte": (changed(FAKE, scale="1e9"), "--out"),
    "fake: a negative seed": (changed(FAKE, seed="-1"), "--seed"),
    "fake: into a file": (changed(FAKE, out="features.npy"), "features.npy"),
    "fake: within a file": (changed(FAKE, out="features.npy/made"), "features.npy"),
    "fake: long": (changed(FAKE, out=LONG), ""),
    "convert: precision": (changed(CONVERT, to="int8"), "--to"),
    "convert: into other files": (changed(CONVERT, out="data"), "--out"),
    "convert: into a file": (changed(CONVERT, out="features.npy"), "--out"),
    "convert: long": (changed(CONVERT, out=LONG), ""),
    "convert: cannot be written": (changed(CONVERT, out="/proc/made"), "--out"),
    **{f"a method that is {what}": (changed(RUN, methods=f"{text},x"), "") for what, text in STRANGE.items()},
    **{f"a dataset that is {what}": (changed(RUN, datasets=f"./{text}/x"), "") for what, text in STRANGE.items()},
    **{f"a plug-in that is {what}": ((*RUN, "--plugin", f"{text}.py"), ".py") for what, text in STRANGE.items()},
    **{f"features that are {what}": (changed(ENCODE, features=text), "") for what, text in STRANGE.items()},
    **{f"an encoder that is {what}": (changed(ENCODE, encoder=text), "") for what, text in STRANGE.items()},
}


def cases() -> Iterator[Case]:
    for name, (words, names) in WORDS.items():
        yield Case("command lines", name, fill, command(*words), names)


def fill(folder: Path) -> None:
    material.feature_folder(folder)
    material.encoder(folder)
