"""Verbs that measure and use encoders: profile, encode."""

from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import DEFAULT_DATASET, Device, Plugins, names_of, numbers_of

# Importing anything of the library here would cost `bench --help` its speed: torch alone takes seconds.
# ruff: noqa: PLC0415


def profile(
    methods: Annotated[str, typer.Option(help="Methods, such as mcmsh,bth.")],
    bits: Annotated[str, typer.Option(help="Code lengths, such as 16,32,64.")] = "64",
    datasets: Annotated[str, typer.Option(help="Datasets whose frames and dimensions to take.")] = DEFAULT_DATASET,
    settings: Annotated[list[str] | None, typer.Option("--set", help="A parameter, such as mcmsh.hidden=128.")] = None,
    device: Device = "auto",
    plugin: Plugins = None,
) -> int:
    """Measure parameters, FLOPs and encoding time, without training."""
    from bench.fitting import choose_device
    from bench.profile.untrained import profile_table
    from bench.registry import load_registry
    from bench.sweep import parse_settings, plan

    planned = plan(
        load_registry(plugin or []),
        methods=names_of(methods),
        datasets=names_of(datasets),
        bits=numbers_of("--bits", bits),
        seeds=[0],
        parameters=parse_settings(settings or []),
    )
    print(profile_table(planned, choose_device(device)))
    return 0


def encode(
    encoder: Annotated[Path, typer.Option(help="Folder of a saved encoder.")],
    features: Annotated[Path, typer.Option(help="Features (N, T, D): .h5 with dataset `feats`, or .npy.")],
    out: Annotated[Path, typer.Option(help="File for the codes, .npy: (N, bits) int8 in -1, +1.")],
    plugin: Plugins = None,
) -> int:
    """Encode anybody's features with a saved encoder."""
    from bench.encoding import encode_file
    from bench.progress import say
    from bench.registry import load_registry

    shape = encode_file(encoder, features, out, load_registry(plugin or []))
    say(f"{out}: codes {shape[0]} × {shape[1]}")
    return 0
