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
from bench.registry import Registry, load_registry
from bench.registry.plugin_files import code_digest, plugin_of
from bench.store.record import RunSpec, Seed
from bench.store.stored_run import StoredRun

UNSEEDED = 0
"""The seed of a method that does not depend on it."""
Existing = Literal["reuse", "rerun", "retry-failed", "remeasure", "only-cached"]
Action = Literal["reuse", "do", "skip"]


class SweepFile(BaseModel):
    """The content of a sweep file: the runs to do. Options on how to do and store them belong on the command line."""

    model_config = ConfigDict(extra="forbid")

    methods: list[str] | None = None
    datasets: list[str] | None = None
    bits: list[StrictInt] | None = None
    seeds: list[Annotated[Seed, Strict()]] | None = None
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """By method, as `--set method.name=value` on the command line."""


@dataclass(frozen=True)
class PlannedRun:
    """A run with everything needed to do it."""

    spec: RunSpec
    method: type[Method]
    source: DatasetSource
    summary: Summary
    dataset: str
    """The dataset as given by the user: a name or a folder."""
    data_root: Path | None = None
    """The folder of datasets known by name, if given."""

    def instantiate(self) -> Method:
        """The method at the run's code length and parameters."""
        return self.method(self.spec.bits, self.method.Parameters.model_validate(self.spec.parameters))


def read_sweep_file(path: Path) -> SweepFile:
    """Read a sweep from a TOML file. Raises InputError that names the wrong key."""
    content = read_toml(path)
    for key in ("plugin", "plugins"):
        if key in content:
            raise InputError(
                f"{path}: {key}: plug-ins run code with your rights, so a sweep file may not load them; read the "
                "plug-in's code, and give it on the command line with --plugin"
            )
    try:
        return SweepFile.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {validation_message(error, SweepFile)}") from error


def parse_settings(settings: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Parse texts `method.parameter=value` into values by method and parameter; values are TOML, else text."""
    parsed: dict[str, dict[str, Any]] = {}
    for setting in settings:
        target, equals, text = setting.partition("=")
        method, dot, name = target.partition(".")
        if not (equals and dot and method and name and text):
            raise InputError(f"--set {setting}: expected method.parameter=value, such as mcmsh.epochs=5")
        parsed.setdefault(method.strip(), {})[name.strip()] = _value(text)
    return parsed


def require_among(methods: Sequence[str], parameters: Iterable[str], place: str) -> None:
    """InputError, starting with `place`, if there are parameters of a method that is not in `methods`."""
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
    left_out: dict[tuple[str, int], str] | None = None,
) -> list[PlannedRun]:
    """All runs in order of dataset, method, bits and seed; unseeded methods run once.

    Raises InputError for anything that cannot work. With `left_out`, a method that cannot learn from a dataset at some
    length is no error: the reason is written there.
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
                raise InputError(f"{method.name} needs labels, and {name} has none; remove it from --methods")
            resolved = resolve_parameters(method, summary, source.recommended, parameters.get(method.name, {}))
            for length in lengths:
                try:
                    method(length, resolved).check(summary.train_shape)
                except InputError as error:
                    if left_out is None:
                        raise InputError(f"{name}: {error}") from error
                    left_out[method.name, length] = str(error)
                    continue
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


def found_again(spec: RunSpec, dataset: str, plugins: Sequence[Path], data_root: Path | None) -> PlannedRun:
    """A run that another process planned, as this one finds its method and dataset.

    Raises InputError if they are not those that it was planned with.
    """
    registry = load_registry(plugins, data_root)
    method, source = registry.method(spec.method), registry.dataset(dataset)
    summary = source.summary()
    if summary.fingerprint != spec.dataset_fingerprint:
        raise InputError(
            f"{dataset}: differs from the dataset that the sweep was started with; copy that one to this machine, or "
            "restart the sweep if it was changed"
        )
    if revision_of(method) != spec.method_revision:
        raise InputError(
            f"{method.name}: differs from the method that the sweep was started with; copy that one to this machine, "
            "or restart the sweep if it was changed"
        )
    return PlannedRun(spec, method, source, summary, dataset, data_root)


def revision_of(method: type[Method]) -> int | str:
    """The version of a method's code: its `revision`; for a plug-in, followed by a digest of its source."""
    return method.revision if plugin_of(method) is None else f"{method.revision}-{code_digest(method)}"


def check_existing(policy: str) -> Existing:
    """The policy itself; InputError if it is unknown."""
    for known in get_args(Existing):
        if policy == known:
            return known
    raise InputError(f"unknown policy '{policy}' for --existing: known: {', '.join(get_args(Existing))}")


def action_for(existing: Existing, stored: StoredRun | None) -> Action:
    """The action for a run under this policy; `stored` is its sound stored run, None if there is none."""
    if stored is None:
        return "skip" if existing == "only-cached" else "do"
    failed = stored.record.status != "done"
    return "do" if existing == "rerun" or (existing == "retry-failed" and failed) else "reuse"


def _value(text: str) -> Any:
    try:
        content = parse_toml(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return content["value"] if len(content) == 1 else text


def _seeds(method: type[Method], seeds: Sequence[int]) -> list[int]:
    """The seeds to run a method with: only one, with a message, if the method does not use it."""
    chosen = list(dict.fromkeys(seeds))
    if method.seeded or chosen == [UNSEEDED]:
        return chosen
    say(f"{method.name}: does not use the seed; run once, as seed {UNSEEDED}")
    return [UNSEEDED]


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
