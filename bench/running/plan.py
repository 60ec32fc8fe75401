"""Planned runs: every combination of methods, datasets, code lengths and seeds, checked before any work starts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, Strict, StrictInt, ValidationError

from bench.base.errors import InputError
from bench.base.text import closest, say, validation_message
from bench.base.toml_file import parse_toml, read_toml
from bench.base.values import check_bits
from bench.data.dataset import DatasetSource, Summary
from bench.encoding.fitting import resolve_parameters
from bench.learning.method import Method
from bench.registry import Registry
from bench.registry.plugin_files import code_digest, plugin_of
from bench.store.record import RunSpec, Seed
from bench.store.stored_run import StoredRun

UNSEEDED = 0
"""The seed of a method that does not depend on it."""


class SweepFile(BaseModel):
    """The content of a sweep file: what to run. Where to store it and how stays with the command line."""

    model_config = ConfigDict(extra="forbid")

    methods: list[str] | None = None
    datasets: list[str] | None = None
    bits: list[StrictInt] | None = None
    seeds: list[Annotated[Seed, Strict()]] | None = None
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By method; what `--set method.name=value` gives on the command line."""


@dataclass(frozen=True)
class PlannedRun:
    """A run with everything that is needed to do it."""

    spec: RunSpec
    method: type[Method]
    source: DatasetSource
    summary: Summary
    dataset: str
    """The dataset as it was asked for: a name, or a folder."""
    data_root: Path | None = None
    """Where datasets lie that are known by name, if it was said."""

    def instantiate(self) -> Method:
        """The method at the run's code length and parameters."""
        return self.method(self.spec.bits, self.method.Parameters.model_validate(self.spec.parameters))


def read_sweep_file(path: Path) -> SweepFile:
    """The sweep in a TOML file. Raises InputError naming the key that is wrong."""
    content = read_toml(path)
    for key in ("plugin", "plugins"):
        if key in content:
            raise InputError(
                f"{path}: {key}: plug-ins run code with your rights, so that no file may name one; read it, and give "
                "it on the command line with --plugin"
            )
    try:
        return SweepFile.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {validation_message(error, SweepFile)}") from error


def parse_settings(settings: Iterable[str]) -> dict[str, dict[str, Any]]:
    """`method.parameter=value` texts as values by method and parameter; values are read as TOML, else as text."""
    parsed: dict[str, dict[str, Any]] = {}
    for setting in settings:
        target, equals, text = setting.partition("=")
        method, dot, name = target.partition(".")
        if not (equals and dot and method and name and text):
            raise InputError(f"--set {setting}: expected method.parameter=value, such as mcmsh.epochs=5")
        parsed.setdefault(method.strip(), {})[name.strip()] = _value(text)
    return parsed


def _value(text: str) -> Any:
    try:
        content = parse_toml(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return content["value"] if len(content) == 1 else text


def require_among(methods: Sequence[str], parameters: Iterable[str], place: str) -> None:
    """InputError, which begins with the `place`, if there are parameters of a method that is not among these."""
    for name in parameters:
        if name not in methods:
            raise InputError(f"{place}{name}: {name} is not among the methods of this run: {closest(name, methods)}")


def plan(
    registry: Registry,
    *,
    methods: Sequence[str],
    datasets: Sequence[str],
    bits: Sequence[int],
    seeds: Sequence[int],
    parameters: Mapping[str, Mapping[str, Any]],
) -> list[PlannedRun]:
    """All runs, in order: dataset, method, bits, seed; one where the seed changes nothing.

    Raises InputError for anything that cannot work.
    """
    for what, given in (("methods", methods), ("datasets", datasets), ("bits", bits), ("seeds", seeds)):
        if not given:
            raise InputError(f"{what}: none given; name at least one")
    require_among(methods, parameters, "--set ")
    found = [registry.method(name) for name in dict.fromkeys(methods)]
    lengths = [check_bits(length) for length in dict.fromkeys(bits)]
    chosen_seeds = {method.name: _seeds(method, seeds) for method in found}
    planned: list[PlannedRun] = []
    for name in dict.fromkeys(datasets):
        source = registry.dataset(name)
        summary = source.summary()
        for method in found:
            if method.uses_labels and not summary.classes:
                raise InputError(f"{method.name} is made from labels, and {name} has none; leave it out of --methods")
            resolved = resolve_parameters(method, summary, source.recommended, parameters.get(method.name, {}))
            for length in lengths:
                method(length, resolved).check(summary.train_shape)
                planned += [
                    PlannedRun(
                        spec=_spec(method, summary, length, seed, resolved.model_dump(mode="json")),
                        method=method,
                        source=source,
                        summary=summary,
                        dataset=name,
                        data_root=registry.data_root,
                    )
                    for seed in chosen_seeds[method.name]
                ]
    return planned


def _seeds(method: type[Method], seeds: Sequence[int]) -> list[int]:
    """The seeds to run a method with: one, which is said, where they change nothing."""
    chosen = list(dict.fromkeys(seeds))
    if method.seeded or chosen == [UNSEEDED]:
        return chosen
    say(f"{method.name}: the seed changes nothing there; run once, as seed {UNSEEDED}")
    return [UNSEEDED]


def revision_of(method: type[Method]) -> int | str:
    """What tells a method's code from what it was when a run was stored.

    `revision` is raised by hand, which nobody does who tries things in a file of their own: there the source counts.
    """
    return method.revision if plugin_of(method) is None else f"{method.revision}-{code_digest(method)}"


def _spec(method: type[Method], summary: Summary, bits: int, seed: int, parameters: dict[str, Any]) -> RunSpec:
    try:
        return RunSpec(
            method=method.name,
            dataset=summary.name,
            bits=bits,
            seed=seed,
            parameters=parameters,
            dataset_fingerprint=summary.fingerprint,
            method_revision=revision_of(method),
        )
    except ValidationError as error:
        raise InputError(validation_message(error)) from error


Existing = Literal["reuse", "rerun", "retry-failed", "only-cached"]

Action = Literal["reused", "done", "left out"]


def check_existing(policy: str) -> Existing:
    """The policy itself; InputError if it is not one."""
    for known in get_args(Existing):
        if policy == known:
            return known
    raise InputError(f"unknown policy '{policy}' for --existing: known: {', '.join(get_args(Existing))}")


def action_for(existing: Existing, stored: StoredRun | None) -> Action:
    """What becomes of a run: `stored` is what is there before, sound; None if nothing is."""
    if stored is None:
        return "left out" if existing == "only-cached" else "done"
    failed = stored.record.status != "done"
    return "done" if existing == "rerun" or (existing == "retry-failed" and failed) else "reused"
