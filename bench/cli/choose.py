"""`bench choose`."""

import math
from itertools import count, takewhile
from typing import Annotated

import typer

from bench.cli.options import RESULTS, THREADS, DataRoot, Device, Plugins, Results, Settings, names_of, numbers_of

SHORTEST = 16
"""The shortest usual code length; the others are twice as long each."""
EXACT, QUANTISERS = "float", ("pq", "opq", "rabitq")
"""References: exact search by the features, and what competes with codes at the same bytes."""


# Imports of the library are local, so that `bench --help` is fast: torch alone takes seconds.
# ruff: noqa: PLC0415
def choose(
    size: Annotated[int, typer.Option("--bytes", min=1, help="The most bytes of a video's code.")],
    features: Annotated[
        str | None,
        typer.Argument(
            help="A feature folder, with labels or without, or a dataset known by name; left out: choose from stored "
            "runs, and train nothing.",
            metavar="[FEATURES]",
        ),
    ] = None,
    milliseconds: Annotated[
        float | None,
        typer.Option("--ms", min=0, help="The most milliseconds of a query: encoding a video, and searching."),
    ] = None,
    methods: Annotated[
        str, typer.Option(help="Methods to choose from; deep ones, such as mcmsh, take longer.")
    ] = "itq,sph,lsh",
    seeds: Annotated[str, typer.Option(help="Seeds, such as 0,1,2.")] = "0,1,2",
    settings: Settings = None,
    data_root: DataRoot = None,
    results: Results = RESULTS,
    device: Device = "auto",
    plugin: Plugins = None,
) -> int:
    """Recommend a method and a code length for your features, beside float search and quantisers."""
    from bench.base.text import say
    from bench.report.choice import Budget, choice
    from bench.store.store import Store

    store, budget = Store(results), Budget(size, math.inf if milliseconds is None else milliseconds)
    if features is None:
        store.require_runs()
        print(choice(store.runs(), budget))
        return 0

    from bench.encoding.fitting import choose_device
    from bench.registry import load_registry
    from bench.running.display import sweep_display
    from bench.running.isolation import Isolation
    from bench.running.jobs import AsManyAsFit
    from bench.running.plan import parse_settings, plan
    from bench.running.runner import Runner

    registry, target = load_registry(plugin or [], data_root), choose_device(device)
    compared = [name for name in dict.fromkeys([*names_of(methods), *QUANTISERS]) if name != EXACT]
    lengths, left_out = usual_lengths(8 * size), dict[tuple[str, int], str]()
    planned = [
        run
        for names, bits, parameters in (
            (compared, lengths, parse_settings(settings or [])),
            ([EXACT], lengths[-1:], {}),
        )
        for run in plan(
            registry,
            methods=names,
            datasets=[features],
            bits=bits,
            seeds=numbers_of("--seeds", seeds),
            parameters=parameters,
            left_out=left_out,
        )
    ]
    for name in dict.fromkeys(method for method, _ in left_out):
        reasons = {bits: reason for (method, bits), reason in left_out.items() if method == name}
        say(f"{name} is left out at {', '.join(map(str, reasons))} bits ({next(iter(reasons.values()))})")
    isolation = AsManyAsFit(Isolation(tuple(plugin or ()), data_root, threads=THREADS))
    runs = Runner(store, target, "reuse", sweep_display(say), say, isolation, THREADS).run(planned)
    print(choice(runs, budget))
    failed = [run for run in runs if run.record.status != "done"]
    if failed:
        say(f"{len(failed)} of {len(runs)} runs did not finish; bench report --results {results} shows why")
    return 1 if failed else 0


def usual_lengths(most: int) -> list[int]:
    """16, 32, 64 … below `most` bits, and `most` itself, or the longest that methods support."""
    from bench.base.values import MAX_BITS

    longest = min(most, MAX_BITS)
    return [*takewhile(lambda bits: bits < longest, (SHORTEST << power for power in count())), longest]
