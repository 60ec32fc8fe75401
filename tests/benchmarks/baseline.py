"""The committed figures, and the decision whether a new one is slower by more than noise."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from bench.base.errors import InputError
from bench.base.text import validation_message

LEAST_TOLERANCE = 0.12
"""No smaller slowdown is called one: what it takes to be sure of less is not worth the time."""
SPREADS = 3
"""Between-session standard deviations that a slowdown must pass, twice: what seems slower is measured again."""

Verdict = Literal["as fast", "SLOWER", "faster", "new"]


class Figure(NamedTuple):
    """How many times as long as its kernels a path takes."""

    kernels: tuple[str, ...]
    ratio: float


class PathBaseline(BaseModel):
    """What sessions on the committed code gave for one path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kernels: tuple[str, ...]
    ratio: float
    """The median over sessions."""
    spread: float
    """Standard deviation of the sessions' ratios, as a share."""
    runs: tuple[float, ...]
    """The ratio of every session."""


class Baseline(BaseModel):
    """The file `baseline.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    written: str
    machine: dict[str, Any]
    """The processor, the number of cores and the software."""
    paths: dict[str, PathBaseline]

    def tolerance(self, path: str) -> float:
        """The share by which the path may be slower: three spreads, 12 % at least.

        A few sessions tell the spread of one path badly, so it counts for no less than that of the typical path.
        """
        typical = float(np.median([known.spread for known in self.paths.values()]))
        return max(LEAST_TOLERANCE, SPREADS * max(self.paths[path].spread, typical))


class Judgement(NamedTuple):
    """A path's factor (how many times as long as in the baseline), what is tolerated, and the verdict."""

    path: str
    factor: float
    tolerance: float
    verdict: Verdict


def baseline_of(sessions: Sequence[Mapping[str, Figure]], machine: Mapping[str, Any], written: str) -> Baseline:
    """The baseline that sessions on one machine give; paths that not every session measured are left out."""
    paths = {}
    for name, figure in sessions[0].items():
        runs = [session[name].ratio for session in sessions if name in session]
        if len(runs) == len(sessions):
            paths[name] = PathBaseline(
                kernels=figure.kernels,
                ratio=round(float(np.median(runs)), 4),
                spread=round(spread_of(runs), 4),
                runs=tuple(round(run, 4) for run in runs),
            )
    return Baseline(written=written, machine=dict(machine), paths=paths)


def spread_of(runs: Sequence[float]) -> float:
    """The standard deviation of the logarithms (n − 1): about that of the ratios as a share.

    No robust one: of five sessions on a machine that others use, an odd one is no mistake but what will happen again.
    """
    return float(np.std(np.log(runs), ddof=1))


def judge(figures: Mapping[str, Figure], baseline: Baseline) -> list[Judgement]:
    """The verdict on every figure; a path that the baseline lacks, or has in other units, is new."""
    judgements = []
    for path, figure in figures.items():
        known = baseline.paths.get(path)
        if known is None or known.kernels != figure.kernels:
            judgements.append(Judgement(path, math.nan, math.nan, "new"))
            continue
        factor, tolerance = figure.ratio / known.ratio, baseline.tolerance(path)
        verdict: Verdict = "as fast"
        if factor > 1 + tolerance:
            verdict = "SLOWER"
        elif factor < 1 / (1 + tolerance):
            verdict = "faster"
        judgements.append(Judgement(path, factor, tolerance, verdict))
    return judgements


def slower(judgements: Sequence[Judgement]) -> list[str]:
    """The paths that are slower by more than noise."""
    return [judgement.path for judgement in judgements if judgement.verdict == "SLOWER"]


def quicker_of_both(first: Mapping[str, Figure], again: Mapping[str, Figure]) -> dict[str, Figure]:
    """Of paths measured twice the lower figure: only what is slow both times is slow."""
    return {
        path: min(figure, again.get(path, figure), key=lambda measured: measured.ratio)
        for path, figure in first.items()
    }


def read_baseline(file: Path) -> Baseline:
    """Raises InputError if the file is none."""
    try:
        return Baseline.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); write one with --write-baseline") from error
    except ValidationError as error:
        raise InputError(f"{file}: {validation_message(error)}; write it anew with --write-baseline") from error


def write_baseline(file: Path, baseline: Baseline) -> None:
    """Write the file, a line a path."""
    head = {"written": baseline.written, "machine": baseline.machine}
    lines = [f"  {json.dumps(name)}: {known.model_dump_json()}" for name, known in sorted(baseline.paths.items())]
    text = json.dumps(head, indent=1).removesuffix("\n}") + ',\n "paths": {\n' + ",\n".join(lines) + "\n }\n}\n"
    file.write_text(text, encoding="utf-8")
